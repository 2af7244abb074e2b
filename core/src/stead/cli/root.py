"""The command line put together: the root group with every command, imported as it is used."""

from __future__ import annotations

import sys

import click

from stead import VERSION
from stead.cli.failures import CliError, Exit, usage_error
from stead.cli.lazy import Entry, LazyGroup

_AT = "stead.cli.commands."

ENTRIES = {
    "audit": Entry(f"{_AT}audit:audit", "Read and verify the audit log."),
    "cancel": Entry(f"{_AT}lifecycle:cancel", "Cancel the build of a workspace that waits or runs."),
    "completion": Entry(f"{_AT}completion:completion", "Print the completion script for a shell."),
    "config": Entry(f"{_AT}config:config", "Settings of the server."),
    "config-ssh": Entry(
        f"{_AT}config_ssh:config_ssh", "Make plain ssh, scp, rsync, git and editors reach workspaces as NAME.stead."
    ),
    "create": Entry(f"{_AT}create:create", "Create the workspace NAME (or OWNER/NAME) and start it."),
    "delete": Entry(f"{_AT}lifecycle:delete", "Delete a workspace and all of its resources."),
    "groups": Entry(f"{_AT}groups:groups", "Groups of people: made by hand, or brought by identity providers."),
    "identity": Entry(f"{_AT}identity:identity", "The identity providers that people sign in with."),
    "list": Entry(f"{_AT}workspaces:list_workspaces", "List your workspaces."),
    "login": Entry(f"{_AT}account:login", "Sign in to the server at URL and stay signed in."),
    "logout": Entry(f"{_AT}account:logout", "Sign out and revoke the token."),
    "logs": Entry(f"{_AT}logs:logs", "Show the log of a workspace's latest build, then those of its agents."),
    "ping": Entry(
        f"{_AT}ping:ping", "Measure the way to a workspace: connecting to its agent's SSH server, and the way back."
    ),
    "plugins": Entry(
        f"{_AT}plugins:plugins", "What is installed on the server, and a beginning for a plugin of your own."
    ),
    "restart": Entry(f"{_AT}lifecycle:restart", "Stop a workspace and start it again."),
    "server": Entry(
        f"{_AT}server:server",
        "Run the control plane, with provisioners, relay and web pages, until it is told to stop.",
    ),
    "sessions": Entry(f"{_AT}identity:sessions", "The browsers in which you are signed in."),
    "show": Entry(f"{_AT}workspaces:show_workspace", "Show a workspace with its resources and agents."),
    "ssh": Entry(f"{_AT}ssh:ssh", "Open a shell in a workspace, or run a command there."),
    "start": Entry(f"{_AT}lifecycle:start", "Start a workspace, and wait until it is ready."),
    "stop": Entry(f"{_AT}lifecycle:stop", "Stop a workspace; what its template keeps is kept."),
    "templates": Entry(f"{_AT}templates:templates", "Templates and their versions."),
    "tokens": Entry(f"{_AT}tokens:tokens", "Your API tokens."),
    "users": Entry(f"{_AT}users:users", "The people who use this deployment."),
    "version": Entry(f"{_AT}version:version", "Print the versions of this command and of the server."),
    "whoami": Entry(f"{_AT}account:whoami", "Print who is signed in, and where."),
}


@click.group(
    cls=LazyGroup,
    entries=ENTRIES,
    aliases={"plugin": "plugins"},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--url", metavar="URL", help="The server to use instead of the one that you are signed in to.")
@click.version_option(VERSION, "--version", message="stead %(version)s")
@click.pass_context
def root(context: click.Context, url: str | None) -> None:
    """Stead: development environments on your own infrastructure.

    Sign in with `stead login URL`, see `stead templates list`, then `stead create NAME --template TEMPLATE`
    and `stead ssh NAME`.
    """
    context.meta["stead.url"] = url


def run(arguments: list[str], *, raise_usage_errors: bool = False) -> int:
    """Run a command line; returns the exit code of a command that ends in one of its own.

    :param raise_usage_errors: raise them as well, instead of showing them with the command's usage.
    :raises CliError: whatever a command could not do.
    """
    try:
        result = root.main(arguments, prog_name="stead", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        return Exit.USAGE
    except click.UsageError as error:
        if raise_usage_errors:
            remedy = f"{error.ctx.command_path} --help shows how." if error.ctx else None
            raise usage_error(error.format_message(), remedy=remedy) from error
        error.show(sys.stderr)
        return Exit.USAGE
    except click.Abort:
        click.echo("Stopped.", err=True)
        return Exit.INTERRUPTED
    except click.ClickException as error:
        raise CliError(error.format_message()) from error
    return result if isinstance(result, int) else Exit.OK
