"""``stead ssh``."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import click

from stead.cli import certificates, suggestions
from stead.cli.client import Client, Json, segment
from stead.cli.commands.lifecycle import finish_start, queue
from stead.cli.connection import prepare as prepare_host
from stead.cli.connection import stdio as serve_stdio
from stead.cli.failures import CliError, usage_error
from stead.cli.files import read_or_empty, write_atomically
from stead.cli.here import client, session
from stead.cli.names import Target, parse_target
from stead.cli.output import say
from stead.cli.progress import wait_until_ready
from stead.cli.sshconfig import standalone


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("workspace", shell_complete=suggestions.workspaces)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--agent", metavar="NAME", help="Agent to connect to, where there are several.")
@click.option("--stdio", is_flag=True, help="Connect stdin and stdout: what OpenSSH's ProxyCommand runs.")
@click.option("--prepare", is_flag=True, help="Get a certificate for a host name: what OpenSSH runs before.")
@click.option("--no-start", is_flag=True, help="Do not start a workspace that is stopped.")
@click.option("--no-wait", is_flag=True, help="Do not wait until its start scripts are done.")
def ssh(
    workspace: str,
    command: tuple[str, ...],
    agent: str | None,
    stdio: bool,
    prepare: bool,
    no_start: bool,
    no_wait: bool,
) -> int:
    """Open a shell in a workspace, or run a command there.

    Uses OpenSSH where it is installed. What follows the workspace is OpenSSH's: first its options, then the
    command, as in `stead ssh dev -L 8080:localhost:80`.
    """
    if prepare:
        return prepare_host(workspace)
    if stdio:
        return serve_stdio(workspace)
    target = parse_target(workspace, agent)
    server = client()
    found = _running(server, target, start=not no_start)
    if not no_wait and not found["ready"]:
        found = wait_until_ready(server, found["id"])
    # The full name, so that the host certificate has it for whoever's workspace this is.
    target = Target(found["name"], found["owner"], target.agent)
    host = target.host(found["owner"])
    certificates.prepare(server, host, target)
    program = shutil.which("ssh")
    if program is not None:
        return _openssh(program, host, command)
    # Only where there is no OpenSSH is another client worth its import.
    from stead.cli.fallback import run

    if command and command[0].startswith("-"):
        raise usage_error(f"{command[0]} needs OpenSSH's ssh, which is not installed.", field="command")
    return asyncio.run(run(session(), target, host, command))


def _running(server: Client, target: Target, *, start: bool) -> Json:
    found: Json = server.get(f"/workspaces/{segment(target.ref)}")
    if found["status"] in {"running", "starting", "pending"}:
        return found
    if found["status"] not in {"stopped", "failed", "canceled"} or not start:
        raise CliError(
            f"{found['name']} is {found['status']}.",
            reason="conflict",
            remedy=f"stead start {found['owner']}/{found['name']} starts it.",
        )
    say(f"{found['name']} is {found['status']}: starting it.")
    return finish_start(server, found, queue(server, found, "start"))


def _openssh(program: str, host: str, command: tuple[str, ...]) -> int:
    path = Path(certificates.ssh_dir()) / "config"
    content = standalone().encode()
    if read_or_empty(str(path)) != content:
        write_atomically(str(path), content, mode=0o600)
    # Options go in front of the host, as OpenSSH wants them; the rest is the command.
    options = _own_options(command)
    rest = command[len(options) :]
    arguments = [program, "-F", str(path), *options, host, *rest]
    os.execv(program, arguments)  # noqa: S606 - OpenSSH takes this process's place, terminal and all


# Options of ssh(1) that take a value.
_WITH_VALUE = frozenset("BbcDEeFIiJLlmOopQRSWw")


def _own_options(command: tuple[str, ...]) -> tuple[str, ...]:
    """The options of OpenSSH at the front of a command line, with their values."""
    index = 0
    while index < len(command) and command[index].startswith("-") and len(command[index]) > 1:
        option = command[index]
        if option == "--":
            return command[: index + 1]
        index += 2 if option[-1] in _WITH_VALUE and len(option) == 2 else 1
    return command[:index]
