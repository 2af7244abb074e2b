"""What commands need of the session: the server that the person chose."""

from __future__ import annotations

import click

from stead.cli.client import Client
from stead.cli.session import Session, current_session

# Hosts that are this very machine, where a server is plain http unless it is told otherwise.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def chosen_url() -> str | None:
    """The server named with ``--url``, or None."""
    context = click.get_current_context(silent=True)
    return with_scheme(context.find_root().meta.get("stead.url")) if context else None


def with_scheme(url: str | None) -> str | None:
    """A server on this machine that was named without a scheme is http; of others the session knows best."""
    given = (url or "").strip()
    if not given or "://" in given:
        return url
    authority = given.partition("/")[0]
    bracketed = authority.startswith("[")
    host = authority[1:].partition("]")[0] if bracketed else authority.partition(":")[0]
    return f"http://{given}" if host.lower() in LOOPBACK else url


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
