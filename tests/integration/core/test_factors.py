"""Second factors of local accounts: setting them up, signing in with them, and whoever tries without."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest

from stead.api.errors import Conflict, Forbidden, InvalidInput, NotAuthenticated, NotFound, RateLimited
from stead.domain.records import Actor
from stead.domain.states import Role
from stead.plugins import PluginRegistry
from stead.services import audit, authentication, deployment, users
from stead.services.clock import ManualClock
from stead.services.core import Core, close_core, open_core
from stead.services.factors import manage, second
from stead.services.signin import conversion, passwords, record
from stead.services.signin.proof import Proof
from stead.services.signin.record import Source
from stead.store import signin

_spec = importlib.util.spec_from_file_location("authenticator", Path(__file__).with_name("authenticator.py"))
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
sys.modules["authenticator"] = _module
_spec.loader.exec_module(_module)
Authenticator = _module.Authenticator

PASSWORD = "correct horse battery"
URL = "https://stead.example.org"
HERE = Source("192.0.2.1", "a browser")


@pytest.fixture
def core(make_settings: Callable[..., Any], clock: ManualClock) -> Iterator[Core]:
    opened = open_core(make_settings(access_url=URL, login_attempts=4), clock=clock, plugins=PluginRegistry())
    yield opened
    close_core(opened)


def signed_in(core: Core, login: str = "bob") -> Proof:
    return passwords.check(core, login, PASSWORD, HERE)


@pytest.fixture
def device(core: Core, member: Actor) -> pyotp.TOTP:
    """An authenticator app of bob's."""
    return add_device(core, member)[0]


def add_device(core: Core, actor: Actor) -> tuple[pyotp.TOTP, tuple[str, ...]]:
    new = manage.begin_totp(core, actor, PASSWORD)
    totp = pyotp.parse_uri(new.uri)
    assert totp.secret == new.secret
    added = manage.confirm_totp(core, actor, new.step, code(core, totp), "Phone")
    return totp, added.recovery_codes


def code(core: Core, totp: pyotp.TOTP) -> str:
    return str(totp.at(int(core.clock.now().timestamp())))


def add_passkey(core: Core, actor: Actor, **options: Any) -> Any:
    key = Authenticator(URL, **options)
    new = manage.begin_passkey(core, actor, PASSWORD)
    manage.confirm_passkey(core, actor, new.step, key.create(new.options), "Laptop")
    return key


def later(clock: ManualClock, seconds: float = 31) -> None:
    clock.advance(seconds)


def test_a_password_alone_is_enough_until_there_is_a_second_factor(core: Core, member: Actor) -> None:
    assert not second.needed(core, signed_in(core))
    add_device(core, member)
    assert second.needed(core, signed_in(core))
    assert not second.needed(core, Proof(signed_in(core).user, provider="corp"))


def test_a_code_of_the_device_lets_in_once(core: Core, device: pyotp.TOTP, clock: ManualClock) -> None:
    later(clock)
    waiting = second.wait(core, signed_in(core))
    now = code(core, device)
    assert second.answer_code(core, waiting, f" {now[:3]} {now[3:]} ", HERE).user.username == "bob"
    with pytest.raises(NotAuthenticated, match="took too long, or was done"):
        second.answer_code(core, waiting, now, HERE)
    again = second.wait(core, signed_in(core))
    with pytest.raises(NotAuthenticated, match="used already"):
        second.answer_code(core, again, now, HERE)
    later(clock)
    second.answer_code(core, again, code(core, device), HERE)


def test_the_code_that_set_the_device_up_is_used(core: Core, device: pyotp.TOTP) -> None:
    with pytest.raises(NotAuthenticated):
        second.check_code(core, signed_in(core).user, code(core, device), HERE)


@pytest.mark.parametrize(("seconds", "good"), [(-30, True), (30, True), (-90, False), (90, False)])
def test_a_clock_may_be_a_little_off(
    core: Core, device: pyotp.TOTP, clock: ManualClock, seconds: int, good: bool
) -> None:
    later(clock, 600)
    given = device.at(int(core.clock.now().timestamp()) + seconds)
    user = signed_in(core).user
    if good:
        second.check_code(core, user, given, HERE)
    else:
        with pytest.raises(NotAuthenticated):
            second.check_code(core, user, given, HERE)


