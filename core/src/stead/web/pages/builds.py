"""One build: what it did, with its log."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from flask import Blueprint, Response
from flask_login import login_required

from stead.domain.records import LogLine
from stead.services import agents, builds, workspaces
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.pages import glance
from stead.web.pages.rendering import page, wants_fragment

blueprint = Blueprint("builds", __name__)

_CHUNK = 1000
_LINES_AT_FIRST = 200


@blueprint.get("/builds/<build_id>")
@login_required
def show(build_id: str) -> Response:
    core, actor = current_core(), current_actor()
    build = builds.get(core, actor, build_id)
    workspace = workspaces.get(core, actor, build.workspace_id)
    lines = [] if wants_fragment() else builds.logs(core, actor, build.job.id, limit=_LINES_AT_FIRST)
    return page(
        "builds/part.html" if wants_fragment() else "builds/page.html",
        build=build,
        workspace=workspace,
        state=glance.job_state(build.job),
        lines=lines,
    )


@blueprint.get("/builds/<build_id>/log.txt")
@login_required
def download(build_id: str) -> Response:
    core, actor = current_core(), current_actor()
    build = builds.get(core, actor, build_id)
    name = f"build-{build.number}.log"
    return log_file(name, lambda after: builds.logs(core, actor, build.job.id, after=after, limit=_CHUNK))


@blueprint.get("/agents/<agent_id>/log.txt")
@login_required
def download_agent(agent_id: str) -> Response:
    core, actor = current_core(), current_actor()
    return log_file("agent.log", lambda after: agents.logs(core, actor, agent_id, after=after, limit=_CHUNK))


def log_file(name: str, read: Callable[[int], list[LogLine]]) -> Response:
    """A log as a text file, sent while it is read."""
    first = read(0)  # before the answer begins, so that a refusal is one
    response = Response(_lines(first, read), mimetype="text/plain")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _lines(first: list[LogLine], read: Callable[[int], list[LogLine]]) -> Iterator[str]:
    lines = first
    while lines:
        for line in lines:
            yield f"{line.at.isoformat(timespec='milliseconds')} {line.level:5} {line.source}: {line.text}\n"
        lines = read(lines[-1].id)
