"""The control plane's end of all tunnels: one supervised ``tailcat serve`` with a saved key."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stead.network.children import Backoff, Child, Command, Supervisor
from stead.network.relay import Admission
from stead.network.tailcat import RelayAccess, SavedKey, Tailcat, TailcatUnavailable

logger = logging.getLogger(__name__)

OWNER = "tunnel-server"
READY_TIMEOUT = 20.0


@dataclass(frozen=True)
class TunnelAddress:
    """What an agent dials. ``address`` is a secret: it must not appear in a log or an error.

    :param port: the port inside the tunnel, and on our loopback interface.
    """

    address: str
    port: int

    def __repr__(self) -> str:
        return f"TunnelAddress(address=[hidden], port={self.port})"


class TunnelServer:
    """Runs ``tailcat serve PORT``, which ends at our own loopback listener on the same port.

    :param folder: private folder for the key and the process's home.
    :param changed: called whenever :attr:`address` changed.
    """

    def __init__(
        self,
        tailcat: Tailcat,
        *,
        folder: Path,
        port: int,
        relay: RelayAccess,
        admission: Admission,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.address: TunnelAddress | None = None
        self.key: SavedKey | None = None
        self._tailcat = tailcat
        self._folder = folder
        self._port = port
        self._relay = relay
        self._admission = admission
        self._changed = changed
        self._ready = asyncio.Event()
        self._supervisor = Supervisor(
            "tunnel", self._command, started=self._await_address, ended=self._lost, backoff=Backoff(most=5.0)
        )

    @property
    def process_id(self) -> int | None:
        child = self._supervisor.child
        return child.process.pid if child is not None else None

    async def start(self) -> None:
        """Prepare the key and start the process; does not wait for it."""
        self.key = await asyncio.to_thread(self._tailcat.server_key, self._folder / "server.private.json")
        self._admission.admit(OWNER, self.key.public)
        self._supervisor.start()

    async def wait_ready(self, patience: float = READY_TIMEOUT) -> TunnelAddress:
        try:
            await asyncio.wait_for(self._ready.wait(), patience)
        except TimeoutError:
            raise TailcatUnavailable(f"The tunnel did not come up within {patience:g} s.") from None
        assert self.address is not None  # noqa: S101 - _ready says so
        return self.address

    async def stop(self) -> None:
        await self._supervisor.stop()
        self._admission.revoke(OWNER)

    @property
    def _address_file(self) -> Path:
        return self._folder / "address"

    async def _command(self) -> Command:
        if self.key is None:
            raise TailcatUnavailable("The tunnel has no key yet.")
        home = self._folder / "home"
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._address_file.unlink(missing_ok=True)
        environment = self._tailcat.environment(home, self._relay, self._address_file)
        return Command("tunnel", self._tailcat.serve(self.key, self._port), environment)

    async def _await_address(self, child: Child) -> None:
        deadline = asyncio.get_running_loop().time() + READY_TIMEOUT
        while child.process.returncode is None:
            with contextlib.suppress(FileNotFoundError):
                text = self._address_file.read_text().strip()
                if text.startswith("tc"):
                    self._found(text)
                    return
            if asyncio.get_running_loop().time() > deadline:
                raise TailcatUnavailable(f"The tunnel wrote no address within {READY_TIMEOUT:g} s.")
            await asyncio.sleep(0.02)

    def _found(self, address: str) -> None:
        self._address_file.unlink(missing_ok=True)
        self.address = TunnelAddress(address, self._port)
        self._ready.set()
        logger.info("the tunnel is up")
        self._changed()

    def _lost(self) -> None:
        self._ready.clear()
        if self.address is not None:
            self.address = None
            self._changed()
