"""What the parts of the gateway share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stead.api.errors import InvalidInput, RateLimited
from stead.domain.states import Path
from stead.gateway.calls import ServiceCalls
from stead.network.relay import Admission, Relay
from stead.network.relay.admission import parse_key
from stead.network.streams import StreamPool
from stead.network.tunnel import TunnelServer
from stead.services.core import Core

if TYPE_CHECKING:
    from stead.gateway.moves import Moves
    from stead.gateway.rpc import AgentRpc

logger = logging.getLogger(__name__)

RELAYED_WITHIN = 12.0  # seconds: parked streams beat every five
SHARED_HEARTBEAT = "shared-heartbeat"  # what agents say that can do with one ping for all streams of a tunnel


@dataclass
class Quota:
    """Bounds how many of a thing one user has open at a time."""

    most: int
    _open: dict[str, int] = field(default_factory=dict)

    def enter(self, user_id: str, what: str) -> Callable[[], None]:
        """Count one in; returns what counts it out again.

        :raises RateLimited: the user has as many as there may be.
        """
        if self._open.get(user_id, 0) >= self.most:
            raise RateLimited(f"You have {self.most} {what} open.", remedy="Close some of them.")
        self._open[user_id] = self._open.get(user_id, 0) + 1

        def leave() -> None:
            self._open[user_id] -= 1
            if not self._open[user_id]:
                del self._open[user_id]

        return leave


class Gateway:
    """The live half of a server process: relay, tunnel, streams, and the calls into services.

    :param stun_port: UDP port under which clients reach the STUN server, None where there is none.
    :param certificate_digest: of a self-signed certificate that tunnel clients have to pin.
    :param certificate_pem: that certificate, for clients that want to trust it as an authority.
    """

    def __init__(
        self,
        core: Core,
        *,
        stun_port: int | None = None,
        certificate_digest: str | None = None,
        certificate_pem: str | None = None,
    ) -> None:
        self.core = core
        self.calls = ServiceCalls()
        self.admission = Admission()
        self.relay = Relay(self.admission)
        self.streams = StreamPool(
            is_relayed=self._is_relayed, gone=self.admission.revoke, answers_for_all=self._answers_for_all
        )
        self.tunnel: TunnelServer | None = None
        self.stun_port = stun_port
        self.certificate_digest = certificate_digest
        self.certificate_pem = certificate_pem
        self.rpc: AgentRpc | None = None
        self.moves: Moves
        self.closers: list[Callable[[], object]] = []  # of what routes have opened for themselves
        self.closing = asyncio.Event()
        self.event_streams = Quota(64)
        self.person_streams = Quota(512)

    def admit_key(self, agent_id: str, text: object) -> None:
        """Let an agent's tunnel key into the relay.

        :raises InvalidInput: it is no key, or another agent's.
        """
        try:
            self.admission.admit(agent_id, parse_key(str(text)))
        except ValueError as error:
            raise InvalidInput(f"The tunnel key can't be admitted: {error}.", field="tunnel_key") from None

    def path(self, agent_id: str) -> Path | None:
        """How this agent's streams travel now."""
        route = self.streams.path(agent_id)
        return Path(route.value) if route is not None else None

    def close(self) -> None:
        self.closing.set()
        self.streams.close()
        self.relay.shutdown()
        for closer in self.closers:
            closer()

    def _answers_for_all(self, agent_id: str) -> bool:
        return self.rpc is not None and self.rpc.can(agent_id, SHARED_HEARTBEAT)

    def _is_relayed(self, agent_id: str) -> bool:
        now = asyncio.get_running_loop().time()
        carried = (self.relay.last_carried(key) for key in self.admission.keys(agent_id))
        return any(at is not None and now - at < RELAYED_WITHIN for at in carried)
