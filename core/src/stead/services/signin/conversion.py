"""From a password of Stead's own to an identity provider, by the account's owner; and back, by an administrator."""

from __future__ import annotations

from stead.api.errors import Conflict, Forbidden, InvalidInput, NotFound
from stead.api.signin import Credentials, Person, Trace
from stead.domain import rbac
from stead.domain.names import folded
from stead.domain.records import Actor, User
from stead.domain.states import Role
from stead.services import authentication, password_policy, rights, secrets, users
from stead.services.core import SYSTEM, Core
from stead.services.signin import accounts, sync
from stead.services.signin.providers import Configured
from stead.store import credentials, factors, groups
from stead.store import signin as store
from stead.store import users as user_store


def prove(core: Core, actor: Actor, name: str, password: str, address: str) -> Configured:
    """The provider to tie the actor's account to, once they have shown that the account is theirs.

    :raises NotAuthenticated: the password is not that of the account.
    :raises Conflict: the account must keep its password.
    """
    configured = core.identity.get(name)
    if not configured.settings.link_by_owner:
        raise Forbidden(f"Accounts are tied to {configured.title} by administrators only.")
    user = users.get(core, actor, "me")
    if user.provider:
        raise Conflict(f"You sign in with {user.provider} already.")
    proven = authentication.verify_password(core, user.username, password, address)
    if proven.id != actor.user_id:
        raise Forbidden("This is not your account.")
    with core.database.read():
        _keep_a_password(user)
    return configured


def _keep_a_password(user: User) -> None:
    """Within a transaction: the last owner with a password keeps it, for the day when the provider is away."""
    if Role.OWNER in user.roles and not user_store.other_owner_with_a_way_in(user.id, (), local=True):
        raise Conflict(
            "You are the last owner with a password, which is the way in when the provider is away.",
            remedy="Make another owner with a password first.",
        )


def verify(configured: Configured, username: str, password: str) -> Person:
    """Somebody at a provider that checks passwords, to be tied to.

    :raises AuthenticationFailed: it is not them.
    """
    if configured.credentials is None or not password:
        raise InvalidInput("The password there is missing.", field="provider_password")
    person = configured.ask_person(configured.credentials.verify, Credentials(username, password, Trace()))
    if person is None:
        raise InvalidInput(f"{configured.title} knows nobody of this name.", field="provider_username")
    return person


def link(core: Core, actor: Actor, configured: Configured, person: Person, *, keep_session: str | None) -> User:
    """Tie the actor's account to somebody at a provider, who signs in there from now on; the password goes.

    :param keep_session: id of the session that stays; all others end.
    """
    with core.change(actor) as change:
        core.database.lock("users")
        user = user_store.by_id(actor.user_id)
        if user is None:
            raise NotFound("This account does not exist any more.")
        _keep_a_password(user)
        if store.link_of(configured.name, person.issuer, person.subject) is not None:
            raise Conflict(
                f"This account at {configured.title} is tied to another account here.",
                remedy="Sign in with it instead, or ask an administrator.",
            )
        if store.link_of_user(user.id) is not None:
            raise Conflict("Your account is tied to a provider already.")
        accounts.tie(core, user.id, configured, person)
        factors.delete_all(user.id)
        user_store.update(user.id, password_hash=None, login_type="federated", provider=configured.name)
        credentials.delete_sessions_of(user.id, but=keep_session)
        rights.look_again(change, user.id)
        change.record(
            "tied to a provider",
            "user",
            user.id,
            user.username,
            before={"login_type": user.login_type},
            after={"login_type": "federated", "provider": configured.name},
        )
        sync.apply(core, change, configured, user, person, Trace())
    return users.resolve(core, actor, user.id)


def to_password(core: Core, actor: Actor, ref: str, password: str) -> User:
    """Make a federated account one with a password; what it has open ends."""
    user = users.get(core, actor, ref)
    users.require_any(actor, rbac.Action.UPDATE)
    password_hash = secrets.hash_password(password_policy.check(core, password, user.username, user.email, user.name))
    with core.change(actor) as change:
        user = users.held(core, actor, user)
        if not user.provider:
            raise Conflict(f"{user.username} has a password already.", remedy="Set another one instead.")
        store.delete_link(user.id)
        groups.leave_all(user.id, user.provider)
        user_store.update(user.id, password_hash=password_hash, login_type="password", provider="")
        rights.end(change, user.id)
        change.record(
            "given a password",
            "user",
            user.id,
            user.username,
            before={"login_type": user.login_type, "provider": user.provider},
            after={"login_type": "password"},
        )
    return users.resolve(core, actor, user.id)


def recover(core: Core, ref: str, password: str) -> User:
    """Make somebody an active owner with a password, whatever they were: for whoever has the server's shell."""
    user = users.resolve(core, SYSTEM, ref)
    if user.provider:
        to_password(core, SYSTEM, user.id, password)
    else:
        users.set_password(core, SYSTEM, user.id, None, password)
    with core.database.write():
        factors.delete_all(user.id)
    users.set_status(core, SYSTEM, user.id, "active")
    users.set_roles(core, SYSTEM, user.id, {*user.roles, Role.OWNER})
    with core.database.write():
        credentials.forget_failures(folded(user.username))
        credentials.forget_failures(folded(user.email))
    return users.resolve(core, SYSTEM, user.id)
