"""Child processes that never outlive us, and start again when they end.

Used for every long-lived helper of the server: the tunnel, the provisioners.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_ADDRESS = re.compile(r"\btc[A-Za-z0-9_-]{60,}")


def die_with(parent: int) -> Callable[[], None] | None:
    """What the child runs before exec: the kernel ends it when its parent ends, however that happens."""
    if _LIBC is None:
        return None

    def ask_kernel() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel


@dataclass(frozen=True)
class Command:
    """What to run.

    :param environment: the whole environment of the child; nothing is inherited.
    :param echo: pass its output on to our stderr (it writes structured logs itself) instead of keeping it.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    echo: bool = False


@dataclass
class Backoff:
    """Delays that double from ``first`` to ``most``, and start over after ``calm`` seconds of good life."""

    first: float = 0.2
    most: float = 10.0
    calm: float = 30.0
    _next: float = field(default=0.0, init=False)

    def after(self, lived: float) -> float:
        self._next = self.first if lived >= self.calm or not self._next else min(self._next * 2, self.most)
        return self._next


def redact(line: str) -> str:
    """Hide tunnel addresses: whoever has one may connect."""
    return _ADDRESS.sub("tc[hidden]", line)


class Child:
    """One running process."""

    def __init__(self, command: Command, process: asyncio.subprocess.Process) -> None:
        self.command = command
        self.process = process
        self.last_lines: deque[str] = deque(maxlen=20)
        self._pump = asyncio.create_task(self._keep_output()) if process.stdout else None

    @classmethod
    async def start(cls, command: Command) -> Child:
        output = None if command.echo else asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command.arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=None if command.echo else asyncio.subprocess.STDOUT,
            env=dict(command.environment),
            preexec_fn=die_with(os.getpid()),
            start_new_session=True,
        )
        return cls(command, process)

    async def wait(self) -> int:
        code = await self.process.wait()
        if self._pump is not None:
            await self._pump
        return code

    async def stop(self, patience: float) -> None:
        """Ask it to end, and end it after ``patience`` seconds."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
        try:
            await asyncio.wait_for(self.wait(), patience)
        except TimeoutError:
            logger.warning("%s did not end within %.0f s and was killed", self.command.name, patience)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            await self.wait()

    async def _keep_output(self) -> None:
        stream = self.process.stdout
        while stream is not None:
            try:
                line = await stream.readline()
            except ValueError:  # longer than the stream's limit; it was dropped
                continue
            if not line:
                return
            text = redact(line.decode(errors="replace").rstrip())
            self.last_lines.append(text)
            logger.debug("%s: %s", self.command.name, text)


class Supervisor:
    """Keeps one child running until :meth:`stop`.

    :param command: called before each start; may prepare files.
    :param started: called with each new child, in a task of its own that ends with the child.
    """

    def __init__(
        self,
        name: str,
        command: Callable[[], Awaitable[Command]],
        *,
        started: Callable[[Child], Awaitable[None]] | None = None,
        ended: Callable[[], None] | None = None,
        backoff: Backoff | None = None,
        patience: float = 10.0,
    ) -> None:
        self.name = name
        self.child: Child | None = None
        self.starts = 0
        self._command = command
        self._started = started
        self._ended = ended
        self._backoff = backoff or Backoff()
        self._patience = patience
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"supervise {self.name}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            born = loop.time()
            try:
                await self._live_once()
            except Exception:  # boundary: a helper process; whatever is wrong with it, the server goes on
                logger.exception("%s could not be started", self.name)
            delay = self._backoff.after(loop.time() - born)
            logger.warning("%s ended; it starts again in %.1f s", self.name, delay)
            await asyncio.sleep(delay)

    async def _live_once(self) -> None:
        child = await Child.start(await self._command())
        self.child = child
        self.starts += 1
        watcher = asyncio.create_task(self._watch(child)) if self._started is not None else None
        try:
            code = await child.wait()
            last = child.last_lines[-1] if child.last_lines else ""
            logger.warning("%s exited with %s %s", self.name, code, last)
        finally:
            if watcher is not None:
                watcher.cancel()
            self.child = None
            if self._ended is not None:
                self._ended()
            await asyncio.shield(child.stop(self._patience))

    async def _watch(self, child: Child) -> None:
        try:
            if self._started is not None:
                await self._started(child)
        except Exception:  # boundary: as in _run; a child that does not come up is ended and tried again
            logger.exception("%s did not come up", self.name)
            await child.stop(self._patience)
