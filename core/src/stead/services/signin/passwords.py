"""Signing in with a name and a password: Stead's own accounts first, then the providers that check passwords."""

from __future__ import annotations

from stead.api.errors import NotAuthenticated, RateLimited, SteadError, Unavailable
from stead.api.signin import AuthenticationFailed, Credentials, Person, Trace
from stead.domain.names import LONGEST_EMAIL, LONGEST_PASSWORD, folded
from stead.domain.records import User
from stead.domain.states import Role
from stead.services import authentication, secrets
from stead.services.core import Core
from stead.services.signin import accounts, record
from stead.services.signin.proof import Proof
from stead.services.signin.providers import Configured
from stead.services.signin.record import Refused, Source
from stead.store import users as user_store

LOCAL = "local"
OWNERS_ONLY = "owners"
WRONG = "The name or the password is wrong."


def check(core: Core, login: str, password: str, source: Source, provider: str = "") -> Proof:
    """Whose name and password these are.

    :param provider: ask this one alone; ``local`` for Stead's own accounts; empty: whoever knows the name.
    :raises RateLimited: too many failures on this account or from this address.
    :raises NotAuthenticated: anything else that is wrong.
    """
    login = login.strip()
    trace = Trace(core.clock.monotonic)
    account = folded(login[:LONGEST_EMAIL])

    def bears_another(under_way: int) -> bool:
        return authentication.slow_down(core, account, source.address, under_way)

    try:
        with core.identity.turns.turn(account, bears_another):
            return _check(core, login, password, source, provider, trace)
    except RateLimited as error:
        record.write_failure(core, provider or LOCAL, source, trace, error, login)
        raise


def _check(core: Core, login: str, password: str, source: Source, provider: str, trace: Trace) -> Proof:
    name = provider or LOCAL
    try:
        if not login or not password or len(password) > LONGEST_PASSWORD or len(login) > LONGEST_EMAIL:
            raise NotAuthenticated(WRONG)
        if provider == LOCAL or (not provider and _is_local(core, login)):
            name = LOCAL
            return _local(core, login, password, source, trace)
        found = _ask(core, login, password, provider, trace)
        if found is None and provider:
            raise _Failed(provider, AuthenticationFailed(detail="the provider knows nobody of this name"))
        if found is None:
            # Takes as long as a wrong password, and counts as one.
            return _local(core, login, password, source, trace)
        configured, person = found
        name = configured.name
        return _enter(core, configured, person, login, source, trace)
    except _Failed as failed:
        if failed.says_nothing:
            # Nobody learns by the time that it takes, either, whether a provider knows the name.
            secrets.password_matches(password, None)
        authentication.note_failure(core, folded(login), source.address, None)
        record.write_failure(core, failed.provider, source, trace, failed.error, login)
        raise NotAuthenticated(WRONG) if failed.says_nothing else failed.error from None
    except SteadError as error:
        record.write_failure(core, name, source, trace, error, login)
        raise


class _Failed(Exception):
    """A provider knows the name and refuses: that counts against account and address."""

    def __init__(self, provider: str, error: AuthenticationFailed) -> None:
        super().__init__(str(error))
        self.provider = provider
        self.error = error

    @property
    def says_nothing(self) -> bool:
        """Whether it must read like a name that nobody knows."""
        return self.error.message == AuthenticationFailed.unsaid


def _is_local(core: Core, login: str) -> bool:
    with core.database.read():
        user = user_store.by_login(login)
        return user is not None and user_store.password_hash(user.id) is not None


def _local(core: Core, login: str, password: str, source: Source, trace: Trace) -> Proof:
    user = authentication.verify_password(core, login, password, source.address)
    if not may_use(core, user):
        raise Refused(
            "Passwords of Stead's own are for owners here.",
            detail="password_sign_in is owners",
            remedy="Sign in with your organisation's account.",
        )
    trace.note("Password", "right")
    record.write(core, LOCAL, source, trace, outcome=record.SUCCEEDED, account=login, user_id=user.id)
    return Proof(user)


def may_use(core: Core, user: User) -> bool:
    return core.settings.password_sign_in != OWNERS_ONLY or Role.OWNER in user.roles


def _ask(core: Core, login: str, password: str, provider: str, trace: Trace) -> tuple[Configured, Person] | None:
    """Who knows the name: each provider is asked in its order, until one says that it is theirs."""
    asked = [core.identity.get(provider)] if provider else list(core.identity)
    away: Unavailable | None = None
    for configured in asked:
        if configured.credentials is None:
            continue
        credentials = Credentials(login, password, trace)
        try:
            person = configured.ask_person(configured.credentials.verify, credentials)
        except AuthenticationFailed as error:
            raise _Failed(configured.name, error) from error
        except Unavailable as error:
            trace.note(configured.title, str(error), ok=False)
            away = error
            continue
        if person is not None:
            return configured, person
        trace.note(configured.title, "knows nobody of this name")
    if away is not None:
        raise away
    return None


def _enter(core: Core, configured: Configured, person: Person, login: str, source: Source, trace: Trace) -> Proof:
    user = accounts.enter(core, configured, person, trace, source.address)
    authentication.forget_failures(core, folded(login), user)
    record.write(core, configured.name, source, trace, outcome=record.SUCCEEDED, account=login, user_id=user.id)
    return Proof(user, configured.name, person.session[:255])


def takers(core: Core) -> list[Configured]:
    """The providers that check a name and a password."""
    return [one for one in core.identity if one.credentials is not None]


def has_local(core: Core, *, but_owners: bool = False) -> bool:
    """Whether somebody has a password of Stead's own."""
    with core.database.read():
        return user_store.any_password(but_owners=but_owners)
