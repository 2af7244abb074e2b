"""Runs the template's scripts: at start all at once, at stop all at once, and by the clock."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import shlex
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from stead_agent.clock import timestamp
from stead_agent.environment import expand_path
from stead_agent.errors import SpawnError
from stead_agent.lifecycle import Lifecycle
from stead_agent.lines import LineSplitter
from stead_agent.log import log
from stead_agent.manifest import Script
from stead_agent.outbox import Outbox
from stead_agent.processes import Spawned, spawn_with_pipes
from stead_agent.pump import FdReader
from stead_agent.ssh.workspace import Gate

KILL_GRACE = 5.0
CANNOT_START = 127
LONGEST_ARGUMENT = 100 * 1024


class Host(Protocol):
    """What running a script needs of the agent."""

    def environment(self) -> dict[str, str]: ...

    def directory(self) -> str: ...

    def user_command(self, command: str) -> list[str]: ...


@dataclass
class Outcome:
    exit_code: int
    timed_out: bool = False


@dataclass
class ScriptRunner:
    """Starts scripts, streams their output and reports how they ended."""

    outbox: Outbox
    host: Host
    run_dir: Path
    _running: set[Spawned] = field(default_factory=set)
    _cron: dict[str, tuple[str, asyncio.Task[None]]] = field(default_factory=dict)

    async def run_on_start(self, scripts: Sequence[Script], gate: Gate) -> Lifecycle:
        """Run the start scripts; logins wait behind ``gate`` for those that ask for it."""
        chosen = [script for script in scripts if script.run_on_start]
        blocking = [script for script in chosen if script.start_blocks_login]
        tasks = {script.id: asyncio.create_task(self.run(script, "start")) for script in chosen}
        if blocking:
            gate.close()
            try:
                await asyncio.gather(*(tasks[script.id] for script in blocking))
            finally:
                gate.release()
        outcomes = await asyncio.gather(*tasks.values())
        return _judge(outcomes, Lifecycle.READY, Lifecycle.START_TIMEOUT, Lifecycle.START_ERROR)

    async def run_on_stop(self, scripts: Sequence[Script]) -> Lifecycle:
        """End what start scripts are still at, then run the stop scripts."""
        for spawned in list(self._running):
            spawned.signal_group(signal.SIGTERM)
        outcomes = await asyncio.gather(*(self.run(script, "stop") for script in scripts if script.run_on_stop))
        return _judge(outcomes, Lifecycle.OFF, Lifecycle.SHUTDOWN_TIMEOUT, Lifecycle.SHUTDOWN_ERROR)

    def schedule_cron(self, scripts: Sequence[Script]) -> None:
        """Run scripts by their schedules from now on; unchanged schedules go on undisturbed."""
        wanted = {script.id: script for script in scripts if script.cron}
        for script_id, (cron, task) in list(self._cron.items()):
            if script_id not in wanted or wanted[script_id].cron != cron:
                task.cancel()
                del self._cron[script_id]
        for script_id, script in wanted.items():
            if script_id not in self._cron:
                self._cron[script_id] = (script.cron, asyncio.create_task(self._run_by_clock(script)))

    async def cancel_cron(self) -> None:
        tasks = [task for _, task in self._cron.values()]
        self._cron.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def run(self, script: Script, stage: str) -> Outcome:
        """Run one script to its end or its time-out and report it."""
        started = timestamp()
        self._say(script, f"Running {script.display_name or 'script'} ...", "debug")
        try:
            outcome = await self._run(script)
        except (SpawnError, OSError) as error:
            self._say(script, str(error), "error")
            outcome = Outcome(CANNOT_START)
        if outcome.timed_out:
            self._say(script, f"The script did not end within {script.timeout} s and was stopped.", "error")
        elif outcome.exit_code:
            self._say(script, f"The script ended with exit code {outcome.exit_code}.", "error")
        report: dict[str, Any] = {"script_id": script.id, "started_at": started, "finished_at": timestamp()}
        report.update(exit_code=outcome.exit_code, stage=stage, timed_out=outcome.timed_out)
        self.outbox.event("script_done", report)
        return outcome

    async def _run(self, script: Script) -> Outcome:
        env = self._environment(script)
        with contextlib.ExitStack() as stack:
            words = self._words(script, stack)
            spawned = spawn_with_pipes(words, env=env, cwd=self.host.directory(), stdin=False)
            self._running.add(spawned)
            drained = self._stream(script, spawned, _open_log(script.log_path, env))
            try:
                done, _ = await asyncio.wait([spawned.exited], timeout=script.timeout or None)
                if not done:
                    return Outcome(await _stop(spawned), timed_out=True)
                # What the script left running may keep its output open: its own last lines are here by now.
                await asyncio.wait([drained], timeout=0.2)
                code = spawned.exited.result()
                return Outcome(code if code >= 0 else 128 - code)
            except asyncio.CancelledError:
                spawned.signal_group(signal.SIGTERM)
                raise
            finally:
                self._running.discard(spawned)

    def _stream(self, script: Script, spawned: Spawned, file: BinaryIO | None) -> asyncio.Future[None]:
        """Pass output on as it comes, for as long as anything holds it open."""
        drained: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        readers: list[FdReader] = []

        def ended() -> None:
            if all(reader.ended for reader in readers):
                if file is not None:
                    file.close()
                if not drained.done():
                    drained.set_result(None)

        for fd, level in ((spawned.stdout, "info"), (spawned.stderr, "error")):
            splitter = LineSplitter(lambda text, level=level: self._say(script, text, level))  # type: ignore[misc]
            readers.append(_log_reader(fd, splitter, file, ended))
        for reader in readers:
            reader.start()
        return drained

    def _say(self, script: Script, text: str, level: str) -> None:
        self.outbox.log(source=script.display_name or "script", script_id=script.id, text=text, level=level)

    def _environment(self, script: Script) -> dict[str, str]:
        env = self.host.environment()
        data = self.run_dir / "script-data" / script.id
        data.mkdir(parents=True, exist_ok=True)
        for prefix in ("CODER", "STEAD"):
            env[f"{prefix}_SCRIPT_DATA_DIR"] = str(data)
            env[f"{prefix}_SCRIPT_BIN_DIR"] = str(self.run_dir / "bin")
        return env

    def _words(self, script: Script, stack: contextlib.ExitStack) -> list[str]:
        """The command line: the user's shell, or what the script's first line names."""
        has_interpreter = script.script.startswith("#!")
        if not has_interpreter and len(script.script.encode()) < LONGEST_ARGUMENT:
            return self.host.user_command(script.script)
        handle, name = tempfile.mkstemp(prefix="script-", dir=self.run_dir)
        stack.callback(lambda: Path(name).unlink(missing_ok=True))
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(script.script)
        if has_interpreter:
            return [*_interpreter(script.script), name]
        return self.host.user_command(f". {shlex.quote(name)}")

    async def _run_by_clock(self, script: Script) -> None:
        cron = importlib.import_module("stead_agent.cron")
        try:
            schedule = cron.Schedule(script.cron)
        except ValueError as error:
            self._say(script, f"The schedule {script.cron!r} cannot be read: {error}.", "error")
            return
        while True:
            await asyncio.sleep(schedule.seconds_to_next())
            await self.run(script, "cron")


def _judge(outcomes: Sequence[Outcome], good: Lifecycle, timeout: Lifecycle, error: Lifecycle) -> Lifecycle:
    if any(outcome.timed_out for outcome in outcomes):
        return timeout
    return error if any(outcome.exit_code for outcome in outcomes) else good


def _interpreter(script: str) -> list[str]:
    """The words of a first line ``#!PROGRAM ARGUMENT``, split once as the kernel does."""
    line = script.splitlines()[0][2:].strip()
    return line.split(None, 1) or ["/bin/sh"]


def _open_log(log_path: str, env: dict[str, str]) -> BinaryIO | None:
    if not log_path:
        return None
    path = (
        expand_path(log_path, env) if log_path.startswith(("/", "~", "$")) else Path(tempfile.gettempdir()) / log_path
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab", buffering=0)
    except OSError as error:
        log.warning("the log file %s cannot be written: %s", path, error.strerror)
        return None


def _log_reader(fd: int, splitter: LineSplitter, file: BinaryIO | None, ended: Any) -> FdReader:
    def data(chunk: bytes) -> None:
        splitter.feed(chunk)
        if file is not None and not file.closed:
            with contextlib.suppress(OSError):
                file.write(chunk)

    def end() -> None:
        splitter.end()
        ended()

    return FdReader(fd, data, end)


async def _stop(spawned: Spawned) -> int:
    spawned.signal_group(signal.SIGTERM)
    done, _ = await asyncio.wait([spawned.exited], timeout=KILL_GRACE)
    if not done:
        spawned.signal_group(signal.SIGKILL)
        await asyncio.wait([spawned.exited], timeout=KILL_GRACE)
    code = spawned.exited.result() if spawned.exited.done() else -signal.SIGKILL
    return code if code >= 0 else 128 - code
