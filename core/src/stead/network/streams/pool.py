"""All streams of all agents: tickets to park with, and the best parked one for whoever asks."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from stead.api.errors import Unavailable
from stead.network.streams.channel import Channel, Route, Transport
from stead.network.streams.parked import Stream, StreamLost
from stead.network.streams.target import Target

logger = logging.getLogger(__name__)

GREETING = "STEAD/1 "


class AgentUnreachable(Unavailable):
    """No stream of the agent is there, and none came in time."""


@dataclass(frozen=True)
class StreamTimings:
    """Seconds, but for ``per_agent``: how many parked streams an agent may have for each transport."""

    greeting: float = 10.0
    heartbeat: float = 5.0
    silence: float = 15.0
    answer: float = 5.0
    take: float = 15.0
    ticket: float = 600.0
    per_agent: int = 16


@dataclass
class _Lines:
    """What we have of one agent."""

    ticket: bytes = b""
    expiry: asyncio.TimerHandle | None = None
    parked: list[Stream] = field(default_factory=list)
    taken: set[Stream] = field(default_factory=set)
    waiters: deque[asyncio.Future[Stream]] = field(default_factory=deque)


class StreamPool:
    """Lives in one event loop.

    :param is_relayed: tells of an agent whose tunnel works whether its packets pass through our relay.
    :param gone: called with the id of an agent whose ticket ended, or that left without one.
    :param answers_for_all: tells of an agent that a ping on one of its streams in the tunnel may stand for all.

    ``changed`` is called with the id of an agent that parked a stream or lost one: its path may be another now.
    """

    def __init__(
        self,
        timings: StreamTimings | None = None,
        is_relayed: Callable[[str], bool] = lambda _: False,
        gone: Callable[[str], None] = lambda _: None,
        answers_for_all: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.timings = timings or StreamTimings()
        self._is_relayed = is_relayed
        self._gone = gone
        self._answers_for_all = answers_for_all
        self.changed: Callable[[str], None] = lambda _: None
        self._agents: dict[str, _Lines] = {}
        self._by_ticket: dict[bytes, str] = {}

    # Tickets

    def issue(self, agent_id: str) -> str:
        """A new ticket for this agent; the one before is void."""
        ticket = secrets.token_urlsafe(32)
        lines = self._agents.setdefault(agent_id, _Lines())
        self._by_ticket.pop(lines.ticket, None)
        lines.ticket = _fingerprint(ticket)
        self._by_ticket[lines.ticket] = agent_id
        self._keep(lines)
        return ticket

    def release(self, agent_id: str) -> None:
        """The agent's control connection went away: its ticket ends some minutes from now."""
        lines = self._agents.get(agent_id)
        if lines is None:
            self._gone(agent_id)
            return
        self._keep(lines)
        loop = asyncio.get_running_loop()
        lines.expiry = loop.call_later(self.timings.ticket, self.revoke, agent_id)

    def revoke(self, agent_id: str) -> None:
        """End the ticket and every stream of this agent."""
        lines = self._agents.pop(agent_id, None)
        if lines is None:
            self._gone(agent_id)
            return
        self._keep(lines)
        self._by_ticket.pop(lines.ticket, None)
        for stream in (*lines.parked, *lines.taken):
            stream.abort()
        for waiter in lines.waiters:
            if not waiter.done():
                waiter.set_exception(AgentUnreachable("The workspace's agent is gone."))
        self._gone(agent_id)

    def end_tunnel(self, agent_id: str) -> None:
        """The agent says that its tunnel is gone: a quiet stream that it carried would never notice."""
        lines = self._agents.get(agent_id)
        for stream in (*lines.parked, *lines.taken) if lines else ():
            if stream.transport is Transport.TUNNEL:
                stream.abort()

    def close(self) -> None:
        for agent_id in list(self._agents):
            self.revoke(agent_id)

    @staticmethod
    def _keep(lines: _Lines) -> None:
        if lines.expiry is not None:
            lines.expiry.cancel()
            lines.expiry = None

    # Parking

    async def serve(self, channel: Channel, transport: Transport, agent_id: str | None = None) -> None:
        """Greet what an agent dialled, park it, and return when it is used up.

        :param agent_id: who this is, where the transport has authenticated it already.
        """
        stream = await self._greet(channel, transport, agent_id)
        if stream is None:
            channel.abort()
            return
        lines = self._agents[stream.agent_id]
        self._park(lines, stream)
        self.changed(stream.agent_id)
        try:
            if await stream.stay_parked(self.timings.heartbeat, self.timings.silence, self._spared):
                await stream.closed.wait()
            elif not stream.taken:
                self._suspect(lines, stream)
        finally:
            if stream in lines.parked:
                lines.parked.remove(stream)
            lines.taken.discard(stream)
            stream.abort()
            self.changed(stream.agent_id)

    async def _greet(self, channel: Channel, transport: Transport, agent_id: str | None) -> Stream | None:
        stream = Stream(channel, "", transport)
        try:
            async with asyncio.timeout(self.timings.greeting):
                line = await stream.read_line()
                holder = self._by_ticket.get(_fingerprint(line.removeprefix(GREETING)))
                refusal = self._refusal(line, holder, agent_id, transport)
                await channel.write(f"no {refusal}\n".encode() if refusal else b"ok\n")
        except (TimeoutError, OSError):
            return None
        stream.agent_id = holder or ""
        # The ticket may have ended while we wrote.
        return None if refusal or holder not in self._agents else stream

    def _refusal(self, line: str, holder: str | None, agent_id: str | None, transport: Transport) -> str:
        if not line.startswith(GREETING):
            return "protocol"
        if holder is None or (agent_id is not None and agent_id != holder):
            return "ticket"
        parked = [s for s in self._agents[holder].parked if s.transport is transport]
        return "enough" if len(parked) >= self.timings.per_agent else ""

    def _park(self, lines: _Lines, stream: Stream) -> None:
        while lines.waiters:
            waiter = lines.waiters.popleft()
            if not waiter.done():
                stream.taken = True
                lines.taken.add(stream)
                waiter.set_result(stream)
                return
        lines.parked.append(stream)

    def _spared(self, stream: Stream) -> bool:
        """Whether another ping in the same tunnel does for this stream: they take turns, one in each interval."""
        lines = self._agents.get(stream.agent_id)
        if lines is None or stream.transport is not Transport.TUNNEL or not self._answers_for_all(stream.agent_id):
            return False
        last_asked = [other.asked_at for other in lines.parked if other.transport is stream.transport]
        just_now = asyncio.get_running_loop().time() - self.timings.heartbeat / 2
        return max(last_asked, default=stream.asked_at) > just_now or min(last_asked) < stream.asked_at

    def _suspect(self, lines: _Lines, dead: Stream) -> None:
        """Where a parked stream fell silent, and no other of its transport has said a word since, all are dead."""
        since, now = dead.waits_since, asyncio.get_running_loop().time()
        if since is None or now - since <= self.timings.silence:
            return
        kin = [one for one in (*lines.parked, *lines.taken) if one.transport is dead.transport and one is not dead]
        if all(one.heard_at < since for one in kin):
            for stream in kin:
                stream.abort()

    # Taking

    async def take(self, agent_id: str, target: Target, patience: float | None = None) -> Stream:
        """A stream that leads to ``target`` in the agent's workspace.

        :param patience: seconds until :class:`AgentUnreachable`.
        :raises TargetRefused: the agent is there, but the target is not.
        """
        try:
            async with asyncio.timeout(patience or self.timings.take):
                while True:
                    stream = await self._next(agent_id)
                    try:
                        await stream.connect(target, self.timings.answer)
                    except StreamLost:
                        logger.info("a parked stream of agent %s was dead; trying the next", agent_id)
                        continue
                    return stream
        except TimeoutError:
            raise AgentUnreachable(
                "The workspace's agent is not connected.", remedy="See its log, or restart the workspace."
            ) from None

    async def _next(self, agent_id: str) -> Stream:
        lines = self._agents.get(agent_id)
        if lines is None:
            raise AgentUnreachable("The workspace's agent is not connected.", remedy="Is the workspace started?")
        if lines.parked:
            best = max(lines.parked, key=_preference)
            lines.parked.remove(best)
            best.taken = True
            lines.taken.add(best)
            return best
        waiter: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()
        lines.waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                waiter.result().abort()
            raise

    # What is known

    def path(self, agent_id: str) -> Route | None:
        """How streams of this agent travel now; None where it has none."""
        lines = self._agents.get(agent_id)
        transports = {s.transport for s in (*lines.parked, *lines.taken)} if lines else set()
        transports.discard(Transport.UPGRADED)
        if Transport.TUNNEL in transports:
            return Route.RELAYED if self._is_relayed(agent_id) else Route.DIRECT
        return Route.WEBSOCKET if transports else None

    def taken(self, agent_id: str) -> int:
        lines = self._agents.get(agent_id)
        return len(lines.taken) if lines else 0


def _preference(stream: Stream) -> tuple[bool, float]:
    return stream.transport is Transport.TUNNEL, stream.heard_at


def _fingerprint(ticket: str) -> bytes:
    """Tickets are looked up by digest, so that comparing them tells nothing by its time."""
    return hashlib.sha256(ticket.encode()).digest()
