"""What the search knows: workspaces, templates and pages."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from flask_login import login_required

from stead.domain.records import Actor
from stead.services import templates, workspaces
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.pages.rendering import can

blueprint = Blueprint("search", __name__)

_MOST = 8
# Title, address, icon, and what one must be allowed to do with which resource.
_PAGES = (
    ("Workspaces", "/workspaces", "device-desktop", None),
    ("New workspace", "/workspaces/new", "plus", None),
    ("Templates", "/templates", "template", None),
    ("New template", "/templates/new", "upload", ("template", "create")),
    ("Users", "/users", "users", ("user", "create")),
    ("Groups", "/groups", "users", ("user", "create")),
    ("Sign-in providers", "/identity", "login", ("deployment", "read")),
    ("Sign-in attempts", "/identity/attempts", "list-details", ("audit", "read")),
    ("Audit", "/audit", "list-details", ("audit", "read")),
    ("Deployment", "/deployment", "server-cog", ("deployment", "read")),
    ("Settings", "/settings", "settings", None),
    ("API tokens", "/settings/tokens", "key", None),
    ("Password", "/settings/password", "lock", None),
    ("Sessions", "/settings/sessions", "device-desktop", None),
    ("How you sign in", "/settings/sign-in", "login", None),
    ("Second factors", "/settings/security", "key", None),
)


@blueprint.get("/search.json")
@login_required
def search() -> ResponseReturnValue:
    text = request.args.get("q", "").strip()[:100]
    actor = current_actor()
    items = [*_workspaces(actor, text), *_templates(actor, text), *_pages(text)]
    return jsonify({"items": items[: 3 * _MOST]})


def _workspaces(actor: Actor, text: str) -> list[dict[str, Any]]:
    found = workspaces.list(current_core(), actor, search=text, limit=_MOST, offset=0).items
    return [
        _item(
            one.name if one.owner_id == actor.user_id else f"{one.owner}/{one.name}",
            f"/workspaces/{one.owner}/{one.name}",
            "device-desktop",
            f"Workspace, {one.status}",
        )
        for one in found
    ]


def _templates(actor: Actor, text: str) -> list[dict[str, Any]]:
    wanted = text.lower()
    found = [
        one
        for one in templates.list(current_core(), actor).items
        if wanted in one.name.lower() or wanted in one.display_name.lower()
    ]
    return [
        _item(one.display_name or one.name, f"/templates/{one.name}", "template", "Template") for one in found[:_MOST]
    ]


def _pages(text: str) -> list[dict[str, Any]]:
    return [
        _item(title, href, icon, "Page")
        for title, href, icon, needed in _PAGES
        if text.lower() in title.lower() and (needed is None or can(*needed))
    ]


def _item(title: str, href: str, icon: str, kind: str) -> dict[str, Any]:
    return {"title": title, "href": href, "icon": icon, "kind": kind}
