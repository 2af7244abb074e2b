"""Commands at a terminal: questions, and what a person sees while they wait."""

from __future__ import annotations

import os
import pty
import select
import time
from collections.abc import Sequence
from typing import Any

PASSWORD = "correct horse battery staple"


def converse(
    cli: Any, arguments: Sequence[str], talk: Sequence[tuple[str, str]], timeout: float = 60
) -> tuple[int, str]:
    """Run a command on a terminal; each answer is typed once its question has come. Returns exit code and screen."""
    command = cli.command(*arguments)
    environment = cli.environment(TERM="xterm")
    process, terminal = pty.fork()
    if process == 0:
        os.execve(command[0], command, environment)
    screen, asked, seen = "", list(talk), 0
    deadline = time.monotonic() + timeout
    try:
        while time.monotonic() < deadline:
            if asked and asked[0][0] in screen[seen:]:
                seen = len(screen)
                os.write(terminal, f"{asked.pop(0)[1]}\r".encode())
            if not select.select([terminal], [], [], 0.5)[0]:
                continue
            try:
                data = os.read(terminal, 65536)
            except OSError:
                break
            screen += data.decode(errors="replace")
        else:
            raise AssertionError(f"still waiting for {asked}: {screen}")
    finally:
        os.close(terminal)
        _, status = os.waitpid(process, 0)
    assert not asked, f"never asked {asked}: {screen}"
    return os.waitstatus_to_exitcode(status), screen


def test_create_asks_for_what_is_missing(user: Any, template: str) -> None:
    code, screen = converse(
        user,
        ["create", "asked", "-t", template],
        [("Number", "2"), ("Value", "many"), ("Value", "3")],
    )
    assert code == 0, screen
    assert "1. Red" in screen
    assert user.json("show", "asked")["latest_build"]["parameters"] == {"colour": "blue", "size": "3"}


def test_delete_asks_and_no_means_no(user: Any, template: str) -> None:
    user.ok("create", "kept", "-t", template, "-p", "size=1", "--no-wait")
    code, screen = converse(user, ["delete", "kept"], [("lost", "n")])
    assert code == 130
    assert "Everything in it will be lost" in screen
    assert user.json("show", "kept")["name"] == "kept"


def test_a_password_is_asked_for_and_not_shown(user: Any) -> None:
    name = user.json("whoami")["user"]["username"]
    code, screen = converse(user, ["login", user.url], [("Username", name), ("Password", PASSWORD)])
    assert code == 0, screen
    assert PASSWORD not in screen
    assert f"as {name}" in screen
