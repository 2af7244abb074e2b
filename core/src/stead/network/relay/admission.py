"""Which keys may use the relay: those that were registered, each by an owner, and nobody else."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

KEY_PREFIX = "nodekey:"


def parse_key(text: str) -> bytes:
    """The 32 bytes of ``nodekey:HEX``.

    :raises ValueError: it is something else.
    """
    if not text.startswith(KEY_PREFIX) or len(text) != len(KEY_PREFIX) + 64:
        raise ValueError("a tunnel key is `nodekey:` and 64 hexadecimal digits")
    return bytes.fromhex(text[len(KEY_PREFIX) :])


class Admission:
    """The keys that are admitted now.

    An owner (an agent, the tunnel server) holds its last ``keep`` keys: the one in use and the one before,
    whose connections may still be ending.

    :param on_revoked: called with each key that is no longer admitted.
    """

    def __init__(self, keep: int = 2, on_revoked: Callable[[bytes], None] | None = None) -> None:
        self._keep = keep
        self._owner_of: dict[bytes, str] = {}
        self._keys_of: dict[str, deque[bytes]] = {}
        self.on_revoked = on_revoked

    def admit(self, owner: str, key: bytes) -> None:
        """Let ``key`` in for ``owner``.

        :raises ValueError: another owner has the key; nobody can take over an identity by naming it.
        """
        holder = self._owner_of.get(key)
        if holder is not None and holder != owner:
            raise ValueError("this tunnel key belongs to another agent")
        keys = self._keys_of.setdefault(owner, deque())
        if holder == owner:
            keys.remove(key)
        keys.append(key)
        self._owner_of[key] = owner
        while len(keys) > self._keep:
            self._drop(keys.popleft())

    def revoke(self, owner: str) -> None:
        for key in self._keys_of.pop(owner, ()):
            self._drop(key)

    def is_admitted(self, key: bytes) -> bool:
        return key in self._owner_of

    def keys(self, owner: str) -> tuple[bytes, ...]:
        """Oldest first; the last is the one in use."""
        return tuple(self._keys_of.get(owner, ()))

    def _drop(self, key: bytes) -> None:
        del self._owner_of[key]
        if self.on_revoked is not None:
            self.on_revoked(key)
