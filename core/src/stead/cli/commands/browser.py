"""Signing in through the browser: a code is shown here, and confirmed there."""

from __future__ import annotations

import os
import sys
import time
import webbrowser
from typing import Any

from stead.cli.client import Client
from stead.cli.failures import CliError
from stead.cli.output import say

_PENDING = "authorization_pending"
_SLOW_DOWN = "slow_down"


def sign_in(client: Client, *, open_browser: bool) -> str:
    """A token, once the person has said yes in a browser.

    :raises CliError: they said no, or nothing in time.
    """
    begun = client.post("/login/device", {"client": f"cli on {_host()}"[:48]})
    say(f"Your code is {begun['user_code']}. Confirm it here, where you are signed in:")
    say(f"  {begun['verification_url_complete']}")
    if open_browser and _has_browser():
        _open(begun["verification_url_complete"])
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


def _host() -> str:
    return os.uname().nodename.partition(".")[0] or "a machine"


def _has_browser() -> bool:
    """Whether a browser would open where the person sits: not over SSH, and not without a screen."""
    if os.environ.get("SSH_CONNECTION"):
        return False
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open(url: str) -> None:
    try:
        webbrowser.open(url)
    except webbrowser.Error:
        say("No browser could be opened: open the address by hand.")
