"""Several servers, of which any will do: connections that are kept, and the next server when one is gone."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from stead.api.errors import Unavailable
from stead_ldap.transport import Address, Deadline, ServerLost
from stead_ldap.wire import Connection, Refused

T = TypeVar("T")
Open = Callable[[Address, Deadline], Connection]


class Busy(ServerLost):
    """All connections to a server are in use: that is no trouble of the server."""


class Role(Enum):
    """What a connection is for: it is never used for the other."""

    READER = "reads as the account of the settings"
    VERIFIER = "binds as those who sign in"


@dataclass(eq=False)
class _Kept:
    connection: Connection
    since: float


@dataclass(frozen=True)
class Limits:
    """At most ``size`` connections at once, unused ones for ``idle`` seconds, ``patience`` seconds for a free one."""

    size: int
    idle: float
    patience: float


class Pool:
    """Connections to one server for one role."""

    def __init__(self, open_: Callable[[Deadline], Connection], limits: Limits) -> None:
        self._open = open_
        self._idle = limits.idle
        self._patience = limits.patience
        self._places = threading.BoundedSemaphore(limits.size)
        self._lock = threading.Lock()
        self._kept: list[_Kept] = []
        self._closed = False

    @contextlib.contextmanager
    def lease(self, deadline: Deadline, still: Callable[[], None], *, fresh: bool) -> Iterator[tuple[Connection, bool]]:
        """A connection, and whether it is new.

        :param still: raises where the server went down while a place was waited for.
        """
        if not self._places.acquire(timeout=deadline.within(self._patience).left()):
            raise Busy("all connections to it are busy")
        try:
            still()
            kept = None if fresh else self._take()
            connection = kept or self._open(deadline)
            try:
                yield connection, kept is None
            except Refused:
                self._give(connection)
                raise
            except BaseException:
                connection.close()
                raise
            self._give(connection)
        finally:
            self._places.release()

    def _take(self) -> Connection | None:
        while True:
            with self._lock:
                if not self._kept:
                    return None
                kept = self._kept.pop()
            if time.monotonic() - kept.since < self._idle and not kept.connection.stale():
                return kept.connection
            kept.connection.close()

    def _give(self, connection: Connection) -> None:
        now = time.monotonic()
        with self._lock:
            self._kept.append(_Kept(connection, now))
            # The last one in is the first one out: those that nobody needs grow old at the front.
            unused = [item for item in self._kept if self._closed or now - item.since >= self._idle]
            self._kept = [item for item in self._kept if item not in unused]
        for item in unused:
            item.connection.close()

    def drop(self) -> None:
        """Close what is not in use."""
        with self._lock:
            kept, self._kept = self._kept, []
        for item in kept:
            item.connection.close()

    def close(self) -> None:
        """Keep nothing any more."""
        self._closed = True
        self.drop()


class Server:
    """One server, with what is known of its health."""

    def __init__(self, address: Address, opens: dict[Role, Open], limits: Limits) -> None:
        self.address = address
        self.down_at: float | None = None
        self.retry_at = 0.0
        self.trouble = ""
        self._pools = {role: Pool(self._opener(open_), limits) for role, open_ in opens.items()}

    def _opener(self, open_: Open) -> Callable[[Deadline], Connection]:
        return lambda deadline: open_(self.address, deadline)

    def run(self, role: Role, work: Callable[[Connection], T], deadline: Deadline) -> T:
        """Let ``work`` use a connection.

        A kept connection that breaks says nothing of the server, which may have been restarted meanwhile: a new one
        is tried then. What is done here can be done twice: it only asks.

        :raises ServerLost: the server does not serve.
        """
        pool = self._pools[role]
        began = time.monotonic()

        def still() -> None:
            if self.down_at is not None and self.down_at > began:
                raise ServerLost(self.trouble)

        for fresh in (False, True):
            new = True
            try:
                with pool.lease(deadline, still, fresh=fresh) as (connection, new):
                    return work(connection)
            except ServerLost:
                pool.drop()
                if new:
                    raise
            except TimeoutError as error:
                raise ServerLost("it did not answer in time") from error
        raise AssertionError("a new connection either works or is lost")

    def went_down(self, trouble: str, retry_after: float) -> None:
        """Nobody asks it until it is tried again."""
        self.trouble = trouble
        self.retry_at = time.monotonic() + retry_after
        self.down_at = time.monotonic()
        for pool in self._pools.values():
            pool.drop()

    def came_back(self) -> None:
        """It served."""
        self.down_at = None

    def close(self) -> None:
        """Let go of all connections."""
        for pool in self._pools.values():
            pool.close()


class Servers:
    """All servers of a directory, in the order of the settings."""

    def __init__(self, servers: list[Server], retry_after: float) -> None:
        self.all = servers
        self._retry_after = retry_after
        self._lock = threading.Lock()

    def _candidates(self) -> list[Server]:
        """Those that serve first, in their order; one that was down takes part again, for one caller at a time."""
        now = time.monotonic()
        usable, down = [], []
        with self._lock:
            for server in self.all:
                if server.down_at is None:
                    usable.append(server)
                elif server.retry_at <= now:
                    server.retry_at = now + self._retry_after
                    usable.append(server)
                else:
                    down.append(server)
        return usable + down

    def run(self, role: Role, work: Callable[[Connection], T], deadline: Deadline) -> T:
        """Let ``work`` use a connection to the first server that serves.

        :raises Unavailable: none does.
        """
        troubles: list[str] = []
        for server in self._candidates():
            try:
                result = server.run(role, work, deadline)
            except ServerLost as lost:
                troubles.append(f"{server.address}: {lost}")
                if deadline.over:  # a long question: no fault of this server
                    break
                if not isinstance(lost, Busy):
                    server.went_down(str(lost), self._retry_after)
            else:
                server.came_back()
                return result
        raise Unavailable(f"No server of the directory answers. {'; '.join(troubles)}.")

    def close(self) -> None:
        """Let go of all connections."""
        for server in self.all:
            server.close()
