"""What others try at second factors beside guessing. Each test fails where its defence is taken out."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyotp
import pytest

from stead.api.errors import Conflict, Forbidden, NotAuthenticated, NotFound, RateLimited
from stead.api.signin import Person
from stead.domain.records import Actor
from stead.domain.states import Role
from stead.services import users
from stead.services.clock import ManualClock
from stead.services.core import SYSTEM, Core, close_core, open_core
from stead.services.factors import codes, manage, second, steps
from stead.services.signin import conversion, passwords
from stead.services.signin.proof import Proof
from stead.services.signin.record import Source
from stead.store import factors as store
from stead.store import users as user_store
from stead.testing.signin import FakePage, registry_of

_spec = importlib.util.spec_from_file_location("authenticator", Path(__file__).with_name("authenticator.py"))
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
sys.modules.setdefault("authenticator", _module)
_spec.loader.exec_module(_module)

PASSWORD = "correct horse battery"
URL = "https://stead.example.org"
HERE = Source("192.0.2.1", "a browser")


@pytest.fixture
def core(make_settings: Callable[..., Any], clock: ManualClock) -> Iterator[Core]:
    settings = make_settings(
        access_url=URL, login_attempts=4, identity={"sections": {"corp": {"kind": "fake-page", "sign_up": "open"}}}
    )
    opened = open_core(settings, clock=clock, plugins=registry_of(FakePage().spec()))
    yield opened
    close_core(opened)


def signed_in(core: Core) -> Proof:
    return passwords.check(core, "bob", PASSWORD, HERE)


def device_of(core: Core, actor: Actor) -> pyotp.TOTP:
    new = manage.begin_totp(core, actor, PASSWORD)
    totp = pyotp.parse_uri(new.uri)
    assert isinstance(totp, pyotp.TOTP)
    manage.confirm_totp(core, actor, new.step, code(core, totp), "Phone")
    return totp


def code(core: Core, totp: pyotp.TOTP) -> str:
    return str(totp.at(int(core.clock.now().timestamp())))


def passkey_of(core: Core, actor: Actor) -> Any:
    key = _module.Authenticator(URL)
    new = manage.begin_passkey(core, actor, PASSWORD)
    manage.confirm_passkey(core, actor, new.step, key.create(new.options), "Laptop")
    return key


def stored_of(core: Core, actor: Actor) -> list[store.StoredFactor]:
    with core.database.read():
        return store.of(actor.user_id)


def test_a_step_for_one_thing_is_good_for_no_other(core: Core, member: Actor, clock: ManualClock) -> None:
    """Who may begin to set a device up, once the password is known, must not come in by its secret."""
    totp = device_of(core, member)
    clock.advance(31)
    setting_up = manage.begin_totp(core, member, PASSWORD).step
    waiting = second.wait(core, signed_in(core))
    with pytest.raises(NotAuthenticated):
        second.answer_code(core, setting_up, code(core, totp), HERE)
    with pytest.raises(NotAuthenticated):
        manage.pending_totp(core, member, waiting)
    with pytest.raises(NotAuthenticated):
        second.finish_passkey(core, waiting, "{}", HERE)
    second.answer_code(core, waiting, code(core, totp), HERE)


def test_few_steps_of_one_person_wait(core: Core, member: Actor) -> None:
    device_of(core, member)
    proof = signed_in(core)
    for _ in range(steps.MOST_WAITING):
        second.wait(core, proof)
    with pytest.raises(RateLimited):
        second.wait(core, proof)


def test_of_two_who_show_a_code_at_once_one_is_let_in(core: Core, member: Actor, clock: ManualClock) -> None:
    """Both have read the device before either has used the code."""
    totp = device_of(core, member)
    clock.advance(31)
    (seen,) = stored_of(core, member)
    assert codes.check_totp(core, seen, code(core, totp))
    assert not codes.check_totp(core, seen, code(core, totp))


def test_what_is_no_code_matches_nothing() -> None:
    """Signs that other alphabets count with among them, at which a comparison of bytes would fail."""
    secret, at = codes.new_secret(), datetime(2026, 5, 1, 12, tzinfo=UTC)
    right = pyotp.TOTP(secret).at(int(at.timestamp()))
    assert codes.matching_step(secret, right, at, after=0)
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in right)
    for wrong in ("", right[:5], f"0{right}", f"+{right[1:]}", wide, "\u0663" * 6, "1" * 4000):
        assert codes.matching_step(secret, wrong, at, after=0) is None, wrong


def test_a_wrong_passkey_uses_the_challenge_up(core: Core, member: Actor) -> None:
    key = passkey_of(core, member)
    secret, options = second.begin_passkey(core)
    right = key.get(options)
    with pytest.raises(NotAuthenticated):
        second.finish_passkey(core, secret, _module.Authenticator(URL).get(options), HERE)
    with pytest.raises(NotAuthenticated):
        second.finish_passkey(core, secret, right, HERE)


def test_an_answer_to_another_challenge_is_refused(core: Core, member: Actor) -> None:
    """One that nobody has shown yet: somebody had the person make it elsewhere, or keeps it for later."""
    key = passkey_of(core, member)
    _, elsewhere = second.begin_passkey(core)
    kept = key.get(elsewhere)
    secret, _ = second.begin_passkey(core)
    with pytest.raises(NotAuthenticated):
        second.finish_passkey(core, secret, kept, HERE)
    with pytest.raises(NotAuthenticated):
        second.answer_passkey(core, second.wait(core, signed_in(core)), kept, HERE)


def test_a_passkey_of_another_account_is_no_second_step(
    core: Core, member: Actor, make_person: Callable[..., Actor]
) -> None:
    """Somebody knows bob's password, and shows a passkey of their own for what bob was asked."""
    passkey_of(core, member)
    theirs = passkey_of(core, make_person("eve"))
    waiting = second.wait(core, signed_in(core))
    with pytest.raises(NotAuthenticated):
        second.answer_passkey(core, waiting, theirs.get(second.waiting(core, waiting).options), HERE)


