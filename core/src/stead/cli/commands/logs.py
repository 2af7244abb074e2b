"""``stead logs``."""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections.abc import Iterable, Iterator

import click

from stead.cli import suggestions
from stead.cli.client import Client, Json, segment
from stead.cli.events import follow
from stead.cli.failures import CliError
from stead.cli.here import client, session
from stead.cli.lazy import Command
from stead.cli.names import parse_target
from stead.cli.output import wants_json
from stead.cli.progress import agents_of, print_line
from stead.cli.session import Session

_PAGE = 1000


@click.command(cls=Command)
@click.argument("workspace", shell_complete=suggestions.workspaces)
@click.option("--follow", "-f", "following", is_flag=True, help="Go on as lines come.")
@click.option("--build", "of_build", is_flag=True, help="The log of the build alone.")
@click.option("--agent", "of_agent", is_flag=True, help="The logs of the agents alone.")
@click.option("--number", type=int, help="The build with this number instead of the latest.")
def logs(workspace: str, following: bool, of_build: bool, of_agent: bool, number: int | None) -> None:
    """Show the log of a workspace's latest build, then those of its agents.

    With --output json each line is a JSON object.
    """
    server = client()
    target = parse_target(workspace)
    found = server.get(f"/workspaces/{segment(target.ref)}")
    if of_build or not of_agent:
        build = found["latest_build"] if number is None else _numbered(server, found, number)
        path = f"/builds/{build['id']}/logs"
        _print_all(_followed(server, path) if following else _stored(server, path))
    if of_agent or not of_build:
        agents = agents_of(server.get(f"/workspaces/{found['id']}"))
        paths = [f"/agents/{agent['id']}/logs" for agent in agents if target.agent in (None, agent["name"])]
        for path in paths if not following else ():
            _print_all(_stored(server, path))
        if following and paths:
            _print_all(_merged(session(), paths))


def _print_all(lines: Iterable[Json]) -> None:
    for line in lines:
        if wants_json():
            click.echo(json.dumps(line, ensure_ascii=False))
        else:
            print_line(line, stream=sys.stdout)


def _stored(server: Client, path: str) -> Iterator[Json]:
    after = 0
    while True:
        lines = server.get(path, after=after, limit=_PAGE)["items"]
        yield from lines
        if len(lines) < _PAGE:
            return
        after = lines[-1]["id"]


def _followed(server: Client, path: str) -> Iterator[Json]:
    return (event.data for event in follow(server, f"{path}/stream") if event.name == "line")


def _merged(current: Session, paths: list[str]) -> Iterator[Json]:
    """The lines of several logs as they come, each followed in a thread of its own."""
    lines: queue.Queue[Json | Exception] = queue.Queue(_PAGE)

    def read(path: str) -> None:
        try:
            for line in _followed(Client.of(current), path):
                lines.put(line)
        except CliError as error:
            lines.put(error)

    for path in paths:
        threading.Thread(target=read, args=(path,), daemon=True).start()
    while True:
        line = lines.get()
        if isinstance(line, Exception):
            raise line
        yield line


def _numbered(server: Client, workspace: Json, number: int) -> Json:
    newest = workspace["latest_build"]["number"]
    if 1 <= number <= newest:
        page = server.get(f"/workspaces/{workspace['id']}/builds", limit=1, offset=newest - number)
        for build in page["items"]:
            if build["number"] == number:
                return dict(build)
    raise CliError(f"{workspace['name']} has no build {number}; the latest is {newest}.", reason="not_found")