def test_a_recovery_code_lets_in_once(core: Core, member: Actor) -> None:
    _, made = add_device(core, member)
    assert len(made) == len(set(made)) == 10
    user = signed_in(core).user
    second.check_code(core, user, made[3].upper().replace("-", " "), HERE)
    with pytest.raises(NotAuthenticated):
        second.check_code(core, user, made[3], HERE)
    assert manage.overview(core, member).recovery_codes == 9
    fresh = manage.new_recovery_codes(core, member, PASSWORD)
    with pytest.raises(NotAuthenticated):
        second.check_code(core, user, made[4], HERE)
    second.check_code(core, user, fresh[0], HERE)


def test_codes_of_somebody_else_let_nobody_in(core: Core, member: Actor, make_person: Callable[..., Actor]) -> None:
    add_device(core, member)
    other, recovery = add_device(core, make_person("eve"))
    user = signed_in(core).user
    core.clock.advance(60)  # type: ignore[attr-defined]
    for wrong in (code(core, other), recovery[0], "", "000000", "1" * 40, "\uff11" * 6):
        with pytest.raises((NotAuthenticated, RateLimited)):
            second.check_code(core, user, wrong, Source("192.0.2.9"))


def test_guessing_ends_soon_and_a_right_password_does_not_begin_it_anew(
    core: Core, device: pyotp.TOTP, clock: ManualClock
) -> None:
    later(clock)
    for _ in range(4):
        waiting = second.wait(core, signed_in(core))
        with pytest.raises(NotAuthenticated):
            second.answer_code(core, waiting, "000000", HERE)
    with pytest.raises(RateLimited):
        second.answer_code(core, second.wait(core, signed_in(core)), code(core, device), HERE)
    later(clock, 301)
    second.answer_code(core, second.wait(core, signed_in(core)), code(core, device), HERE)


def test_a_step_takes_five_tries(make_settings: Callable[..., Any], clock: ManualClock) -> None:
    patient = open_core(make_settings(access_url=URL, login_attempts=100), clock=clock, plugins=PluginRegistry())
    try:
        made = deployment.create_first_owner(patient, "ada", "ada@example.org", PASSWORD, "Ada")
        actor = authentication.actor_for_user(patient, made.id)
        totp, _ = add_device(patient, actor)
        later(clock)
        waiting = second.wait(patient, passwords.check(patient, "ada", PASSWORD, HERE))
        for _ in range(5):
            with pytest.raises(NotAuthenticated, match="code is wrong"):
                second.answer_code(patient, waiting, "000000", HERE)
        with pytest.raises(NotAuthenticated, match="too many"):
            second.answer_code(patient, waiting, code(patient, totp), HERE)
    finally:
        close_core(patient)


def test_a_step_is_over_after_five_minutes_and_knows_its_own_secret(
    core: Core, device: pyotp.TOTP, clock: ManualClock
) -> None:
    waiting = second.wait(core, signed_in(core))
    head = waiting.partition("-")[0]
    for wrong in ("", None, "x", f"{head}-{'A' * 43}", waiting + "A"):
        with pytest.raises(NotAuthenticated):
            second.waiting(core, wrong)
    later(clock, 301)
    with pytest.raises(NotAuthenticated):
        second.answer_code(core, waiting, code(core, device), HERE)


def test_a_passkey_is_a_second_factor(core: Core, member: Actor) -> None:
    key = add_passkey(core, member, verifies=False)
    waiting = second.wait(core, signed_in(core))
    seen = second.waiting(core, waiting)
    assert (seen.kinds, [one["id"] for one in json.loads(seen.options)["allowCredentials"]]) == (
        frozenset({"passkey"}),
        [_module.text(key.credential)],
    )
    answer = key.get(seen.options)
    assert second.answer_passkey(core, waiting, answer, HERE).user.username == "bob"
    with pytest.raises(NotAuthenticated):
        second.answer_passkey(core, waiting, answer, HERE)
    again = second.wait(core, signed_in(core))
    with pytest.raises(NotAuthenticated):
        second.answer_passkey(core, again, answer, HERE)  # it was for another challenge