def test_passkeys_are_tried_few_times(core: Core, member: Actor) -> None:
    key = passkey_of(core, member)
    for _ in range(4):
        secret, options = second.begin_passkey(core)
        with pytest.raises(NotAuthenticated):
            second.finish_passkey(core, secret, _module.Authenticator(URL).get(options), HERE)
    secret, options = second.begin_passkey(core)
    with pytest.raises(RateLimited):
        second.finish_passkey(core, secret, key.get(options), HERE)


def test_passkeys_as_second_step_are_tried_few_times(core: Core, member: Actor) -> None:
    key = passkey_of(core, member)
    for _ in range(4):
        waiting = second.wait(core, signed_in(core))
        wrong = _module.Authenticator(URL).get(second.waiting(core, waiting).options)
        with pytest.raises(NotAuthenticated):
            second.answer_passkey(core, waiting, wrong, HERE)
    waiting = second.wait(core, signed_in(core))
    with pytest.raises(RateLimited):
        second.answer_passkey(core, waiting, key.get(second.waiting(core, waiting).options), HERE)


def test_a_passkey_opens_no_account_that_may_not_use_its_password(core: Core, owner: Actor, member: Actor) -> None:
    """Neither where passwords of Stead's own are for owners, nor where a provider signs the account in."""
    key = passkey_of(core, member)

    strict = replace(core, settings=core.settings.model_copy(update={"password_sign_in": "owners"}))

    def enter(at: Core) -> str:
        secret, options = second.begin_passkey(at)
        return second.finish_passkey(at, secret, key.get(options), HERE).user.username

    assert enter(core) == "bob"
    with pytest.raises(NotAuthenticated):
        enter(strict)
    users.set_roles(core, owner, "bob", [Role.OWNER])
    assert enter(strict) == "bob"
    with core.database.write():
        user_store.update(member.user_id, provider="corp")
    with pytest.raises(NotAuthenticated):
        enter(core)


def test_a_passkey_opens_no_suspended_account(core: Core, owner: Actor, member: Actor) -> None:
    key = passkey_of(core, member)
    users.set_status(core, owner, "bob", "suspended")
    secret, options = second.begin_passkey(core)
    with pytest.raises(NotAuthenticated):
        second.finish_passkey(core, secret, key.get(options), HERE)


def test_who_manages_no_users_resets_nobody(core: Core, member: Actor, make_person: Callable[..., Actor]) -> None:
    """Also not who may see everybody."""
    device_of(core, member)
    for role in (Role.TEMPLATE_ADMIN, Role.AUDITOR):
        with pytest.raises(Forbidden):
            manage.reset(core, make_person(f"of-{role.value}", role), "bob")
    assert len(stored_of(core, member)) == 1


def test_nobody_takes_away_what_is_somebody_elses(core: Core, member: Actor, make_person: Callable[..., Actor]) -> None:
    device_of(core, member)
    (mine,) = stored_of(core, member)
    with pytest.raises(NotFound):
        manage.remove(core, make_person("eve"), mine.factor.id, PASSWORD)
    assert stored_of(core, member) == [mine]


def test_factors_of_one_account_are_bounded(core: Core, member: Actor) -> None:
    device_of(core, member)
    (one,) = stored_of(core, member)
    with core.database.write():
        for number in range(manage.MOST - 1):
            factor = type(one.factor)(f"{number:032x}", member.user_id, second.TOTP, "Phone", core.clock.now())
            store.insert(store.StoredFactor(factor, one.secret, "", 0, verifies_user=False))
    with pytest.raises(Conflict, match="no more are kept"):
        manage.begin_totp(core, member, PASSWORD)


def test_factors_go_with_the_password(core: Core, member: Actor) -> None:
    """Else they would lie there, and be good again with the next password."""
    device_of(core, member)
    person = Person("https://id.example.org", "id-of-bob", "bob")
    conversion.link(core, member, core.identity.get("corp"), person, keep_session=None)
    assert stored_of(core, member) == []
    conversion.to_password(core, SYSTEM, "bob", "another horse entirely")
    assert not second.needed(core, passwords.check(core, "bob", "another horse entirely", HERE))
