"""What others try on the way between Stead and a provider. Each test fails where its defence is taken out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from stead.testing.waiting import eventually

PASSWORD = "correct horse battery"
ISSUER = "https://id.example.org"


def state_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["state"][0]


def test_a_sign_in_lands_where_it_was_wanted_and_leaves_a_record(world: Any) -> None:
    browser = world.browser()
    response = browser.sign_in(target="?next=/templates")
    assert (response.status_code, response.location) == (303, "/templates")
    assert browser.whoami()["username"] == "bob"
    attempt = world.last_attempt()
    assert (attempt.provider, attempt.outcome, attempt.account) == ("corp", "succeeded", "bob")
    assert [step.title for step in attempt.steps][:2] == ["Authorization request", "State"]


def test_an_answer_is_good_for_once(world: Any) -> None:
    browser = world.browser()
    back = world.page.approve(browser.begin(), "bob")
    assert browser.get(back).status_code == 303
    assert browser.get(back).status_code == 401
    assert "used already" in world.last_attempt().detail


def test_a_state_is_good_for_once_even_with_another_code(world: Any) -> None:
    browser = world.browser()
    away = browser.begin()
    first, second = world.page.approve(away, "bob"), world.page.approve(away, "bob")
    assert browser.get(first).status_code == 303
    assert browser.get(second).status_code == 401


def test_of_two_answers_at_once_one_is_taken(world: Any) -> None:
    browsers = [world.browser() for _ in range(2)]
    away = browsers[0].begin()
    cookie = browsers[0].client.get_cookie("stead_sign_in", domain="stead.test")
    browsers[1].client.set_cookie("stead_sign_in", cookie.value, domain="stead.test")
    answers = [world.page.approve(away, "bob") for _ in browsers]
    barrier = threading.Barrier(2)

    def come_back(number: int) -> int:
        barrier.wait(30)
        return int(browsers[number].get(answers[number]).status_code)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(come_back, range(2))) == [303, 401]


def test_a_nonce_of_another_sign_in_is_refused(world: Any) -> None:
    """A code that was made for one sign-in, brought back with the state of another."""
    browser = world.browser()
    stolen = world.page.approve(browser.begin(), "bob")
    mine = browser.begin()
    code = parse_qs(urlsplit(stolen).query)["code"][0]
    response = browser.get(f"/sign-in/corp/callback?code={code}&state={state_of(mine)}")
    assert response.status_code == 401
    assert "nonce" in world.last_attempt().detail


def test_a_sign_in_that_another_browser_began_is_refused(world: Any) -> None:
    """Sign-in CSRF: the attacker's answer, opened in the victim's browser."""
    back = world.page.approve(world.browser().begin(), "bob")
    victim = world.browser()
    assert victim.get(back).status_code == 401
    assert victim.whoami() is None
    assert "another browser" in world.last_attempt().detail


def test_a_browser_on_its_own_way_takes_no_answer_of_another(world: Any) -> None:
    back = world.page.approve(world.browser().begin(), "bob")
    victim = world.browser()
    victim.begin()
    assert victim.get(back).status_code == 401


def test_an_answer_at_another_providers_address_is_refused(world: Any) -> None:
    """Mix-up: what one provider answered is brought to the address of another."""
    browser = world.browser()
    back = world.page.approve(browser.begin("corp"), "bob")
    world.other.codes.update(world.page.codes)
    world.other.people.update(world.page.people)
    assert browser.get(back.replace("/corp/", "/other/")).status_code == 401
    assert "given out for corp" in world.last_attempt().detail
    assert browser.get(back).status_code == 401, "the state is used up by the attempt"


def test_a_sign_in_ends_after_ten_minutes(world: Any) -> None:
    browser = world.browser()
    back = world.page.approve(browser.begin(), "bob")
    world.clock.advance(601)
    assert browser.get(back).status_code == 401
    assert "expired" in world.last_attempt().detail


@pytest.mark.parametrize("query", ["", "?state=", "?state=x&code=y", "?state=" + "0" * 32 + "-guess&code=y"])
def test_a_state_that_is_not_ours_is_refused(world: Any, query: str) -> None:
    response = world.browser().get(f"/sign-in/corp/callback{query}")
    assert response.status_code == 401
    assert "Begin again" in response.text


def test_a_state_with_another_secret_is_refused_and_uses_nothing_up(world: Any) -> None:
    browser = world.browser()
    back = world.page.approve(browser.begin(), "bob")
    state = state_of(back)
    guess = f"{state.partition('-')[0]}-{'A' * 43}"
    assert browser.get(back.replace(state, guess)).status_code == 401
    assert browser.get(back).status_code == 303


def test_an_answer_is_bounded(world: Any) -> None:
    browser = world.browser()
    back = world.page.approve(browser.begin(), "bob")
    asked = world.page.asked
    assert browser.get(f"{back}&more={'x' * 65_536}").status_code == 400
    assert world.page.asked == asked, "the provider is not even asked"


def test_nobody_is_sent_to_what_is_no_address(world: Any) -> None:
    for url in ("javascript:alert(1)//", "data:text/html,x", "//evil.example", "https:///nowhere"):
        world.page.url = url
        response = world.browser().get("/sign-in/corp")
        assert response.status_code == 503, url
        assert url not in response.text


def test_a_parameter_that_comes_twice_is_refused(world: Any) -> None:
    browser = world.browser()
    back = world.page.approve(browser.begin(), "bob")
    assert browser.get(back + "&code=another").status_code == 400


def test_a_session_that_the_browser_brought_is_not_the_one_that_is_opened(world: Any) -> None:
    """Session fixation: the attacker planted a session of their own in the victim's browser."""
    mallory = world.local("mallory")
    browser = world.browser(mallory)
    planted = browser.client.get_cookie("stead_session", domain="stead.test").value
    browser.sign_in()
    assert browser.whoami()["username"] == "bob"
    assert browser.client.get_cookie("stead_session", domain="stead.test").value != planted
    again = world.browser()
    again.client.set_cookie("stead_session", planted, domain="stead.test")
    assert again.whoami() is None, "the planted session has ended"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/a\\..\\b",
        "javascript:alert(1)",
    ],
)
def test_the_way_back_leads_nowhere_else(world: Any, target: str) -> None:
    browser = world.browser()
    response = browser.sign_in(target=f"?next={target}")
    assert response.location == "/"


