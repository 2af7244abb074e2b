"""Templates: the list, and the page of one with its versions, parameters and settings."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request
from flask_login import login_required
from werkzeug.wrappers import Response as BaseResponse

from stead.api.errors import SteadError
from stead.domain.records import Template, TemplateVersion
from stead.services import templates
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.failures import status_of
from stead.web.pages.notices import redirect_saying
from stead.web.pages.parameters import fields
from stead.web.pages.rendering import page, problem_in, wants_fragment

blueprint = Blueprint("templates", __name__)


@blueprint.get("/templates")
@login_required
def index() -> Response:
    found = templates.list(current_core(), current_actor()).items
    wanted = request.args.get("q", "").strip().lower()
    shown = [one for one in found if wanted in f"{one.name} {one.display_name} {one.description}".lower()]
    return page(
        "templates/part_list.html" if wants_fragment() else "templates/list.html",
        templates=shown,
        total=len(found),
        query=request.args,
    )


@blueprint.get("/templates/<name>")
@login_required
def show(name: str) -> Response:
    template, version = _load(name)
    return page("templates/overview.html", template=template, version=version, tab="overview")


@blueprint.get("/templates/<name>/parameters")
@login_required
def parameters(name: str) -> Response:
    template, version = _load(name)
    shown = fields(version.parameters, {}, {}) if version else []
    return page("templates/parameters.html", template=template, version=version, fields=shown, tab="parameters")


@blueprint.get("/templates/<name>/versions")
@login_required
def versions(name: str) -> Response:
    template = templates.get(current_core(), current_actor(), name)
    found = templates.versions(current_core(), current_actor(), template.id)
    return page("templates/versions.html", template=template, found=found, tab="versions")


@blueprint.get("/templates/<name>/settings")
@login_required
def settings(name: str) -> Response:
    template = templates.get(current_core(), current_actor(), name)
    return page("templates/settings.html", template=template, form={}, problems={}, tab="settings")


@blueprint.post("/templates/<name>/settings")
@login_required
def update(name: str) -> BaseResponse:
    core, actor = current_core(), current_actor()
    template = templates.get(core, actor, name)
    changes = {key: request.form.get(key, "").strip() for key in ("display_name", "description", "icon")}
    try:
        templates.update(core, actor, template.id, **changes)
    except SteadError as error:
        return page(
            "templates/settings.html",
            status_of(error),
            template=template,
            form=request.form,
            problems=problem_in(error),
            tab="settings",
        )
    return redirect_saying(f"/templates/{template.name}/settings", "The template was changed.")


@blueprint.post("/templates/<name>/delete")
@login_required
def delete(name: str) -> BaseResponse:
    core, actor = current_core(), current_actor()
    template = templates.get(core, actor, name)
    templates.delete(core, actor, template.id)
    return redirect_saying("/templates", f"The template {template.name} was deleted.")


@blueprint.post("/templates/<name>/promote")
@login_required
def promote(name: str) -> BaseResponse:
    core, actor = current_core(), current_actor()
    template = templates.get(core, actor, name)
    version = templates.version(core, actor, request.form.get("version", ""))
    templates.promote(core, actor, template.id, version.id)
    return redirect_saying(f"/templates/{template.name}/versions", f"New workspaces are built from {version.name} now.")


@blueprint.get("/templates/<name>/ask/delete")
@login_required
def ask(name: str) -> BaseResponse:
    template = templates.get(current_core(), current_actor(), name)
    return page("templates/ask.html", template=template)


@blueprint.get("/templates/<name>/archive")
@login_required
def archive(name: str) -> BaseResponse:
    """The files of the active version."""
    template = templates.get(current_core(), current_actor(), name)
    return redirect(f"/api/v2/template-versions/{template.active_version_id}/archive")


def _load(name: str) -> tuple[Template, TemplateVersion | None]:
    core, actor = current_core(), current_actor()
    template = templates.get(core, actor, name)
    if template.active_version_id is None:
        return template, None
    return template, templates.version(core, actor, template.active_version_id)
