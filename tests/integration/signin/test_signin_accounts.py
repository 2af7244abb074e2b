"""From somebody at a provider to an account: sign-up, names, groups, roles, and the way from a password and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stead.api.errors import Conflict, Forbidden, InvalidInput, NotAuthenticated
from stead.api.signin import Trace
from stead.domain.states import Role
from stead.services import authentication, groups, users
from stead.services.core import SYSTEM
from stead.services.signin import accounts, administration, conversion, ending
from stead.store import signin as store

PASSWORD = "correct horse battery"
MakeWorld = Callable[..., Any]
MakePerson = Callable[..., Any]


@pytest.mark.parametrize(
    ("settings", "person", "enters"),
    [
        ({"sign_up": "closed"}, {}, False),
        ({"sign_up": "open"}, {}, True),
        ({"sign_up": "domains", "sign_up_domains": "Example.org"}, {}, True),
        ({"sign_up": "domains", "sign_up_domains": ["example.org"]}, {"email_verified": False}, False),
        ({"sign_up": "domains", "sign_up_domains": ["example.org"]}, {"email": "bob@notexample.org"}, False),
        ({"sign_up": "domains", "sign_up_domains": ["example.org"]}, {"email": "bob@example.org.evil.io"}, False),
        ({"sign_up": "groups", "sign_up_groups": ["dev-*"]}, {"groups": ("ops", "dev-web")}, True),
        ({"sign_up": "groups", "sign_up_groups": ["dev-*"]}, {"groups": ("my-dev-web",)}, False),
        ({"sign_up": "groups", "sign_up_groups": ["dev"]}, {"groups": None}, False),
    ],
)
def test_the_policy_decides_who_gets_an_account(
    make_world: MakeWorld, make_person: MakePerson, settings: dict[str, Any], person: dict[str, Any], enters: bool
) -> None:
    world = make_world(corp=settings)
    world.page.add(make_person("bob", **person))
    browser = world.browser()
    assert (browser.sign_in().status_code == 303) is enters
    assert (browser.whoami() is not None) is enters
    assert users.list(world.core, SYSTEM).total == (2 if enters else 1)


def test_a_new_account_waits_for_approval(make_world: MakeWorld, make_person: MakePerson) -> None:
    world = make_world(corp={"approval": True})
    world.page.add(make_person("bob"))
    browser = world.browser()
    response = browser.sign_in()
    assert response.status_code == 401
    assert "waits for approval" in response.text
    assert world.user("bob").status == "pending"
    users.set_status(world.core, world.actor(world.owner), "bob", "active")
    browser.sign_in()
    assert browser.whoami()["username"] == "bob"


def test_the_same_person_comes_back_to_the_same_account(world: Any, make_person: MakePerson) -> None:
    world.browser().sign_in()
    before = world.user("bob")
    world.page.people.clear()
    world.page.add(make_person("robert", subject="id-of-bob", email="robert@example.org", name="Robert"))
    browser = world.browser()
    browser.sign_in("robert")
    found = browser.whoami()
    assert (found["id"], found["username"]) == (before.id, "bob")
    assert (found["email"], found["name"]) == ("robert@example.org", "Robert")


def test_an_address_that_another_has_is_not_taken_over_later(world: Any, make_person: MakePerson) -> None:
    world.browser().sign_in()
    world.page.add(make_person("bob", email=world.owner.email))
    assert world.browser().sign_in().status_code == 303
    assert world.user("bob").email == "bob@example.org"


@pytest.mark.parametrize(
    ("wished", "given"),
    [
        ("Jürgen.Müller@example.org", "Jurgen-Muller"),
        ("ada", "ada-2"),
        ("system", "system-user"),
        ("--", "user"),
        ("李", "user"),
        ("x" * 40, "x" * 32),
    ],
)
def test_usernames_fit_and_are_free(world: Any, make_person: MakePerson, wished: str, given: str) -> None:
    person = make_person(wished, subject="1", email="", email_verified=False)
    world.page.add(person)
    assert world.browser().sign_in(wished).status_code == 303
    assert world.user(given).email == f"{given.lower()}@corp.invalid"


def test_groups_and_roles_follow_the_provider(make_world: MakeWorld, make_person: MakePerson) -> None:
    world = make_world(
        corp={
            "groups": {"eng-*": "engineering"},
            "group_patterns": ["keep-*"],
            "default_groups": ["everybody"],
            "roles": {"admins": ["template-admin", "auditor"], "boss": "user-admin"},
            "default_roles": [],
        }
    )
    world.page.add(make_person("bob", groups=("eng-web", "eng-db", "keep-me", "other", "admins"), roles=("boss",)))
    world.browser().sign_in()
    names = {group.name for group in groups.list(world.core, SYSTEM).items}
    assert names == {"engineering", "keep-me", "everybody"}
    assert set(world.user("bob").roles) == {Role.MEMBER, Role.TEMPLATE_ADMIN, Role.AUDITOR, Role.USER_ADMIN}
    world.page.add(make_person("bob", groups=("keep-me",)))
    world.browser().sign_in()
    assert {group.name for group in groups.list(world.core, SYSTEM).items} == {"keep-me", "everybody"}
    assert set(world.user("bob").roles) == {Role.MEMBER}
    world.page.add(make_person("bob", groups=None))
    world.browser().sign_in()
    assert {group.name for group in groups.list(world.core, SYSTEM).items} == {"keep-me", "everybody"}


def test_a_pattern_with_many_wildcards_is_refused_at_the_start(make_world: MakeWorld) -> None:
    with pytest.raises(InvalidInput, match="wildcards"):
        make_world(corp={"group_patterns": ["*a" * 9]})


def test_a_password_becomes_a_provider_when_its_owner_proves_it(world: Any) -> None:
    carol = world.local("carol", Role.AUDITOR)
    browser, elsewhere = world.browser(carol), world.browser(carol)
    page = browser.post("/settings/sign-in", "/settings/sign-in", provider="corp", password="wrong")
    assert page.status_code == 401
    assert "The name or the password is wrong" in page.text
    sent = browser.post("/settings/sign-in", "/settings/sign-in", provider="corp", password=PASSWORD)
    away = sent.text.partition('content="0; url=')[2].partition('"')[0].replace("&amp;", "&")
    assert browser.get(world.page.approve(away, "bob")).location == "/settings/sign-in"
    found = world.user("carol")
    assert (found.login_type, found.provider, found.roles) == ("federated", "corp", carol.roles)
    assert browser.whoami() is not None, "the browser that did it stays signed in"
    assert elsewhere.whoami() is None
    assert world.login("carol", PASSWORD).status_code == 401
    again = world.browser()
    again.sign_in()
    assert again.whoami()["username"] == "carol"


def test_a_tie_is_made_for_whoever_began_it(world: Any) -> None:
    carol, dave = world.local("carol"), world.local("dave")
    browser = world.browser(carol)
    sent = browser.post("/settings/sign-in", "/settings/sign-in", provider="corp", password=PASSWORD)
    away = sent.text.partition('content="0; url=')[2].partition('"')[0].replace("&amp;", "&")
    secret = authentication.open_session(world.core, dave.id, "", "")
    browser.client.set_cookie("stead_session", secret, domain="stead.test")
    assert browser.get(world.page.approve(away, "bob")).status_code == 400
    assert world.user("dave").provider == world.user("carol").provider == ""


def test_somebody_who_is_tied_already_is_not_tied_to_a_second_account(world: Any, make_person: MakePerson) -> None:
    world.directory.add(make_person("bob", issuer="ldap://example"))
    world.directory.passwords["bob"] = "theirs"
    assert world.login("bob", "theirs", "dir").status_code == 200
    browser = world.browser(world.local("carol"))
    page = browser.post(
        "/settings/sign-in",
        "/settings/sign-in",
        provider="dir",
        password=PASSWORD,
        provider_username="bob",
        provider_password="theirs",
    )
    assert page.status_code == 409
    assert "is tied to another account here" in page.text
    assert world.user("carol").provider == ""


def test_the_last_owner_keeps_a_password(world: Any) -> None:
    browser = world.browser(world.owner)
    page = browser.post("/settings/sign-in", "/settings/sign-in", provider="corp", password=PASSWORD)
    assert page.status_code == 409
    assert "last owner with a password" in page.text
    second = world.local("second", Role.OWNER)
    actor = world.actor(world.owner)
    conversion.link(world.core, actor, world.core.identity.get("corp"), world.page.people["bob"], keep_session=None)
    with pytest.raises(Conflict, match="last owner"):
        conversion.prove(world.core, world.actor(second), "corp", PASSWORD, "")


def test_the_last_owner_is_not_synced_away(make_world: MakeWorld, make_person: MakePerson) -> None:
    world = make_world(corp={"roles": {"boss": ["owner"]}})
    bob = world.page.add(make_person("bob", groups=("boss",)))
    world.browser().sign_in()
    users.set_roles(world.core, world.actor(world.user("bob")), "ada", [Role.MEMBER])
    world.page.add(make_person("bob", groups=()))
    world.browser().sign_in()
    assert Role.OWNER in world.user("bob").roles
    with pytest.raises(Conflict, match="last active owner"):
        users.set_status(world.core, SYSTEM, "bob", "suspended")
    del bob


def test_an_administrator_gives_a_federated_account_a_password(world: Any) -> None:
    browser = world.browser()
    browser.sign_in()
    response = world.browser(world.owner).post("/users/bob/password-account", "/users/bob", password="a new long one")
    assert response.status_code == 303
    assert browser.whoami() is None
    assert world.user("bob").login_type == "password"
    assert groups.list(world.core, SYSTEM).items[0].members == 0
    assert world.login("bob", "a new long one").status_code == 200
    stranger = world.browser()
    assert stranger.sign_in().status_code == 401, "the address belongs to an account with a password now"


def test_nobody_gives_the_account_of_the_mightier_a_password(make_world: MakeWorld, make_person: MakePerson) -> None:
    """Else a user administrator could come in as an owner."""
    world = make_world(corp={"roles": {"boss": ["owner"], "authors": ["template-admin"]}})
    world.page.add(make_person("bob", groups=("boss",)))
    world.page.add(make_person("eve", groups=("authors",)))
    for name in ("bob", "eve"):
        world.browser().sign_in(name)
    admin, author = world.actor(world.local("admin", Role.USER_ADMIN)), world.actor(world.user("eve"))
    for actor, name in ((admin, "bob"), (admin, "eve"), (author, "bob")):
        with pytest.raises(Forbidden):
            conversion.to_password(world.core, actor, name, "another long password")
        assert world.user(name).provider == "corp"


def test_whoever_has_the_shell_gets_back_in(world: Any) -> None:
    world.browser().sign_in()
    users.set_status(world.core, SYSTEM, "bob", "suspended")
    conversion.recover(world.core, "bob", "the way back in")
    assert world.login("bob", "the way back in").status_code == 200
    assert Role.OWNER in world.user("bob").roles


def test_only_owners_use_passwords_where_it_is_set_so(world: Any) -> None:
    world.local("carol")
    strict = world.core.settings.model_copy(update={"password_sign_in": "owners"})
    object.__setattr__(world.core, "settings", strict)
    assert world.login("carol", PASSWORD).status_code == 401
    assert world.login("ada", PASSWORD).status_code == 200


def test_a_preview_says_what_a_sign_in_does(make_world: MakeWorld, make_person: MakePerson) -> None:
    world = make_world(dir={"roles": {"staff": ["auditor"]}, "sign_up": "domains", "sign_up_domains": "example.org"})
    person = world.directory.add(make_person("eve"))
    world.directory.passwords["eve"] = "right"
    tested = administration.test(world.core, world.actor(world.owner), "dir", "eve")
    assert tested.preview is not None
    assert users.list(world.core, SYSTEM).total == 1, "nothing was made"
    assert world.login("eve", "right").status_code == 200
    found = world.user("eve")
    preview = tested.preview
    assert (preview.enters, preview.account, preview.is_new) == (True, found.username, True)
    assert set(preview.roles) == set(found.roles)
    assert preview.groups == ("staff",)
    again = accounts.preview(world.core, world.core.identity.get("dir"), person)
    assert (again.is_new, again.account) == (False, "eve")


def test_a_test_in_the_browser_signs_nobody_in(world: Any) -> None:
    browser = world.browser(world.owner)
    away = browser.get("/identity/corp/try").location
    page = browser.get(world.page.approve(away, "bob"))
    assert page.status_code == 200
    assert "They would get in as bob" in page.text
    assert browser.whoami()["username"] == "ada"
    assert users.list(world.core, SYSTEM).total == 1
    away = browser.get("/identity/corp/try").location
    failed = browser.get(world.page.approve(away, "nobody"))
    assert "They would not get in" in failed.text
    member = world.browser(world.local("carol"))
    assert member.get("/identity/corp/try").status_code == 403


def test_a_test_is_shown_to_whoever_began_it(world: Any) -> None:
    """It names what the provider knows of somebody, and who would get which roles."""
    browser = world.browser(world.owner)
    for username in ("bob", "nobody"):
        away = browser.get("/identity/corp/try").location
        secret = authentication.open_session(world.core, world.local(f"next-{username}").id, "", "")
        browser.client.set_cookie("stead_session", secret, domain="stead.test")
        shown = browser.get(world.page.approve(away, username))
        assert shown.status_code == 400
        assert "id-of-bob" not in shown.text
        secret = authentication.open_session(world.core, world.owner.id, "", "")
        browser.client.set_cookie("stead_session", secret, domain="stead.test")


def signed_in(world: Any, make_person: MakePerson) -> tuple[Any, str]:
    """Somebody of the directory with a browser and a token."""
    world.directory.add(make_person("eve", issuer="ldap://example"))
    world.directory.passwords["eve"] = "right"
    token = world.login("eve", "right").json["token"]
    browser = world.browser()
    assert browser.post("/login", "/login", login="eve", password="right").status_code == 303
    return browser, token


@pytest.mark.parametrize("how", ["removed", "disabled"])
def test_who_left_at_the_provider_loses_everything(world: Any, make_person: MakePerson, how: str) -> None:
    browser, token = signed_in(world, make_person)
    heard: list[str] = []
    with world.core.bus.subscribe("rights:*", lambda topic, _: heard.append(topic)):
        world.clock.advance(31)
        assert ending.look_up_due(world.core) == 1
        assert browser.whoami() is not None
        if how == "removed":
            world.directory.remove("eve")
        else:
            world.directory.disabled.add("eve")
        assert ending.look_up_due(world.core) == 0, "it was asked just now"
        world.clock.advance(31)
        assert ending.look_up_due(world.core) == 1
    assert browser.whoami() is None
    with pytest.raises(NotAuthenticated):
        authentication.actor_for_token(world.core, token)
    assert world.last_attempt().outcome == "failed"
    world.clock.advance(3600)
    assert ending.look_up_due(world.core) == 0, "nothing is left to end"


def test_a_provider_that_is_away_ends_nothing(world: Any, make_person: MakePerson) -> None:
    browser, _ = signed_in(world, make_person)
    world.directory.away = True
    world.clock.advance(31)
    assert ending.look_up_due(world.core) == 0
    assert browser.whoami() is not None
    world.directory.away = False
    world.directory.remove("eve")
    world.clock.advance(11)
    assert ending.look_up_due(world.core) == 1, "it is tried again soon"
    assert browser.whoami() is None


def test_an_answer_about_somebody_else_ends_and_changes_nothing(world: Any, make_person: MakePerson) -> None:
    browser, _ = signed_in(world, make_person)
    stranger = make_person("mallory")
    world.directory.look_up = lambda link, trace: stranger
    world.clock.advance(31)
    ending.look_up_due(world.core)
    assert browser.whoami()["email"] == "eve@example.org"


def test_a_posted_sign_out_ends_the_sessions_it_names_once(make_world: MakeWorld, make_person: MakePerson) -> None:
    world = make_world()
    world.page.add(make_person("bob", session="sid-1"))
    first = world.browser()
    first.sign_in()
    world.page.add(make_person("bob", session="sid-2"))
    second = world.browser()
    second.sign_in()
    exp = str(world.clock.now().timestamp() + 120)
    message = {"logout_token": "good", "iss": "https://id.example.org", "jti": "1", "exp": exp, "sid": "sid-1"}
    post = lambda **changes: (  # noqa: E731 - one line for each case below
        world.app.test_client().post("/sign-in/corp/signed-out", data={**message, **changes}).status_code
    )
    assert post(logout_token="forged") == 400
    assert first.whoami() is not None
    assert post() == 200
    assert (first.whoami(), second.whoami() is not None) == (None, True)
    assert post() == 400, "each message is taken once"
    assert post(jti="", sid="sid-2") == 400, "nothing tells it from its copy"
    assert post(jti="3", sid="", sub="") == 400, "it would mean everybody"
    assert second.whoami() is not None
    assert post(jti="2", sid="", sub="id-of-bob") == 200
    assert second.whoami() is None
    assert world.app.test_client().post("/sign-in/other/signed-out", data=message).status_code == 200
    assert world.app.test_client().post("/sign-in/dir/signed-out", data=message).status_code == 400


def test_signing_out_leads_over_the_provider(world: Any) -> None:
    world.page.ends_sessions = True
    browser = world.browser()
    browser.sign_in()
    page = browser.post("/logout", "/settings/sessions")
    assert page.status_code == 200
    assert "post_logout_redirect_uri=http%3A%2F%2Fstead.test%2Fsign-in%2Fcorp%2Ffarewell" in page.text
    assert browser.whoami() is None
    assert browser.get("/sign-in/corp/farewell").location == "/login"


def test_sessions_are_listed_and_ended_from_elsewhere(world: Any) -> None:
    carol = world.local("carol")
    here, there = world.browser(carol), world.browser(carol)
    listed = here.get("/settings/sessions")
    assert listed.text.count("Sign out</button>") >= 1
    found = here.client.get("/api/v2/users/me/sessions", base_url="http://stead.test").json
    assert found["total"] == 2
    here.post("/settings/sessions/end-others", "/settings/sessions")
    assert (here.whoami() is not None, there.whoami()) == (True, None)
    stranger = world.browser(world.local("dave"))
    other = found["items"][0]["id"]
    assert stranger.post(f"/settings/sessions/{other}/end", "/settings/sessions").status_code == 404


def test_a_link_keeps_what_the_provider_wants_kept_sealed(world: Any, make_person: MakePerson) -> None:
    world.page.add(make_person("bob", kept={"refresh_token": "very-secret"}))
    world.browser().sign_in()
    with world.core.database.read():
        stored = store.link_of("corp", "https://id.example.org", "id-of-bob")
    assert stored is not None
    assert b"very-secret" not in stored.kept
    assert accounts.link_record(world.core, stored).kept == {"refresh_token": "very-secret"}
    assert Trace().steps == []
