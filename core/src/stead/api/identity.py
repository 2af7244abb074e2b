"""How an agent without a token proves which machine it runs on.

The agent sends a document that its cloud has signed. The server finds the agent that was provisioned for the
instance which the document claims, and lets the platform's :class:`InstanceIdentity` decide whether the claim is true::

    verifier = spec.identity(settings, replays)
    claimed = verifier.claimed_instance(document)
    expected = verifier.provisioned(claimed, resources of the state of that instance's workspace)
    verifier.verify(document, challenge, expected)

What does not hold is an :class:`IdentityRejected`, and never tells the sender which value was expected. Where an
authority has to be asked and does not answer, it is :class:`stead.api.errors.Unavailable`: worth a retry.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stead.api.errors import NotAuthenticated


class IdentityRejected(NotAuthenticated):
    """A document does not prove what it claims. Nothing in it is to be trusted."""

    reason = "identity_rejected"


class Replays(Protocol):
    """Remembers what was used, across all processes of a deployment."""

    def once(self, key: str, until: float | None) -> bool:
        """True at the first call with this key, and False after it.

        :param until: seconds since the epoch after which the key may be forgotten; ``None`` is never.
        """


class MemoryReplays:
    """:class:`Replays` of one process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._used: dict[str, float | None] = {}

    def once(self, key: str, until: float | None) -> bool:
        with self._lock:
            now = self._clock()
            self._used = {used: end for used, end in self._used.items() if end is None or end > now}
            if key in self._used:
                return False
            self._used[key] = until
            return True


@dataclass(frozen=True)
class ExpectedInstance:
    """What was provisioned, from the resource in the state.

    :param account: account, project or subscription that owns the instance.
    :param region: region or zone, as the platform's documents name it.
    :param role: of the machine, where the platform's documents name one; empty is any.
    """

    instance_id: str
    account: str
    region: str
    role: str = ""


@dataclass(frozen=True)
class Identity:
    """A claim that was proven. ``at``: seconds since the epoch at which the platform signed it."""

    platform: str
    instance_id: str
    account: str
    region: str
    at: float


class InstanceIdentity:
    """What ``PlatformSpec.identity`` returns. Safe for use from several threads."""

    def challenge(self) -> str:
        """What to send to an agent that asks: text of at least 32 random bytes, valid for one attempt and one minute.

        The server keeps it with the time. Platforms whose documents hold a nonce of their own form override this.
        """
        raise NotImplementedError

    def claimed_instance(self, document: bytes) -> str:
        """The id of the instance that ``document`` claims to come from. Not verified: only good to look it up.

        :raises IdentityRejected: the document cannot be read.
        """
        raise NotImplementedError

    def expected(self, type_name: str, attributes: Mapping[str, Any]) -> ExpectedInstance:
        """What a document must say for an instance whose resource in the state has these attributes."""
        raise NotImplementedError

    def provisioned(
        self, instance_id: str, resources: Sequence[tuple[str, Mapping[str, Any]]]
    ) -> ExpectedInstance | None:
        """What a document of this instance must say, from the state that it stands in.

        Platforms that find more in other resources, a role say, override this.

        :param resources: type and attributes of everything that Terraform manages in the workspace.
        :returns: ``None`` where no resource is that instance.
        """
        for type_name, attributes in resources:
            try:
                expected = self.expected(type_name, attributes)
            except IdentityRejected:
                continue  # no machine
            if expected.instance_id.lower() == instance_id.lower():
                return expected
        return None

    def verify(self, document: bytes, challenge: str, expected: ExpectedInstance) -> Identity:
        """Decide whether ``document`` proves that its sender is the expected instance.

        :param challenge: what :meth:`challenge` gave to this sender. A second call with the same one is refused.
        :raises IdentityRejected: it does not.
        :raises stead.api.errors.Unavailable: an authority that must be asked does not answer.
        """
        raise NotImplementedError
