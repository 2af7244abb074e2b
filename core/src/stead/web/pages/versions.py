"""Bringing a template in: from an archive or a starter, and watching its import."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, redirect, request
from flask_login import login_required
from werkzeug.wrappers import Response as BaseResponse

from stead.api.errors import InvalidInput, SteadError
from stead.domain import rbac
from stead.domain.records import Template, TemplateVersion
from stead.domain.states import BuildStatus
from stead.services import templates
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.failures import status_of
from stead.web.pages import glance
from stead.web.pages.logs import first_lines
from stead.web.pages.notices import redirect_saying
from stead.web.pages.rendering import page, problem_in, wants_fragment

blueprint = Blueprint("versions", __name__)

_FORM_OVERHEAD = 256 * 1024  # what the other fields of the form may take
_VARIABLE = "variable."


@blueprint.get("/templates/new")
@login_required
def new() -> Response:
    rbac.require(current_actor(), rbac.Resource.TEMPLATE, rbac.Action.CREATE)
    return _new_page(request.args, {}, None)


@blueprint.post("/templates/new")
@login_required
def create() -> BaseResponse:
    return _upload(None)


@blueprint.get("/templates/<name>/versions/new")
@login_required
def new_version(name: str) -> Response:
    template = templates.get(current_core(), current_actor(), name)
    return _new_page(request.args, {}, template)


@blueprint.post("/templates/<name>/versions/new")
@login_required
def create_version(name: str) -> BaseResponse:
    return _upload(templates.get(current_core(), current_actor(), name))


def _upload(template: Template | None) -> BaseResponse:
    request.max_content_length = current_core().settings.max_request_bytes + _FORM_OVERHEAD
    try:
        version = _make_version(template)
    except SteadError as error:
        return _new_page(request.form, problem_in(error), template, status_of(error))
    wanted = request.form.get("name", "").strip()
    return redirect(f"/template-versions/{version.id}" + (f"?name={wanted}" if wanted else ""), 303)


def _make_version(template: Template | None) -> TemplateVersion:
    core, actor, form = current_core(), current_actor(), request.form
    common: dict[str, Any] = {
        "name": form.get("version", "").strip(),
        "message": form.get("message", "").strip(),
        "variables": _variables(form),
        "template": template.id if template else None,
    }
    if form.get("starter"):
        path = templates.starter(core, form["starter"]).template.path
        return templates.create_version(core, actor, path, **common)
    archive = request.files.get("archive")
    if archive is None or not archive.filename:
        raise InvalidInput("Choose an archive, or one of the starters.", field="archive")
    archive.stream.flush()
    return templates.create_version(core, actor, Path(str(archive.stream.name)), **common)


def _variables(form: Mapping[str, str]) -> dict[str, str]:
    """Terraform variables: fields of their own, and lines ``name = value``."""
    values = {key.removeprefix(_VARIABLE): value for key, value in form.items() if key.startswith(_VARIABLE)}
    for number, line in enumerate(form.get("variables", "").splitlines(), start=1):
        name, equals, value = line.partition("=")
        if not line.strip():
            continue
        if not equals or not name.strip():
            raise InvalidInput(f"Line {number} is not of the form name = value.", field="variables")
        values[name.strip()] = value.strip().strip('"')
    return values


def _new_page(
    form: Mapping[str, str], problems: dict[str, str], template: Template | None, status: int = 200
) -> Response:
    settings = current_core().settings
    return page(
        "templates/new.html",
        status,
        form=form,
        problems=problems,
        template=template,
        starters=templates.starters(current_core(), current_actor()),
        largest=min(settings.max_archive_bytes, settings.max_request_bytes),
    )


@blueprint.get("/template-versions/<version_id>")
@login_required
def show(version_id: str) -> Response:
    return _version_page(templates.version(current_core(), current_actor(), version_id), {}, {})


@blueprint.post("/template-versions/<version_id>/create")
@login_required
def make_template(version_id: str) -> BaseResponse:
    """The version imports: make a template of it."""
    version = templates.version(current_core(), current_actor(), version_id)
    form = request.form
    try:
        template = templates.create(
            current_core(),
            current_actor(),
            name=form.get("name", "").strip(),
            version_id=version.id,
            display_name=form.get("display_name", "").strip(),
            description=form.get("description", "").strip(),
            icon=form.get("icon", "").strip(),
        )
    except SteadError as error:
        return _version_page(version, form, problem_in(error), status_of(error))
    return redirect_saying(f"/templates/{template.name}", "The template can be used now.")


@blueprint.post("/template-versions/<version_id>/cancel")
@login_required
def cancel(version_id: str) -> BaseResponse:
    version = templates.version(current_core(), current_actor(), version_id)
    templates.cancel(current_core(), current_actor(), version.id)
    return redirect(f"/template-versions/{version.id}", 303)


def _version_page(
    version: TemplateVersion, form: Mapping[str, str], problems: dict[str, str], status: int = 200
) -> Response:
    core, actor = current_core(), current_actor()
    lines = [] if wants_fragment() else first_lines(version.job.id)
    return page(
        "templates/part_version.html" if wants_fragment() else "templates/version.html",
        status,
        version=version,
        template=templates.get(core, actor, version.template_id) if version.template_id else None,
        state=glance.job_state(version.job),
        succeeded=version.job.status is BuildStatus.SUCCEEDED,
        failed=version.job.status is BuildStatus.FAILED,
        active=version.job.status in glance.ACTIVE,
        form=form,
        proposed=request.args.get("name", ""),
        problems=problems,
        lines=lines,
    )
