"""What resources share that exist in the state alone."""

from __future__ import annotations

import secrets

from stead.api.provider import Context, Resource


class Virtual(Resource, virtual=True):
    """A resource with nothing behind it to look up or to remove."""

    def read(self, context: Context) -> bool:
        del context
        return True

    def delete(self, context: Context) -> None:
        """The state forgets it, and that is all."""


def random_number() -> str:
    """An id for what has no other name: 63 random bits in decimal."""
    return str(secrets.randbits(63))
