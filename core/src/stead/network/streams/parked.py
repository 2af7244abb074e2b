"""One stream of an agent: parked with a heartbeat, then taken and connected to a target."""

from __future__ import annotations

import asyncio
import contextlib
import math
import zlib
from collections.abc import Callable

from stead.api.errors import Unavailable
from stead.network.streams.channel import Channel, TcpChannel, Transport
from stead.network.streams.target import Target

MAX_LINE = 512
PING = b"ping\n"
BEAT_GROUPS = 8


class StreamLost(ConnectionError):
    """The stream ended before it reached its target. Another one may work."""


class TargetRefused(Unavailable):
    """The agent answered, but nothing listens where the stream should lead."""


class Stream:
    """A channel to an agent. Until it is taken :meth:`stay_parked` reads it; then whoever took it does."""

    def __init__(self, channel: Channel, agent_id: str, transport: Transport) -> None:
        self.agent_id = agent_id
        self.transport = transport
        self.closed = asyncio.Event()
        self.taken = False
        self._loop = asyncio.get_running_loop()
        self.listened_at = self._loop.time()
        self.asked_at = -math.inf
        """When it was last pinged."""
        self.waits_since: float | None = None
        """When the first ping was sent that has had no answer; None where none is owed."""
        self._channel = channel
        self._buffer = b""
        self._joined: TcpChannel | None = None
        self._answer: asyncio.Future[str] | None = None

    @property
    def heard_at(self) -> float:
        """When the agent last said anything, by the loop's clock."""
        return self.listened_at if self._joined is None else self._joined.heard_at

    # Parked

    async def stay_parked(
        self, interval: float, silence: float, spared: Callable[[Stream], bool] = lambda _: False
    ) -> bool:
        """Answer for this stream until it is taken (True) or dead (False).

        :param interval: seconds between two pings.
        :param silence: seconds without an answer after which the agent is taken for gone.
        :param spared: tells, when a ping is due, that another stream's stands for this one's.
        """
        heartbeat = asyncio.create_task(self._beat(interval, silence, spared))
        try:
            return await self._listen()
        except (ConnectionError, OSError):
            return False
        finally:
            heartbeat.cancel()
            if self._answer is not None and not self._answer.done():
                self._answer.set_exception(StreamLost("the agent's stream ended"))

    async def _listen(self) -> bool:
        while line := await self.read_line():
            self.listened_at = self._loop.time()
            if line == "pong":
                self.waits_since = None
                continue
            if self._answer is None or line.partition(" ")[0] not in {"ok", "no"}:
                return False
            if not self._answer.done():
                self._answer.set_result(line)
            return line == "ok"
        return False

    async def _beat(self, interval: float, silence: float, spared: Callable[[Stream], bool]) -> None:
        with contextlib.suppress(ConnectionError, OSError):
            while not self.taken:
                await asyncio.sleep(self._until_beat(interval))
                now = self._loop.time()
                if self.waits_since is not None and now - self.waits_since > silence:
                    break
                if not self.taken and not spared(self):
                    self.asked_at = now
                    self.waits_since = now if self.waits_since is None else self.waits_since
                    await self._channel.write(PING)
        if not self.taken:
            self.abort()

    def _until_beat(self, interval: float) -> float:
        """Seconds to the next ping: ``interval``, less for the first one, and never a tenth more.

        Streams of one agent are due together, and agents in few groups: waking up is what a ping costs most of.
        """
        phase = zlib.crc32(self.agent_id.encode()) % BEAT_GROUPS / BEAT_GROUPS
        wait = (phase - self._loop.time() / interval) % 1 * interval
        return wait if wait > interval / 10 else wait + interval

    async def connect(self, target: Target, patience: float) -> None:
        """Take the stream: tell the agent where it leads, and wait for its answer.

        :raises StreamLost: it died, or the agent said nothing for ``patience`` seconds.
        :raises TargetRefused: the agent said no.
        """
        self.taken = True
        if self.closed.is_set():
            raise StreamLost("the agent's stream ended")
        self._answer = self._loop.create_future()
        try:
            async with asyncio.timeout(patience):
                await self._channel.write(target.encode())
                answer = await self._answer
        except (TimeoutError, OSError) as error:
            self.abort()
            raise StreamLost("the agent's stream did not answer") from error
        if answer != "ok":
            self.abort()
            raise TargetRefused(f"The workspace refused the connection: {answer[3:] or 'no reason given'}.")

    async def read_line(self) -> str:
        """One line without its end; empty where the stream ended or the line is not one of ours."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > MAX_LINE:
                return ""
            data = await self._channel.read()
            if not data:
                return ""
            self._buffer += data
        line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
        return line.decode("ascii", errors="replace") if len(line) <= MAX_LINE else ""

    # Taken: a channel to the target

    async def read(self) -> bytes:
        if self._buffer:
            data, self._buffer = self._buffer, b""
        else:
            data = await self._channel.read()
        self.listened_at = self._loop.time()
        return data

    async def write(self, data: bytes | memoryview) -> None:
        await self._channel.write(data)

    async def write_eof(self) -> None:
        await self._channel.write_eof()

    def surrender(self) -> tuple[TcpChannel, bytes] | None:
        """The connection below and what was read of it already, to be joined; None where it is not a TCP one."""
        if not isinstance(self._channel, TcpChannel):
            return None
        self._joined = self._channel
        early, self._buffer = self._buffer, b""
        return self._channel, early

    @property
    def movable(self) -> bool:
        """Whether :meth:`move` may be called: not where one direction has ended, and not twice."""
        return self._joined is not None and self._joined.whole and self.transport is Transport.TUNNEL

    def move(self, wider: TcpChannel) -> None:
        """Go on in another connection to the same end, where :attr:`movable`."""
        if self._joined is None:
            raise StreamLost("only a stream that is in use can move")
        self._joined.succeed(wider)
        self._channel = self._joined = wider
        self.transport = Transport.UPGRADED

    def abort(self) -> None:
        self._channel.abort()
        self.closed.set()
