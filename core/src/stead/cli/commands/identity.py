"""``stead identity`` and ``stead sessions``."""

from __future__ import annotations

from typing import Any

import click

from stead.cli.client import segment
from stead.cli.here import client
from stead.cli.lazy import Group
from stead.cli.output import details, show, table, when


@click.group(cls=Group)
def identity() -> None:
    """The identity providers that people sign in with."""


@identity.command("list")
def list_providers() -> None:
    """List identity providers, and how many accounts are tied to each."""
    found = client().get("/identity/providers")["items"]
    rows = ([one["name"], one["title"], one["kind"], one["sign_up"], str(one["accounts"])] for one in found)
    show(found, lambda: table(["name", "title", "kind", "sign-up", "accounts"], rows, _NONE))


_NONE = "No identity provider is configured: add an [identity.NAME] table to stead.toml."


@identity.command("check")
@click.argument("provider")
def check(provider: str) -> int:
    """Ask a provider whether it answers and its configuration fits."""
    found = client().post(f"/identity/providers/{segment(provider)}/check")
    show(found, lambda: "\n".join([found["summary"], *found["remedies"]]))
    return 0 if found["ok"] else 1


@identity.command("test")
@click.argument("provider")
@click.argument("user")
def test(provider: str, user: str) -> int:
    """Show step by step what USER would get from PROVIDER; nobody is signed in, nothing is changed.

    USER is the name that the person would type.
    """
    found = client().post(f"/identity/providers/{segment(provider)}/test", {"username": user})
    show(found, lambda: _tested(found))
    return 0 if found["preview"] and found["preview"]["enters"] else 1


def _tested(found: dict[str, Any]) -> str:
    lines = [
        f"{'ok  ' if step['ok'] else 'FAIL'}  {step['seconds'] * 1000:6.0f} ms  {step['title']}"
        f"{': ' + step['detail'] if step['detail'] else ''}"
        for step in found["steps"]
    ]
    if found["problem"]:
        return "\n".join([*lines, "", f"They would not get in: {found['problem']}"])
    preview, person = found["preview"], found["person"]
    groups = preview["groups"]
    shown = details(
        [
            ("Would get in", "yes" if preview["enters"] else "no"),
            ("Because", preview["reason"]),
            ("Account", f"{preview['account']}{' (new)' if preview['is_new'] else ''}"),
            ("E-mail", preview["email"]),
            ("Roles", ", ".join(preview["roles"])),
            ("Groups", "not told; they stay as they are" if groups is None else ", ".join(groups) or "none"),
            ("Issuer", person["issuer"]),
            ("Subject", person["subject"]),
        ]
    )
    return "\n".join([*lines, "", shown])


@identity.command("attempts")
@click.option("--provider", default="", help="Only those with this provider; local for Stead's own passwords.")
@click.option(
    "--outcome",
    default="",
    type=click.Choice(["", "succeeded", "refused", "failed", "unavailable", "limited"]),
    help="Only those that ended like this.",
)
@click.option("--search", default="", help="Only those of this name or address.")
@click.option("--limit", default=50, show_default=True, help="How many, newest first.")
def attempts(provider: str, outcome: str, search: str, limit: int) -> None:
    """List attempts to sign in."""
    query = {"provider": provider or None, "outcome": outcome or None, "q": search or None, "limit": limit}
    found = client().get("/identity/attempts", **query)["items"]
    rows = (
        [when(one["at"]), one["account"], one["provider"], one["outcome"], one["address"], one["detail"][:80]]
        for one in found
    )
    show(found, lambda: table(["when", "who", "with", "outcome", "from", "why"], rows, "No attempt matches."))


@click.group(cls=Group)
def sessions() -> None:
    """The browsers in which you are signed in."""


_USER = click.option("--user", default="me", metavar="USER", help="Somebody else's, where you may.")


@sessions.command("list")
@_USER
def list_sessions(user: str) -> None:
    """List sessions, last used first."""
    found = client().get(f"/users/{segment(user)}/sessions")["items"]
    rows = (
        [one["id"], one["address"], one["provider"] or "password", when(one["last_used_at"]), one["user_agent"][:60]]
        for one in found
    )
    show(found, lambda: table(["id", "from", "with", "last used", "browser"], rows, "Signed in to no browser."))


@sessions.command("end")
@click.argument("session")
@_USER
def end_session(session: str, user: str) -> None:
    """Sign a browser out, by the id of its session."""
    client().call("DELETE", f"/users/{segment(user)}/sessions/{segment(session)}")
    show({"id": session}, lambda: "That browser is signed out.")
