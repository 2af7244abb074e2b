"""What waits to be told to the control plane, across lost connections and within bounds."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from stead_agent.clock import timestamp

MAX_LOG_BYTES = 4 * 1024 * 1024
MAX_BATCH_BYTES = 192 * 1024  # the control plane takes 256 KiB
MAX_EVENTS = 2000


@dataclass
class Message:
    """One request; an event is delivered in order, a state only in its latest form."""

    method: str
    params: dict[str, Any]
    state_key: str | None = None


@dataclass
class Outbox:
    """Events wait in order; of states only the newest waits; log lines are bounded and counted when dropped."""

    max_log_bytes: int = MAX_LOG_BYTES
    _events: deque[Message] = field(default_factory=deque)
    _states: dict[str, Message] = field(default_factory=dict)
    _latest: dict[str, Message] = field(default_factory=dict)
    _logs: deque[tuple[dict[str, Any], int]] = field(default_factory=deque)
    _log_bytes: int = 0
    _dropped: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _emptied: asyncio.Event = field(default_factory=asyncio.Event)

    def event(self, method: str, params: dict[str, Any]) -> None:
        """Queue a request that must arrive, in order with the other events."""
        if len(self._events) >= MAX_EVENTS:
            self._events.popleft()
        self._events.append(Message(method, params))
        self._changed.set()

    def state(self, method: str, params: dict[str, Any]) -> None:
        """Queue a request of which only the newest counts; it is told again after a reconnect."""
        message = Message(method, params, state_key=method)
        self._states[method] = self._latest[method] = message
        self._changed.set()

    def log(self, *, source: str, script_id: str | None, text: str, level: str = "info") -> None:
        """Queue one line of a script's or the agent's own log."""
        line = {"at": timestamp(), "level": level, "source": source, "script_id": script_id, "text": text}
        size = _line_size(line)
        self._logs.append((line, size))
        self._log_bytes += size
        while self._log_bytes > self.max_log_bytes:
            self._log_bytes -= self._logs.popleft()[1]
            self._dropped += 1
        self._changed.set()

    def reconnected(self) -> None:
        """Tell the latest states again: a new control plane process has none of them."""
        self._states.update(self._latest)
        self._changed.set()

    def forget_state(self, method: str) -> None:
        self._states.pop(method, None)
        self._latest.pop(method, None)

    def next(self) -> Message | None:
        """The message to send now; it stays queued until :meth:`delivered`. Logs go before events."""
        if self._logs:
            return Message("logs", {"lines": self._batch()})
        if self._events:
            return self._events[0]
        if self._states:
            return next(iter(self._states.values()))
        return None

    def delivered(self, message: Message) -> None:
        if message.method == "logs":
            self._discard_logs(message.params["lines"])
        elif message.state_key is None:
            if self._events and self._events[0] is message:
                self._events.popleft()
        elif self._states.get(message.state_key) is message:
            del self._states[message.state_key]
        if self.empty:
            self._emptied.set()

    async def wait(self) -> None:
        """Return as soon as there is something to send."""
        while self.next() is None:
            self._changed.clear()
            await self._changed.wait()

    async def wait_empty(self) -> None:
        """Return as soon as everything has been delivered."""
        while not self.empty:
            self._emptied.clear()
            await self._emptied.wait()

    @property
    def empty(self) -> bool:
        return not (self._logs or self._events or self._states)

    def _batch(self) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        if self._dropped:
            text = f"{self._dropped} lines were dropped while the control plane was away"
            note = {"at": timestamp(), "level": "warn", "source": "agent", "script_id": None, "text": text}
            self._logs.appendleft((note, _line_size(note)))
            self._log_bytes += _line_size(note)
            self._dropped = 0
        size = 0
        for line, line_size in self._logs:
            size += line_size
            if lines and size > MAX_BATCH_BYTES:
                break
            lines.append(line)
        return lines

    def _discard_logs(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            if self._logs and self._logs[0][0] is line:
                self._log_bytes -= self._logs.popleft()[1]


def _line_size(line: dict[str, Any]) -> int:
    return len(json.dumps(line["text"], ensure_ascii=False).encode()) + 160
