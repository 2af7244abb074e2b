"""Starting the workspace's processes, and knowing when they end."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from stead_agent.errors import SpawnError
from stead_agent.oom import protection
from stead_agent.tasks import settle


@dataclass(eq=False)
class Spawned:
    """A running process, alone in its session, and our ends of its descriptors.

    ``exited`` ends with the exit code, negative for a signal.
    """

    process: subprocess.Popen[bytes]
    exited: asyncio.Future[int]
    stdin: int = -1
    stdout: int = -1
    stderr: int = -1

    @property
    def pid(self) -> int:
        return self.process.pid

    def signal_group(self, number: int) -> None:
        """Send a signal to the process and all that it started in its session's group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def spawn_with_pipes(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str,
    stdin: bool = True,
    merge_stderr: bool = False,
    program: str | None = None,
) -> Spawned:
    """Start a process whose standard streams are pipes of ours.

    :raises SpawnError: it could not be started.
    """
    popen = _popen(
        arguments,
        env=env,
        cwd=cwd,
        program=program,
        in_child=protection.restore_in_child if protection.active else None,
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if merge_stderr else subprocess.PIPE,
    )
    ends = [_own(pipe) for pipe in (popen.stdin, popen.stdout, popen.stderr)]
    return Spawned(popen, watch_exit(popen), *ends)


def spawn_with_terminal(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str,
    program: str,
    size: tuple[int, int, int, int],
    prepare: Callable[[int], None] = lambda _fd: None,
) -> Spawned:
    """Start a process with a terminal of its own; ``stdin`` and ``stdout`` are both our end of it.

    :param size: columns, rows, width and height in pixels.
    :param prepare: is given the terminal before the process starts.
    :raises SpawnError: it could not be started.
    """
    try:
        ours, theirs = os.openpty()
    except OSError as error:
        raise SpawnError(f"No terminal can be had in this workspace: {error.strerror}.") from error
    try:
        resize_terminal(ours, size)
        prepare(theirs)
        env = {**env, "SSH_TTY": os.ttyname(theirs)}
        popen = _popen(
            arguments, env=env, cwd=cwd, program=program, in_child=_take_terminal,
            stdin=theirs, stdout=theirs, stderr=theirs,
        )  # fmt: skip
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    os.set_blocking(ours, False)
    return Spawned(popen, watch_exit(popen), ours, ours)


def resize_terminal(fd: int, size: tuple[int, int, int, int]) -> None:
    columns, rows, width, height = size
    with contextlib.suppress(OSError):
        fcntl.ioctl(
            fd,
            termios.TIOCSWINSZ,
            struct.pack("HHHH", rows & 0xFFFF, columns & 0xFFFF, width & 0xFFFF, height & 0xFFFF),
        )


def watch_exit(popen: subprocess.Popen[bytes]) -> asyncio.Future[int]:
    """A future of the exit code: through a pidfd, or with a waiting thread on kernels that have none."""
    loop = asyncio.get_running_loop()
    exited: asyncio.Future[int] = loop.create_future()
    try:
        pidfd = os.pidfd_open(popen.pid)
    except OSError:
        _watch_in_thread(popen, loop, exited)
        return exited

    def ended() -> None:
        code = popen.poll()
        if code is None:
            return
        loop.remove_reader(pidfd)
        os.close(pidfd)
        if not exited.done():
            exited.set_result(code)

    loop.add_reader(pidfd, ended)
    return exited


def _watch_in_thread(
    popen: subprocess.Popen[bytes], loop: asyncio.AbstractEventLoop, exited: asyncio.Future[int]
) -> None:
    def wait() -> None:
        code = popen.wait()
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, exited, code)

    threading.Thread(target=wait, daemon=True, name=f"wait-{popen.pid}").start()


def _popen(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str,
    program: str | None,
    in_child: Callable[[], None] | None,
    stdin: int,
    stdout: int,
    stderr: int,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(arguments),
            executable=program,
            env=env,
            cwd=cwd if os.path.isdir(cwd) else "/",  # noqa: PTH112 - cwd is any string of a template
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            bufsize=0,
            start_new_session=True,
            preexec_fn=in_child,  # noqa: PLW1509 - the terminal and the memory score can only be set there
        )
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise SpawnError(f"{program or arguments[0]} could not be started: {error}.") from error


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    protection.restore_in_child()


def _own(pipe: object) -> int:
    """Take a pipe's descriptor away from its file object, non-blocking."""
    if pipe is None:
        return -1
    fd = os.dup(pipe.fileno())  # type: ignore[attr-defined]
    pipe.close()  # type: ignore[attr-defined]
    os.set_blocking(fd, False)
    return fd


async def end_process(spawned: Spawned, grace: float) -> int:
    """Ask the process group to end, insist after ``grace`` seconds, and return the exit code."""
    spawned.signal_group(signal.SIGTERM)
    done, _ = await asyncio.wait([spawned.exited], timeout=grace)
    if not done:
        spawned.signal_group(signal.SIGKILL)
    return await asyncio.wait_for(asyncio.shield(spawned.exited), 10)
