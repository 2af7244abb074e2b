"""Builds: what a workspace's Terraform runs did."""

from __future__ import annotations

from flask import Response

from stead.domain.records import Build
from stead.services import builds
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.rest.common import LogLines, LogQuery
from stead.web.rest.routing import Api, Binary

api = Api("builds")


@api.get("/builds/<ref:ref>", "Show a build", returns=Build)
def get_build(ref: str) -> Build:
    return builds.get(current_core(), current_actor(), ref)


@api.post("/builds/<ref:ref>/cancel", "Ask a build to stop", returns=Build)
def cancel_build(ref: str) -> Build:
    return builds.cancel(current_core(), current_actor(), ref)


@api.get("/builds/<ref:ref>/logs", "Read a build's log", query=LogQuery, returns=LogLines)
def build_logs(ref: str, query: LogQuery) -> LogLines:
    core, actor = current_core(), current_actor()
    job = builds.get(core, actor, ref).job
    return LogLines(items=tuple(builds.logs(core, actor, job.id, after=query.after, limit=query.limit)))


@api.get(
    "/builds/<ref:ref>/state",
    "Download the Terraform state that a build left",
    returns=Binary("application/json"),
)
def build_state(ref: str) -> Response:
    """The state may hold secrets: only those who may author the template can read it."""
    return Response(builds.state(current_core(), current_actor(), ref), mimetype="application/json")
