"""What commands need of the session: the server that the person chose."""

from __future__ import annotations

import click

from stead.cli.client import Client
from stead.cli.session import Session, current_session


def chosen_url() -> str | None:
    """The server named with ``--url``, or None."""
    context = click.get_current_context(silent=True)
    return context.find_root().meta.get("stead.url") if context else None


def session() -> Session:
    """The current session.

    :raises CliError: nobody is signed in.
    """
    return current_session(chosen_url())


def client() -> Client:
    """A client of the current session.

    :raises CliError: nobody is signed in.
    """
    return Client.of(session())
