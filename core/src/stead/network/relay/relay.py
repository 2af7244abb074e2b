"""The relay itself: who is connected, and which connection a packet goes to."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from nacl.public import PrivateKey

from stead.network.relay.admission import Admission
from stead.network.relay.connection import RelayConnection
from stead.network.relay.frames import PeerGone, peer_gone_frame, restarting_frame

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RelayLimits:
    """Bounds of one relay. Times are seconds, queues are bytes for each client."""

    connections: int = 8192
    connections_per_key: int = 8
    correspondents: int = 16384
    queue_bytes: int = 512 * 1024
    handshake: float = 10.0
    keep_alive: float = 45.0


class Peer:
    """All connections of one key, and who wrote to it.

    ``heard`` maps the key of each correspondent to the connection from which it last wrote here: that
    is where answers go, because several processes may share one key.
    """

    __slots__ = ("connections", "heard", "key")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.connections: list[RelayConnection] = []
        self.heard: dict[bytes, RelayConnection] = {}


class Relay:
    """The state that all relay connections of a process share. Lives in one event loop."""

    def __init__(
        self, admission: Admission, limits: RelayLimits | None = None, private: PrivateKey | None = None
    ) -> None:
        self.admission = admission
        self.limits = limits or RelayLimits()
        self.private = private or PrivateKey.generate()
        self.public = bytes(self.private.public_key)
        self._peers: dict[bytes, Peer] = {}
        self._open: set[RelayConnection] = set()
        self._closing = False
        admission.on_revoked = self.disconnect

    @property
    def connection_count(self) -> int:
        return len(self._open)

    @property
    def is_full(self) -> bool:
        return self._closing or len(self._open) >= self.limits.connections

    def opened(self, connection: RelayConnection) -> None:
        self._open.add(connection)

    def closed(self, connection: RelayConnection) -> None:
        self._open.discard(connection)
        peer = self._peers.get(connection.key)
        if peer is None or connection not in peer.connections:
            return
        peer.connections.remove(connection)
        if not peer.connections:
            del self._peers[peer.key]
            self._announce_gone(peer)

    def join(self, connection: RelayConnection) -> bool:
        """Take in a connection that proved its key; False where the key is not admitted or has too many."""
        if not self.admission.is_admitted(connection.key):
            return False
        peer = self._peers.setdefault(connection.key, Peer(connection.key))
        if len(peer.connections) >= self.limits.connections_per_key:
            return False
        peer.connections.append(connection)
        return True

    def route(self, sender: RelayConnection, destination: bytes) -> RelayConnection | None:
        """The connection that a packet from ``sender`` to the key ``destination`` goes to."""
        peer = self._peers.get(destination)
        if peer is None:
            return None
        peer.heard[sender.key] = sender
        if len(peer.heard) > self.limits.correspondents:
            del peer.heard[next(iter(peer.heard))]
        if len(peer.connections) == 1:
            return peer.connections[0]
        return self._last_used(peer, sender)

    def last_carried(self, key: bytes) -> float | None:
        """Loop time when this key last sent or got WireGuard data through the relay, None if never."""
        peer = self._peers.get(key)
        times = [c.carried_at for c in peer.connections if c.carried_at is not None] if peer else []
        return max(times, default=None)

    def disconnect(self, key: bytes) -> None:
        """End every connection of ``key``."""
        peer = self._peers.get(key)
        for connection in list(peer.connections) if peer else ():
            connection.abort()

    def shutdown(self) -> None:
        """Tell every client that the relay restarts, and end the connections."""
        self._closing = True
        farewell = restarting_frame(reconnect_ms=100, try_for_ms=30_000)
        for connection in list(self._open):
            connection.finish(farewell)

    def _last_used(self, peer: Peer, sender: RelayConnection) -> RelayConnection:
        correspondent = self._peers.get(sender.key)
        used = correspondent.heard.get(peer.key) if correspondent else None
        return used if used in peer.connections and used is not None else peer.connections[-1]

    def _announce_gone(self, peer: Peer) -> None:
        notice = peer_gone_frame(peer.key, PeerGone.DISCONNECTED)
        for key, connection in peer.heard.items():
            correspondent = self._peers.get(key)
            if correspondent is None:
                continue
            correspondent.heard.pop(peer.key, None)
            if connection in correspondent.connections:
                connection.deliver([notice])
