"""``stead logs``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator

import click

from stead.cli import suggestions
from stead.cli.client import Client, Json, segment
from stead.cli.following import Follower, followed, numbered
from stead.cli.here import client, session
from stead.cli.lazy import Command
from stead.cli.names import parse_target
from stead.cli.output import wants_json
from stead.cli.progress import agents_of, print_line

_PAGE = 1000


@click.command(cls=Command)
@click.argument("workspace", shell_complete=suggestions.workspaces)
@click.option(
    "--follow", "-f", "following", is_flag=True, help="Go on as lines come, with all later builds, until Ctrl-C."
)
@click.option("--build", "of_build", is_flag=True, help="The log of the build alone.")
@click.option("--agent", "of_agent", is_flag=True, help="The logs of the agents alone.")
@click.option("--number", type=int, help="The build with this number instead of the latest.")
def logs(workspace: str, following: bool, of_build: bool, of_agent: bool, number: int | None) -> None:
    """Show the log of a workspace's latest build, then those of its agents.

    With --follow it goes on with every later build and the agents of each start, until Ctrl-C or until the
    workspace is deleted. With --output json each line is a JSON object.
    """
    server = client()
    target = parse_target(workspace)
    found = server.get(f"/workspaces/{segment(target.ref)}")
    builds, agents = of_build or not of_agent, of_agent or not of_build
    if following and number is None:
        _print_all(Follower(session(), found, builds=builds, agents=agents, agent=target.agent).lines())
        return
    if builds:
        build = found["latest_build"] if number is None else numbered(server, found, number)
        path = f"/builds/{build['id']}/logs"
        _print_all(followed(server, path) if following else _stored(server, path))
    if agents and not following:
        for agent in agents_of(server.get(f"/workspaces/{found['id']}")):
            if target.agent in (None, agent["name"]):
                _print_all(_stored(server, f"/agents/{agent['id']}/logs"))


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
