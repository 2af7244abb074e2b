"""``stead login`` at a terminal that opens a real browser: to a provider's page, back here, and to the terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from stead.api.signin import Person
from stead.cli.session import TOKEN_VARIABLES, URL_VARIABLES
from stead.testing.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SECONDS = 90.0


@dataclass
class Terminal:
    """``stead login`` at a pseudo-terminal whose browser writes down which page it was to open."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None
    screen: str = ""
    status: int | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def start(self, *arguments: str, **more: str) -> None:
        opener = self.folder / "browser"
        opener.write_text(
            f'#!/bin/sh\nprintf %s "$1" > {self.folder}/opening && mv {self.folder}/opening {self.opened}\n'
        )
        opener.chmod(0o700)
        kept = {key: value for key, value in os.environ.items() if key not in (*URL_VARIABLES, *TOKEN_VARIABLES)}
        kept.pop("SSH_CONNECTION", None)
        config = str(self.folder / "config")
        environment = kept | {"STEAD_CONFIG_DIR": config, "BROWSER": str(opener), "TERM": "xterm"} | more
        command = [sys.executable, "-m", "stead.cli.main", *arguments]
        terminal, its = pty.openpty()
        try:
            self.process = subprocess.Popen(
                command, env=environment, stdin=its, stdout=its, stderr=its, start_new_session=True
            )
        finally:
            os.close(its)
        threading.Thread(target=self._read, args=(self.process, terminal), daemon=True).start()

    @property
    def opened(self) -> Path:
        return self.folder / "opened"

    def page(self) -> str:
        """The address that the browser was to open."""
        eventually(lambda: self.opened.exists() or self.ended.is_set(), timeout=SECONDS, what="the browser")
        assert self.opened.exists(), self.screen
        return self.opened.read_text()

    def end(self) -> int:
        assert self.ended.wait(SECONDS), self.screen
        assert self.status is not None
        return self.status

    def stop(self) -> None:
        if self.process is not None and not self.ended.is_set():
            self.process.kill()
            self.ended.wait(30)

    def _read(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        until = time.monotonic() + 2 * SECONDS
        while time.monotonic() < until:
            if not select.select([terminal], [], [], 1.0)[0]:
                continue
            try:
                data = os.read(terminal, 65536)
            except OSError:  # the other end is closed
                break
            self.screen += data.decode(errors="replace")
        os.close(terminal)  # hangs up on what runs still
        self.status = process.wait(SECONDS)
        self.ended.set()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path)
    yield made
    made.stop()


def somebody(username: str) -> Person:
    address = f"{username}@example.org"
    return Person("https://id.example.org", f"id-of-{username}", username, email=address, email_verified=True)


def test_a_terminal_is_let_in_through_the_browser(
    providers: Any, providers_visit: Callable[..., Any], terminal: Terminal
) -> None:
    """From nothing: nobody is signed in, in the terminal nor in the browser."""
    providers.page.add(somebody("tess"))
    terminal.start("login", providers.site.url)
    page = providers_visit(signed_in=False).page
    page.goto(terminal.page())
    page.get_by_role("link", name="Continue with Example Corp").click()
    page.get_by_role("button", name="tess").click()
    expect(page.get_by_role("heading", name="Let your terminal in?")).to_be_visible()
    code = page.get_by_label("Code").inner_text()
    assert f"if the page shows {code}." in " ".join(terminal.screen.split())
    page.screenshot(path=terminal.folder / "confirm.png", full_page=True)
    page.get_by_role("button", name="Let it in").click()
    expect(page.get_by_role("heading", name="Your terminal is signed in")).to_be_visible()
    assert page.url.startswith(f"{providers.site.url}/terminal/done/"), "the code is not in the address any more"
    expect(page.get_by_text("cli on ")).to_be_visible()
    page.screenshot(path=terminal.folder / "done.png", full_page=True)
    assert terminal.end() == 0, terminal.screen
    assert "Signed in to" in terminal.screen
    assert "as tess" in terminal.screen
    page.go_back()
    assert "127.0.0.1" not in page.url.replace(providers.site.url, ""), "the way back is not in the history"


def test_a_terminal_that_is_turned_away_says_so(
    providers: Any, providers_visit: Callable[..., Any], terminal: Terminal
) -> None:
    terminal.start("login", providers.site.url, "--browser")
    page = providers_visit().page
    page.goto(terminal.page())
    page.get_by_role("button", name="Turn it away").click()
    expect(page.get_by_role("heading", name="Your terminal was not signed in")).to_be_visible()
    assert terminal.end() == 3, terminal.screen
    assert "turned away" in terminal.screen


def test_without_scripts_a_terminal_is_let_in_too(
    providers: Any, providers_visit: Callable[..., Any], terminal: Terminal
) -> None:
    terminal.start("login", providers.site.url, "--browser")
    page = providers_visit(javascript=False).page
    page.goto(terminal.page())
    page.get_by_role("button", name="Let it in").click()
    expect(page.get_by_role("heading", name="Your terminal is signed in")).to_be_visible()
    assert terminal.end() == 0, terminal.screen


def test_over_ssh_and_where_no_browser_opens_a_code_is_shown(
    providers: Any, providers_visit: Callable[..., Any], tmp_path: Path
) -> None:
    cases = {
        "ssh": {"SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22"},
        "none": {"BROWSER": "/bin/false", "DISPLAY": ""},
    }
    for name, environment in cases.items():
        folder = tmp_path / name
        folder.mkdir()
        terminal = Terminal(folder)
        try:
            terminal.start("login", providers.site.url, **environment)
            found = eventually(lambda t=terminal: re.search(r"code is (\S{9})\.", t.screen), timeout=SECONDS)
            assert not terminal.opened.exists()
            page = providers_visit().open(f"/device?code={found[1]}")
            page.get_by_role("button", name="Let it in").click()
            assert terminal.end() == 0, terminal.screen
        finally:
            terminal.stop()
