"""What ends at the provider ends here: people who left, by looking them up; sessions, by what a provider posts."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from stead.api.errors import NotFound, SteadError, Unavailable
from stead.api.signin import AuthenticationFailed, Directory, Person, SignedOut, Trace
from stead.domain.records import Actor
from stead.services import rights
from stead.services.core import SYSTEM, Core
from stead.services.signin import accounts, record, sync
from stead.services.signin.providers import Configured
from stead.services.signin.record import Source
from stead.store import credentials
from stead.store import signin as store
from stead.store import users as user_store

log = logging.getLogger(__name__)

AT_ONCE = 4  # questions to one provider at a time, of those that nobody waits for
BATCH = 500
SILENT = 8  # questions without an answer after which a batch is given up
IDLE_FACTOR = 120  # whoever does nothing is looked up that much more rarely
SEEN_TOLERANCE = timedelta(minutes=2)  # "last seen" is exact to a minute
RETRY_AFTER = timedelta(seconds=10)
LONGEST_MESSAGE = timedelta(days=1)


def look_up_due(core: Core) -> int:
    """Ask each directory about the people who are due; returns how many were asked about."""
    return sum(look_up_at(core, configured) for configured in core.identity)


def look_up_at(core: Core, configured: Configured) -> int:
    """Ask one directory about the people who are due; returns how many it answered about."""
    directory, now = configured.directory, core.clock.now()
    if directory is None:
        return 0
    interval = timedelta(seconds=configured.settings.sync_interval)
    with core.database.read():
        due = store.due_links(
            configured.name,
            before=now - interval,
            idle_before=now - interval * IDLE_FACTOR,
            seen_since=now - interval - SEEN_TOLERANCE,
            limit=BATCH,
        )
    if not due:
        return 0
    silent: list[str] = []

    def ask(link: store.StoredLink) -> bool:
        # Where nobody answers, the rest of the batch is left for later: each question would wait for its deadline.
        if len(silent) >= SILENT:
            return False
        answered = _guarded(core, configured, directory, link)
        if not answered:
            silent.append(link.id)
        return answered

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix=f"look-up-{configured.name}") as pool:
        return sum(pool.map(ask, due))


def _guarded(core: Core, configured: Configured, directory: Directory, link: store.StoredLink) -> bool:
    try:
        return look_up(core, configured, directory, link)
    except Exception:
        # The boundary of one look-up: the others are looked up all the same.
        log.warning("somebody at %s could not be looked up", configured.name, exc_info=True)
        return False


def look_up(core: Core, configured: Configured, directory: Directory, link: store.StoredLink) -> bool:
    """Ask about one account now; whether there was an answer."""
    now, trace = core.clock.now(), Trace(core.clock.monotonic)
    interval = timedelta(seconds=configured.settings.sync_interval)
    # Claimed first, so that of several servers one asks; and tried again soon where nobody answers.
    with core.database.write():
        store.update_link(link.id, checked_at=now - interval + min(RETRY_AFTER, interval))
    try:
        person = configured.ask_person(directory.look_up, accounts.link_record(core, link), trace)
    except Unavailable as error:
        log.info("%s could not be asked about an account: %s", configured.name, error)
        return False
    except AuthenticationFailed as error:
        _gone(core, configured, link, trace, error.detail)
        return True
    if person is None:
        _gone(core, configured, link, trace, "the provider does not know them any more")
    elif (person.issuer, person.subject) != (link.issuer, link.subject):
        log.error("the identity provider %s answered about somebody else than was asked", configured.name)
    else:
        _still_there(core, configured, link, person, trace)
    return True


def _gone(core: Core, configured: Configured, link: store.StoredLink, trace: Trace, reason: str) -> None:
    with core.change(SYSTEM) as change:
        user = user_store.by_id(link.user_id)
        store.update_link(link.id, checked_at=core.clock.now(), problem=reason[:500])
        rights.end(change, link.user_id)
        name = user.username if user else link.username
        change.record("ended all access", "user", link.user_id, name, after={"provider": configured.name})
    record.write(
        core,
        configured.name,
        Source("", "look-up"),
        trace,
        outcome=record.FAILED,
        account=link.username,
        user_id=link.user_id,
        detail=f"Every session and token has ended: {reason}",
    )


def _still_there(core: Core, configured: Configured, link: store.StoredLink, person: Person, trace: Trace) -> None:
    told = accounts.told(core, link.id, person)
    told["session"] = link.session  # that of the sign-in: a look-up is none
    with core.change(SYSTEM) as change:
        core.database.lock("users")
        user = user_store.by_id(link.user_id)
        if user is None or not store.update_link(link.id, checked_at=core.clock.now(), problem=None, **told):
            return
        accounts.update_profile(change, user, person)
        sync.apply(core, change, configured, user, person, trace)


def end_of_removed(core: Core) -> int:
    """End the sessions of people whose provider is not configured any more; returns of how many people.

    Their tokens open nothing meanwhile, and wait for the day when the provider is back: a name that was mistyped in
    the settings must not cost everybody their tokens.
    """
    with core.database.read():
        found = credentials.users_of_other_providers(core.identity.trusted, BATCH)
    for user_id, username, provider in found:
        with core.change(SYSTEM) as change:
            if credentials.delete_sessions_of(user_id):
                rights.look_again(change, user_id)
                after = {"provider": provider, "reason": "the provider is not configured any more"}
                change.record("ended sessions", "user", user_id, username, after=after)
    if found:
        log.warning("ended the sessions of %d people whose identity provider is not configured any more", len(found))
    return len(found)


def signed_out(core: Core, name: str, message: Mapping[str, str], source: Source) -> int:
    """End the sessions that a provider says are over; returns how many people were signed out.

    :raises AuthenticationFailed: the message is not the provider's, or was taken already.
    """
    configured = core.identity.get(name)
    if configured.redirect is None:
        raise NotFound("This provider sends no sign-outs.")
    trace = Trace(core.clock.monotonic)
    try:
        said = configured.ask(configured.redirect.signed_out, message)
        if not said.once or not (said.subject or said.session):
            raise AuthenticationFailed(detail="the sign-out names neither subject nor session, or has no identity")
        return _end_sessions(core, configured, said, source)
    except SteadError as error:
        record.write_failure(core, name, source, trace, error, "sign-out")
        raise


def _end_sessions(core: Core, configured: Configured, said: SignedOut, source: Source) -> int:
    now = core.clock.now()
    digest = hashlib.sha256(f"{configured.name}\n{said.issuer}\n{said.once}".encode()).hexdigest()
    until = min(datetime.fromtimestamp(max(said.until, 0), UTC), now + LONGEST_MESSAGE)
    actor = Actor(SYSTEM.user_id, SYSTEM.username, SYSTEM.roles, address=source.address)
    with core.change(actor) as change:
        core.database.lock("signed-out")
        if not store.take_message(digest, max(until, now + RETRY_AFTER)):
            raise AuthenticationFailed(detail="the sign-out was taken already")
        link = store.link_of(configured.name, said.issuer, said.subject) if said.subject else None
        ended: list[str] = []
        if link is not None or not said.subject:
            user_id = link.user_id if link else ""
            ended = credentials.delete_sessions_at(configured.name, user_id, said.session[:255])
        for user_id in ended:
            rights.look_again(change, user_id)
            change.record("signed out by the provider", "user", user_id, after={"provider": configured.name})
    return len(ended)