def test_a_passkey_alone_lets_in_where_it_makes_sure_of_the_person(core: Core, member: Actor) -> None:
    key = add_passkey(core, member)
    secret, options = second.begin_passkey(core)
    assert json.loads(options)["userVerification"] == "required"
    assert second.finish_passkey(core, secret, key.get(options), HERE).user.username == "bob"
    key.verifies = False
    secret, options = second.begin_passkey(core)
    with pytest.raises(NotAuthenticated):
        second.finish_passkey(core, secret, key.get(options), HERE)


def refused_passkeys(core: Core, key: Any) -> Iterator[tuple[str, Callable[[str], str]]]:
    stranger = Authenticator(URL)

    def altered(options: str) -> str:
        answer = json.loads(key.get(options))
        data = bytearray(_module.base64.urlsafe_b64decode(answer["response"]["authenticatorData"] + "=="))
        data[36] ^= 1
        answer["response"]["authenticatorData"] = _module.text(bytes(data))
        return json.dumps(answer)

    def from_elsewhere(options: str) -> str:
        key.origin = "https://stead.example.org.evil.test"
        try:
            return str(key.get(options))
        finally:
            key.origin = URL

    def stolen_name(options: str) -> str:
        stranger.credential = key.credential
        return str(stranger.get(options))

    yield "unknown", lambda options: str(Authenticator(URL).get(options))
    yield "altered", altered
    yield "another origin", from_elsewhere
    yield "another host", lambda options: str(key.get(options, host="evil.test"))
    yield "another key of this name", stolen_name
    yield "nonsense", lambda _options: '{"id": 7}'


def test_passkeys_that_do_not_hold_are_refused(core: Core, member: Actor, clock: ManualClock) -> None:
    key = add_passkey(core, member)
    for what, make in refused_passkeys(core, key):
        secret, options = second.begin_passkey(core)
        with pytest.raises(NotAuthenticated):
            second.finish_passkey(core, secret, make(options), Source(f"192.0.2.{len(what)}"))
        clock.advance(400)
    secret, options = second.begin_passkey(core)
    second.finish_passkey(core, secret, key.get(options), HERE)
    assert [one.outcome for one in record_of(core, member)][-1] == "succeeded"


def record_of(core: Core, member: Actor) -> list[Any]:
    with core.database.read():
        found, _ = signin.attempts(provider="", outcome="", user_id=None, search="", limit=100, offset=0)
    return sorted(found, key=lambda one: one.id)


def test_a_copied_authenticator_is_noticed(core: Core, member: Actor) -> None:
    key = add_passkey(core, member)
    for _ in range(3):
        secret, options = second.begin_passkey(core)
        second.finish_passkey(core, secret, key.get(options), HERE)
    key.count = 0
    secret, options = second.begin_passkey(core)
    with pytest.raises(NotAuthenticated):
        second.finish_passkey(core, secret, key.get(options), HERE)


def test_a_passkey_belongs_to_one_account(core: Core, member: Actor, make_person: Callable[..., Actor]) -> None:
    key = add_passkey(core, member)
    eve = make_person("eve")
    new = manage.begin_passkey(core, eve, PASSWORD)
    with pytest.raises(Conflict, match="in use"):
        manage.confirm_passkey(core, eve, new.step, key.create(new.options), "")
    add_device(core, eve)
    waiting = second.wait(core, signed_in(core, "eve"))
    _secret, options = second.begin_passkey(core)
    with pytest.raises(NotAuthenticated):
        second.answer_passkey(core, waiting, key.get(options), HERE)


def test_no_passkeys_at_an_address_without_a_name(make_settings: Callable[..., Any], core: Core, member: Actor) -> None:
    bare = open_core(make_settings(access_url="https://192.0.2.7"), plugins=PluginRegistry())
    try:
        with pytest.raises(Conflict, match="IP address"):
            manage.begin_passkey(bare, member, PASSWORD)
    finally:
        close_core(bare)


def test_changes_need_the_password(core: Core, member: Actor, device: pyotp.TOTP) -> None:
    (mine,) = manage.overview(core, member).items
    for change in (
        lambda: manage.begin_totp(core, member, "wrong"),
        lambda: manage.begin_passkey(core, member, ""),
        lambda: manage.remove(core, member, mine.id, "wrong"),
    ):
        with pytest.raises(InvalidInput, match="password is wrong"):
            change()
    assert manage.overview(core, member).items == (mine,)


