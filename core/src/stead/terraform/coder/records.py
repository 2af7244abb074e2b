"""Resources that exist in the state alone, and their ids."""

from __future__ import annotations

import secrets
import uuid

from stead.api.provider import BuildContext, Context, Resource, attribute

_NAMESPACE = uuid.UUID("6a6f2a53-8f1c-4f0a-9a0c-3d1b6f1f3c55")


class StateOnly(Resource, virtual=True):
    """A resource that says something to the control plane, which reads it from the state.

    There is nothing behind it to look up, to change or to remove.
    """

    id: str = attribute(computed=True)

    def create(self, context: Context) -> None:
        del context
        self.id = new_id()

    def read(self, context: Context) -> bool:
        del context
        return True

    def delete(self, context: Context) -> None:
        """The state forgets it, and that is all."""


def new_id() -> str:
    """A random UUID, for a resource at its create."""
    return str(uuid.uuid4())


def new_token() -> str:
    """A new agent token: 122 random bits in the form of a UUID, as templates have always passed it on."""
    return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))


def stable_id(build: BuildContext, *parts: str) -> str:
    """The id of a data source: the same in every build of a workspace, so that reading it changes nothing."""
    return str(uuid.uuid5(_NAMESPACE, "\0".join((build.workspace_id, *parts))))
