"""Signing in through the browser: what is allowed there comes back to a port of this machine, or by a code.

The port is the better way where the browser runs here (RFC 8252, section 7.3): what it is given is useless to anybody
else. Over SSH, without a screen, or where the server's page has another address than the one that was named, a code
is shown, and confirmed in any browser (RFC 8628).
"""

from __future__ import annotations

import os
import sys
import time
import webbrowser
from typing import Any
from urllib.parse import urlencode

from stead.cli.callback import Callback
from stead.cli.client import Client
from stead.cli.failures import CliError
from stead.cli.output import say
from stead.cli.transport import endpoint_of
from stead.domain import pairing

WAIT_SECONDS = 600.0
_PENDING = "authorization_pending"
_SLOW_DOWN = "slow_down"


def sign_in(client: Client, *, open_browser: bool) -> str:
    """A token, once the person has said yes in a browser.

    :raises CliError: they said no, or nothing in time.
    """
    here = open_browser and _has_browser()
    page = _terminal_page(client) if here else ""
    token = _by_callback(client, page) if page else None
    return token or _by_code(client, open_browser=here)


def _terminal_page(client: Client) -> str:
    """The server's page for terminals of the same machine; empty where it has none at the address that we use.

    A page of somebody else could have a code made out for us elsewhere, and have us carry it to this server.
    """
    try:
        page = str(client.get("/login/methods").get("terminal_url", ""))
    except CliError as error:
        if error.reason == "not_found":  # an older server
            return ""
        raise
    return page if _is_of(client, page) else ""


def _is_of(client: Client, url: str) -> bool:
    try:
        found = endpoint_of(url)
    except CliError:
        return False
    return found[:3] == endpoint_of(client.url)[:3]


def _by_callback(client: Client, page: str) -> str | None:
    """A token for what the browser brings back to this machine; None where none can be opened here."""
    state, verifier = pairing.new_secret(), pairing.new_secret()
    try:
        callback = Callback(state)
    except OSError:
        return None
    try:
        challenge = pairing.challenge_of(verifier)
        asked = {"port": callback.port, "state": state, "challenge": challenge, "client": _client()}
        url = f"{page}?{urlencode(asked)}"
        if not _open(url):
            return None
        say(
            f"Your browser shows a page now. Let this terminal in there if the page shows {pairing.code_of(challenge)}."
        )
        say(f"  {url}")
        say("If the browser is on another machine: stop this, and use --no-browser.")
        return _exchange(client, callback, verifier)
    finally:
        callback.close()


def _exchange(client: Client, callback: Callback, verifier: str) -> str:
    answer = callback.wait(WAIT_SECONDS)
    try:
        code = _code_in(client, answer)
        # This way round the verifier never leaves for a server that did not make the code.
        made = client.post("/login/terminal/token", {"code": code, "verifier": verifier})
        if not _is_of(client, made["page"]):
            raise CliError("The server names a page of another server.")
    except CliError as error:
        callback.tell(error)
        raise
    callback.tell(made["page"])
    return str(made["token"])


def _code_in(client: Client, answer: dict[str, str]) -> str:
    """The code of an answer.

    :raises CliError: it is another server's (RFC 9207), or the person said no.
    """
    if not _is_of(client, answer.get("iss", "")):
        raise CliError("The answer came from another server.", reason="not_authenticated", remedy="Name that server.")
    if "error" in answer:
        raise CliError("You were turned away in the browser.", reason="not_authenticated", remedy="Begin again.")
    return answer.get("code", "")


def _by_code(client: Client, *, open_browser: bool) -> str:
    begun = client.post("/login/device", {"client": _client()})
    say(f"Your code is {begun['user_code']}. Confirm it here, where you are signed in:")
    say(f"  {begun['verification_url_complete']}")
    if open_browser and not _open(begun["verification_url_complete"]):
        say("No browser could be opened: open the address by hand.")
    return _wait(client, begun)


def _wait(client: Client, begun: dict[str, Any]) -> str:
    until = time.monotonic() + begun["expires_in"]
    interval = float(begun["interval"])
    while time.monotonic() < until:
        time.sleep(interval)
        try:
            return str(client.post("/login/device/token", {"device_code": begun["device_code"]})["token"])
        except CliError as error:
            if error.reason == _SLOW_DOWN:
                interval += 1
            elif error.reason != _PENDING:
                raise
    raise CliError("Nobody confirmed the code in time.", reason="not_authenticated", remedy="Run stead login again.")


def _client() -> str:
    """What the page calls us."""
    return f"cli on {os.uname().nodename.partition('.')[0] or 'a machine'}"[:48]


def _has_browser() -> bool:
    """Whether a browser would open where the person sits: not over SSH, and not without a screen."""
    if os.environ.get("SSH_CONNECTION"):
        return False
    named = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    return sys.platform == "darwin" or any(os.environ.get(name) for name in named)


def _open(url: str) -> bool:
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False