def test_nobody_finishes_what_somebody_else_began(core: Core, member: Actor, make_person: Callable[..., Actor]) -> None:
    eve = make_person("eve")
    new = manage.begin_totp(core, member, PASSWORD)
    totp = pyotp.parse_uri(new.uri)
    with pytest.raises(NotAuthenticated):
        manage.confirm_totp(core, eve, new.step, code(core, totp), "")
    assert manage.overview(core, eve).items == ()
    with pytest.raises(NotFound):
        manage.remove(core, eve, "unknown", PASSWORD)


def test_with_the_last_factor_go_the_recovery_codes(core: Core, member: Actor) -> None:
    add_device(core, member)
    (mine,) = manage.overview(core, member).items
    manage.remove(core, member, mine.id, PASSWORD)
    assert manage.overview(core, member) == manage.Factors((), 0)
    assert not second.needed(core, signed_in(core))
    with pytest.raises(Conflict, match="no second factor"):
        manage.new_recovery_codes(core, member, PASSWORD)


def test_an_administrator_takes_away_what_was_lost_but_not_of_the_mightier(
    core: Core, owner: Actor, member: Actor, make_person: Callable[..., Actor]
) -> None:
    add_device(core, member)
    add_device(core, owner)
    admin = make_person("carol", Role.USER_ADMIN)
    assert manage.reset(core, admin, "bob") == 1
    assert not second.needed(core, signed_in(core))
    with pytest.raises(Forbidden):
        manage.reset(core, admin, "ada")
    with pytest.raises(Forbidden):
        manage.reset(core, member, "bob")
    actions = [row.action for row in audit.list(core, owner).items]
    assert {"added second factor", "reset second factors"} <= set(actions)


def test_recovery_from_the_servers_shell_takes_factors_away(core: Core, owner: Actor) -> None:
    add_device(core, owner)
    conversion.recover(core, "ada", "another horse entirely")
    proof = passwords.check(core, "ada", "another horse entirely", HERE)
    assert not second.needed(core, proof)


def test_a_suspended_account_goes_no_further(core: Core, owner: Actor, member: Actor, device: pyotp.TOTP) -> None:
    waiting = second.wait(core, signed_in(core))
    users.set_status(core, owner, "bob", "suspended")
    core.clock.advance(31)  # type: ignore[attr-defined]
    with pytest.raises(NotAuthenticated):
        second.answer_code(core, waiting, code(core, device), HERE)


def test_failures_are_in_the_record_without_the_code(core: Core, owner: Actor, device: pyotp.TOTP) -> None:
    with pytest.raises(NotAuthenticated):
        second.check_code(core, signed_in(core).user, "123456", HERE)
    newest = record.list(core, owner).items[0]
    assert (newest.outcome, newest.account, newest.address) == ("refused", "bob", "192.0.2.1")
    assert "123456" not in repr(newest)


def test_secrets_are_not_in_reprs(core: Core, member: Actor) -> None:
    new = manage.begin_totp(core, member, PASSWORD)
    assert new.secret not in repr(new)


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("xq7kv2", "too short"),
        ("password1", "easily guessed"),
        ("qwertyuiop", "easily guessed"),
        ("xq-zelda7-kk3vv", "own name"),
        ("zelda@example.org99", "own name"),
    ],
)
def test_weak_passwords_are_refused_with_the_reason(core: Core, owner: Actor, password: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as refused:
        users.create(core, owner, "zelda", "zelda@example.org", password)
    assert refused.value.field == "password"
    assert password not in str(refused.value)


def test_a_longer_password_can_be_demanded(make_settings: Callable[..., Any], core: Core, owner: Actor) -> None:
    strict = open_core(
        make_settings(access_url=URL, password_min_length=25, password_min_strength=0), plugins=PluginRegistry()
    )
    try:
        with pytest.raises(InvalidInput, match="at least 25"):
            users.set_password(strict, owner, "ada", PASSWORD, "correct horse staple")
        users.set_password(strict, owner, "ada", PASSWORD, "a" * 25)
    finally:
        close_core(strict)
