"""Commands whose module is imported only when they are used, and the options that all commands have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from stead.cli.output import JSON, TEXT


@dataclass(frozen=True)
class Entry:
    """Where a command is, as ``module:attribute``, and what ``--help`` says of it without importing it."""

    target: str
    help: str


class Command(click.Command):
    """A command that takes ``--output``."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.params.append(_output_option())


class Group(click.Group):
    """A group of commands that take ``--output``."""

    command_class = Command


class LazyGroup(click.Group):
    """The root: commands are imported when they are used.

    :param aliases: other names of entries, which no list shows.
    """

    def __init__(
        self, *args: Any, entries: Mapping[str, Entry], aliases: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.entries = entries
        self.aliases = dict(aliases or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self.entries, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self.entries.get(self.aliases.get(cmd_name, cmd_name))
        if entry is None:
            return super().get_command(ctx, cmd_name) or self._of_plugins(ctx, cmd_name)
        return load(entry)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = get_close_matches(args[0], self.list_commands(ctx), n=1, cutoff=0.6)
            if near:
                raise click.UsageError(f"{error.message} Did you mean {near[0]}?", ctx) from error
            raise

    def _of_plugins(self, ctx: click.Context, name: str) -> click.Command | None:
        # Only a word that is no command of ours is worth the time of asking all plugins.
        extend = import_module("stead.cli.extensions").extend
        extend(self)
        return super().get_command(ctx, name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.entries[name].help) for name in sorted(self.entries)])


def load(entry: Entry) -> click.Command:
    """Import the command behind an entry."""
    module, _, attribute = entry.target.partition(":")
    command = getattr(import_module(module), attribute)
    if not isinstance(command, click.Command):
        raise TypeError(f"{entry.target} is not a command")
    return command


def _output_option() -> click.Option:
    def remember(context: click.Context, _parameter: click.Parameter, value: str) -> None:
        context.find_root().meta["stead.output"] = value

    return click.Option(
        ["-o", "--output"],
        type=click.Choice([TEXT, JSON]),
        default=TEXT,
        envvar="STEAD_OUTPUT",
        show_default=True,
        expose_value=False,
        is_eager=True,
        callback=remember,
        help="Print for people or as JSON.",
    )
