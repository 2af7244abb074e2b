"""``stead tokens``."""

from __future__ import annotations

import re

import click

from stead.cli.client import pages, segment
from stead.cli.failures import usage_error
from stead.cli.here import client
from stead.cli.lazy import Group
from stead.cli.output import say, show, table, when

_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@click.group(cls=Group)
def tokens() -> None:
    """Your API tokens."""


@tokens.command("create")
@click.argument("name")
@click.option("--lifetime", default="30d", show_default=True, help="How long it is good: 12h, 30d, 8w.")
def create(name: str, lifetime: str) -> None:
    """Create a token and print it, this once."""
    made = client().post("/users/me/tokens", {"name": name, "lifetime": seconds(lifetime)})
    say("This is the only time that the token is shown.")
    show(made, lambda: str(made["secret"]))


@tokens.command("list")
def list_tokens() -> None:
    """List your tokens."""
    found = list(pages(client(), "/users/me/tokens"))
    rows = (
        [
            token["id"],
            token["name"],
            when(token["created_at"]),
            when(token["last_used_at"]),
            when(token["expires_at"]),
        ]
        for token in found
    )
    headings = ["id", "name", "created", "last used", "expires"]
    show(found, lambda: table(headings, rows, "No tokens. `stead tokens create NAME` makes one."))


@tokens.command("delete")
@click.argument("token")
def delete(token: str) -> None:
    """Revoke a token, named by its id."""
    client().call("DELETE", f"/users/me/tokens/{segment(token)}")
    show({"id": token}, lambda: "The token is revoked.")


def seconds(text: str) -> int:
    """A length of time such as ``30d``.

    :raises CliError: it is not one.
    """
    found = re.fullmatch(r"(\d{1,6})([mhdw])", text.strip())
    if not found:
        raise usage_error(f"{text} is not a length of time.", field="--lifetime", remedy="Write 12h, 30d or 8w.")
    return int(found[1]) * _UNITS[found[2]]
