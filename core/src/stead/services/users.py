"""People: their accounts, roles, passwords and SSH keys."""

from __future__ import annotations

from collections.abc import Iterable

from stead.api.errors import Conflict, Forbidden, InvalidInput, NotAuthenticated, NotFound
from stead.domain import names, rbac
from stead.domain.records import Actor, Page, User
from stead.domain.states import Role
from stead.services import authentication, password_policy, rights, secrets, ssh
from stead.services.core import SYSTEM, Core, new_id
from stead.services.ssh import SshKeys
from stead.store import users as store

LARGEST_PAGE = 1000


def page_bounds(limit: int, offset: int) -> tuple[int, int]:
    """``limit`` and ``offset`` of a listing within what is served."""
    return max(1, min(limit, LARGEST_PAGE)), max(0, offset)


def create(
    core: Core,
    actor: Actor,
    username: str,
    email: str,
    password: str,
    name: str = "",
    roles: Iterable[Role] = (),
) -> User:
    """Make an account. Everybody is at least a member."""
    rbac.require(actor, rbac.Resource.USER, rbac.Action.CREATE)
    wanted = _roles(actor, roles)
    user = User(
        id=new_id(),
        username=names.check_username(username),
        email=names.check_email(email),
        name=names.check_text(name, "name", 128),
        roles=wanted,
        status="active",
        login_type="password",
        created_at=core.clock.now(),
    )
    password_hash = secrets.hash_password(password_policy.check(core, password, user.username, user.email, user.name))
    with core.change(actor) as change:
        core.database.lock("users")
        _refuse_taken(user)
        store.insert(user, password_hash)
        change.record("created", "user", user.id, user.username, after=_audited(user))
        change.event("user.created", id=user.id, username=user.username)
    return user


def _refuse_taken(user: User) -> None:
    if store.by_login(user.username) is not None:
        raise Conflict(f"The username {user.username} is taken.", field="username", remedy="Choose another one.")
    if store.by_login(user.email) is not None:
        raise Conflict("There is an account with this e-mail address already.", field="email")


def _roles(actor: Actor, roles: Iterable[Role]) -> tuple[Role, ...]:
    try:
        wanted = {Role(role) for role in roles} or {Role.MEMBER}
    except ValueError as error:
        known = ", ".join(role.value for role in Role)
        raise InvalidInput(f"There is no such role: {error}.", field="roles", remedy=f"Known: {known}.") from None
    if not rbac.assignable(actor, wanted - {Role.MEMBER}) and wanted != {Role.MEMBER}:
        raise Forbidden("You may not give these roles.", remedy="Ask an owner.")
    return tuple(role for role in Role if role in wanted)


def _audited(user: User) -> dict[str, object]:
    return {"email": user.email, "roles": [role.value for role in user.roles], "status": user.status}


def resolve(core: Core, actor: Actor, ref: str) -> User:
    """The user of an id, a username, an e-mail address, or ``me``; no permission is checked."""
    with core.database.read():
        user = store.by_id(actor.user_id) if ref == "me" else store.by_ref(ref)
    if user is None:
        raise NotFound(f"There is no user {ref}.")
    return user


def get(core: Core, actor: Actor, ref: str) -> User:
    user = resolve(core, actor, ref)
    if not rbac.allows(actor, rbac.Resource.USER, rbac.Action.READ, user.id):
        raise NotFound(f"There is no user {ref}.")
    return user


def list(core: Core, actor: Actor, search: str = "", limit: int = 50, offset: int = 0) -> Page:  # noqa: A001
    """Users by name. Who may not see all sees only themselves."""
    if not rbac.allows(actor, rbac.Resource.USER, rbac.Action.READ):
        return Page(items=(get(core, actor, "me"),), total=1)
    limit, offset = page_bounds(limit, offset)
    with core.database.read():
        found, total = store.page(search, limit, offset)
    return Page(items=tuple(found), total=total)


def set_status(core: Core, actor: Actor, ref: str, status: str) -> User:
    """Suspend or activate. A suspended user's sessions and tokens end at once."""
    if status not in ("active", "suspended"):
        raise InvalidInput("The status is active or suspended.", field="status")
    user = get(core, actor, ref)
    require_any(actor, rbac.Action.UPDATE)
    with core.change(actor) as change:
        user = held(core, actor, user)
        if status == "suspended":
            _keep_an_owner(core, user)
            rights.end(change, user.id)
        store.update(user.id, status=status)
        change.record(
            "suspended" if status == "suspended" else "activated",
            "user",
            user.id,
            user.username,
            before={"status": user.status},
            after={"status": status},
        )
    return resolve(core, actor, user.id)


