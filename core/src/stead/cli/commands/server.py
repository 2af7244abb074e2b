"""``stead server``: the control plane, and what is done to it on its own machine."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from stead.cli.commands.users import new_password
from stead.cli.lazy import Group
from stead.cli.output import show
from stead.config import Settings, load_settings


def _setting_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each setting; text is checked where all sources of settings are."""
    for name, info in reversed(Settings.model_fields.items()):
        if name not in ("plugins", "identity"):
            flag = f"--{name.replace('_', '-')}"
            function = click.option(flag, name, metavar="VALUE", help=info.description)(function)
    return function


@click.group(cls=Group, invoke_without_command=True)
@click.option("--config", "path", type=click.Path(path_type=Path, dir_okay=False), help="Settings file.")
@_setting_options
@click.pass_context
def server(context: click.Context, /, path: Path | None, **flags: str | None) -> None:
    """Run the control plane, with provisioners, relay and web pages, until it is told to stop.

    Every setting is an option here, a variable STEAD_NAME, and a key of stead.toml.
    """
    settings = load_settings(flags, config=path)
    context.obj = settings
    if context.invoked_subcommand is None:
        # Only the process that serves loads what serving takes.
        context.exit(import_module("stead.server.main").serve(settings) or 0)


@server.command("create-admin")
@click.option("--username", required=True, help="Username of the owner.")
@click.option("--email", required=True, help="E-mail address of the owner.")
@click.option("--name", default="", help="Full name.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of stdin.")
@click.pass_obj
def create_admin(settings: Settings, username: str, email: str, name: str, password_stdin: bool) -> None:
    """Create the first owner in the database of this machine, without a running server."""
    local = import_module("stead.cli.local")
    user = local.create_owner(settings, username, email, new_password(password_stdin), name)
    show(user, lambda: f"Created the owner {user['username']}.")


@server.command("reset-password")
@click.argument("user")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of stdin.")
@click.pass_obj
def reset_password(settings: Settings, user: str, password_stdin: bool) -> None:
    """Set another password for a user in the database of this machine, when nobody can sign in any more."""
    import_module("stead.cli.local").reset_password(settings, user, new_password(password_stdin))
    show({"user": user}, lambda: f"The password of {user} is set.")


@server.command("reset-factors")
@click.argument("user")
@click.pass_obj
def reset_factors(settings: Settings, user: str) -> None:
    """Take away a user's second factors in the database of this machine, when no administrator can."""
    removed = import_module("stead.cli.local").reset_factors(settings, user)
    show({"removed": removed}, lambda: f"Removed {removed} of {user}.")


@server.command("recover")
@click.argument("user")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of stdin.")
@click.pass_obj
def recover(settings: Settings, user: str, password_stdin: bool) -> None:
    """Make a user an active owner with a password, in the database of this machine.

    The way back in when an identity provider is away or set up wrongly: it is not asked, nor need it be configured.
    """
    found = import_module("stead.cli.local").recover(settings, user, new_password(password_stdin))
    show(found, lambda: f"{found['username']} is an owner and signs in with this password.")
