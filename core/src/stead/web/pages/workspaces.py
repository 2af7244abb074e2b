"""The list of workspaces, the page of one, and what can be done with it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect, request
from flask_login import login_required
from werkzeug.wrappers import Response as BaseResponse

from stead.api.errors import InvalidInput, SteadError
from stead.domain.rbac import Action, Resource, allows
from stead.domain.records import Workspace
from stead.domain.states import Transition, WorkspaceStatus
from stead.services import builds, templates, workspaces
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.failures import status_of
from stead.web.pages import glance
from stead.web.pages.logs import first_agent_lines, first_lines
from stead.web.pages.notices import redirect_saying
from stead.web.pages.rendering import PAGE_SIZE, offset_of_page, page, problem_in, wants_fragment

blueprint = Blueprint("workspaces", __name__)

_FILTERS = (
    ("", "All"),
    (WorkspaceStatus.RUNNING.value, "Running"),
    (WorkspaceStatus.STOPPED.value, "Stopped"),
    (WorkspaceStatus.FAILED.value, "Failed"),
)


@blueprint.get("/workspaces")
@login_required
def index() -> Response:
    actor = current_actor()
    sees_all = allows(actor, Resource.WORKSPACE, Action.READ)
    everyone = sees_all and request.args.get("owner") == "all"
    status = request.args.get("status", "")
    chosen = WorkspaceStatus(status) if status in {value for value, _ in _FILTERS if value} else None
    number, offset = offset_of_page()
    found = workspaces.list(
        current_core(),
        actor,
        search=request.args.get("q", "").strip(),
        owner=None if everyone else "me",
        template=None,
        status=chosen,
        limit=PAGE_SIZE,
        offset=offset,
    )
    return page(
        "workspaces/part_list.html" if wants_fragment() else "workspaces/list.html",
        found=found,
        number=number,
        size=PAGE_SIZE,
        sees_all=sees_all,
        everyone=everyone,
        filters=_FILTERS,
        query=request.args,
    )


@blueprint.get("/workspaces/<owner>/<name>")
@login_required
def show(owner: str, name: str) -> Response:
    workspace = _get(owner, name)
    template = "workspaces/part_overview.html" if wants_fragment() else "workspaces/overview.html"
    return page(template, **_overview(workspace))


def _overview(workspace: Workspace) -> dict[str, Any]:
    build = workspace.latest_build
    return {
        "workspace": workspace,
        "state": glance.workspace_state(workspace),
        "problems": list(glance.problems(workspace)),
        "agents": glance.agents(workspace),
        "build_lines": [] if wants_fragment() else first_lines(build.job.id),
        "agent_lines": {} if wants_fragment() else {a.id: first_agent_lines(a.id) for a in glance.agents(workspace)},
        "tab": "overview",
    }


@blueprint.get("/workspaces/<owner>/<name>/builds")
@login_required
def history(owner: str, name: str) -> Response:
    workspace = _get(owner, name)
    number, offset = offset_of_page()
    found = builds.list(current_core(), current_actor(), workspace.id, limit=PAGE_SIZE, offset=offset)
    return page(
        "workspaces/builds.html",
        workspace=workspace,
        state=glance.workspace_state(workspace),
        found=found,
        number=number,
        size=PAGE_SIZE,
        tab="builds",
    )


@blueprint.get("/workspaces/<owner>/<name>/settings")
@login_required
def settings(owner: str, name: str) -> Response:
    return _settings_page(_get(owner, name), {}, {})


@blueprint.post("/workspaces/<owner>/<name>/settings")
@login_required
def rename(owner: str, name: str) -> BaseResponse:
    workspace = _get(owner, name)
    wanted = request.form.get("name", "").strip()
    try:
        renamed = workspaces.update(current_core(), current_actor(), workspace.id, name=wanted)
    except SteadError as error:
        return _settings_page(workspace, request.form, problem_in(error), status_of(error))
    return redirect_saying(
        f"/workspaces/{renamed.owner}/{renamed.name}", f"The workspace is called {renamed.name} now."
    )


def _settings_page(workspace: Workspace, form: Any, problems: dict[str, str], status: int = 200) -> Response:
    return page(
        "workspaces/settings.html",
        status,
        workspace=workspace,
        state=glance.workspace_state(workspace),
        form=form,
        problems=problems,
        tab="settings",
    )


@blueprint.get("/workspaces/<owner>/<name>/ask/<question>")
@login_required
def ask(owner: str, name: str, question: str) -> Response:
    """The question before something is done, for browsers without scripts; others get it as a dialog."""
    return page("workspaces/ask.html", workspace=_get(owner, name), question=question)


@blueprint.post("/workspaces/<owner>/<name>/<transition>")
@login_required
def change(owner: str, name: str, transition: str) -> BaseResponse:
    """Start, stop, restart, update, delete or cancel."""
    core, actor = current_core(), current_actor()
    workspace = _get(owner, name)
    back = f"/workspaces/{workspace.owner}/{workspace.name}"
    match transition:
        case "start":
            builds.create(core, actor, workspace.id, Transition.START)
        case "stop":
            builds.create(core, actor, workspace.id, Transition.STOP)
        case "restart":
            builds.restart(core, actor, workspace.id)
        case "update":
            version = templates.get(core, actor, workspace.template_id).active_version_id
            builds.create(core, actor, workspace.id, Transition.START, version=version)
        case "cancel":
            builds.cancel(core, actor, workspace.latest_build.id)
        case "delete":
            _require_name(workspace)
            builds.create(core, actor, workspace.id, Transition.DELETE)
        case _:
            return redirect(back)
    return redirect("/workspaces" if request.form.get("back") == "list" else back, 303)


def _require_name(workspace: Workspace) -> None:
    if request.form.get("confirm", "").strip() != workspace.name:
        raise InvalidInput(
            "The workspace was not deleted: the name that was typed is another one.",
            field="confirm",
            remedy=f"Go back and type {workspace.name}.",
        )


def _get(owner: str, name: str) -> Workspace:
    return workspaces.get(current_core(), current_actor(), f"{owner}/{name}")
