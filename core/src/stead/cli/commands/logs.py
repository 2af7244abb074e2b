"""``stead logs``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import click

from stead.cli.client import Client, Json, segment
from stead.cli.events import follow
from stead.cli.failures import CliError
from stead.cli.here import client
from stead.cli.lazy import Command
from stead.cli.names import parse_target
from stead.cli.output import wants_json
from stead.cli.progress import agents_of, print_line

_PAGE = 1000


@click.command(cls=Command)
@click.argument("workspace")
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
        _print(server, f"/builds/{build['id']}/logs", following)
    if of_agent or not of_build:
        for agent in agents_of(server.get(f"/workspaces/{found['id']}")):
            if target.agent in (None, agent["name"]):
                _print(server, f"/agents/{agent['id']}/logs", following)


def _print(server: Client, path: str, following: bool) -> None:
    for line in _followed(server, path) if following else _stored(server, path):
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


def _numbered(server: Client, workspace: Json, number: int) -> Json:
    newest = workspace["latest_build"]["number"]
    if 1 <= number <= newest:
        page = server.get(f"/workspaces/{workspace['id']}/builds", limit=1, offset=newest - number)
        for build in page["items"]:
            if build["number"] == number:
                return dict(build)
    raise CliError(f"{workspace['name']} has no build {number}; the latest is {newest}.", reason="not_found")
