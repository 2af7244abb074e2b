"""``stead groups``."""

from __future__ import annotations

import click

from stead.cli.client import pages, segment
from stead.cli.here import client
from stead.cli.lazy import Group
from stead.cli.output import confirm, show, table


@click.group(cls=Group)
def groups() -> None:
    """Groups of people: made by hand, or brought by identity providers."""


@groups.command("list")
@click.option("--search", default="", help="Only those whose name matches.")
def list_groups(search: str) -> None:
    """List groups, and where they come from."""
    found = list(pages(client(), "/groups", q=search or None))
    rows = ([one["name"], one["source"], str(one["members"])] for one in found)
    show(found, lambda: table(["group", "from", "members"], rows, "No group."))


@groups.command("members")
@click.argument("group")
def members(group: str) -> None:
    """List who is in a group, and who says so."""
    found = list(pages(client(), f"/groups/{segment(group)}/members"))
    rows = ([one["username"], one["source"]] for one in found)
    show(found, lambda: table(["username", "from"], rows, "Nobody is in this group."))


@groups.command("create")
@click.argument("group")
def create(group: str) -> None:
    """Create a group that nobody is in yet."""
    made = client().post("/groups", {"name": group})
    show(made, lambda: f"Created the group {made['name']}.")


@groups.command("rename")
@click.argument("group")
@click.argument("name")
def rename(group: str, name: str) -> None:
    """Give a group another NAME; who is in it stays."""
    found = client().call("PATCH", f"/groups/{segment(group)}", body={"name": name})
    show(found, lambda: f"The group {group} is called {found['name']} now.")


@groups.command("delete")
@click.argument("group")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def delete(group: str, yes: bool) -> None:
    """Delete a group; the people stay."""
    confirm(f"Delete the group {group}? Templates that look for it find it no more.", yes=yes)
    client().call("DELETE", f"/groups/{segment(group)}")
    show({"group": group}, lambda: f"Deleted the group {group}.")


@groups.command("add")
@click.argument("group")
@click.argument("users", nargs=-1, required=True, metavar="USER...")
def add(group: str, users: tuple[str, ...]) -> None:
    """Put people into a group."""
    api = client()
    added = [api.call("PUT", f"/groups/{segment(group)}/members/{segment(user)}")["username"] for user in users]
    show({"group": group, "added": added}, lambda: f"{', '.join(added)}: in {group}.")


@groups.command("remove")
@click.argument("group")
@click.argument("users", nargs=-1, required=True, metavar="USER...")
def remove(group: str, users: tuple[str, ...]) -> None:
    """Take people out of a group."""
    api = client()
    for user in users:
        api.call("DELETE", f"/groups/{segment(group)}/members/{segment(user)}")
    show({"group": group, "removed": list(users)}, lambda: f"{', '.join(users)}: no longer in {group}.")
