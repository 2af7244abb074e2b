"""Accounts: the first owner, logins, sessions, tokens, roles; and the audit trail of all that."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from stead.api.errors import Conflict, Forbidden, InvalidInput, NotAuthenticated, NotFound, RateLimited
from stead.domain.records import Actor
from stead.domain.states import Role
from stead.models import AuditRow, SessionRow, TokenRow, UserKeyRow, UserRow
from stead.services import audit, authentication, deployment, tokens, users
from stead.services.clock import ManualClock
from stead.services.core import Core
from stead.store import users as user_store
from stead.store.audit import AuditFilter

PASSWORD = "correct horse battery"


def test_only_one_first_owner_wins(core: Core) -> None:
    results: list[object] = []

    def create(number: int) -> None:
        try:
            results.append(deployment.create_first_owner(core, f"u{number}", f"u{number}@x.org", PASSWORD).username)
        except Conflict as error:
            results.append(error)

    assert deployment.status(core).first_run
    threads = [threading.Thread(target=create, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len([r for r in results if isinstance(r, Conflict)]) == 3
    assert not deployment.status(core).first_run


def test_a_password_is_right_or_wrong_and_nobody_is_told_why(core: Core, owner: Actor) -> None:
    assert authentication.verify_password(core, "ADA", PASSWORD, "").username == "ada"
    assert authentication.verify_password(core, "Ada@Example.org", PASSWORD, "").username == "ada"
    messages = set()
    for login, password in (("ada", "wrong"), ("nobody", PASSWORD), ("", ""), ("ada", "")):
        with pytest.raises(NotAuthenticated) as raised:
            authentication.verify_password(core, login, password, "")
        messages.add(str(raised.value))
    assert len(messages) == 1


def test_guessing_is_slowed_down_by_account_and_by_address(core: Core, owner: Actor, clock: ManualClock) -> None:
    for _ in range(core.settings.login_attempts):
        with pytest.raises(NotAuthenticated):
            authentication.verify_password(core, "ada", "wrong", "10.0.0.1")
    with pytest.raises(RateLimited):
        authentication.verify_password(core, "ada", PASSWORD, "10.0.0.2")
    clock.advance(core.settings.login_window + 1)
    assert authentication.verify_password(core, "ada", PASSWORD, "10.0.0.2").username == "ada"
    for number in range(core.settings.login_attempts * 5):
        with pytest.raises(NotAuthenticated):
            authentication.verify_password(core, f"nobody{number}", "wrong", "10.0.0.3")
    with pytest.raises(RateLimited):
        authentication.verify_password(core, "ada", PASSWORD, "10.0.0.3")


def test_a_session_lives_while_it_is_used(core: Core, owner: Actor, clock: ManualClock) -> None:
    secret = authentication.open_session(core, owner.user_id, "10.0.0.1", "a browser")
    for _ in range(3):
        clock.advance(core.settings.session_lifetime * 0.9)
        assert authentication.actor_for_session(core, secret).username == "ada"
    clock.advance(core.settings.session_lifetime + 1)
    with pytest.raises(NotAuthenticated, match="ended"):
        authentication.actor_for_session(core, secret)
    other = authentication.open_session(core, owner.user_id, "", "")
    authentication.close_session(core, other)
    authentication.close_session(core, other)
    with pytest.raises(NotAuthenticated):
        authentication.actor_for_session(core, other)


@pytest.mark.parametrize("secret", ["", "x", "-", "0" * 32, "0" * 32 + "-", "0" * 32 + "-abc", "zz" * 16 + "-abc"])
def test_what_is_no_secret_opens_nothing(core: Core, owner: Actor, secret: str) -> None:
    for ask in (authentication.actor_for_session, authentication.actor_for_token, authentication.agent_for_token):
        with pytest.raises(NotAuthenticated):
            ask(core, secret)


def test_a_token_opens_until_it_expires_or_is_deleted(core: Core, owner: Actor, clock: ManualClock) -> None:
    token, secret = tokens.create(core, owner, "laptop", 3600)
    actor = authentication.actor_for_token(core, secret, "10.0.0.1")
    assert (actor.user_id, actor.token_id, actor.address) == (owner.user_id, token.id, "10.0.0.1")
    assert tokens.list(core, owner)[0].last_used_at is not None
    with pytest.raises(NotAuthenticated):
        authentication.actor_for_token(core, secret[:-1] + ("a" if secret[-1] != "a" else "b"))
    with pytest.raises(Conflict):
        tokens.create(core, owner, "laptop")
    with pytest.raises(InvalidInput):
        tokens.create(core, owner, "eternal", 10**10)
    clock.advance(3601)
    with pytest.raises(NotAuthenticated, match="expired"):
        authentication.actor_for_token(core, secret)
    tokens.delete(core, owner, "laptop")
    assert tokens.list(core, owner) == ()


def test_tokens_of_others_do_not_exist(core: Core, owner: Actor, member: Actor) -> None:
    token, _ = tokens.create(core, owner, "x")
    with pytest.raises(NotFound):
        tokens.delete(core, member, token.id)
    with pytest.raises(NotFound):
        tokens.list(core, member, "ada")


def test_nothing_secret_is_in_the_rows(core: Core, owner: Actor) -> None:
    _, token = tokens.create(core, owner, "x")
    session = authentication.open_session(core, owner.user_id, "", "")
    keys = users.ssh_keys(core, owner)
    assert users.ssh_keys(core, owner) == keys
    with core.database.read():
        rows = [
            *UserRow.select().tuples(),
            *TokenRow.select().tuples(),
            *SessionRow.select().tuples(),
            *UserKeyRow.select().tuples(),
            *AuditRow.select().tuples(),
        ]
    stored = repr([tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in rows])
    for secret in (token.split("-", 1)[1], session.split("-", 1)[1], PASSWORD, keys.private_key.splitlines()[1]):
        assert secret not in stored
        assert secret not in repr(keys)


def test_the_last_owner_stays(core: Core, owner: Actor, make_person: Callable[..., Actor]) -> None:
    with pytest.raises(Conflict, match="last active owner"):
        users.set_roles(core, owner, "me", [Role.MEMBER])
    with pytest.raises(Conflict, match="last active owner"):
        users.set_status(core, owner, "ada", "suspended")
    make_person("eve", Role.OWNER)
    users.set_status(core, owner, "eve", "suspended")
    with pytest.raises(Conflict, match="last active owner"):
        users.set_roles(core, owner, "me", [Role.MEMBER])
    users.set_status(core, owner, "eve", "active")
    assert users.set_roles(core, owner, "me", [Role.MEMBER]).roles == (Role.MEMBER,)


def test_a_suspended_user_is_out_at_once(core: Core, owner: Actor, member: Actor) -> None:
    _, token = tokens.create(core, member, "x")
    session = authentication.open_session(core, member.user_id, "", "")
    users.set_status(core, owner, "bob", "suspended")
    for ask, secret in ((authentication.actor_for_token, token), (authentication.actor_for_session, session)):
        with pytest.raises(NotAuthenticated):
            ask(core, secret)
    with pytest.raises(NotAuthenticated):
        authentication.verify_password(core, "bob", PASSWORD, "")
    users.set_status(core, owner, "bob", "active")
    assert authentication.verify_password(core, "bob", PASSWORD, "").status == "active"


def test_who_may_do_what_to_accounts(core: Core, owner: Actor, make_person: Callable[..., Actor]) -> None:
    admin, member = make_person("uma", Role.USER_ADMIN), make_person("bob")
    make_person("tim", Role.TEMPLATE_ADMIN)
    assert users.list(core, member).total == 1
    assert users.list(core, admin, search="b").total == 1
    with pytest.raises(NotFound):
        users.get(core, member, "ada")
    with pytest.raises(Forbidden):
        users.create(core, member, "eve", "eve@x.org", PASSWORD)
    with pytest.raises(Forbidden):
        users.create(core, admin, "eve", "eve@x.org", PASSWORD, roles=[Role.OWNER])
    for attack in (
        lambda: users.set_password(core, admin, "ada", None, "another password"),
        lambda: users.set_roles(core, admin, "ada", [Role.MEMBER]),
        lambda: users.set_status(core, admin, "ada", "suspended"),
        lambda: users.set_roles(core, admin, "bob", [Role.OWNER]),
        # Authors of templates run code as the provisioner: that is no power to come by as a user administrator.
        lambda: users.set_roles(core, admin, "me", [Role.USER_ADMIN, Role.TEMPLATE_ADMIN]),
        lambda: users.create(core, admin, "eve", "eve@x.org", PASSWORD, roles=[Role.TEMPLATE_ADMIN]),
        lambda: users.set_password(core, admin, "tim", None, "another password"),
        lambda: users.update(core, admin, "tim", email="uma2@x.org"),
        lambda: users.set_roles(core, member, "me", [Role.OWNER]),
        lambda: users.set_status(core, member, "me", "suspended"),
        lambda: users.ssh_keys(core, owner, "bob"),
    ):
        with pytest.raises(Forbidden):
            attack()
    with pytest.raises(InvalidInput, match="no such role"):
        users.create(core, owner, "eve", "eve@x.org", PASSWORD, roles=["king"])  # type: ignore[list-item]


@pytest.mark.parametrize("what", ["password", "roles", "status", "email"])
def test_who_becomes_an_owner_meanwhile_is_safe_from_user_administrators(
    core: Core, owner: Actor, make_person: Callable[..., Actor], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    admin, bob = make_person("uma", Role.USER_ADMIN), make_person("bob")
    lock = core.database.lock

    def promoting(name: str) -> None:
        lock(name)
        if name == "users":
            user_store.replace_roles(bob.user_id, (Role.OWNER,))

    monkeypatch.setattr(core.database, "lock", promoting)
    with pytest.raises(Forbidden):
        {
            "password": lambda: users.set_password(core, admin, "bob", None, "another password"),
            "roles": lambda: users.set_roles(core, admin, "bob", [Role.MEMBER]),
            "status": lambda: users.set_status(core, admin, "bob", "suspended"),
            "email": lambda: users.update(core, admin, "bob", email="uma2@x.org"),
        }[what]()


def test_a_taken_name_is_a_conflict_whatever_its_case(core: Core, owner: Actor) -> None:
    for username, email in (("ADA", "x@x.org"), ("eve", "ADA@example.org")):
        with pytest.raises(Conflict):
            users.create(core, owner, username, email, PASSWORD)


def test_a_new_password_ends_everything_else(core: Core, owner: Actor, member: Actor) -> None:
    session = authentication.open_session(core, member.user_id, "", "")
    with pytest.raises(InvalidInput, match="old password"):
        users.set_password(core, member, "me", "wrong", "another password")
    users.set_password(core, member, "me", PASSWORD, "another password")
    with pytest.raises(NotAuthenticated):
        authentication.actor_for_session(core, session)
    assert authentication.verify_password(core, "bob", "another password", "").username == "bob"


def test_the_audit_trail_tells_who_did_what(core: Core, owner: Actor, member: Actor) -> None:
    users.set_roles(core, owner, "bob", [Role.AUDITOR])
    page = audit.list(core, owner, AuditFilter(target_id=member.user_id))
    newest = page.items[0]
    assert (newest.actor, newest.action, newest.before, newest.after) == (
        "ada",
        "changed roles",
        {"roles": ["member"]},
        {"roles": ["auditor"]},
    )
    with pytest.raises(Forbidden):
        audit.list(core, member)
    auditor = authentication.actor_for_user(core, member.user_id)
    assert audit.verify(core, auditor).ok


@pytest.mark.parametrize("damage", ["alter", "remove", "insert"])
def test_damage_to_the_audit_trail_is_found(core: Core, owner: Actor, member: Actor, damage: str) -> None:
    assert audit.verify(core, owner).ok
    with core.database.write():
        row = AuditRow.select().order_by(AuditRow.number).first()
        if damage == "alter":
            AuditRow.update(actor="eve").where(AuditRow.number == row.number).execute()
        elif damage == "remove":
            AuditRow.delete().where(AuditRow.number == row.number).execute()
        else:
            last = AuditRow.select().order_by(AuditRow.number.desc()).dicts().first()
            AuditRow.insert(**{**last, "number": last["number"] + 1}).execute()
    found = audit.verify(core, owner)
    assert not found.ok
    assert found.broken_at is not None


def test_many_writers_make_one_chain(core: Core, owner: Actor) -> None:
    threads = [threading.Thread(target=lambda n=n: tokens.create(core, owner, f"t{n}")) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(tokens.list(core, owner)) == 8
    verified = audit.verify(core, owner)
    assert verified.ok, verified
