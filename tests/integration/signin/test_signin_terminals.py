"""Letting a terminal in whose browser runs beside it, and what others try. Each test fails without its defence."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from stead.domain import pairing
from stead.services import authentication, users
from stead.services.core import SYSTEM

URL = "http://stead.test"
VERIFIER = "v" * 43
ASKED = {"port": "40000", "state": "s" * 43, "challenge": pairing.challenge_of(VERIFIER), "client": "cli on laptop"}


def link(**changes: str) -> str:
    return f"/terminal?{urlencode(ASKED | changes)}"


def answer(browser: Any, decision: str = "approve", **changes: str) -> Any:
    return browser.post("/terminal", link(), **(ASKED | changes | {"decision": decision}))


def brought(response: Any) -> tuple[str, dict[str, str]]:
    """Where the page sends the browser, and with what."""
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', response.text)
    assert found is not None, response.text
    parts = urlsplit(found[1].replace("&amp;", "&"))
    return f"{parts.scheme}://{parts.netloc}{parts.path}", {
        name: values[0] for name, values in parse_qs(parts.query).items()
    }


def code_for(browser: Any) -> str:
    return brought(answer(browser))[1]["code"]


def redeem(world: Any, code: str, verifier: str = VERIFIER) -> Any:
    return world.app.test_client().post("/api/v2/login/terminal/token", json={"code": code, "verifier": verifier})


def test_a_terminal_is_let_in(world: Any) -> None:
    browser = world.browser(world.owner)
    page = browser.get(link())
    assert "cli on laptop" in page.text
    assert pairing.code_of(ASKED["challenge"]) in page.text
    where, carried = brought(answer(browser))
    assert where == "http://127.0.0.1:40000/"
    assert (carried["state"], carried["iss"]) == (ASKED["state"], URL)
    made = redeem(world, carried["code"])
    assert made.json["user"]["username"] == "ada"
    assert authentication.actor_for_token(world.core, made.json["token"]).username == "ada"
    done = browser.get(made.json["page"])
    assert "Your terminal is signed in" in done.text
    assert world.browser(world.local("mallory")).get(made.json["page"]).status_code == 404


def test_the_way_there_is_told_to_terminals(world: Any) -> None:
    methods = world.app.test_client().get("/api/v2/login/methods").json
    assert methods["terminal_url"] == f"{URL}/terminal"


def test_the_page_asks_to_sign_in_first_and_comes_back(world: Any) -> None:
    browser = world.browser()
    to_login = browser.get(link()).location
    assert to_login.startswith("/login?next=/terminal%3F")
    target = urlsplit(to_login).query
    assert browser.sign_in(target=f"?{target}").location == link()


def test_to_look_at_the_page_lets_nobody_in(world: Any) -> None:
    browser = world.browser(world.owner)
    assert "http://127.0.0.1:40000" not in browser.get(link()).text
    assert "Let it in" in answer(browser, decision="").text


def test_another_site_lets_nobody_in(world: Any) -> None:
    """A form of another site that posts in the name of whoever is signed in."""
    browser = world.browser(world.owner)
    posted = browser.client.post("/terminal", data=ASKED | {"decision": "approve"}, base_url=URL)
    assert posted.status_code == 403
    framed = browser.get(link()).headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in framed


def test_a_terminal_that_is_turned_away_is_told(world: Any) -> None:
    where, carried = brought(answer(world.browser(world.owner), "deny"))
    assert (where, carried) == (
        "http://127.0.0.1:40000/",
        {"error": "access_denied", "state": ASKED["state"], "iss": URL},
    )


def test_a_code_is_good_for_once(world: Any) -> None:
    code = code_for(world.browser(world.owner))
    assert redeem(world, code).status_code == 200
    assert redeem(world, code).status_code == 401


def test_of_two_programs_with_a_code_one_is_let_in(world: Any) -> None:
    code, barrier = code_for(world.browser(world.owner)), threading.Barrier(2)

    def at_once(_: int) -> int:
        barrier.wait(30)
        return int(redeem(world, code).status_code)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(at_once, range(2))) == [200, 401]


def test_a_code_is_useless_without_its_verifier(world: Any) -> None:
    """Another program of the machine caught it; what it tries uses the code up."""
    code = code_for(world.browser(world.owner))
    assert redeem(world, code, "w" * 43).status_code == 401
    assert redeem(world, code).status_code == 401


def test_what_is_no_verifier_of_it_is_refused(world: Any) -> None:
    """The challenge itself stands in the browser's history."""
    browser = world.browser(world.owner)
    for verifier in ("", "v" * 42, "v" * 129, ASKED["challenge"]):
        assert redeem(world, code_for(browser), verifier).status_code in (400, 401), verifier


