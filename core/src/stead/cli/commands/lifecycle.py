"""``stead start``, ``stop``, ``restart``, ``cancel``, ``delete``."""

from __future__ import annotations

from typing import Any

import click

from stead.cli import suggestions
from stead.cli.certificates import drop_certificates
from stead.cli.client import Client, Json, segment
from stead.cli.failures import CliError
from stead.cli.here import client
from stead.cli.lazy import Command
from stead.cli.names import parse_target
from stead.cli.output import confirm, show
from stead.cli.parameters import parse_pairs
from stead.cli.progress import ENDED, finish_build, wait_until_ready

_WAIT = click.option("--no-wait", is_flag=True, help="Return as soon as the build is queued.")
_PARAMETERS = click.option(
    "--parameter", "-p", "pairs", multiple=True, metavar="NAME=VALUE", help="Change a mutable parameter."
)


@click.command(cls=Command)
@click.argument("workspace", shell_complete=suggestions.workspaces)
@_PARAMETERS
@click.option("--update", is_flag=True, help="Use the template's active version from now on.")
@_WAIT
def start(workspace: str, pairs: tuple[str, ...], update: bool, no_wait: bool) -> None:
    """Start a workspace, and wait until it is ready."""
    server = client()
    found = server.get(_path(workspace))
    build = queue(server, found, "start", parameters=parse_pairs(pairs), update=update)
    if no_wait:
        show(build, lambda: f"{found['name']} is being started.")
        return
    started = finish_start(server, found, build)
    show(started, lambda: f"{found['name']} is ready.")


@click.command(cls=Command)
@click.argument("workspace", shell_complete=suggestions.workspaces)
@_WAIT
def stop(workspace: str, no_wait: bool) -> None:
    """Stop a workspace; what its template keeps is kept."""
    server = client()
    found = server.get(_path(workspace))
    build = queue(server, found, "stop")
    if not no_wait:
        build = finish_build(server, found, build)
    show(build, lambda: f"{found['name']} is {'being ' if no_wait else ''}stopped.")


@click.command(cls=Command)
@click.argument("workspace", shell_complete=suggestions.workspaces)
@_PARAMETERS
@click.option("--update", is_flag=True, help="Use the template's active version from now on.")
def restart(workspace: str, pairs: tuple[str, ...], update: bool) -> None:
    """Stop a workspace and start it again."""
    server = client()
    found = server.get(_path(workspace))
    stopped = queue(server, found, "stop")
    finish_build(server, found, stopped)
    build = queue(server, found, "start", parameters=parse_pairs(pairs), update=update)
    started = finish_start(server, found, build)
    show(started, lambda: f"{found['name']} is ready.")


@click.command(cls=Command)
@click.argument("workspace", shell_complete=suggestions.workspaces)
def cancel(workspace: str) -> None:
    """Cancel the build of a workspace that waits or runs."""
    server = client()
    found = server.get(_path(workspace))
    latest = found["latest_build"]
    if latest["job"]["status"] in ENDED:
        raise CliError(
            f"No build of {found['name']} is under way: build {latest['number']}, a {latest['transition']},"
            f" is {latest['job']['status']}.",
            reason="conflict",
        )
    build = dict(server.post(f"/builds/{latest['id']}/cancel"))
    show(build, lambda: _canceled(found, build))


def _canceled(workspace: Json, build: Json) -> str:
    what = f"Build {build['number']} of {workspace['name']}, a {build['transition']},"
    if build["job"]["status"] == "canceled":
        return f"{what} is canceled."
    return f"{what} is being canceled. stead logs {workspace['owner']}/{workspace['name']} -f follows it."


@click.command(cls=Command)
@click.argument("workspace", shell_complete=suggestions.workspaces)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--orphan", is_flag=True, help="Forget the resources instead of destroying them.")
@_WAIT
def delete(workspace: str, yes: bool, orphan: bool, no_wait: bool) -> None:
    """Delete a workspace and all of its resources."""
    server = client()
    found = server.get(_path(workspace))
    what = "Its resources stay behind, unmanaged" if orphan else "Everything in it will be lost"
    confirm(f"Delete {found['owner']}/{found['name']}? {what}.", yes=yes)
    build = server.post(f"/workspaces/{found['id']}/builds", {"transition": "delete", "orphan": orphan})
    if not no_wait:
        build = finish_build(server, found, build)
    drop_certificates()
    show(build, lambda: f"{found['name']} is {'being ' if no_wait else ''}deleted.")


def queue(
    server: Client,
    workspace: Json,
    transition: str,
    *,
    parameters: dict[str, str] | None = None,
    update: bool = False,
) -> Json:
    """Queue a build of a workspace; ``update`` takes the template's active version."""
    body: dict[str, Any] = {"transition": transition}
    if parameters:
        body["parameters"] = parameters
    if update:
        body["version"] = server.get(f"/templates/{workspace['template_id']}")["active_version_id"]
    return dict(server.post(f"/workspaces/{workspace['id']}/builds", body))


def finish_start(server: Client, workspace: Json, build: Json) -> Json:
    """Wait until a start has been built and the workspace is ready."""
    finish_build(server, workspace, build)
    return wait_until_ready(server, workspace["id"])


def _path(workspace: str) -> str:
    return f"/workspaces/{segment(parse_target(workspace).ref)}"
