"""``python -m stead.quickstart``: what ``./run`` runs."""

from __future__ import annotations

import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from stead.api.errors import SteadError
from stead.quickstart import steps
from stead.quickstart.server import ServerProcess
from stead.quickstart.stopwatch import Stopwatch
from stead.quickstart.trial import Choice, choose

WORKSPACE = "first"
DEFAULT_PORT = 3000


@dataclass
class Run:
    """One pass of the main job."""

    data_dir: Path
    port: int
    say: Callable[[str], None]
    watch: Stopwatch = field(default_factory=Stopwatch)
    password: str | None = None
    path: str | None = None

    @property
    def token_file(self) -> Path:
        return self.data_dir / "quickstart-token"


def main_job(run: Run, choice: Choice, server: ServerProcess) -> steps.Client:
    """Start the server, import the template, build the workspace, open a shell in it."""
    say, watch = run.say, run.watch
    with watch.stage("server"):
        say(f"Starting Stead at {server.url}")
        server.start()
    client = steps.Client(server.url)
    with watch.stage("sign_in"):
        _sign_in(run, client)
    with watch.stage("template"):
        say(f"Importing the template {choice.trial.template!r} of the platform {choice.platform!r}")
        template = steps.template(client, choice.platform, choice.trial.template, say)
    with watch.stage("bundle"):
        steps.agent_bundle(client)
    with watch.stage("build"):
        say(f"Building the workspace {WORKSPACE!r}")
        build = steps.workspace(client, WORKSPACE, template["id"], choice.trial.parameters)
        steps.built(client, build["id"], say)
    with watch.stage("agent"):
        say("Waiting for the agent")
        steps.ready(client, WORKSPACE)
    with watch.stage("shell"):
        _shell(run, client, "echo stead-is-here", expect="stead-is-here")
    run.path = steps.path(client, WORKSPACE)
    say("A shell opened over SSH")
    return client


def _sign_in(run: Run, client: steps.Client) -> None:
    if run.token_file.exists():
        client.sign_in(run.token_file.read_text().strip())
        if steps.signed_in(client):
            return
        raise SteadError(
            f"The token in {run.token_file} is no longer good.",
            remedy="Remove the file, or use another --data-dir.",
        )
    run.password = secrets.token_urlsafe(12)
    steps.first_owner(client, run.password)
    token = steps.token(client, run.password)
    with os.fdopen(os.open(run.token_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token)
    client.sign_in(token)


def _shell(run: Run, client: steps.Client, command: str, *, expect: str) -> None:
    environment = dict(os.environ) | {
        "STEAD_URL": client.url,
        "STEAD_TOKEN": run.token_file.read_text().strip(),
        "STEAD_CONFIG_DIR": str(run.data_dir / "quickstart-cli"),
    }
    arguments = [sys.executable, "-m", "stead.cli.main", "ssh", WORKSPACE, "--", command]
    done = subprocess.run(
        arguments,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode != 0 or expect not in done.stdout:
        raise SteadError(f"The shell did not open (exit code {done.returncode}): {done.stderr.strip()[-800:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))  # noqa: S104 - only asks for a number that is free everywhere
        return int(probe.getsockname()[1])


def check(platform: str | None) -> dict[str, Any]:
    """The main job in a throw-away folder; returns what ``--check`` prints."""
    with tempfile.TemporaryDirectory(prefix="stead-check-") as folder:
        run = Run(Path(folder), _free_port(), say=lambda text: click.echo(text, err=True))
        result: dict[str, Any] = {"ok": False, "platform": None, "path": None}
        server: ServerProcess | None = None
        try:
            with run.watch.stage("platform"):
                choice = choose(platform)
            result["platform"] = choice.platform
            server = ServerProcess(run.data_dir, run.port, listen=choice.trial.listen)
            client = main_job(run, choice, server)
            with run.watch.stage("delete"):
                steps.remove(client, WORKSPACE, run.say)
            result |= {"ok": True, "path": run.path}
        except (SteadError, subprocess.SubprocessError, OSError) as error:
            result["error"] = str(error)
        finally:
            if server is not None:
                with run.watch.stage("stop"):
                    server.stop()
        return result | {"stages": run.watch.stages, "total": run.watch.total}


def serve(data_dir: Path, port: int, platform: str | None) -> int:
    """The main job on the data folder of this installation; then keep serving."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    run = Run(data_dir, port, say=click.echo)
    choice = choose(platform)
    for reason in choice.passed_over:
        click.echo(f"Not using {reason}")
    server = ServerProcess(data_dir, port, listen=choice.trial.listen)
    try:
        main_job(run, choice, server)
        _next_step(run, server.url)
        return server.wait()
    finally:
        server.stop()


def _next_step(run: Run, url: str) -> None:
    click.echo(f"\nStead serves at {url} ({run.watch.total:.1f} s, path {run.path}). Ctrl-C ends it.\n")
    if run.password:
        click.echo("  Sign in as    admin")
        click.echo(f"  with          {run.password}   (shown once)\n")
    command = Path(sys.executable).with_name("stead")
    click.echo("Next, in another terminal:\n")
    click.echo(f"  {command} login {url}")
    click.echo(f"  {command} ssh {WORKSPACE}\n")


@click.command()
@click.option("--check", "check_only", is_flag=True, help="Use a throw-away folder, print one JSON line, end.")
@click.option("--platform", help="Try this platform; default: docker where an engine answers, else host.")
@click.option("--port", type=int, default=DEFAULT_PORT, show_default=True, help="Port to serve on.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=Path.home() / ".local/share/stead",
    show_default=True,
)
def main(check_only: bool, platform: str | None, port: int, data_dir: Path) -> None:
    """Start Stead, build a first workspace, open a shell in it, and keep serving."""
    # As Ctrl-C does: whoever ends the quickstart ends the server with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    if check_only:
        result = check(platform)
        click.echo(json.dumps(result))
        sys.exit(0 if result["ok"] else 1)
    try:
        sys.exit(serve(data_dir, port, platform))
    except SteadError as error:
        click.echo(f"stead: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
