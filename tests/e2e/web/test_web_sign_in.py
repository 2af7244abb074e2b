"""Signing in with identity providers in a real browser: the door, the way to a provider and back, tests, codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from stead.api.signin import Person
from stead.web import build_assets

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PASSWORD = "correct horse battery"


def person(username: str, **values: Any) -> Person:
    given: dict[str, Any] = {"email": f"{username}@example.org", "email_verified": True, "groups": ("staff",), **values}
    return Person("https://id.example.org", f"id-of-{username}", username, **given)


@pytest.fixture(scope="module")
def axe() -> str:
    """axe-core's script, from the packages that the assets were built with."""
    found = list(build_assets._cache().glob("*/node_modules/axe-core/axe.min.js"))
    assert found, "the assets were built without axe-core"
    return Path(found[0]).read_text()


def problems(page: Page, axe: str) -> list[str]:
    page.locator("html.js").wait_for()
    page.wait_for_load_state("load")
    wrong = []
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        wrong.append(f"{page.url} is wider than the screen")
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return wrong + [f"{page.url}: {one['id']} {one['nodes'][0]['html'][:120]}" for one in found["violations"]]


def test_people_come_in_by_a_button_and_leave(providers: Any, providers_visit: Callable[..., Any]) -> None:
    providers.page.add(person("bob", name="Bob Miller"))
    made = providers_visit(signed_in=False)
    page = made.open("/settings/sessions")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_role("link", name="Continue with Example Corp").click()
    page.get_by_role("button", name="bob").click()
    expect(page.get_by_role("heading", name="Where you are signed in")).to_be_visible()
    expect(page.get_by_text("this browser")).to_be_visible()
    expect(page.get_by_text("with Example Corp")).to_be_visible()
    page.go_back()
    page.goto(f"{providers.site.url}/settings")
    expect(
        page.get_by_text("bob@example.org").or_(page.locator("input[value='bob@example.org']")).first
    ).to_be_visible()
    providers.page.ends_sessions = True
    page.get_by_text("bob", exact=True).first.click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    providers.page.ends_sessions = False


def test_an_answer_that_another_site_posts(posting: Any, browser: Any) -> None:
    """The browser sends none of our cookies along with such a form, and all of them when it comes back by GET."""
    posting.page.add(person("bob"))
    context = browser.new_context()
    page = context.new_page()
    seen: list[tuple[str, str, bool]] = []

    def note(request: Any) -> None:
        if "/sign-in/corp/callback" in request.url:
            seen.append((request.method, request.url, "stead_sign_in" in request.all_headers().get("cookie", "")))

    page.on("requestfinished", note)
    page.goto(f"{posting.site.url}/sign-in/corp?next=/settings")
    page.get_by_role("button", name="bob").click()
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    assert page.url == f"{posting.site.url}/settings"
    assert [(method, cookie) for method, _, cookie in seen] == [("POST", False), ("GET", True)]
    assert all("code=" not in url for _, url, _ in seen)
    context.close()


def test_people_come_in_with_a_password_of_the_directory(providers: Any, providers_visit: Callable[..., Any]) -> None:
    providers.directory.add(person("eve"))
    providers.directory.passwords["eve"] = "right"
    page = providers_visit(signed_in=False).open("/login")
    page.get_by_label("Login name").fill("eve")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("The name or the password is wrong.")
    expect(page.get_by_label("Login name")).to_have_value("eve")
    page.get_by_label("Password").fill("right")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/workspaces")


def test_without_scripts_the_door_opens_too(providers: Any, providers_visit: Callable[..., Any]) -> None:
    providers.page.add(person("carl"))
    page = providers_visit(signed_in=False, javascript=False).open("/login")
    page.get_by_role("link", name="Continue with Example Corp").click()
    page.get_by_role("button", name="carl").click()
    page.wait_for_url("**/workspaces")


def test_an_administrator_sees_what_a_person_would_get(
    providers: Any, providers_visit: Callable[..., Any], tmp_path: Path
) -> None:
    providers.directory.add(person("fay", groups=("staff", "builders"), facts={"department": "Engines"}))
    page = providers_visit().open("/identity")
    page.get_by_role("link", name="Example Directory").click()
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_text("It knows")).to_be_visible()
    page.get_by_label("Name that they would type").fill("fay")
    page.get_by_role("button", name="Show it").click()
    expect(page.get_by_text("They would get in as fay")).to_be_visible()
    expect(page.get_by_text("Engines")).to_be_visible()
    page.screenshot(path=tmp_path / "tested.png", full_page=True)
    page.goto(f"{providers.site.url}/identity/corp")
    providers.page.add(person("gus", groups=("auditors",)))
    page.get_by_role("link", name="Try it with your own account there").click()
    page.get_by_role("button", name="gus").click()
    expect(page.get_by_text("They would get in as gus")).to_be_visible()
    expect(page.get_by_text("auditor", exact=True).first).to_be_visible()
    page.goto(f"{providers.site.url}/users")
    expect(page.get_by_role("heading", name="Users")).to_be_visible()
    expect(page.get_by_role("link", name="gus")).to_have_count(0)


def test_a_program_is_let_in_by_its_code(providers: Any, providers_visit: Callable[..., Any]) -> None:
    url = providers.site.url
    begun = httpx.post(f"{url}/api/v2/login/device", json={"client": "cli on laptop"}).json()
    page = providers_visit().open(f"/device?code={begun['user_code']}")
    expect(page.get_by_text("Did you start this yourself?")).to_be_visible()
    expect(page.get_by_label("Code")).to_have_text(begun["user_code"])
    page.get_by_role("button", name="Let it in").click()
    expect(page.get_by_role("heading", name="The program is let in")).to_be_visible()
    token = httpx.post(f"{url}/api/v2/login/device/token", json={"device_code": begun["device_code"]}).json()
    assert token["user"]["username"] == "ada"


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (360, "light")])
def test_the_pages_are_accessible_and_fit(
    providers: Any, providers_visit: Callable[..., Any], axe: str, tmp_path: Path, width: int, theme: str
) -> None:
    begun = httpx.post(f"{providers.site.url}/api/v2/login/device", json={"client": "cli"}).json()
    door = providers_visit(signed_in=False, width=width, theme=theme).open("/login")
    wrong = problems(door, axe)
    door.screenshot(path=tmp_path / "login.png")
    door.goto(f"{providers.site.url}/sign-in/corp/callback?state=x")
    wrong += problems(door, axe)
    made = providers_visit(width=width, theme=theme)
    paths = ["/identity", "/identity/corp", "/identity/directory", "/identity/attempts", "/groups", "/device"]
    paths += ["/settings/sessions", "/settings/sign-in", f"/device?code={begun['user_code']}", "/users/ada"]
    for path in paths:
        page = made.open(path)
        wrong += problems(page, axe)
        page.screenshot(path=tmp_path / f"{path.strip('/').replace('/', '-').partition('?')[0]}.png", full_page=True)
    page = made.open("/identity/directory")
    page.get_by_label("Name that they would type").fill("nobody")
    page.get_by_role("button", name="Show it").click()
    expect(page.get_by_text("They would not get in")).to_be_visible()
    wrong += problems(page, axe)
    page.screenshot(path=tmp_path / "tested.png", full_page=True)
    assert wrong == []
