"""Terraform's JSON output as lines of the build log."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from stead.terraform.diagnostics import Diagnostic

Log = Callable[[str, str, str, Mapping[str, Any]], None]
"""``log(level, stage, text, fields)``"""

_SILENT = {"version", "outputs"}
_INTERNAL = {"init_output", "log"}
# Its agents have a new token at every refresh, by contract: a change outside of Terraform that nobody made.
_REFRESHED_BY_CONTRACT = "coder"
_QUIET = {"refresh_start", "refresh_complete", "provision_start", "provision_complete"}
_STARTED = {"apply_start", "refresh_start"}
_ENDED = {"apply_complete", "apply_errored", "refresh_complete"}
_LEVELS = {"trace": "debug", "debug": "debug", "info": "info", "warn": "warn", "error": "error"}


class Narrator:
    """Turns the output of one step into log lines, and keeps the diagnostics.

    Calls of ``log`` come one at a time, whatever thread they come from.
    """

    def __init__(self, log: Log, stage: str) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._started: dict[str, float] = {}
        self.stage = stage
        self.diagnostics: list[Diagnostic] = []
        self.dumped: bytes | None = None
        """The state, where Terraform found nowhere to write it to and printed it. It is no part of the log."""

    def begin(self, stage: str) -> None:
        """The next step starts; diagnostics are collected anew."""
        self.stage = stage
        self.diagnostics = []

    def say(self, level: str, text: str, **fields: Any) -> None:
        with self._lock:
            self._log(level, self.stage, text, fields)

    def line(self, line: str) -> None:
        """One line of Terraform's output, of any kind."""
        if not line.strip():
            return
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            self.say("info", line)
            return
        if isinstance(event, dict):
            self._event(event)

    def _event(self, event: dict[str, Any]) -> None:
        kind = event.get("type", "")
        if kind == "diagnostic":
            self._diagnostic(Diagnostic.from_json(event.get("diagnostic", {})))
        elif kind in _INTERNAL:
            if isinstance(event.get("state"), dict):
                self.dumped = json.dumps(event["state"]).encode()
            self.say("debug", event.get("@message", ""))
        elif kind == "planned_change":
            self._planned(event)
        elif kind == "resource_drift":
            self._drift(event)
        elif kind not in _SILENT:
            self._hook(kind, event)

    def _diagnostic(self, item: Diagnostic) -> None:
        self.diagnostics.append(item)
        level = "warn" if item.severity == "warning" else "error"
        self.say(level, item.text, **({"address": item.address} if item.address else {}))

    def _planned(self, event: dict[str, Any]) -> None:
        """The apply begins with the same list once more."""
        change = event.get("change") or {}
        address = (change.get("resource") or {}).get("addr", "")
        if self.stage == "planning":
            self.say("info", event.get("@message", ""), address=address, action=change.get("action", ""))

    def _drift(self, event: dict[str, Any]) -> None:
        change = event.get("change") or {}
        resource = change.get("resource") or {}
        if resource.get("implied_provider") != _REFRESHED_BY_CONTRACT:
            fields = {"address": resource.get("addr", ""), "action": change.get("action", "")}
            self.say("info", event.get("@message", ""), **fields)

    def _hook(self, kind: str, event: dict[str, Any]) -> None:
        hook = event.get("hook") or {}
        address = (hook.get("resource") or {}).get("addr", "")
        fields: dict[str, Any] = {"address": address} if address else {}
        if hook.get("action"):
            fields["action"] = hook["action"]
        if kind in _STARTED:
            self._started[address] = time.monotonic()
        if kind in _ENDED and address in self._started:
            fields["seconds"] = round(time.monotonic() - self._started.pop(address), 3)
        level = "debug" if kind in _QUIET else _LEVELS.get(event.get("@level", "info"), "info")
        text = hook.get("output") if kind == "provision_progress" else event.get("@message", "")
        self.say(level, _timed(str(text), fields), **fields)


def _timed(text: str, fields: Mapping[str, Any]) -> str:
    """Terraform counts whole seconds only."""
    seconds = fields.get("seconds")
    return text if seconds is None else text.replace(" after 0s", f" after {seconds:.2f}s")
