"""``hashicorp/external``: what a program of the template answers."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from stead.api.errors import OperationTimedOut, ProviderFailure, ResourceNotFound
from stead.api.provider import Context, DataSource, Provider, attribute, length
from stead.api.records import NoSettings, ProviderSpec

#: Seconds after which a program is ended, where the build does not end earlier.
TIMEOUT = 300.0
#: Bytes of standard output that are read before the program is ended; the same for standard error.
LARGEST = 4 * 1024 * 1024
_SHOWN = 2000
_ENDING = 5.0


class External(DataSource, name="external"):
    """Runs a program that reads a JSON object and prints one; all values are strings."""

    id: str = attribute(computed=True)
    program: list[str] = attribute(required=True, validators=[length(low=1)])
    working_dir: str | None = attribute(optional=True)
    query: dict[str, str] | None = attribute(optional=True)
    result: dict[str, str] = attribute(computed=True)

    def read(self, context: Context) -> None:
        folder = context.build.resolve(self.working_dir or ".")
        if not folder.is_dir():
            raise ResourceNotFound(f"There is no folder {str(folder)!r}.", field="working_dir")
        question = json.dumps({key: value for key, value in (self.query or {}).items() if value is not None})
        answer = run(context, self._command(context), folder, question.encode())
        self.id = "-"
        self.result = parsed(answer)

    def _command(self, context: Context) -> list[str]:
        program, *arguments = self.program
        # A name with a slash is a path, and starts where all paths of a template do.
        found = shutil.which(str(context.build.resolve(program)) if "/" in program else program)
        if found is None:
            raise ResourceNotFound(
                f"The provisioner has no program {program!r} that it may run.",
                field="program",
                remedy="Install it there, or name it by a path in the template's folder.",
            )
        return [found, *arguments]


class ExternalProvider(Provider, address="hashicorp/external", data_sources=[External]):
    """Programs of the template."""


def external_provider() -> ProviderSpec:
    return ProviderSpec(address="hashicorp/external", title="External programs", factory=_make)


def _make(settings: NoSettings) -> ExternalProvider:
    del settings
    return ExternalProvider()


def parsed(answer: bytes) -> dict[str, str]:
    """The program's answer: an object whose values are strings."""
    try:
        found = json.loads(answer)
    except ValueError as error:
        raise ProviderFailure(f"The program did not print JSON: {error}.", field="program") from None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ProviderFailure("The program must print one JSON object whose values are all strings.", field="program")
    return found


def run(context: Context, command: list[str], folder: Path, question: bytes) -> bytes:
    """Standard output of a program, which gets ``question`` on its standard input.

    The program leads a process group of its own, which is ended with it whatever happens.
    """
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise ProviderFailure(f"Could not start {command[0]!r}: {error.strerror}.", field="program") from error
    try:
        output, errors = _exchange(context, process, question)
        _await_end(process)
    finally:
        _end(process)
    if process.returncode != 0:
        raise ProviderFailure(
            f"{command[0]!r} failed with exit code {process.returncode}: {_tail(errors)}", field="program"
        )
    return output


def _exchange(context: Context, process: subprocess.Popen[bytes], question: bytes) -> tuple[bytes, bytes]:
    """Write the question and read both streams to their end, within the bounds."""
    streams = {process.stdout: bytearray(), process.stderr: bytearray()}
    pending = memoryview(question)
    ends_at = time.monotonic() + TIMEOUT
    with selectors.DefaultSelector() as selector:
        for stream in (*streams, process.stdin):
            os.set_blocking(_descriptor(stream), False)
        selector.register(_descriptor(process.stdin), selectors.EVENT_WRITE, process.stdin)
        for stream in streams:
            selector.register(_descriptor(stream), selectors.EVENT_READ, stream)
        while selector.get_map():
            context.check()
            if time.monotonic() > ends_at:
                raise OperationTimedOut(f"The program did not end within {TIMEOUT:.0f} seconds.", field="program")
            for key, _ in selector.select(timeout=0.2):
                if key.data is process.stdin:
                    pending = _write(selector, key, pending)
                else:
                    _read(selector, key, streams[key.data])
    return bytes(streams[process.stdout]), bytes(streams[process.stderr])


def _write(selector: selectors.BaseSelector, key: selectors.SelectorKey, pending: memoryview) -> memoryview:
    try:
        rest = pending[os.write(key.fd, pending) :] if pending else pending
    except BrokenPipeError:  # the program does not ask
        rest = pending[:0]
    if not rest:
        selector.unregister(key.fd)
        key.data.close()
    return rest


def _read(selector: selectors.BaseSelector, key: selectors.SelectorKey, collected: bytearray) -> None:
    chunk = os.read(key.fd, 65536)
    if not chunk:
        selector.unregister(key.fd)
        return
    collected += chunk
    if len(collected) > LARGEST:
        raise ProviderFailure(f"The program printed more than {LARGEST >> 20} MiB.", field="program")


def _await_end(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end, but leave the program uncollected: its group's number stays its own until then."""
    ends_at = time.monotonic() + _ENDING
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() > ends_at:
            raise OperationTimedOut("The program closed its output and did not end.", field="program")
        time.sleep(0.01)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the program's process group, and collect the program."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=_ENDING)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _descriptor(stream: Any) -> int:
    return int(stream.fileno())


def _tail(errors: bytes) -> str:
    text = errors.decode(errors="replace").strip()
    return text[-_SHOWN:] or "it printed no reason."
