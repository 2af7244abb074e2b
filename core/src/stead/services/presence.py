"""What is live about agents: connection, path, metadata, ports, statistics. In memory, no I/O.

The process that holds the agents' connections writes it (the gateway); services merge it into records.
``serving`` is true there: an agent that this process does not know is then not connected, whatever an
earlier process wrote into the database before it died.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from stead.domain.states import Path


@dataclass(frozen=True)
class MetadataValue:
    value: str
    error: str
    collected_at: datetime


@dataclass(frozen=True)
class ListeningPort:
    port: int
    process: str
    address: str


@dataclass(frozen=True)
class Live:
    """One agent's live state.

    :param connection: distinguishes a connection from the one that replaced it.
    :param stats: the last ``stats`` report, as the agent sent it.
    """

    agent_id: str
    connection: str
    since: datetime
    path: Path | None = None
    latency_ms: float | None = None
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    ports: tuple[ListeningPort, ...] = ()
    stats: Mapping[str, Any] = field(default_factory=dict)


class Presence:
    """Thread-safe; every read is a snapshot."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: dict[str, Live] = {}
        self.serving = False

    def connected(self, agent_id: str, connection: str, at: datetime, path: Path | None = None) -> None:
        """An agent has a connection; it replaces an earlier one and keeps its last values."""
        with self._lock:
            before = self._live.get(agent_id)
            if before is None:
                self._live[agent_id] = Live(agent_id, connection, at, path)
            else:
                self._live[agent_id] = replace(before, connection=connection, since=at, path=path)

    def disconnected(self, agent_id: str, connection: str) -> bool:
        """The connection ended; false where another one has replaced it already."""
        with self._lock:
            live = self._live.get(agent_id)
            if live is None or live.connection != connection:
                return False
            del self._live[agent_id]
            return True

    def set_path(self, agent_id: str, path: Path, latency_ms: float | None = None) -> None:
        self._update(agent_id, path=path, latency_ms=latency_ms)

    def set_metadata(self, agent_id: str, values: Mapping[str, MetadataValue]) -> None:
        """Merge new values into the known ones."""
        with self._lock:
            live = self._live.get(agent_id)
            if live is not None:
                self._live[agent_id] = replace(live, metadata={**live.metadata, **values})

    def set_ports(self, agent_id: str, ports: Iterable[ListeningPort]) -> None:
        self._update(agent_id, ports=tuple(ports))

    def set_stats(self, agent_id: str, stats: Mapping[str, Any]) -> None:
        self._update(agent_id, stats=dict(stats))

    def get(self, agent_id: str) -> Live | None:
        with self._lock:
            return self._live.get(agent_id)

    def all(self) -> tuple[Live, ...]:
        with self._lock:
            return tuple(self._live.values())

    def _update(self, agent_id: str, **values: Any) -> None:
        with self._lock:
            live = self._live.get(agent_id)
            if live is not None:
                self._live[agent_id] = replace(live, **values)
