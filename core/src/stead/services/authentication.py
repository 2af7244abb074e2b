"""Who is asking: passwords, web sessions, API tokens, agent tokens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from stead.api.errors import NotAuthenticated, RateLimited
from stead.domain.names import folded
from stead.domain.records import Actor, User
from stead.services import secrets, tokens
from stead.services.core import SYSTEM, Core, new_id
from stead.services.factors import demand
from stead.store import credentials, resources, users, workspaces

SEEN_EVERY = timedelta(minutes=1)  # how exact "last seen" and "last used" are
FIRST_ATTEMPTS_PER_ADDRESS = 5  # an address may hold many people: it gets this many times an account's attempts


@dataclass(frozen=True)
class AgentIdentity:
    """An agent that showed its token. ``actor`` is what it passes to services."""

    agent_id: str
    name: str
    build_id: str
    workspace_id: str
    workspace: str
    owner_id: str
    owner: str

    @property
    def actor(self) -> Actor:
        return Actor(user_id=self.agent_id, username=f"agent:{self.name}", roles=())


def verify_password(core: Core, username_or_email: str, password: str, address: str) -> User:
    """The user whose password this is.

    :raises RateLimited: too many failures on this account or from this address.
    :raises NotAuthenticated: anything else that is wrong; the message does not say what.
    """
    account = folded(username_or_email)
    slow_down(core, account, address)
    with core.database.read():
        user = users.by_login(username_or_email.strip().lower())
        stored = users.password_hash(user.id) if user else None
    # Argon2 takes its time: no connection is held meanwhile.
    right = secrets.password_matches(password, stored)
    if user is None or not right or user.status != "active":
        note_failure(core, account, address, user)
        raise NotAuthenticated("The name or the password is wrong.")
    forget_failures(core, account, user)
    if stored is not None and secrets.needs_rehash(stored):
        rehashed = secrets.hash_password(password)
        with core.database.write():
            users.update(user.id, password_hash=rehashed)
    return user


def slow_down(core: Core, account: str, address: str, under_way: int = 0) -> bool:
    """Whether there were so few failures on the account that it bears another beside those that are under way.

    :raises RateLimited: there were too many on the account or from the address.
    """
    settings = core.settings
    with core.database.read():
        on_account, from_address = credentials.failures(
            account, address, core.clock.now() - timedelta(seconds=settings.login_window)
        )
    room = settings.login_attempts - on_account
    if room <= 0 or from_address >= settings.login_attempts * FIRST_ATTEMPTS_PER_ADDRESS:
        raise RateLimited(
            "Too many failed logins.", remedy=f"Try again in {max(1, round(settings.login_window / 60))} minutes."
        )
    return under_way < room


def note_failure(core: Core, account: str, address: str, user: User | None) -> None:
    """Count a failed sign-in against the account and the address."""
    with core.change(Actor(SYSTEM.user_id, SYSTEM.username, SYSTEM.roles, address=address)) as change:
        credentials.note_failure(account[:254], address[:64], core.clock.now())
        if user is not None:
            change.record("refused login", "user", user.id, user.username)


def forget_failures(core: Core, account: str, user: User) -> None:
    """What failed before somebody got it right counts no more."""
    with core.database.write():
        credentials.forget_failures(account)
        users.touch(user.id, core.clock.now(), core.clock.now() - SEEN_EVERY)


def actor_for_user(core: Core, user_id: str, address: str = "") -> Actor:
    """The actor that an active user is."""
    with core.database.read():
        user = users.by_id(user_id)
    return _actor(user, address=address)


def actor_for_token(core: Core, token: str, address: str = "") -> Actor:
    """The actor whose API token this is."""
    now = core.clock.now()
    parts = secrets.split(token)
    with core.database.read():
        stored = credentials.token(parts[0]) if parts else None
        user = users.by_id(stored.token.user_id) if stored else None
    if parts is None or stored is None or not secrets.matches(parts[1], stored.secret_hash):
        raise NotAuthenticated("The token is not valid.", remedy="Sign in again.")
    record = stored.token
    if record.expires_at is not None and record.expires_at <= now:
        raise NotAuthenticated("The token has expired.", remedy="Sign in again.")
    actor = _actor(user, token_id=record.id, address=address)
    _require_provider(core, user)
    if record.scope != tokens.SCOPE:
        # Templates and what runs in workspaces have it: an owner's roles must not be theirs.
        actor = replace(actor, roles=())
    else:
        _require_factor(core, user)
    if record.last_used_at is None or record.last_used_at < now - SEEN_EVERY:
        with core.database.write():
            credentials.touch_token(record.id, now)
            users.touch(actor.user_id, now, now - SEEN_EVERY)
    return actor


def open_session(
    core: Core, user_id: str, address: str, user_agent: str, *, provider: str = "", provider_session: str = ""
) -> str:
    """Start a web session; returns the secret for its cookie.

    :param provider: the identity provider that let them in, and ``provider_session`` its own name of it.
    """
    actor = actor_for_user(core, user_id, address)
    now = core.clock.now()
    session_id = new_id()
    secret, digest = secrets.make(session_id)
    session = credentials.StoredSession(
        session_id,
        user_id,
        digest,
        now,
        now + timedelta(seconds=core.settings.session_lifetime),
        provider,
        provider_session,
    )
    with core.change(actor) as change:
        credentials.insert_session(session, address[:64], user_agent[:512], now)
        # Seen from the start: only people who use Stead are looked up at their provider every few seconds.
        users.touch(user_id, now, now)
        after = {"provider": provider} if provider else None
        change.record("signed in", "user", user_id, actor.username, after=after)
    return secret


def actor_for_session(core: Core, secret: str, address: str = "") -> Actor:
    """The actor whose web session this is; using it extends its life."""
    session = session_of(core, secret)
    now = core.clock.now()
    with core.database.read():
        user = users.by_id(session.user_id)
    actor = _actor(user, address=address)
    _require_provider(core, user)
    _require_factor(core, user)
    if session.last_used_at < now - SEEN_EVERY:
        with core.database.write():
            credentials.extend_session(session.id, now, now + timedelta(seconds=core.settings.session_lifetime))
            users.touch(actor.user_id, now, now - SEEN_EVERY)
    return actor


def close_session(core: Core, secret: str) -> None:
    """End a web session; nothing happens where it has ended already."""
    try:
        session = session_of(core, secret)
    except NotAuthenticated:
        return
    with core.database.write():
        credentials.delete_session(session.id)


def agent_for_token(core: Core, token: str) -> AgentIdentity:
    """The agent whose token this is, while its build is the one that runs.

    :raises NotAuthenticated: unknown, or of a build that is over.
    """
    refused = NotAuthenticated("The agent token is not valid.", remedy="Start the workspace again.")
    if not token or len(token) > 512:
        raise refused
    with core.database.read():
        found = _running_agent(resources.agent_by_token_hash(secrets.digest(token)))
    if found is None:
        raise refused
    return found


def agents_admitted(core: Core, tokens: Iterable[str]) -> frozenset[str]:
    """Those of these agent tokens for which :func:`agent_for_token` finds an agent, with two queries for all."""
    digests = {token: secrets.digest(token) for token in tokens}
    with core.database.read():
        builds = resources.builds_of_tokens(digests.values())
        running = workspaces.running_builds(workspace for workspace, _ in builds.values())
    alive = {digest for digest, (workspace, build) in builds.items() if running.get(workspace) == build}
    return frozenset(token for token, digest in digests.items() if digest in alive)


def agent_of(core: Core, agent_id: str) -> AgentIdentity:
    """An agent by its id, while its build is the one that runs. The caller knows who is asking.

    :raises NotAuthenticated: unknown, or of a build that is over.
    """
    with core.database.read():
        found = _running_agent(resources.agent(agent_id))
    if found is None:
        raise NotAuthenticated("The agent's build is over.", remedy="Start the workspace again.")
    return found


def _running_agent(stored: resources.StoredAgent | None) -> AgentIdentity | None:
    if stored is None or stored.workspace_id is None:
        return None
    if workspaces.running_build(stored.workspace_id) != stored.build_id:
        return None
    workspace = workspaces.by_id(stored.workspace_id)
    if workspace is None:
        return None
    return AgentIdentity(
        agent_id=stored.agent.id,
        name=stored.agent.name,
        build_id=stored.build_id,
        workspace_id=workspace.id,
        workspace=workspace.name,
        owner_id=workspace.owner_id,
        owner=workspace.owner,
    )


def session_of(core: Core, secret: str) -> credentials.StoredSession:
    """The web session of a cookie's secret.

    :raises NotAuthenticated: there is none, or it has ended.
    """
    parts = secrets.split(secret)
    with core.database.read():
        session = credentials.session(parts[0]) if parts else None
    if parts is None or session is None or not secrets.matches(parts[1], session.secret_hash):
        raise NotAuthenticated("You are not signed in.", remedy="Sign in.")
    if session.expires_at <= core.clock.now():
        raise NotAuthenticated("Your session has ended.", remedy="Sign in again.")
    return session


def _require_provider(core: Core, user: User | None) -> None:
    """Nobody hears any more whether the people of a provider that was taken out still belong there."""
    if user is not None and user.provider and user.provider not in core.identity.trusted:
        raise NotAuthenticated(
            f"You sign in with {user.provider}, which is not used here any more.",
            remedy="Ask an administrator to give your account a password.",
        )


def _require_factor(core: Core, user: User | None) -> None:
    if user is not None:
        demand.require(core, user)


def _actor(user: User | None, *, token_id: str | None = None, address: str = "") -> Actor:
    if user is None:
        raise NotAuthenticated("This user does not exist any more.")
    if user.status == "pending":
        raise NotAuthenticated("This account waits for approval.", remedy="An administrator has to let you in.")
    if user.status != "active":
        raise NotAuthenticated("This user is suspended.", remedy="Ask an administrator.")
    return Actor(user.id, user.username, user.roles, token_id, address)
