"""Announcements between the processes of a deployment: small, best effort, never the only way to learn a thing.

``publish`` reaches every subscriber in this process before it returns, and those of other processes
within milliseconds: over LISTEN/NOTIFY on PostgreSQL, over a unix socket in the data folder on SQLite
(:mod:`stead.services.hub`). A callback runs in the publisher's or the bus's thread and must return at
once; asyncio code passes ``lambda topic, payload: loop.call_soon_threadsafe(…)``.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

log = logging.getLogger(__name__)

Payload = Mapping[str, Any]
Callback = Callable[[str, Payload], None]


class Carrier(Protocol):
    """Takes announcements to the other processes. ``start`` gets the callable for what arrives."""

    def start(self, receive: Callable[[str], None]) -> None: ...

    def send(self, text: str) -> None: ...

    def close(self) -> None: ...


class Subscription:
    """An open subscription; ``close`` ends it. Also a context manager."""

    def __init__(self, bus: Bus, pattern: str, callback: Callback) -> None:
        self._bus = bus
        self.pattern = pattern
        self.callback = callback

    def close(self) -> None:
        self._bus._remove(self)

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Bus:
    def __init__(self, carrier: Carrier | None = None) -> None:
        self._origin = secrets.token_hex(8)
        self._carrier = carrier
        self._lock = threading.Lock()
        self._exact: dict[str, tuple[Subscription, ...]] = {}
        self._prefixes: tuple[Subscription, ...] = ()
        if carrier is not None:
            carrier.start(self._receive)

    def subscribe(self, pattern: str, callback: Callback) -> Subscription:
        """Call ``callback(topic, payload)`` for a topic; ``PREFIX*`` stands for all that begin with PREFIX."""
        subscription = Subscription(self, pattern, callback)
        with self._lock:
            if pattern.endswith("*"):
                self._prefixes = (*self._prefixes, subscription)
            else:
                self._exact[pattern] = (*self._exact.get(pattern, ()), subscription)
        return subscription

    def publish(self, topic: str, payload: Payload | None = None) -> None:
        """Announce; never raises, for what is announced has happened already."""
        content = dict(payload or {})
        self._deliver(topic, content)
        if self._carrier is not None:
            text = json.dumps({"o": self._origin, "t": topic, "p": content}, separators=(",", ":"))
            try:
                self._carrier.send(text)
            except Exception:  # boundary: other processes poll, an announcement may be lost
                log.warning("Other processes could not be told of %s.", topic, exc_info=True)

    def close(self) -> None:
        if self._carrier is not None:
            self._carrier.close()

    def _receive(self, text: str) -> None:
        message = json.loads(text)
        if message["o"] != self._origin:
            self._deliver(message["t"], message["p"])

    def _deliver(self, topic: str, payload: Payload) -> None:
        matching = (*self._exact.get(topic, ()), *(s for s in self._prefixes if topic.startswith(s.pattern[:-1])))
        for subscription in matching:
            try:
                subscription.callback(topic, payload)
            except Exception:  # boundary: one subscriber must not keep an announcement from the next
                log.exception("A subscriber of %s failed.", topic)

    def _remove(self, subscription: Subscription) -> None:
        pattern = subscription.pattern
        with self._lock:
            if pattern.endswith("*"):
                self._prefixes = tuple(s for s in self._prefixes if s is not subscription)
                return
            left = tuple(s for s in self._exact.get(pattern, ()) if s is not subscription)
            if left:
                self._exact[pattern] = left
            else:
                self._exact.pop(pattern, None)
