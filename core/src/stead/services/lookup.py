"""Finding a workspace by what people call it."""

from __future__ import annotations

from stead.api.errors import NotFound
from stead.domain import rbac
from stead.domain.records import Actor, Workspace
from stead.services import live
from stead.services.core import Core
from stead.store import users as user_store
from stead.store import workspaces as store


def workspace(core: Core, actor: Actor, ref: str) -> Workspace:
    """A workspace by id, ``NAME`` (the actor's own) or ``OWNER/NAME``, with what is live about its agents."""
    with core.database.read():
        stored = _find(actor, ref)
    if stored is None or not rbac.allows(actor, rbac.Resource.WORKSPACE, rbac.Action.READ, stored.owner_id):
        raise NotFound(f"There is no workspace {ref}.", remedy="`stead list` shows yours.")
    return live.workspace(core, stored)


def _find(actor: Actor, ref: str) -> Workspace | None:
    owner, slash, name = ref.partition("/")
    if slash:
        user_id: str | None = actor.user_id
        if owner != "me":
            user = user_store.by_ref(owner)
            user_id = user.id if user else None
        return store.by_name(user_id, name) if user_id else None
    return store.by_id(ref) or store.by_name(actor.user_id, ref)
