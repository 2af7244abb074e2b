"""Waiting with something to look at: build logs as they come, then the agents until they are ready."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from stead.cli.client import Client, Json, segment
from stead.cli.events import Event, follow, parse_events
from stead.cli.failures import CliError, Unreachable
from stead.cli.output import say, wants_json
from stead.cli.plain import harmless

READY_SECONDS = 600.0
ENDED = frozenset({"succeeded", "failed", "canceled"})
_BROKEN_LIFECYCLES = frozenset({"start_error", "start_timeout"})
_LEVELS = {"error": "red", "warn": "yellow", "debug": "bright_black"}
_WATCH_SECONDS = 5.0
_AWAY_SECONDS = 60.0


def finish_job(client: Client, path: str, *, remedy: str | None = None) -> Json:
    """Follow the log of a build or of a template version until its job has ended.

    :param path: of the record below ``/api/v2``.
    :param remedy: what to do where it fails.
    :returns: the record as it is then.
    :raises CliError: the job did not succeed; the message is the job's.
    """
    quiet = wants_json()
    for event in follow(client, f"{path}/logs/stream"):
        if event.name == "line" and not quiet:
            print_line(event.data)
    record = finished(client, path)
    job = record["job"]
    if job["status"] != "succeeded":
        raise CliError(
            (job["error"] or f"It was {job['status']}.").strip(),
            reason=job["reason"] or "build_failed",
            remedy=remedy,
        )
    return record


def finish_build(client: Client, workspace: Json, build: Json) -> Json:
    """Follow a build of a workspace until it has ended.

    :raises CliError: it did not succeed.
    """
    remedy = f"The whole log: stead logs {workspace['owner']}/{workspace['name']} --build"
    return finish_job(client, f"/builds/{build['id']}", remedy=remedy)


def finished(client: Client, path: str) -> Json:
    """The record after its log has ended, which may be a moment before its status says so."""
    deadline = time.monotonic() + 30
    while True:
        record = patiently(client, path)
        if record["job"]["status"] in ENDED or time.monotonic() > deadline:
            return record
        time.sleep(0.1)


def patiently(client: Client, path: str) -> Json:
    """The record at ``path``; a server that restarts meanwhile is waited for."""
    deadline = time.monotonic() + _AWAY_SECONDS
    while True:
        try:
            return dict(client.get(path))
        except Unreachable:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.5)


def print_line(line: Json, *, stream: Any = None) -> None:
    """One line of a log: its source, then its text; control characters are left to no terminal."""
    source = f"{line['source']}: " if line["source"] else ""
    text = click.style(harmless(f"{source}{line['text']}"), fg=_LEVELS.get(line["level"]))
    click.echo(text, file=stream or sys.stderr)


def wait_until_ready(client: Client, workspace_id: str, timeout: float = READY_SECONDS) -> Json:
    """Wait until every agent of a workspace that was started is ready.

    :param timeout: seconds.
    :raises CliError: an agent's scripts failed, the workspace went away, or the time is over.
    """
    deadline = time.monotonic() + timeout
    path = f"/workspaces/{segment(workspace_id)}"
    told = ""
    while True:
        workspace = patiently(client, path)
        if is_settled(workspace):
            return workspace
        told = _tell(workspace, told)
        if time.monotonic() > deadline:
            raise CliError(
                f"{workspace['name']} is not ready after {timeout:.0f} s: {describe_agents(workspace)}.",
                reason="timed_out",
                remedy=f"Look at its log with stead logs {workspace['owner']}/{workspace['name']} --agent.",
            )
        wait_for_change(client, f"{path}/watch", workspace)


def is_settled(workspace: Json) -> bool:
    """Whether the workspace is ready.

    :raises CliError: it never will be without somebody's doing.
    """
    if workspace["ready"]:
        return True
    if workspace["status"] not in {"running", "starting", "pending"}:
        raise CliError(f"{workspace['name']} is {workspace['status']}.", reason="conflict")
    for agent in agents_of(workspace):
        if agent["lifecycle"] in _BROKEN_LIFECYCLES or agent["status"] == "timeout":
            raise CliError(
                f"{workspace['name']} runs, but is not ready: {describe_agents(workspace)}.",
                remedy=f"Look at its log with stead logs {workspace['owner']}/{workspace['name']} --agent.",
            )
    return False


def agents_of(workspace: Json) -> list[Json]:
    """All agents of a workspace's latest build."""
    return [agent for resource in workspace["latest_build"]["resources"] for agent in resource["agents"]]


def describe_agents(workspace: Json) -> str:
    """The state of each agent in words."""
    states = (f"agent {agent['name']} is {agent['status']}, {agent['lifecycle']}" for agent in agents_of(workspace))
    return "; ".join(states) or "it has no agent"


def _tell(workspace: Json, told: str) -> str:
    now = describe_agents(workspace)
    if now != told and workspace["status"] == "running":
        say(f"Waiting: {now}.")
    return now


def wait_for_change(client: Client, path: str, seen: Json) -> None:
    """Return when the workspace has changed, or after a few seconds in any case."""
    try:
        with _events(client, path) as events:
            for event in events:
                if event.name == "workspace" and event.data != seen:
                    return
    except (Unreachable, OSError):
        time.sleep(0.5)


@contextmanager
def _events(client: Client, path: str) -> Iterator[Iterator[Event]]:
    with client.stream(path, timeout=_WATCH_SECONDS) as response:
        yield parse_events(iter(response.readline, b""))
