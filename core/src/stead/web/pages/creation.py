"""Making a workspace, and giving an existing one other parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, redirect, request
from flask_login import login_required
from werkzeug.wrappers import Response as BaseResponse

from stead.api.errors import Conflict, SteadError
from stead.domain.rbac import Action, Resource, allows
from stead.domain.records import Preset, Template, TemplateVersion, Workspace
from stead.domain.states import Transition, WorkspaceStatus
from stead.services import builds, templates, workspaces
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.failures import status_of
from stead.web.pages import glance
from stead.web.pages.parameters import PREFIX, fields, sent_values
from stead.web.pages.rendering import page, problem_in

blueprint = Blueprint("creation", __name__)


@blueprint.get("/workspaces/new")
@login_required
def choose_template() -> BaseResponse:
    usable = [one for one in templates.list(current_core(), current_actor()).items if one.active_version_id]
    if len(usable) == 1 and not request.args:
        return redirect(f"/templates/{usable[0].name}/workspace")
    return page("workspaces/choose.html", templates=usable)


@blueprint.get("/templates/<name>/workspace")
@login_required
def form(name: str) -> Response:
    template, version = _version_of(name)
    chosen = _preset(version.presets, request.args.get("preset"))
    values = dict(chosen.parameters) if chosen else {}
    values |= sent_values(version.parameters, request.args.to_dict(flat=False))
    return _form_page(template, version, request.args, values, {}, chosen)


@blueprint.post("/templates/<name>/workspace")
@login_required
def create(name: str) -> BaseResponse:
    template, version = _version_of(name)
    sent = request.form
    values = sent_values(version.parameters, sent.to_dict(flat=False))
    preset = _preset(version.presets, sent.get("preset"), default=False)
    try:
        made = workspaces.create(
            current_core(),
            current_actor(),
            template=template.id,
            name=sent.get("name", "").strip(),
            parameters=values,
            preset=preset.name if preset else None,
            owner=sent.get("owner", "").strip() or None,
            version=version.id,
        )
    except SteadError as error:
        problems = problem_in(error)
        if isinstance(error, Conflict) and not error.field:
            problems = {"name": str(error)}
        return _form_page(template, version, sent, values, problems, preset, status_of(error))
    return redirect(f"/workspaces/{made.owner}/{made.name}", 303)


def _form_page(
    template: Template,
    version: TemplateVersion,
    sent: Mapping[str, str],
    values: Mapping[str, str],
    problems: Mapping[str, str],
    preset: Preset | None,
    status: int = 200,
) -> Response:
    return page(
        "workspaces/new.html",
        status,
        template=template,
        version=version,
        form=sent,
        fields=fields(version.parameters, values, problems),
        problems=_shown_problems(problems, [parameter.name for parameter in version.parameters]),
        preset=preset,
        may_choose_owner=allows(current_actor(), Resource.WORKSPACE, Action.CREATE),
    )


def _shown_problems(problems: Mapping[str, str], parameters: Sequence[str]) -> dict[str, str]:
    """Problems whose field is not on the page go to its head."""
    on_page = {"name", "owner", *(f"parameters.{name}" for name in parameters)}
    return {(field if field in on_page else ""): words for field, words in problems.items()}


def _version_of(name: str) -> tuple[Template, TemplateVersion]:
    core, actor = current_core(), current_actor()
    template = templates.get(core, actor, name)
    wanted = request.args.get("version") or request.form.get("version") or template.active_version_id
    if wanted is None:
        raise Conflict(
            f"The template {template.name} has no version to build from.",
            remedy="Upload a version that imports without errors, and promote it.",
        )
    return template, templates.version(core, actor, wanted)


def _preset(presets: Sequence[Preset], name: str | None, *, default: bool = True) -> Preset | None:
    if name is None and default:
        return next((preset for preset in presets if preset.default), None)
    return next((preset for preset in presets if preset.name == name), None)


@blueprint.get("/workspaces/<owner>/<name>/parameters")
@login_required
def show_parameters(owner: str, name: str) -> Response:
    workspace = workspaces.get(current_core(), current_actor(), f"{owner}/{name}")
    return _parameters_page(workspace, {}, {})


@blueprint.post("/workspaces/<owner>/<name>/parameters")
@login_required
def change_parameters(owner: str, name: str) -> BaseResponse:
    core, actor = current_core(), current_actor()
    workspace = workspaces.get(core, actor, f"{owner}/{name}")
    version = templates.version(core, actor, workspace.latest_build.template_version_id)
    values = sent_values(version.parameters, request.form.to_dict(flat=False))
    try:
        builds.create(core, actor, workspace.id, Transition.START, parameters=values)
    except SteadError as error:
        return _parameters_page(workspace, values, problem_in(error), status_of(error))
    return redirect(f"/workspaces/{workspace.owner}/{workspace.name}", 303)


def _parameters_page(
    workspace: Workspace, values: Mapping[str, str], problems: Mapping[str, str], status: int = 200
) -> Response:
    build = workspace.latest_build
    version = templates.version(current_core(), current_actor(), build.template_version_id)
    shown = fields(version.parameters, values, problems, build.parameters)
    context: dict[str, Any] = {
        "workspace": workspace,
        "state": glance.workspace_state(workspace),
        "version": version,
        "fields": shown,
        "changeable": any(not field.locked for field in shown),
        "problems": _shown_problems(problems, [parameter.name for parameter in version.parameters]),
        "running": workspace.status is WorkspaceStatus.RUNNING,
        "busy": glance.is_active(build),
        "prefix": PREFIX,
        "tab": "parameters",
    }
    return page("workspaces/parameters.html", status, **context)
