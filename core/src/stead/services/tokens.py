"""API tokens of people."""

from __future__ import annotations

from datetime import timedelta

from stead.api.errors import Conflict, Forbidden, InvalidInput, NotFound
from stead.domain import names, rbac
from stead.domain.records import Actor, Token
from stead.services import rights, secrets, users
from stead.services.core import Core, new_id
from stead.store import credentials

DEFAULT_LIFETIME = 30 * 86400.0
SCOPE = "all"  # of tokens that people make; those of workspaces are none of them


def create(core: Core, actor: Actor, name: str, lifetime: float | None = None) -> tuple[Token, str]:
    """A token of the actor's own; the secret is shown this once.

    :param lifetime: seconds until it expires, 30 days by default.
    """
    rbac.require(actor, rbac.Resource.TOKEN, rbac.Action.CREATE, actor.user_id)
    seconds = DEFAULT_LIFETIME if lifetime is None else float(lifetime)
    longest = core.settings.token_lifetime_max
    if not 0 < seconds <= longest:
        raise InvalidInput(f"A token lives more than 0 and at most {longest / 86400:g} days.", field="lifetime")
    now = core.clock.now()
    token = Token(
        id=new_id(),
        user_id=actor.user_id,
        name=_check_name(name),
        scope=SCOPE,
        created_at=now,
        expires_at=now + timedelta(seconds=seconds),
    )
    secret, digest = secrets.make(token.id)
    with core.change(actor) as change:
        _refuse_bound(actor)
        if credentials.token_named(actor.user_id, token.name) is not None:
            raise Conflict(f"You have a token named {token.name} already.", field="name")
        credentials.insert_token(token, digest)
        change.record("created", "token", token.id, token.name)
    return token, secret


def _refuse_bound(actor: Actor) -> None:
    """Within a transaction: a workspace's token must not become one that may do more, and lives on."""
    used = credentials.token(actor.token_id) if actor.token_id else None
    if used is not None and used.token.scope != SCOPE:
        raise Forbidden("A workspace's token makes no other tokens.", remedy="Sign in with `stead login`.")


def _check_name(name: str) -> str:
    stripped = name.strip()
    if not stripped:
        raise InvalidInput("The token needs a name.", field="name")
    return names.check_text(stripped, "name", 64)


def list(core: Core, actor: Actor, user: str = "me") -> tuple[Token, ...]:  # noqa: A001
    owner = users.get(core, actor, user)
    rbac.require(actor, rbac.Resource.TOKEN, rbac.Action.READ, owner.id)
    with core.database.read():
        return tuple(token for token in credentials.tokens_of(owner.id) if token.scope == SCOPE)


def delete(core: Core, actor: Actor, ref: str) -> None:
    """End a token, by its id or the name of one of the actor's own."""
    with core.database.read():
        by_id = credentials.token(ref)
        token = by_id.token if by_id else credentials.token_named(actor.user_id, ref)
    if token is None or not rbac.allows(actor, rbac.Resource.TOKEN, rbac.Action.DELETE, token.user_id):
        raise NotFound(f"There is no token {ref}.")
    with core.change(actor) as change:
        credentials.delete_token(token.id)
        rights.look_again(change, token.user_id)
        change.record("deleted", "token", token.id, token.name)
