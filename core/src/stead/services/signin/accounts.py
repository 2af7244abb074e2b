"""From somebody whom a provider knows to an account: the one that is tied to them, or a new one.

Issuer and subject decide, and nothing else. An equal e-mail address or name at another provider is somebody else.
"""

from __future__ import annotations

import json
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace

from stead.api.errors import InvalidInput
from stead.api.signin import Link, Person, Trace
from stead.domain import names
from stead.domain.membership import matcher
from stead.domain.records import Actor, User
from stead.domain.states import Role
from stead.services.core import SYSTEM, Change, Core, new_id
from stead.services.signin import sync
from stead.services.signin.providers import Configured
from stead.services.signin.record import Refused
from stead.store import groups as group_store
from stead.store import signin as store
from stead.store import users as user_store

LONGEST_SUFFIX = 99
NOWHERE = "invalid"  # the top-level domain that exists nowhere, for accounts without a verified address


class WaitsForApproval(Refused):
    """Who signed up has to be let in by an administrator."""

    reason = "waits_for_approval"


@dataclass(frozen=True)
class Admission:
    """What the sign-up policy says of somebody who has no account."""

    allowed: bool
    pending: bool
    reason: str


@dataclass(frozen=True)
class Preview:
    """What somebody would get, for the page and the command that test a provider.

    :param enters: whether they would be let in.
    :param account: username of the account, or the one that a new account would have.
    :param groups: ``None`` where the provider cannot say: what the account has stays.
    """

    enters: bool
    reason: str
    account: str
    is_new: bool
    email: str
    roles: tuple[Role, ...]
    groups: tuple[str, ...] | None


def admission(configured: Configured, person: Person) -> Admission:
    """Whether somebody without an account gets one."""
    settings = configured.settings
    if settings.sign_up == "closed":
        allowed, reason = False, "Sign-up is closed: only people who have an account may come in."
    elif settings.sign_up == "domains":
        allowed, reason = _by_domain(settings.sign_up_domains, person)
    elif settings.sign_up == "groups":
        found = [name for name in person.groups or () if matcher(settings.sign_up_groups)(name)]
        allowed = bool(found)
        reason = f"They are in {found[0]}." if found else "They are in none of the groups that may sign up."
    else:
        allowed, reason = True, "Sign-up is open to everybody whom the provider lets in."
    return Admission(allowed, allowed and settings.approval, reason)


def _by_domain(domains: list[str], person: Person) -> tuple[bool, str]:
    domain = person.email.rpartition("@")[2].lower()
    if not person.email_verified:
        return False, "Their e-mail address is not verified by the provider."
    if domain in domains:
        return True, f"Their e-mail address is of {domain}."
    return False, f"The domain {domain or 'of no address'} may not sign up."


def enter(core: Core, configured: Configured, person: Person, trace: Trace, address: str) -> User:
    """The account of a person who has just signed in; made, where the policy allows it.

    :raises Refused: they must not come in; the detail says why.
    """
    actor = Actor(SYSTEM.user_id, SYSTEM.username, SYSTEM.roles, address=address)
    with core.change(actor) as change:
        core.database.lock("users")
        link = store.link_of(configured.name, person.issuer, person.subject)
        user = user_store.by_id(link.user_id) if link else None
        if link is None or user is None:
            user = _sign_up(core, change, configured, person, trace)
        else:
            trace.note("Account", f"{user.username}, tied to this subject")
            user = _refresh(core, change, configured, user, person, trace, link)
    # Outside: what was just written about them is to stay, whether or not they may come in.
    return require_active(user)


def require_active(user: User) -> User:
    if user.status == "pending":
        raise WaitsForApproval(
            "Your account waits for approval.",
            detail=f"{user.username} waits for approval",
            remedy="An administrator has to let you in. Try again later.",
        )
    if user.status != "active":
        raise Refused(
            "Your account is suspended.", detail=f"{user.username} is suspended", remedy="Ask an administrator."
        )
    return user


def _refresh(
    core: Core,
    change: Change,
    configured: Configured,
    user: User,
    person: Person,
    trace: Trace,
    link: store.StoredLink,
) -> User:
    now = core.clock.now()
    store.update_link(link.id, signed_in_at=now, checked_at=now, problem=None, **told(core, link.id, person))
    update_profile(change, user, person)
    return sync.apply(core, change, configured, user, person, trace)


def told(core: Core, link_id: str, person: Person) -> dict[str, object]:
    """The columns of a tie that follow what the provider says."""
    return {
        "username": person.username[:255],
        "email": person.email[:254],
        "session": person.session[:255],
        "kept": seal(core, link_id, person),
    }


def seal(core: Core, link_id: str, person: Person) -> bytes:
    return core.keyring.seal(f"identity-link:{link_id}", json.dumps(dict(person.kept)).encode())


def link_record(core: Core, stored: store.StoredLink) -> Link:
    """What a provider is asked with."""
    kept = json.loads(core.keyring.open(f"identity-link:{stored.id}", stored.kept))
    return Link(stored.issuer, stored.subject, stored.username, stored.email, stored.session, kept)


def update_profile(change: Change, user: User, person: Person) -> None:
    """Within a transaction: name and verified address follow the provider, unless another account has the address."""
    values: dict[str, str] = {}
    name = _display_name(person)
    if name and name != user.name:
        values["name"] = name
    email = _email(person)
    if email and email != user.email and user_store.by_login(email) is None:
        values["email"] = email
    if values:
        before = {key: getattr(user, key) for key in values}
        user_store.update(user.id, **values)
        change.record("updated", "user", user.id, user.username, before=before, after=values)


