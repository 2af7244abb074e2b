"""One SSH session channel: a shell, a command or SFTP, on pipes or on a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import Any

import asyncssh

from stead_agent.errors import SpawnError
from stead_agent.log import log
from stead_agent.processes import Spawned, resize_terminal, spawn_with_pipes, spawn_with_terminal
from stead_agent.pump import FdReader, FdWriter
from stead_agent.ssh.connection import WorkspaceConnection
from stead_agent.ssh.terminal_modes import apply_modes
from stead_agent.ssh.workspace import Workspace, session_kind

STDERR = 1
SIGNALS = {
    name: getattr(signal, f"SIG{name}")
    for name in (
        "ABRT",
        "ALRM",
        "FPE",
        "HUP",
        "ILL",
        "INT",
        "KILL",
        "PIPE",
        "QUIT",
        "SEGV",
        "TERM",
        "USR1",
        "USR2",
    )
}
SIGNAL_NAMES = {int(number): name for name, number in SIGNALS.items()}
CANNOT_START = 127
INTERRUPTS = (b"\x03", b"\x04")


class WorkspaceSession(asyncssh.SSHServerSession[bytes]):
    """Runs what the client asks for and ends with its exit code or signal."""

    def __init__(self, workspace: Workspace, connection: WorkspaceConnection) -> None:
        self._workspace = workspace
        self._connection = connection
        self._channel: Any = None
        self._loop = asyncio.get_running_loop()
        self._terminal: tuple[str, tuple[int, int, int, int], dict[int, int]] | None = None
        self._command: str | None = None
        self._sftp = False
        self._spawned: Spawned | None = None
        self._readers: list[FdReader] = []
        self._writer: FdWriter | None = None
        self._early: list[bytes] = []
        self._early_eof = False
        self._starting: asyncio.Task[None] | None = None
        self._write_paused = False
        self._kind = ""

    # What the client asks for

    def connection_made(self, chan: Any) -> None:
        self._channel = chan

    def pty_requested(self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Any) -> bool:
        self._terminal = (term_type, term_size, dict(term_modes))
        return True

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        self._command = command
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        self._sftp = subsystem == "sftp"
        return self._sftp

    def session_started(self) -> None:
        if self._workspace.gate.open or self._sftp:
            self._start()
        else:
            self._starting = self._loop.create_task(self._start_when_ready())

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        size = (width, height, pixwidth, pixheight)
        if self._terminal is not None:
            self._terminal = (self._terminal[0], size, self._terminal[2])
            if self._spawned is not None and self._readers and not self._readers[0].ended:
                resize_terminal(self._spawned.stdout, size)

    def signal_received(self, signal: str) -> None:
        number = SIGNALS.get(signal)
        if self._spawned is not None and number is not None and not self._spawned.exited.done():
            self._spawned.signal_group(number)

    def break_received(self, msec: int) -> bool:
        del msec
        return False

    # Bytes

    def data_received(self, data: bytes, datatype: int | None) -> None:
        del datatype
        if self._writer is not None:
            self._writer.write(data)
        elif self._starting is not None and self._terminal is not None and data in INTERRUPTS:
            self._starting.cancel()
            self._channel.exit(130)
        elif self._spawned is None:
            self._early.append(data)

    def eof_received(self) -> bool:
        if self._spawned is None:
            self._early_eof = True
        elif self._writer is not None and self._terminal is None:
            self._writer.close_when_empty()
        return True

    def pause_writing(self) -> None:
        self._write_paused = True
        for reader in self._readers:
            reader.pause()

    def resume_writing(self) -> None:
        self._write_paused = False
        for reader in self._readers:
            reader.start()
        self._drain_terminal()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._starting is not None:
            self._starting.cancel()
        if self._writer is not None and self._terminal is None:
            self._writer.close()
        for reader in self._readers:
            reader.close()
        if self._kind:
            self._workspace.sessions[self._kind] -= 1
            self._kind = ""

    # The process

    async def _start_when_ready(self) -> None:
        if self._terminal is not None:
            self._channel.write(b"Waiting for the start scripts of this workspace (Ctrl-C to give up) ...\r\n")
        await self._workspace.gate.wait()
        self._starting = None
        self._start()

    def _start(self) -> None:
        env = self._environment()
        self._kind = session_kind(env, self._command)
        self._workspace.sessions[self._kind] += 1
        try:
            self._spawned = self._spawn(env)
        except SpawnError as error:
            log.warning("%s", error)
            with contextlib.suppress(OSError):
                self._channel.write_stderr(f"{error}\n".encode())
                self._channel.exit(CANNOT_START)
            return
        self._join(self._spawned)

    def _spawn(self, env: dict[str, str]) -> Spawned:
        user, directory = self._workspace.user, self._workspace.directory()
        if self._sftp:
            return spawn_with_pipes(self._workspace.sftp_command, env=env, cwd=user.home)
        if self._terminal is None:
            words = user.shell_command(self._command) if self._command is not None else user.login_shell()[1]
            return spawn_with_pipes(words, env=env, cwd=directory, program=user.shell)
        _term, size, modes = self._terminal
        if self._command is None:
            program, words = user.login_shell()
            self._show_motd(env)
        else:
            program, words = user.shell, user.shell_command(self._command)
        return spawn_with_terminal(
            words,
            env=env,
            cwd=directory,
            program=program,
            size=size,
            prepare=lambda fd: apply_modes(fd, modes),
        )

    def _environment(self) -> dict[str, str]:
        env = self._workspace.environment()
        for name, value in self._channel.get_environment_bytes().items():
            env[os.fsdecode(name)] = os.fsdecode(value)
        if self._terminal is not None and self._terminal[0]:
            env["TERM"] = self._terminal[0]
        agent_socket = self._channel.get_agent_path()
        if agent_socket:
            env["SSH_AUTH_SOCK"] = agent_socket
        env.setdefault("SSH_CONNECTION", "0.0.0.0 0 0.0.0.0 0")
        env.setdefault("SSH_CLIENT", "0.0.0.0 0 0")
        return env

    def _show_motd(self, env: dict[str, str]) -> None:
        text = self._workspace.message_of_the_day(env)
        if text:
            self._channel.write(text.replace("\n", "\r\n").encode())

    def _join(self, spawned: Spawned) -> None:
        self._writer = FdWriter(spawned.stdin, self._channel.pause_reading, self._channel.resume_reading)
        self._readers = [FdReader(spawned.stdout, self._channel.write, self._ended)]
        if spawned.stderr >= 0:
            write_stderr = self._channel.write_stderr
            self._readers.append(FdReader(spawned.stderr, write_stderr, self._ended))
        for data in self._early:
            self._writer.write(data)
        self._early = []
        if self._early_eof and self._terminal is None:
            self._writer.close_when_empty()
        if not self._write_paused:
            for reader in self._readers:
                reader.start()
        spawned.exited.add_done_callback(lambda _exited: self._exited())

    def _exited(self) -> None:
        self._drain_terminal()
        self._ended()

    def _drain_terminal(self) -> None:
        """Others may hold the terminal open; the session ends with its process, after its last output."""
        if self._terminal is not None and self._spawned is not None and self._spawned.exited.done():
            for reader in self._readers:
                reader.finish_when_empty()

    def _ended(self) -> None:
        spawned = self._spawned
        if spawned is None or not spawned.exited.done() or not all(reader.ended for reader in self._readers):
            return
        if self._writer is not None and self._terminal is None:
            self._writer.close()
        code = spawned.exited.result()
        if code >= 0:
            self._channel.exit(code)
        else:
            self._channel.exit_with_signal(SIGNAL_NAMES.get(-code, "KILL"), core_dumped=False)
