"""Logs of builds, imports and agents: as a text file to keep, and as JSON lines for the page's script."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

from flask import Blueprint, Response, request
from flask_login import login_required

from stead.domain.records import LogLine
from stead.services import agents, builds, templates
from stead.web.auth import current_actor
from stead.web.context import current_core

blueprint = Blueprint("logs", __name__)

LINES_AT_FIRST = 200  # what a page shows before its script has run, or without one
_CHUNK = 5000

Read = Callable[[int], Sequence[LogLine]]


@blueprint.get("/builds/<build_id>/log.<any(txt, jsonl):form>")
@login_required
def of_build(build_id: str, form: str) -> Response:
    build = builds.get(current_core(), current_actor(), build_id)
    return _answer(form, f"build-{build.number}.log", _of_job(build.job.id))


@blueprint.get("/template-versions/<version_id>/log.<any(txt, jsonl):form>")
@login_required
def of_import(version_id: str, form: str) -> Response:
    version = templates.version(current_core(), current_actor(), version_id)
    return _answer(form, f"import-{version.name}.log", _of_job(version.job.id))


@blueprint.get("/agents/<agent_id>/log.<any(txt, jsonl):form>")
@login_required
def of_agent(agent_id: str, form: str) -> Response:
    core, actor = current_core(), current_actor()
    return _answer(form, "agent.log", lambda after: agents.logs(core, actor, agent_id, after=after, limit=_CHUNK))


def first_lines(job_id: str) -> Sequence[LogLine]:
    """The beginning of a job's log, for the page itself."""
    return builds.logs(current_core(), current_actor(), job_id, limit=LINES_AT_FIRST)


def first_agent_lines(agent_id: str) -> Sequence[LogLine]:
    return agents.logs(current_core(), current_actor(), agent_id, limit=LINES_AT_FIRST)


def _of_job(job_id: str) -> Read:
    core, actor = current_core(), current_actor()
    return lambda after: builds.logs(core, actor, job_id, after=after, limit=_CHUNK)


def _answer(form: str, name: str, read: Read) -> Response:
    """The lines after ``?after=``, sent while they are read."""
    after = max(0, request.args.get("after", 0, type=int))
    first = read(after)  # before the answer begins, so that a refusal is one
    if form == "jsonl":
        return Response(_chunks(first, read, _as_json), mimetype="application/jsonl")
    response = Response(_chunks(first, read, _as_text), mimetype="text/plain")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _chunks(first: Sequence[LogLine], read: Read, write: Callable[[LogLine], str]) -> Iterator[str]:
    lines = first
    while lines:
        yield "".join(map(write, lines))
        lines = read(lines[-1].id)


def _as_json(line: LogLine) -> str:
    return json.dumps([line.id, line.at.isoformat(), line.level, line.source, line.text]) + "\n"


def _as_text(line: LogLine) -> str:
    return f"{line.at.isoformat(timespec='milliseconds')} {line.level:5} {line.source}: {line.text}\n"