def tie(core: Core, user_id: str, configured: Configured, person: Person) -> None:
    """Within a transaction: from now on, whoever is this subject is this user."""
    now, link_id = core.clock.now(), new_id()
    store.insert_link(
        store.StoredLink(
            id=link_id,
            user_id=user_id,
            provider=configured.name,
            issuer=person.issuer,
            subject=person.subject,
            username=person.username[:255],
            email=person.email[:254],
            session=person.session[:255],
            kept=seal(core, link_id, person),
            created_at=now,
            signed_in_at=now,
            checked_at=now,
        )
    )


def _sign_up(core: Core, change: Change, configured: Configured, person: Person, trace: Trace) -> User:
    decision = admission(configured, person)
    trace.note("Sign-up", decision.reason, ok=decision.allowed)
    if not decision.allowed:
        raise Refused(
            "There is no account for you here.",
            detail=decision.reason,
            remedy="Ask an administrator to let you in. If you have an account with a password, sign in with it"
            " and tie it to this provider in your settings.",
        )
    email = _email(person)
    if email and user_store.by_login(email) is not None:
        raise Refused(
            "Another account has your e-mail address already.",
            detail=f"{email} belongs to another account; it is not given to whoever has the same address elsewhere",
            remedy="If it is yours, sign in with its password and tie it to this provider in your settings.",
        )
    user = _new_user(core, configured, person, decision)
    user_store.insert(user, None)
    tie(core, user.id, configured, person)
    change.record(
        "signed up", "user", user.id, user.username, after={"provider": configured.name, "status": user.status}
    )
    change.event("user.created", id=user.id, username=user.username)
    trace.note("Account", f"{user.username} was made")
    return sync.apply(core, change, configured, user, person, trace)


def _new_user(core: Core, configured: Configured, person: Person, decision: Admission) -> User:
    username = free_username(person, _is_taken)
    return User(
        id=new_id(),
        username=username,
        email=_email(person) or f"{username.lower()}@{configured.name}.{NOWHERE}",
        name=_display_name(person),
        roles=sync.roles_for(configured, person, first=True) or (Role.MEMBER,),
        status="pending" if decision.pending else "active",
        login_type="federated",
        created_at=core.clock.now(),
        provider=configured.name,
    )


def _is_taken(username: str) -> bool:
    return user_store.by_login(username) is not None


def free_username(person: Person, taken: Callable[[str], bool]) -> str:
    """A username like the one that is wished for, which fits and which nobody has."""
    wished = person.username.partition("@")[0] or person.email.partition("@")[0] or person.name
    base = _fitting(wished) or "user"
    if base.lower() in names.RESERVED_USERS:
        base = f"{base}-user"
    candidates = (base, *(_shortened(base, f"-{number}") for number in range(2, LONGEST_SUFFIX)))
    for candidate in candidates:
        if not taken(candidate):
            return candidate
    return _shortened(base, f"-{secrets.token_hex(4)}")


def _fitting(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text[:200]).encode("ascii", "ignore").decode()
    words = "".join(char if char.isalnum() else "-" for char in plain).split("-")
    return "-".join(word for word in words if word)[: names.LONGEST].strip("-")


def _shortened(base: str, suffix: str) -> str:
    return base[: names.LONGEST - len(suffix)].rstrip("-") + suffix


def _display_name(person: Person) -> str:
    return "".join(char for char in person.name if char.isprintable()).strip()[:128]


def _email(person: Person) -> str:
    """The address, where the provider vouches for it and it is one."""
    if not person.email_verified:
        return ""
    try:
        return names.check_email(person.email)
    except InvalidInput:
        return ""


def preview(core: Core, configured: Configured, person: Person) -> Preview:
    """What :func:`enter` would do, without doing it."""
    with core.database.read():
        link = store.link_of(configured.name, person.issuer, person.subject)
        user = user_store.by_id(link.user_id) if link else None
        if user is not None:
            return _preview_known(configured, person, user)
        decision = admission(configured, person)
        email = _email(person)
        taken = bool(email) and user_store.by_login(email) is not None
        made = _new_user(core, configured, person, decision)
    groups = sync.groups_for(configured, person)
    found = Preview(
        enters=decision.allowed and not decision.pending and not taken,
        reason=decision.reason,
        account=made.username,
        is_new=True,
        email=made.email,
        roles=made.roles,
        groups=None if groups is None else tuple(sorted(groups)),
    )
    if decision.allowed and taken:
        return replace(found, reason="Another account has this e-mail address, and is not given to them.")
    if decision.pending:
        return replace(found, reason=f"{decision.reason} The account would wait for approval.")
    return found


def _preview_known(configured: Configured, person: Person, user: User) -> Preview:
    roles = sync.roles_for(configured, person, first=False) or user.roles
    groups = sync.groups_for(configured, person)
    reasons = {"active": "They have this account.", "pending": "Their account waits for approval."}
    return Preview(
        enters=user.status == "active",
        reason=reasons.get(user.status, "Their account is suspended."),
        account=user.username,
        is_new=False,
        email=_email(person) or user.email,
        roles=roles,
        groups=group_store.names_of(user.id) if groups is None else tuple(sorted(groups)),
    )