def test_a_code_ends_after_a_minute(world: Any) -> None:
    code = code_for(world.browser(world.owner))
    world.clock.advance(61)
    assert redeem(world, code).status_code == 401


def test_a_code_that_is_not_ours_is_refused(world: Any) -> None:
    for code in ("x", "0" * 32 + "-guess", "-", "a-b"):
        assert redeem(world, code).status_code == 401, code


def test_a_right_id_with_a_wrong_secret_is_refused_and_uses_nothing_up(world: Any) -> None:
    code = code_for(world.browser(world.owner))
    assert redeem(world, f"{code[:33]}{'x' * 43}").status_code == 401
    assert redeem(world, code).status_code == 200


def test_a_state_of_a_provider_is_no_code_and_a_code_is_no_state(world: Any) -> None:
    """Both are kept in one place."""
    browser = world.browser(world.owner)
    other = world.browser()
    back = world.page.approve(other.begin(), "bob")
    assert redeem(world, parse_qs(urlsplit(back).query)["state"][0]).status_code == 401
    assert other.get(back).status_code == 303, "it was not used up"
    code = code_for(browser)
    assert world.browser().get(f"/sign-in/corp/callback?state={code}&code=x").status_code == 401


STRANGE = [
    {"port": "evil.example"},
    {"port": "40000@evil.example"},
    {"port": "40000.evil.example"},
    {"port": "-1"},
    {"port": "80"},
    {"port": "65536"},
    {"port": "٤٠٠٠٠"},
    {"port": "4_0000"},
    {"port": ""},
    {"state": "short"},
    {"state": "s" * 200},
    {"state": "s" * 20 + "&iss=evil"},
    {"challenge": VERIFIER[:42]},
    {"challenge": "plain/" + "x" * 37},
    {"challenge": ""},
    {"client": "x" * 49},
]


def test_a_link_that_no_terminal_makes_is_refused(world: Any) -> None:
    """The answer would go to a machine elsewhere, or to nobody who can use it."""
    browser = world.browser(world.owner)
    for changes in STRANGE:
        assert browser.get(link(**changes)).status_code == 400, changes
        posted = answer(browser, **changes)
        assert posted.status_code == 400, changes
        assert "code=" not in posted.text


def test_the_answer_goes_nowhere_else(world: Any) -> None:
    browser = world.browser(world.owner)
    for name in ("redirect_uri", "host", "return_to", "next", "iss"):
        where, carried = brought(answer(browser, **{name: "https://evil.example/"}))
        assert (where, carried["iss"]) == ("http://127.0.0.1:40000/", URL), name


def test_what_a_terminal_calls_itself_is_shown_as_text(world: Any) -> None:
    page = world.browser(world.owner).get(link(client="<b>you\u202e</b>"))
    assert "&lt;b&gt;you&lt;/b&gt;" in page.text


def test_a_program_lets_no_terminal_in(world: Any) -> None:
    token = world.login("ada", "correct horse battery").json["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    for decision in ("approve", "deny"):
        body = ASKED | {"decision": decision}
        posted = world.app.test_client().post("/terminal", data=body, headers=bearer, base_url=URL)
        assert posted.status_code == 403


def test_who_was_suspended_meanwhile_lets_nobody_in(world: Any) -> None:
    code = code_for(world.browser(world.local("carol")))
    users.set_status(world.core, SYSTEM, "carol", "suspended")
    assert redeem(world, code).status_code == 401


def test_what_is_allowed_stands_in_the_audit_log(world: Any) -> None:
    browser = world.browser(world.owner)
    code = code_for(browser)
    rows = browser.client.get("/api/v2/audit?limit=3", base_url=URL).json["items"]
    (row,) = [one for one in rows if one["action"] == "let a program in"]
    assert row["after"] == {"client": "cli on laptop", "address": "127.0.0.1:40000"}
    assert code not in str(rows)
