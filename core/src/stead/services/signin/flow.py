"""Signing in at a provider's own page: the browser leaves with a state, and comes back with an answer.

The state is random, is kept as a hash, belongs to one browser (by a cookie), one provider and one purpose, is good
for ten minutes and for once. The nonce and what the provider wants kept never leave the server.
"""

from __future__ import annotations

import json
import secrets as random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import quote, urlsplit

from stead.api.errors import InvalidInput, NotFound, RateLimited, SteadError, Unavailable
from stead.api.signin import Attempt, AuthenticationFailed, Begun, Person, RedirectProvider, Trace
from stead.domain.records import SignInStep
from stead.services import secrets
from stead.services.core import Core, new_id
from stead.services.signin import accounts, explanation, record
from stead.services.signin.accounts import Preview
from stead.services.signin.proof import Proof
from stead.services.signin.providers import Configured
from stead.services.signin.record import Refused, Source
from stead.store import signin as store

LIFETIME = timedelta(minutes=10)
MOST_PER_ADDRESS = 300  # under way at once: an address may hold a whole company
LONGEST_ANSWER = 64 * 1024
LONGEST_URL = 16 * 1024
_STALE = "This sign-in was not begun in this browser, or it was used already, or it took too long."


class Purpose(StrEnum):
    SIGN_IN = "sign-in"
    LINK = "link"  # tie the account of whoever is signed in to the provider
    TEST = "test"  # show an administrator what would happen


@dataclass(frozen=True)
class Beginning:
    """What a sign-in is begun with.

    :param browser: random secret of a cookie of this browser.
    :param return_to: path here to go to at the end; checked by the caller.
    :param user_id: of whoever is signed in, for the purposes that need somebody.
    """

    browser: str = field(repr=False)
    return_to: str
    source: Source
    purpose: Purpose = Purpose.SIGN_IN
    user_id: str = ""


@dataclass(frozen=True)
class Returned:
    """A browser that came back, and whom the provider says it is."""

    configured: Configured
    person: Person
    purpose: Purpose
    return_to: str
    user_id: str
    trace: Trace


@dataclass(frozen=True)
class Tested:
    """What a test found, step by step."""

    steps: tuple[SignInStep, ...]
    person: Person | None
    preview: Preview | None
    problem: str = ""


def new_browser() -> str:
    """A secret for the cookie that ties sign-ins to a browser."""
    return random.token_urlsafe(32)


def redirect_provider(core: Core, name: str) -> tuple[Configured, RedirectProvider]:
    configured = core.identity.get(name)
    if configured.redirect is None:
        raise NotFound(f"{configured.title} has no sign-in page of its own.", remedy="Go back to the sign-in page.")
    return configured, configured.redirect


def begin(core: Core, name: str, beginning: Beginning) -> str:
    """Where to send the browser.

    :raises RateLimited: too many sign-ins are under way from this address.
    :raises Unavailable: the provider cannot be asked how to begin.
    """
    configured, provider = redirect_provider(core, name)
    _slow_down(core, beginning.source.address)
    sign_in_id = new_id()
    state, state_hash = secrets.make(sign_in_id)
    nonce, trace = random.token_urlsafe(32), Trace(core.clock.monotonic)
    attempt = Attempt(redirect_uri(core, name), state, nonce, trace)
    try:
        begun = configured.ask(provider.begin, attempt)
        _check_begun(configured, begun)
    except SteadError as error:
        record.write_failure(core, name, beginning.source, trace, error)
        raise
    content = {
        "nonce": nonce,
        "kept": dict(begun.kept),
        "form_post": begun.form_post,
        "return_to": beginning.return_to,
        "purpose": beginning.purpose.value,
        "user_id": beginning.user_id,
        "steps": [[step.title, step.detail, step.ok] for step in trace.steps],
    }
    now = core.clock.now()
    stored = store.StoredSignIn(
        id=sign_in_id,
        provider=name,
        state_hash=state_hash,
        browser_hash=secrets.digest(beginning.browser),
        sealed=_seal(core, sign_in_id, content),
        address=beginning.source.address[:64],
        created_at=now,
        expires_at=now + LIFETIME,
    )
    with core.database.write():
        store.insert_sign_in(stored)
    return begun.url


def _slow_down(core: Core, address: str) -> None:
    with core.database.read():
        under_way = store.sign_ins_from(address, core.clock.now() - LIFETIME)
    if under_way >= MOST_PER_ADDRESS:
        raise RateLimited("Too many sign-ins were begun from your network.", remedy="Try again in ten minutes.")


def redirect_uri(core: Core, name: str) -> str:
    """Where the provider sends the browser back: an address of this provider alone."""
    return f"{core.settings.access_url}/sign-in/{name}/callback"


def _check_begun(configured: Configured, begun: Begun) -> None:
    parts = urlsplit(begun.url)
    if parts.scheme not in ("http", "https") or not parts.netloc or len(begun.url) > LONGEST_URL:
        raise Unavailable(f"{configured.title} gave no usable address to sign in at.")


