"""``stead completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from stead.cli.failures import CliError
from stead.cli.lazy import Command
from stead.cli.output import show


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for a shell.

    \b
    bash:  stead completion bash > ~/.local/share/bash-completion/completions/stead
    zsh:   stead completion zsh > "${fpath[1]}/_stead"
    fish:  stead completion fish > ~/.config/fish/completions/stead.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise CliError(f"There is no completion for {shell}.")
    root = context.find_root()
    script = kind(root.command, {}, "stead", "_STEAD_COMPLETE").source()
    show({"shell": shell, "script": script}, lambda: script)
