"""``stead config-ssh``."""

from __future__ import annotations

import os
import pwd
import shlex
from pathlib import Path

import click

from stead.cli.certificates import public_key
from stead.cli.files import read_or_empty
from stead.cli.here import session
from stead.cli.lazy import Command
from stead.cli.output import show
from stead.cli.sshconfig import difference, section, with_section, without_section, write_config


@click.command("config-ssh", cls=Command)
@click.option(
    "--file",
    "path",
    default="~/.ssh/config",
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="OpenSSH's configuration file.",
)
@click.option("--dry-run", is_flag=True, help="Print what would change, and change nothing.")
@click.option("--remove", is_flag=True, help="Take Stead's section out again.")
def config_ssh(path: Path, dry_run: bool, remove: bool) -> None:
    """Make plain ssh, scp, rsync, git and editors reach workspaces as NAME.stead.

    Other people's workspaces are NAME.OWNER.stead, and AGENT.NAME.OWNER.stead names an agent. Only the
    section between Stead's markers is written; everything else in the file stays as it is.
    """
    path = path.expanduser()
    if not remove:
        session()
    old = read_or_empty(str(path))
    new = without_section(old) if remove else with_section(old, section())
    change = difference(path, old, new)
    if not dry_run and old != new:
        if not remove:
            public_key()
        write_config(path, old, new)
    result = {"file": str(path), "changed": old != new, "dry_run": dry_run, "diff": change}
    show(result, lambda: _text(path, change, dry_run, remove))


def _text(path: Path, change: str, dry_run: bool, remove: bool) -> str:
    if not change:
        return f"{path} is as it should be."
    if dry_run:
        return change.rstrip("\n")
    return f"Removed Stead's section from {path}." if remove else f"Wrote {path}. {_next(path)}"


def _next(path: Path) -> str:
    # OpenSSH reads the file in the home of the password database, whatever HOME says.
    usual = Path(pwd.getpwuid(os.getuid()).pw_dir) / ".ssh" / "config"
    if path.resolve() == usual.resolve():
        return "Next: ssh NAME.stead"
    return f"OpenSSH by itself reads {usual}. Next: ssh -F {shlex.quote(str(path))} NAME.stead"