def set_roles(core: Core, actor: Actor, ref: str, roles: Iterable[Role]) -> User:
    """Replace a user's roles."""
    user = get(core, actor, ref)
    require_any(actor, rbac.Action.ASSIGN)
    wanted = _roles(actor, roles)
    with core.change(actor) as change:
        user = held(core, actor, user)
        if Role.OWNER not in wanted:
            _keep_an_owner(core, user)
        store.replace_roles(user.id, wanted)
        change.record(
            "changed roles",
            "user",
            user.id,
            user.username,
            before={"roles": [role.value for role in user.roles]},
            after={"roles": [role.value for role in wanted]},
        )
    return resolve(core, actor, user.id)


def set_password(
    core: Core, actor: Actor, ref: str, old: str | None, new: str, *, keep_session: str | None = None
) -> None:
    """Change a password: one's own with the old one, others' without, where the actor may.

    All sessions and tokens of the user end.

    :param keep_session: id of the session in which it is changed: it stays.
    :raises RateLimited: too many wrong passwords were given for the old one.
    """
    user = get(core, actor, ref)
    own = user.id == actor.user_id
    if not own:
        require_any(actor, rbac.Action.UPDATE)
    if user.provider:
        raise Conflict(
            f"{user.username} signs in with {user.provider} and has no password here.",
            remedy="Make it an account with a password first.",
        )
    if own:
        _prove(core, user, old or "", actor.address)
    password_hash = secrets.hash_password(password_policy.check(core, new, user.username, user.email, user.name))
    with core.change(actor) as change:
        held(core, actor, user)
        store.update(user.id, password_hash=password_hash)
        rights.end(change, user.id, but_session=keep_session)
        change.record("changed password", "user", user.id, user.username)


def _prove(core: Core, user: User, password: str, address: str) -> None:
    """Guesses count, too, where somebody has a session or a token already: it may be a stolen one."""
    try:
        authentication.verify_password(core, user.username, password, address)
    except NotAuthenticated as error:
        raise InvalidInput("The old password is wrong.", field="old") from error


def update(core: Core, actor: Actor, ref: str, name: str | None = None, email: str | None = None) -> User:
    """Change the display name or the e-mail address."""
    user = get(core, actor, ref)
    rbac.require(actor, rbac.Resource.USER, rbac.Action.UPDATE, user.id)
    values: dict[str, str] = {}
    if name is not None:
        values["name"] = names.check_text(name, "name", 128)
    if email is not None and names.check_email(email) != user.email:
        values["email"] = names.check_email(email)
    if values:
        with core.change(actor) as change:
            user = held(core, actor, user)
            if "email" in values and store.by_login(values["email"]) is not None:
                raise Conflict("There is an account with this e-mail address already.", field="email")
            store.update(user.id, **values)
            before = {field: getattr(user, field) for field in values}
            change.record("updated", "user", user.id, user.username, before=before, after=values)
    return resolve(core, actor, user.id)


def ssh_keys(core: Core, actor: Actor, ref: str = "me") -> SshKeys:
    """The key pair that templates read as the owner's; it is made at first use."""
    user = get(core, actor, ref)
    if actor.user_id not in {user.id, SYSTEM.user_id}:
        raise Forbidden("Only its owner may read an SSH key.")
    with core.database.read():
        pair = store.key_pair(user.id)
    if pair is None:
        made = ssh.generate(user.email)
        sealed = core.keyring.seal(f"user-key:{user.id}", made.private_key.encode())
        with core.database.write():
            store.insert_key_pair(user.id, store.KeyPair(made.public_key, sealed), core.clock.now())
            pair = store.key_pair(user.id)
    if pair is None:
        raise NotFound(f"There is no user {ref}.")
    private = core.keyring.open(f"user-key:{user.id}", pair.sealed).decode()
    return SshKeys(pair.public_key, private)


def require_any(actor: Actor, action: rbac.Action) -> None:
    """
    :raises Forbidden: the actor may not do this to everybody's account.
    """
    if rbac.scope_of(actor.roles, rbac.Resource.USER, action) is not rbac.Scope.ANY:
        raise Forbidden("You may not change accounts.", remedy="Ask a user administrator.")


def held(core: Core, actor: Actor, found: User) -> User:
    """Within a transaction: the account as it is now, and until its end.

    A user administrator must not take over the account of an owner, or of who may author templates.
    """
    core.database.lock("users")
    user = store.by_id(found.id)
    if user is None:
        raise NotFound(f"There is no user {found.username}.")
    if user.id != actor.user_id and not rbac.is_as_mighty(actor, user.roles):
        raise Forbidden("Only an owner may change this account: it may do more than yours.")
    return user


def _keep_an_owner(core: Core, user: User) -> None:
    """Within a transaction: refuse what would leave no active owner who has a way in."""
    providers = [one.name for one in core.identity]
    if Role.OWNER not in user.roles or user.status != "active":
        return
    if not store.other_owner_with_a_way_in(user.id, providers):
        raise Conflict("This is the last active owner.", remedy="Make somebody else an owner first.")