def test_an_equal_address_at_another_provider_is_somebody_else(world: Any, make_person: Any) -> None:
    """Account takeover: whoever controls any provider could claim any address there."""
    victim = world.local("victim")
    world.other.add(make_person("attacker", email=victim.email))
    browser = world.browser()
    response = browser.sign_in("attacker", "other")
    assert response.status_code == 401
    assert "Another account has your e-mail address" in response.text
    assert browser.whoami() is None


def test_an_equal_subject_at_another_provider_is_somebody_else(world: Any, make_person: Any) -> None:
    world.browser().sign_in()
    world.other.add(make_person("bob", subject="id-of-bob", email="bob@elsewhere.example", issuer="https://other"))
    impostor = world.browser()
    impostor.sign_in("bob", "other")
    assert impostor.whoami()["username"] == "bob-2"


def test_issuer_and_subject_at_another_provider_are_somebody_else(world: Any, make_person: Any) -> None:
    """Whoever runs the second provider decides what it says."""
    world.browser().sign_in()
    world.other.add(make_person("bob", email="bob@elsewhere.example"))
    impostor = world.browser()
    impostor.sign_in("bob", "other")
    assert impostor.whoami()["username"] == "bob-2"


def test_a_subject_of_another_issuer_is_somebody_else(world: Any, make_person: Any) -> None:
    """One provider that speaks for several issuers, as those of many tenants do."""
    world.browser().sign_in()
    world.page.add(make_person("eve", subject="id-of-bob", issuer="https://tenant.example"))
    impostor = world.browser()
    impostor.sign_in("eve")
    assert impostor.whoami()["username"] == "eve"


def test_an_address_that_is_not_verified_is_not_taken(world: Any, make_person: Any) -> None:
    """Else somebody could be invited, mailed or found by an address that is not theirs; and keep its owner out."""
    world.page.add(make_person("eve", email="chief@example.org", email_verified=False))
    attacker = world.browser()
    attacker.sign_in("eve")
    assert attacker.whoami()["email"] == "eve@corp.invalid"
    world.page.add(make_person("chief"))
    owner = world.browser()
    owner.sign_in("chief")
    assert owner.whoami()["email"] == "chief@example.org"
    world.page.add(make_person("eve", email="later@example.org", email_verified=False))
    attacker.sign_in("eve")
    assert attacker.whoami()["email"] == "eve@corp.invalid"


def test_somebody_without_a_usable_name_at_the_provider_is_nobody(world: Any) -> None:
    bob = world.page.people["bob"]
    for changes in (
        {"subject": ""},
        {"issuer": ""},
        {"subject": "x" * 256},
        {"issuer": "x" * 513},
        {"subject": "id\nof-bob"},
        {"issuer": "https://id\u202e"},
    ):
        world.page.add(replace(bob, **changes))
        browser = world.browser()
        assert browser.sign_in().status_code == 503, changes
        assert browser.whoami() is None


def test_an_account_that_is_suspended_stays_out(world: Any) -> None:
    browser = world.browser()
    browser.sign_in()
    from_admin = world.browser(world.owner)
    token = from_admin.post("/users/bob/status", status="suspended")
    assert token.status_code == 303
    assert browser.whoami() is None
    assert world.browser().sign_in().status_code == 401
    assert world.last_attempt().outcome == "refused"


