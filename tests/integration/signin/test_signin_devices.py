"""Letting a program in by a code, and what others try with it."""

from __future__ import annotations

from typing import Any

import pytest

from stead.services import authentication, users
from stead.services.core import SYSTEM
from stead.services.signin import devices

URL = "http://stead.test"


def ask(world: Any) -> dict[str, Any]:
    return world.app.test_client().post("/api/v2/login/device", json={"client": "cli on laptop"}).json


def redeem(world: Any, begun: dict[str, Any]) -> Any:
    return world.app.test_client().post("/api/v2/login/device/token", json={"device_code": begun["device_code"]})


def test_a_program_is_let_in_once(world: Any) -> None:
    begun = ask(world)
    assert redeem(world, begun).json["error"]["reason"] == "authorization_pending"
    browser = world.browser(world.owner)
    page = browser.get(f"/device?code={begun['user_code'].lower()}")
    assert "cli on laptop" in page.text
    assert "Did you start this yourself?" in page.text
    done = browser.post("/device", code=begun["user_code"], decision="approve")
    assert "The program is let in" in done.text
    answer = redeem(world, begun)
    assert answer.json["user"]["username"] == "ada"
    assert authentication.actor_for_token(world.core, answer.json["token"]).username == "ada"
    assert redeem(world, begun).status_code == 401


def test_a_right_id_with_a_wrong_secret_gets_nothing(world: Any) -> None:
    begun = ask(world)
    world.browser(world.owner).post("/device", code=begun["user_code"], decision="approve")
    guess = begun | {"device_code": f"{begun['device_code'][:33]}{'A' * 43}"}
    assert redeem(world, guess).status_code == 400
    assert redeem(world, begun).status_code == 200


def test_to_look_at_a_code_lets_nobody_in(world: Any) -> None:
    begun = ask(world)
    browser = world.browser(world.owner)
    browser.get(f"/device?code={begun['user_code']}")
    browser.post("/device", code=begun["user_code"])
    assert redeem(world, begun).json["error"]["reason"] == "authorization_pending"


def test_a_program_that_is_turned_away_gets_nothing(world: Any) -> None:
    begun = ask(world)
    world.browser(world.owner).post("/device", code=begun["user_code"], decision="deny")
    answer = redeem(world, begun)
    assert (answer.status_code, answer.json["error"]["message"]) == (401, "You were turned away in the browser.")


def test_the_page_asks_to_sign_in_first_and_comes_back(world: Any) -> None:
    begun = ask(world)
    response = world.browser().get(f"/device?code={begun['user_code']}")
    assert response.location == f"/login?next=/device%3Fcode%3D{begun['user_code']}"


def test_codes_are_guessed_few_times(world: Any) -> None:
    begun = ask(world)
    browser = world.browser(world.local("mallory"))
    for _ in range(devices.MOST_TRIES):
        assert browser.get("/device?code=BBBB-BBBB").status_code == 404
    assert browser.get(f"/device?code={begun['user_code']}").status_code == 429


def test_a_code_ends_with_time(world: Any) -> None:
    begun = ask(world)
    world.clock.advance(601)
    assert world.browser(world.owner).get(f"/device?code={begun['user_code']}").status_code == 404
    assert redeem(world, begun).status_code == 401


def test_a_program_that_hurries_is_told_to_slow_down(world: Any) -> None:
    begun = ask(world)
    redeem(world, begun)
    assert redeem(world, begun).json["error"]["reason"] == "slow_down"
    world.clock.advance(5)
    assert redeem(world, begun).json["error"]["reason"] == "authorization_pending"


def test_a_program_lets_no_other_program_in(world: Any) -> None:
    begun = ask(world)
    token = world.login("ada", "correct horse battery").json["token"]
    page = world.app.test_client().get(
        f"/device?code={begun['user_code']}", headers={"Authorization": f"Bearer {token}"}, base_url=URL
    )
    assert page.status_code == 403


def test_who_was_suspended_meanwhile_lets_nobody_in(world: Any) -> None:
    carol = world.local("carol")
    begun = ask(world)
    world.browser(carol).post("/device", code=begun["user_code"], decision="approve")
    users.set_status(world.core, SYSTEM, "carol", "suspended")
    assert redeem(world, begun).status_code == 401


def test_few_codes_wait_at_one_address(world: Any) -> None:
    for _ in range(devices.MOST_PER_ADDRESS):
        devices.begin(world.core, "x", "192.0.2.7")
    with pytest.raises(Exception, match="Too many programs"):
        devices.begin(world.core, "x", "192.0.2.7")
    devices.begin(world.core, "x", "192.0.2.8")
