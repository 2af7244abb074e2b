"""A deployment that asks for second factors: what is open without one, how it is added, who cannot get around it."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest
from flask.testing import FlaskClient

from stead.api.errors import Conflict, Forbidden, InvalidInput, NotAuthenticated
from stead.cli import local
from stead.domain.records import Actor
from stead.domain.states import Role
from stead.models import TokenRow
from stead.plugins import PluginRegistry
from stead.services import audit, authentication, tokens, users
from stead.services.clock import ManualClock
from stead.services.core import Core, close_core, open_core
from stead.services.factors import demand, enrolment, manage, second
from stead.services.factors.demand import SecondFactorMissing
from stead.services.signin import conversion, passwords
from stead.services.signin.record import Source
from stead.web.app import create_app

_spec = importlib.util.spec_from_file_location("authenticator_of_demand", Path(__file__).with_name("authenticator.py"))
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
sys.modules["authenticator_of_demand"] = _module
_spec.loader.exec_module(_module)
Authenticator = _module.Authenticator

PASSWORD = "correct horse battery"
URL = "https://stead.example.org"
HERE = Source("192.0.2.1", "a browser")


@pytest.fixture
def core(make_settings: Callable[..., Any], clock: ManualClock) -> Iterator[Core]:
    settings = make_settings(access_url=URL, second_factor="required")
    opened = open_core(settings, clock=clock, plugins=PluginRegistry())
    yield opened
    close_core(opened)


def wanting(core: Core, who: str) -> Core:
    """The same deployment after its setting was changed."""
    return replace(core, settings=core.settings.model_copy(update={"second_factor": who}))


def begin(core: Core, login: str = "bob") -> str:
    return enrolment.begin(core, passwords.check(core, login, PASSWORD, HERE))


def code(core: Core, secret: str) -> str:
    return str(pyotp.TOTP(secret).at(int(core.clock.now().timestamp())))


def enrol(core: Core, login: str = "bob") -> enrolment.Enrolled:
    step = begin(core, login)
    shown = code(core, enrolment.waiting(core, step).secret)
    return enrolment.confirm_totp(core, step, shown, "Phone", HERE.address)


def browse(core: Core) -> FlaskClient:
    return create_app(core).test_client()


def post(client: FlaskClient, path: str, page: str, **fields: str) -> Any:
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get(page, base_url=URL).text)
    assert token is not None
    return client.post(path, base_url=URL, data={**fields, "csrf_token": token[1]})


def test_who_has_to(core: Core, owner: Actor, member: Actor) -> None:
    bob, ada = users.get(core, owner, "bob"), users.get(core, owner, "ada")
    assert [demand.missing(core, one) for one in (bob, ada)] == [True, True]
    some = wanting(core, "administrators")
    assert [demand.missing(some, one) for one in (bob, ada)] == [False, True]
    for role in (Role.AUDITOR, Role.USER_ADMIN, Role.TEMPLATE_ADMIN):
        assert demand.missing(some, replace(bob, roles=(Role.MEMBER, role)))
    assert not demand.missing(wanting(core, "optional"), ada)
    # A provider asks for second factors itself.
    assert not demand.missing(core, replace(bob, provider="corp"))


def test_sessions_and_tokens_of_before_open_nothing_until_there_is_one(core: Core, member: Actor) -> None:
    session = authentication.open_session(core, member.user_id, "", "")
    _, token = tokens.create(core, member, "ci")
    lax = wanting(core, "optional")
    assert authentication.actor_for_session(lax, session).user_id == member.user_id
    assert authentication.actor_for_token(lax, token).user_id == member.user_id
    for refused in (
        lambda: authentication.actor_for_session(core, session),
        lambda: authentication.actor_for_token(core, token),
    ):
        with pytest.raises(SecondFactorMissing, match="asks for a second factor") as error:
            refused()
        assert f"{URL}/login" in (error.value.remedy or "")
    enrol(core)
    assert authentication.actor_for_token(core, token).user_id == member.user_id
    # The session was opened with the password alone: it has ended for good.
    with pytest.raises(NotAuthenticated, match="not signed in"):
        authentication.actor_for_session(core, session)


def test_the_token_of_a_workspace_goes_on(core: Core, member: Actor) -> None:
    _, token = tokens.create(core, member, "ci")
    with core.database.write():
        TokenRow.update(scope="workspace:1").execute()
    assert authentication.actor_for_token(core, token).roles == ()


def test_the_password_leads_to_adding_one_and_to_nothing_else(core: Core, member: Actor) -> None:
    client = browse(core)
    sent = post(client, "/login", "/login", login="bob", password=PASSWORD, next="/settings/tokens")
    assert (sent.status_code, sent.location) == (303, "/login/enrol?next=/settings/tokens")
    assert client.get_cookie("stead_session", domain="stead.example.org") is None
    for path in ("/workspaces", "/settings", "/settings/security", "/device", "/api/v2/users/me", "/login/factor"):
        assert client.get(path, base_url=URL).status_code in (302, 303, 401), path
    shown = client.get("/login/enrol?next=/settings/tokens", base_url=URL)
    secret = re.search(r"<code[^>]*>([A-Z2-7]{32})</code>", shown.text)
    assert secret is not None
    again = client.get("/login/enrol", base_url=URL)
    assert secret[1] in again.text  # it stays the same while the page is loaded anew
    wrong = post(client, "/login/enrol", "/login/enrol", code="000000", next="/settings/tokens")
    assert wrong.status_code == 400
    assert "The code is wrong" in wrong.text
    done = post(client, "/login/enrol", "/login/enrol", code=code(core, secret[1]), next="/settings/tokens")
    assert done.status_code == 200
    assert len(re.findall(r"<li>[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}</li>", done.text)) == 10
    assert 'href="/settings/tokens"' in done.text
    assert client.get("/workspaces", base_url=URL).status_code == 200
    # The way is used up.
    assert client.get("/login/enrol", base_url=URL).status_code == 303


def test_a_passkey_will_do(core: Core, member: Actor) -> None:
    step = begin(core)
    key = Authenticator(URL)
    done = enrolment.confirm_passkey(
        core, step, key.create(enrolment.waiting(core, step).options), "Laptop", HERE.address
    )
    assert (done.factor.kind, len(done.recovery_codes)) == ("passkey", 10)
    assert second.needed(core, passwords.check(core, "bob", PASSWORD, HERE))


def test_a_session_of_before_is_sent_to_the_sign_in_page_and_told_why(core: Core, member: Actor) -> None:
    client = browse(core)
    secret = authentication.open_session(core, member.user_id, "", "")
    client.set_cookie("stead_session", secret, domain="stead.example.org", secure=True)
    sent = client.get("/workspaces", base_url=URL)
    assert (sent.status_code, sent.location) == (302, "/login?next=/workspaces")
    assert "asks for a second factor" in client.get(sent.location, base_url=URL).text
    assert client.get("/api/v2/users/me", base_url=URL).json["error"]["reason"] == "second_factor_missing"


def test_programs_are_told_where_to_add_one(core: Core, member: Actor) -> None:
    client = browse(core)
    refused = client.post("/api/v2/login", json={"login": "bob", "password": PASSWORD}, base_url=URL)
    assert (refused.status_code, refused.json["error"]["reason"]) == (401, "second_factor_missing")
    assert f"{URL}/login" in refused.json["error"]["remedy"]
    wrong = client.post("/api/v2/login", json={"login": "bob", "password": "wrong"}, base_url=URL)
    assert wrong.json["error"]["reason"] == "not_authenticated"  # nobody learns it without the password
    done = enrol(core)
    body = {"login": "bob", "password": PASSWORD, "code": done.recovery_codes[0]}
    assert client.post("/api/v2/login", json=body, base_url=URL).status_code == 200


def test_nobody_adds_one_with_a_stolen_password_beside_the_owners(core: Core, member: Actor) -> None:
    """Who began before the account had a factor must not finish after it."""
    thief = begin(core)
    secret = enrolment.waiting(core, thief).secret
    enrol(core)
    with pytest.raises(NotAuthenticated, match="has a second factor by now"):
        enrolment.confirm_totp(core, thief, code(core, secret), "", "203.0.113.9")
    assert len(manage.overview(core, member).items) == 1


def test_a_new_password_ends_what_the_old_one_began(core: Core, owner: Actor, member: Actor) -> None:
    step = begin(core)
    users.set_password(core, owner, "bob", None, "a different horse battery")
    with pytest.raises(NotAuthenticated):
        enrolment.waiting(core, step)


@pytest.mark.parametrize("ending", ["late", "suspended", "tries"])
def test_the_way_ends(core: Core, owner: Actor, member: Actor, clock: ManualClock, ending: str) -> None:
    step = begin(core)
    secret = enrolment.waiting(core, step).secret
    if ending == "late":
        clock.advance(timedelta(minutes=15, seconds=1).total_seconds())
    elif ending == "suspended":
        users.set_status(core, owner, "bob", "suspended")
    else:
        for _ in range(5):
            with pytest.raises(InvalidInput, match="code is wrong"):
                enrolment.confirm_totp(core, step, "000000", "", "")
    with pytest.raises(NotAuthenticated):
        enrolment.confirm_totp(core, step, code(core, secret), "", "")
    assert manage.overview(core, owner, "bob").items == ()


def test_the_steps_of_one_way_are_not_good_for_another(core: Core, member: Actor) -> None:
    step = begin(core)
    with pytest.raises(NotAuthenticated):
        second.waiting(core, step)
    with pytest.raises(NotAuthenticated):
        manage.confirm_totp(core, member, step, code(core, enrolment.waiting(core, step).secret), "")


def test_the_last_one_stays_and_administrators_reset(core: Core, owner: Actor, member: Actor) -> None:
    done = enrol(core)
    with pytest.raises(Conflict, match="asks for one"):
        manage.remove(core, member, done.factor.id, PASSWORD)
    session = authentication.open_session(core, member.user_id, "", "")
    assert manage.reset(core, owner, "bob") == 1
    with pytest.raises(SecondFactorMissing):
        authentication.actor_for_session(core, session)
    assert enrol(core).recovery_codes
    assert [row.action for row in audit.list(core, owner).items].count("added second factor") == 2


def test_nobody_resets_their_own_without_the_password(core: Core, owner: Actor) -> None:
    enrol(core, "ada")
    with pytest.raises(Forbidden, match="with your password"):
        manage.reset(core, owner, "me")
    assert manage.overview(core, owner).items


def test_the_servers_shell_lets_an_owner_in_again(core: Core, owner: Actor) -> None:
    enrol(core, "ada")
    assert local.reset_factors(core.settings, "ada") == 1
    assert enrol(core, "ada").factor.kind == "totp"
    conversion.recover(core, "ada", "a different horse battery")
    step = enrolment.begin(core, passwords.check(core, "ada", "a different horse battery", HERE))
    secret = enrolment.waiting(core, step).secret
    proof = enrolment.confirm_totp(core, step, code(core, secret), "", "").proof
    session = authentication.open_session(core, proof.user.id, "", "")
    assert Role.OWNER in authentication.actor_for_session(core, session).roles


def test_the_first_owner_adds_one_before_anything_else(core: Core) -> None:
    client = browse(core)
    sent = post(
        client,
        "/setup",
        "/setup",
        username="ada",
        email="ada@example.org",
        password=PASSWORD,
        again=PASSWORD,
    )
    assert (sent.status_code, sent.location) == (303, "/login/enrol?next=/templates/new")
    assert client.get("/templates/new", base_url=URL).status_code == 302
