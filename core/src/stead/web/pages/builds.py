"""One build: what it did, with its log."""

from __future__ import annotations

from flask import Blueprint, Response
from flask_login import login_required

from stead.services import builds, workspaces
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.pages import glance
from stead.web.pages.logs import first_lines
from stead.web.pages.rendering import page, wants_fragment

blueprint = Blueprint("builds", __name__)


@blueprint.get("/builds/<build_id>")
@login_required
def show(build_id: str) -> Response:
    core, actor = current_core(), current_actor()
    build = builds.get(core, actor, build_id)
    workspace = workspaces.get(core, actor, build.workspace_id)
    lines = [] if wants_fragment() else first_lines(build.job.id)
    return page(
        "builds/part.html" if wants_fragment() else "builds/page.html",
        build=build,
        workspace=workspace,
        state=glance.job_state(build.job),
        lines=lines,
    )
