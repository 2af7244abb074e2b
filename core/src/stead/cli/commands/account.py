"""``stead login``, ``logout``, ``whoami``."""

from __future__ import annotations

import sys
from typing import Any

import click

from stead.cli.certificates import drop_certificates
from stead.cli.client import Client
from stead.cli.failures import CliError, usage_error
from stead.cli.here import LOOPBACK, chosen_url, session, with_scheme
from stead.cli.lazy import Command
from stead.cli.output import details, is_interactive, say, show
from stead.cli.session import forget_session, known_url, save_session
from stead.cli.transport import endpoint_of


@click.command(cls=Command)
@click.argument("url", required=False)
@click.option("--username", "-u", metavar="NAME", help="Username or e-mail address.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of stdin.")
@click.option("--browser", is_flag=True, help="Sign in through the browser, whatever else there is.")
@click.option(
    "--no-browser",
    "--device",
    "device",
    is_flag=True,
    help="Confirm a code in a browser of any machine; open none here.",
)
@click.option("--provider", default="", metavar="NAME", help="Ask this identity provider alone about the password.")
@click.option("--token-stdin", is_flag=True, help="Read an API token from the first line of stdin.")
@click.option("--first-user-username", metavar="NAME", help="Create the owner of a fresh deployment.")
@click.option("--first-user-email", metavar="EMAIL", help="E-mail address of that owner.")
@click.option("--first-user-full-name", metavar="NAME", default="", help="Full name of that owner.")
def login(
    url: str | None,
    username: str | None,
    password_stdin: bool,
    browser: bool,
    device: bool,
    provider: str,
    token_stdin: bool,
    first_user_username: str | None,
    first_user_email: str | None,
    first_user_full_name: str,
) -> None:
    """Sign in to the server at URL and stay signed in.

    Where people sign in at a page of their organisation, or with --browser, the browser opens and this terminal is
    let in there. Without a browser on this machine, a code is shown that can be confirmed in any.
    On a fresh deployment this creates its owner. Passwords and tokens are read from the terminal
    or from stdin, never from the command line, where others could see them.
    """
    client = Client(_server(url))
    _warn_of_plain_text(client.url)
    if token_stdin:
        token = _line_of_stdin("token")
    elif browser or device or (not username and not password_stdin and _wants_browser(client)):
        token = _by_browser(client, here=not device)
    else:
        fresh = client.get("/buildinfo")["first_run"]
        if fresh:
            say("Nobody has an account here yet: this creates the owner.")
            username = _ask("Username", first_user_username or username, "--first-user-username")
            email = _ask("E-mail", first_user_email, "--first-user-email")
        elif first_user_username or first_user_email:
            raise CliError("This deployment has its owner already.", reason="conflict")
        username = _ask("Username", username, "--username")
        password = _line_of_stdin("password") if password_stdin else _ask_password(confirm=fresh)
        if fresh:
            _create_owner(client, username, email, password, first_user_full_name)
        asked = {"login": username, "password": password, "client": "cli"}
        token = _exchange(client, asked | ({"provider": provider} if provider else {}))
    user = Client(client.url, token).get("/users/me")
    save_session(client.url, token)
    drop_certificates()
    show({"url": client.url, "user": user}, lambda: f"Signed in to {client.url} as {user['username']}.")


def _by_browser(client: Client, *, here: bool) -> str:
    from stead.cli.commands.browser import sign_in  # slow to import, and whoami needs none of it

    return sign_in(client, open_browser=here)


def _exchange(client: Client, asked: dict[str, str]) -> str:
    """A token for a password, and a code where the account wants one."""
    try:
        return str(client.post("/login", asked)["token"])
    except CliError as error:
        if error.reason != "second_factor_required":
            raise
    if not is_interactive():
        raise usage_error(
            "This account has a second factor, and nobody is here to type its code.",
            remedy="Use --token-stdin with an API token, or --no-browser.",
        )
    say("This account has a second factor. For a passkey, stop this and use --browser.")
    code = str(click.prompt("Code of your authenticator, or a recovery code", err=True, hide_input=False))
    return str(client.post("/login", asked | {"code": code.strip()})["token"])


def _wants_browser(client: Client) -> bool:
    """Whether a person is here, and the server has a way in that leads over a page."""
    if not is_interactive():
        return False
    try:
        methods = client.get("/login/methods")
    except CliError as error:
        if error.reason == "not_found":  # an older server
            return False
        raise
    return any(one["shape"] == "page" for one in methods["providers"])


def _server(url: str | None) -> str:
    found = known_url(with_scheme(url) or chosen_url())
    if not found:
        raise usage_error("Which server?", field="URL", remedy="Write stead login https://HOST.")
    return found


def _warn_of_plain_text(url: str) -> None:
    endpoint = endpoint_of(url)
    if not endpoint.secure and endpoint.host not in LOOPBACK:
        say(f"Mind that the connection to {endpoint.host} is not encrypted: others may read the password.")


def _create_owner(client: Client, username: str, email: str, password: str, name: str) -> None:
    body = {"username": username, "email": email, "password": password, "name": name}
    client.post("/users/first", body)


def _ask(question: str, given: str | None, option: str) -> str:
    if given:
        return given
    if not is_interactive():
        raise usage_error(f"{question} is missing.", field=option, remedy=f"Give it with {option}.")
    return str(click.prompt(question, err=True))


def _ask_password(*, confirm: bool) -> str:
    if not is_interactive():
        raise usage_error(
            "Nobody is here to type the password.",
            remedy="Pipe it in with --password-stdin, or use --token-stdin.",
        )
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=confirm, err=True))


def _line_of_stdin(what: str) -> str:
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise usage_error(f"There is no {what} on stdin.", remedy=f"Pipe the {what} in.")
    return line


@click.command(cls=Command)
def logout() -> None:
    """Sign out and revoke the token."""
    current = session()
    if not current.saved:
        raise usage_error(
            "The token comes from the environment, and stays good.", remedy="Unset the variable to sign out."
        )
    try:
        Client.of(current).post("/logout")
    except CliError as error:
        if error.reason != "not_authenticated":
            say(f"The server could not be told ({error.message}) The token stays good until it expires.")
    forget_session()
    drop_certificates()
    show({"url": current.url}, lambda: f"Signed out of {current.url}.")


@click.command(cls=Command)
def whoami() -> None:
    """Print who is signed in, and where."""
    current = session()
    user: dict[str, Any] = Client.of(current).get("/users/me")
    show(
        {"url": current.url, "user": user},
        lambda: details(
            [
                ("Server", current.url),
                ("Username", user["username"]),
                ("Name", user["name"]),
                ("E-mail", user["email"]),
                ("Roles", ", ".join(user["roles"])),
            ]
        ),
    )
