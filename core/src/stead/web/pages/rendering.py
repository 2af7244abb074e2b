"""What every page is rendered with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Flask, Response, g, make_response, render_template, request
from flask_login import current_user
from markupsafe import Markup

from stead.api.errors import SteadError
from stead.api.launchers import LauncherSpec
from stead.domain.rbac import Action, Resource, allows
from stead.domain.records import Actor
from stead.web.context import current_core
from stead.web.pages import connect, formats, glance, icons, markdown

PAGE_SIZE = 25
THEME_COOKIE = "stead_theme"
THEMES = frozenset({"light", "dark"})


def init_rendering(app: Flask) -> None:
    """Give templates their filters, globals and the things that every page knows."""
    env = app.jinja_env
    env.trim_blocks = True
    env.lstrip_blocks = True
    env.filters.update(
        browser=formats.browser,
        coded=formats.coded,
        counted=formats.counted,
        cost=formats.cost,
        duration=formats.duration,
        exact=formats.exact,
        filesize=formats.size,
        initials=formats.initials,
        listed=formats.listed,
        markdown=markdown.render,
        markdown_line=markdown.render_line,
    )
    env.globals.update(
        ago=ago,
        can=can,
        connect=connect,
        glance=glance,
        launchers=launchers,
        picture=icons.picture,
        provider_title=provider_title,
        resource_icon=icons.of_resource,
        theme=theme,
    )
    app.context_processor(_surroundings)


def provider_title(name: str) -> str:
    """What people call a provider; its name where it is not configured any more."""
    providers = current_core().identity
    return providers.get(name).title if name in providers else name


def launchers() -> list[LauncherSpec]:
    """The ways to open a workspace."""
    return current_core().plugins.launchers()


def page(name: str, status: int = 200, /, **context: Any) -> Response:
    """A whole page."""
    return make_response(render_template(name, **context), status)


def wants_fragment() -> bool:
    """Whether a script asks for a part of the page, rather than a person for all of it."""
    return request.headers.get("HX-Request-Type") == "partial"


def offset_of_page() -> tuple[int, int]:
    """The page number of the query (from 1), and how many rows come before it."""
    number = max(1, request.args.get("page", 1, type=int))
    return number, (number - 1) * PAGE_SIZE


def now() -> datetime:
    return current_core().clock.now()


def ago(at: datetime | None) -> Markup:
    """A time as people say it, with the exact one on hover; it stays true while the page is open."""
    if at is None:
        return Markup("never")
    return Markup('<time datetime="{}" title="{}" data-relative>{}</time>').format(
        at.isoformat(), formats.exact(at), formats.relative(at, now())
    )


def theme() -> str:
    """The chosen theme, or ``system``."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else "system"


def can(resource: str, action: str, owner_id: str | None = None) -> bool:
    """Whether the viewer may do this. For showing things; services decide what is allowed."""
    actor = viewer()
    return actor is not None and allows(actor, Resource(resource), Action(action), owner_id)


def viewer() -> Actor | None:
    """Who looks at the page, where somebody is signed in."""
    actor: Actor | None = current_user.actor
    return actor


def problem_in(error: SteadError) -> dict[str, str]:
    """The errors of a form by field, from what a service refused; the empty field is the form itself."""
    return {error.field or "": str(error)}


def render_error(error: SteadError, status: int) -> Response:
    """The page that tells a person what went wrong. Works without a signed-in user and without the database."""
    signed_in = getattr(g.get("_login_user"), "is_authenticated", False)
    if wants_fragment():
        return make_response(render_template("error/part.html", error=error, status=status), status)
    return make_response(render_template("error/page.html", error=error, status=status, signed_in=signed_in), status)


def _surroundings() -> dict[str, Any]:
    user = g.get("_login_user")
    return {"actor": user.actor if getattr(user, "is_authenticated", False) else None}