def test_passwords_are_guessed_few_times_on_an_account(make_world: Callable[..., Any], make_person: Any) -> None:
    world = make_world(login_attempts=3)
    world.directory.add(make_person("eve"))
    world.directory.passwords["eve"] = "the right one"
    for number in range(3):
        assert world.login("eve", "wrong", address=f"192.0.2.{number}").status_code == 401
    refused = world.login("eve", "the right one", address="192.0.2.99")
    assert refused.status_code == 429
    assert "the right one" not in world.directory.seen_passwords, "the provider is not even asked"
    assert world.last_attempt().outcome == "limited"
    world.clock.advance(301)
    assert world.login("eve", "the right one").status_code == 200


def test_passwords_are_guessed_few_times_from_an_address(make_world: Callable[..., Any], make_person: Any) -> None:
    world = make_world(login_attempts=1)
    for number in range(5):
        name = f"person{number}"
        world.directory.add(make_person(name))
        assert world.login(name, "wrong").status_code == 401
    world.directory.add(make_person("eve"))
    world.directory.passwords["eve"] = "right"
    assert world.login("eve", "right").status_code == 429
    assert world.login("eve", "right", address="192.0.2.200").status_code == 200


@pytest.mark.parametrize("password", ["", "x" * 1025])
def test_no_provider_is_asked_about_no_password(world: Any, make_person: Any, password: str) -> None:
    world.directory.add(make_person("eve"))
    assert world.login("eve", password).status_code in (400, 401)
    form = world.browser().post("/login", "/login", login="eve", password=password)
    assert form.status_code == 401
    assert world.directory.asked == 0


def test_a_bad_password_at_the_first_provider_is_not_tried_at_the_next(
    make_world: Callable[..., Any], make_person: Any
) -> None:
    world = make_world()
    world.directory.add(make_person("eve"))
    world.directory.passwords["eve"] = "right"
    assert world.login("eve", "wrong").status_code == 401
    assert world.login("nobody", "whatever").status_code == 401
    assert world.login("ada", PASSWORD).status_code == 200
    assert PASSWORD not in world.directory.seen_passwords, "a local account's password is shown to nobody"


def test_a_hanging_provider_stops_only_its_own_sign_ins(make_world: Callable[..., Any], make_person: Any) -> None:
    world = make_world(corp={"sign_ins_at_once": 2})
    world.page.add(make_person("bob"))
    world.other.add(make_person("eve", issuer="https://other"))
    browsers = [world.browser() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool, world.page.hanging():
        waiting = [pool.submit(browser.get, "/sign-in/corp") for browser in browsers]
        eventually(lambda: sum(one.done() for one in waiting) == 4, timeout=60)
        assert {one.result().status_code for one in waiting if one.done()} == {503}
        assert world.browser().sign_in("eve", "other").status_code == 303
    assert sorted(one.result().status_code for one in waiting) == [303, 303, 503, 503, 503, 503]


def test_a_provider_that_is_away_or_broken_fails_its_own_sign_ins(world: Any, make_person: Any) -> None:
    world.page.away = True
    response = world.browser().get("/sign-in/corp")
    assert response.status_code == 503
    assert world.last_attempt().outcome == "unavailable"
    world.page.away, world.page.defect = False, True
    response = world.browser().get("/sign-in/corp")
    assert response.status_code == 503
    assert "a defect of the provider" not in response.text
    world.other.add(make_person("eve"))
    assert world.browser().sign_in("eve", "other").status_code == 303


def test_a_directory_that_is_away_leaves_local_accounts_alone(world: Any) -> None:
    world.directory.away = True
    assert world.login("ada", PASSWORD).status_code == 200
    assert world.login("eve", "whatever").status_code == 503


def test_with_tls_no_other_host_can_plant_the_cookie(make_world: Callable[..., Any]) -> None:
    world = make_world(access_url="https://stead.test")
    response = world.app.test_client().get("/sign-in/corp", base_url="https://stead.test")
    cookie = next(value for value in response.headers.getlist("Set-Cookie") if "stead_sign_in" in value)
    assert cookie.startswith("__Host-stead_sign_in=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))


def test_enormous_groups_are_bounded_and_taken(world: Any, make_person: Any) -> None:
    names = tuple(f"group-{number:05}" for number in range(10_000))
    world.page.add(make_person("bob", groups=(*names, "bad\nname", "x" * 300, "")))
    assert world.browser().sign_in().status_code == 303
    listed = world.browser(world.owner).client.get("/api/v2/groups?limit=1", base_url="http://stead.test").json
    assert listed["total"] == 10_000
    world.page.add(make_person("bob", groups=("staff",)))
    assert world.browser().sign_in().status_code == 303
    listed = world.browser(world.owner).client.get("/api/v2/groups", base_url="http://stead.test").json
    assert [group["name"] for group in listed["items"]] == ["staff"]
