"""The browsers in which somebody is signed in: to be seen, and to be signed out from elsewhere."""

from __future__ import annotations

from stead.api.errors import NotFound
from stead.domain import rbac
from stead.domain.records import Actor, Session
from stead.services import rights, users
from stead.services.core import Core
from stead.store import credentials


def list(core: Core, actor: Actor, user: str = "me") -> tuple[Session, ...]:  # noqa: A001
    """Somebody's sessions, last used first."""
    owner = users.get(core, actor, user)
    rbac.require(actor, rbac.Resource.USER, rbac.Action.UPDATE, owner.id)
    with core.database.read():
        return tuple(credentials.sessions_of(owner.id, core.clock.now()))


def end(core: Core, actor: Actor, session_id: str, user: str = "me") -> None:
    """Sign a browser out."""
    owner = users.get(core, actor, user)
    rbac.require(actor, rbac.Resource.USER, rbac.Action.UPDATE, owner.id)
    with core.change(actor) as change:
        found = credentials.session(session_id)
        if found is None or found.user_id != owner.id:
            raise NotFound("There is no such session.")
        credentials.delete_session(session_id)
        rights.look_again(change, owner.id)
        change.record("signed out", "session", session_id, owner.username)


def end_others(core: Core, actor: Actor, user: str = "me", *, but: str | None = None) -> None:
    """Sign all browsers out, but one."""
    owner = users.get(core, actor, user)
    rbac.require(actor, rbac.Resource.USER, rbac.Action.UPDATE, owner.id)
    with core.change(actor) as change:
        credentials.delete_sessions_of(owner.id, but=but)
        rights.look_again(change, owner.id)
        change.record("signed out everywhere", "user", owner.id, owner.username)
