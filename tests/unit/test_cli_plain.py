"""What templates, workspaces and servers wrote reaches a terminal as text, never as commands to it."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from stead.cli import main, parameters, root
from stead.cli.commands import workspaces
from stead.cli.failures import CliError
from stead.cli.plain import brief, harmless_lines

TITLE = "\x1b]0;owned\x07"
CLEAR = "\x9b2J"


def _workspace() -> dict[str, Any]:
    agent = {
        "name": "main",
        "status": "connected",
        "lifecycle": "ready",
        "path": "direct",
        "metadata": [{"display_name": f"Disk{CLEAR}", "value": f"{TITLE}first\nagent main: gone\n" + "y\n" * 900}],
        "apps": [],
    }
    resource = {
        "address": "docker_container.c",
        "hide": False,
        "metadata": [{"key": f"key{CLEAR}", "value": f"{TITLE}value", "sensitive": False}],
        "agents": [agent],
    }
    job = {"error": f"{TITLE}broken", "status": "failed"}
    build = {
        "number": 1,
        "transition": "start",
        "created_at": None,
        "initiator": "ada",
        "template_version_name": "v1",
        "deadline": None,
        "parameters": {"p": CLEAR},
        "job": job,
        "resources": [resource],
    }
    return {"owner": "ada", "name": "dev", "ready": True, "template": "t", "latest_build": build}


class _Server:
    def get(self, path: str) -> dict[str, Any]:
        return _workspace()


def test_a_workspace_is_shown_without_steering_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspaces, "client", _Server)
    shown = CliRunner().invoke(root.root, ["show", "dev"]).output
    assert not {"\x1b", "\x07", "\x9b"} & set(shown)
    assert "Disk" in shown
    assert "first agent main: gone y y" in shown  # one line, which pretends to be no other
    assert len(shown.splitlines()) < 15
    assert max(len(line) for line in shown.splitlines()) < 250


def test_a_parameter_is_asked_for_without_steering_the_terminal() -> None:
    parameter: dict[str, Any] = {
        "name": "p",
        "display_name": f"Size{CLEAR}",
        "description": f"Of the\n{TITLE}disk",
        "type": "string",
        "form_type": "radio",
        "default": "s",
        "options": [{"name": f"Small{TITLE}", "value": "s", "description": CLEAR}],
    }
    with CliRunner().isolation(input="1\n") as (_, errors, _both):
        assert parameters.ask(parameter) == "s"
        printed = click.unstyle(errors.getvalue().decode())
    assert "Size" in printed
    assert not {"\x1b", "\x07", "\x9b"} & set(printed)


def test_an_error_is_reported_without_steering_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> int:
        raise CliError(f"It broke{TITLE}\nhere", remedy=f"Look{CLEAR}")

    monkeypatch.setattr(main, "_run", fail)
    assert main.main(["list"]) == 1
    assert capsys.readouterr().err == "stead: It broke�]0;owned�\nhere\n  Look�2J\n"


def test_values_are_cut() -> None:
    assert brief("a  b\n\tc") == "a b c"
    assert len(brief("x" * 1000)) == 160
    assert harmless_lines("a\tb\nc\r") == "a\tb\nc�"
