"""``stead users``."""

from __future__ import annotations

import sys

import click

from stead.cli.client import pages, segment
from stead.cli.failures import usage_error
from stead.cli.here import client
from stead.cli.lazy import Group
from stead.cli.output import confirm, details, is_interactive, show, table, when

ROLES = ["owner", "template-admin", "user-admin", "auditor", "member"]


@click.group(cls=Group)
def users() -> None:
    """The people who use this deployment."""


@users.command("create")
@click.argument("username")
@click.option("--email", required=True, help="E-mail address.")
@click.option("--name", default="", help="Full name.")
@click.option("--role", "roles", multiple=True, type=click.Choice(ROLES), help="Role; may be given repeatedly.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of stdin.")
def create(username: str, email: str, name: str, roles: tuple[str, ...], password_stdin: bool) -> None:
    """Create a user with a password."""
    body = {
        "username": username,
        "email": email,
        "name": name,
        "password": new_password(password_stdin),
        "roles": list(roles) or ["member"],
    }
    user = client().post("/users", body)
    show(user, lambda: f"Created {user['username']}.")


@users.command("list")
@click.option("--search", default="", help="Only those whose name or e-mail address matches.")
def list_users(search: str) -> None:
    """List users."""
    found = list(pages(client(), "/users", q=search or None))
    rows = (
        [
            user["username"],
            user["email"],
            ", ".join(user["roles"]),
            user["status"],
            when(user["last_seen_at"]),
        ]
        for user in found
    )
    show(found, lambda: table(["username", "e-mail", "roles", "status", "last seen"], rows, "No user matches."))


@users.command("show")
@click.argument("user")
def show_user(user: str) -> None:
    """Show a user."""
    found = client().get(f"/users/{segment(user)}")
    show(
        found,
        lambda: details(
            [
                ("Username", found["username"]),
                ("Name", found["name"]),
                ("E-mail", found["email"]),
                ("Roles", ", ".join(found["roles"])),
                ("Status", found["status"]),
                ("Signs in with", found["provider"] or "a password"),
                ("Created", when(found["created_at"])),
                ("Last seen", when(found["last_seen_at"])),
            ]
        ),
    )


@users.command("roles")
@click.argument("user")
@click.argument("roles", nargs=-1, required=True, type=click.Choice(ROLES))
def set_roles(user: str, roles: tuple[str, ...]) -> None:
    """Give a user exactly these roles."""
    found = client().call("PATCH", f"/users/{segment(user)}", body={"roles": list(roles)})
    show(found, lambda: f"{found['username']} is now {', '.join(found['roles'])}.")


@users.command("suspend")
@click.argument("user")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def suspend(user: str, yes: bool) -> None:
    """Keep a user from signing in; their workspaces stay."""
    confirm(f"Suspend {user}?", yes=yes)
    found = client().call("PATCH", f"/users/{segment(user)}", body={"status": "suspended"})
    show(found, lambda: f"{found['username']} is suspended.")


@users.command("activate")
@click.argument("user")
def activate(user: str) -> None:
    """Let a suspended user sign in again."""
    found = client().call("PATCH", f"/users/{segment(user)}", body={"status": "active"})
    show(found, lambda: f"{found['username']} is active.")


@users.command("reset-password")
@click.argument("user")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of stdin.")
def reset_password(user: str, password_stdin: bool) -> None:
    """Set another password for a user."""
    password = new_password(password_stdin)
    client().call("PUT", f"/users/{segment(user)}/password", body={"new": password})
    show({"user": user}, lambda: f"The password of {user} is set.")


@users.command("reset-factors")
@click.argument("user")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def reset_factors(user: str, yes: bool) -> None:
    """Take away the second factors of somebody who has lost them."""
    confirm(f"Take away all second factors of {user}? Their password alone then opens the account.", yes=yes)
    done = client().call("DELETE", f"/users/{segment(user)}/factors")
    show(done, lambda: f"Removed {done['removed']} of {user}.")


def new_password(from_stdin: bool) -> str:
    """A password that was typed twice, or the first line of stdin.

    :raises CliError: there is none.
    """
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif is_interactive():
        password = str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    else:
        raise usage_error("Nobody is here to type a password.", remedy="Pipe it in with --password-stdin.")
    if not password:
        raise usage_error("The password is empty.", field="password")
    return password