def come_back(core: Core, name: str, answer: Mapping[str, str], browser: str | None, source: Source) -> Returned:
    """Who came back, by a state that is used up with this.

    :raises AuthenticationFailed: the state is not this browser's, or the provider refused.
    :raises Unavailable: the provider did not answer.
    """
    configured, provider = redirect_provider(core, name)
    trace = Trace(core.clock.monotonic)
    try:
        _check_length(answer)
        stored = _take(core, name, answer.get("state", ""), browser)
        content = _content(core, stored)
        answer = _whole_answer(content, answer)
        for title, detail, ok in content["steps"]:
            trace.note(title, detail, ok=ok)
        trace.note("State", "ours, of this browser, for the first time")
        attempt = Attempt(redirect_uri(core, name), answer["state"], content["nonce"], trace)
        purpose = Purpose(content["purpose"])
    except SteadError as error:
        record.write_failure(core, name, source, trace, error)
        raise
    try:
        person = configured.ask_person(provider.complete, attempt, answer, content["kept"])
        if person is None:
            raise AuthenticationFailed(f"{configured.title} does not know you.", detail="the provider knows nobody")
    except SteadError as error:
        record.write_failure(core, name, source, trace, error)
        if purpose is Purpose.TEST:
            raise TestFailed(error, trace, content["user_id"]) from error
        raise
    return Returned(configured, person, purpose, content["return_to"], content["user_id"], trace)


def receive(core: Core, name: str, answer: Mapping[str, str], source: Source) -> str:
    """Keep an answer that the provider's page had the browser post; returns where to send the browser for it, by GET.

    A form of another site brings none of our cookies along, which are SameSite=Lax, so nobody is known here and nothing
    is decided: the browser that comes back by GET shows its cookie, and only then the answer is read, once.

    :raises Refused: the state is not ours, or no answer was to be posted for it, or one was already.
    """
    redirect_provider(core, name)
    try:
        _check_length(answer)
        state = answer.get("state", "")
        stored = _begun(core, state)
        if stored.provider != name or stored.expires_at <= core.clock.now():
            raise _stale("the state was given out for another provider, or has expired")
        content = _content(core, stored)
        if not content["form_post"] or "answer" in content:
            raise _stale("no answer was to be posted for this state, or one was already")
        content["answer"] = dict(answer)
        with core.database.write():
            kept = store.replace_sealed(stored, _seal(core, stored.id, content))
        if not kept:
            raise _stale("an answer was posted for this state already")
    except SteadError as error:
        record.write_failure(core, name, source, Trace(core.clock.monotonic), error)
        raise
    return f"/sign-in/{name}/callback?state={quote(state, safe='')}"


def _whole_answer(content: Mapping[str, Any], answer: Mapping[str, str]) -> Mapping[str, str]:
    """What the provider said, by the one way that it was asked to use."""
    if not content["form_post"]:
        return answer
    if "answer" not in content or set(answer) != {"state"}:
        raise _stale("the answer was to be posted, and came in another way")
    posted: Mapping[str, str] = content["answer"]
    return posted


def _check_length(answer: Mapping[str, str]) -> None:
    if sum(len(key) + len(value) for key, value in answer.items()) > LONGEST_ANSWER:
        raise InvalidInput("The answer of the provider is too long.")


def _content(core: Core, stored: store.StoredSignIn) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(core.keyring.open(f"sign-in:{stored.id}", stored.sealed))
    return {"form_post": False, **content}


def _seal(core: Core, sign_in_id: str, content: Mapping[str, Any]) -> bytes:
    return core.keyring.seal(f"sign-in:{sign_in_id}", json.dumps(dict(content)).encode())


class TestFailed(AuthenticationFailed):
    """A test by an administrator came to nothing: the page shows how far it got."""

    __test__ = False  # it is no test of ours

    def __init__(self, error: SteadError, trace: Trace, user_id: str) -> None:
        super().__init__(error.message, detail=record.detail_of(error), remedy=error.remedy)
        self.user_id = user_id
        self.tested = Tested(record.steps_of(trace.steps), None, None, record.detail_of(error))


def _take(core: Core, name: str, state: str, browser: str | None) -> store.StoredSignIn:
    """The sign-in of a state, which is used up by asking for it."""
    stored = _begun(core, state)
    with core.database.write():
        taken = store.take_sign_in(stored.id)
    if not taken:
        raise _stale("the state was used already")
    if stored.provider != name:
        raise _stale(f"the state was given out for {stored.provider}")
    if stored.expires_at <= core.clock.now():
        raise _stale("the state has expired")
    if not browser or not secrets.matches(browser, stored.browser_hash):
        raise _stale("the state belongs to another browser")
    return stored


def _begun(core: Core, state: str) -> store.StoredSignIn:
    """The sign-in of a state, whoever brings it."""
    parts = secrets.split(state)
    with core.database.read():
        stored = store.sign_in(parts[0]) if parts else None
    if parts is None or stored is None or not secrets.matches(parts[1], stored.state_hash):
        raise _stale("the state is not ours, or was used already")
    return stored


def _stale(detail: str) -> Refused:
    return Refused(_STALE, detail=detail, remedy="Begin again from the sign-in page.")


def enter(core: Core, returned: Returned, source: Source) -> Proof:
    """The account of whoever came back.

    :raises Refused: a rule of Stead keeps them out.
    """
    configured, person, trace = returned.configured, returned.person, returned.trace
    try:
        user = accounts.enter(core, configured, person, trace, source.address)
    except SteadError as error:
        record.write_failure(core, configured.name, source, trace, error, person.username or person.email)
        raise
    record.write(
        core,
        configured.name,
        source,
        trace,
        outcome=record.SUCCEEDED,
        account=person.username or person.email,
        user_id=user.id,
    )
    return Proof(user, configured.name, person.session[:255])


def tested(core: Core, returned: Returned) -> Tested:
    """What a test found: nobody is signed in, nothing is changed."""
    preview = explanation.explain(core, returned.configured, returned.person, returned.trace)
    return Tested(record.steps_of(returned.trace.steps), returned.person, preview)
