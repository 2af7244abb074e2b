"""Identity providers as they are configured, how groups are read, and how many questions one is asked at a time."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from stead.api.errors import InvalidInput, Unavailable
from stead.api.signin import CORE_SETTINGS, IdentityProviderSpec
from stead.config import Settings, load_settings
from stead.config.show import HIDDEN, show_settings
from stead.domain.membership import MOST_GROUPS, Rules, matcher
from stead.domain.states import Role
from stead.services.signin.gate import PATIENCE, Gate
from stead.services.signin.providers import load
from stead.services.signin.settings import CoreSettings
from stead.testing.signin import FakeDirectory, FakePage, registry_of
from stead.testing.waiting import eventually


def loaded(**section: Any) -> FakePage:
    page = FakePage()
    load({"corp": {"kind": "fake-page", **section}}, registry_of(page.spec(), FakeDirectory().spec()))
    return page


def test_what_the_core_reads_is_what_the_contract_says() -> None:
    assert frozenset(CoreSettings.model_fields) == CORE_SETTINGS
    assert all(info.description for info in CoreSettings.model_fields.values())


def test_tables_and_variables_configure_a_provider(tmp_path: Path) -> None:
    config = tmp_path / "stead.toml"
    config.write_text(
        '[identity.my-corp]\nkind = "fake-page"\ntitle = "Corp"\n[identity.my-corp.groups]\n"eng-*" = "engineering"\n'
    )
    environ = {
        "STEAD_IDENTITY_MY_CORP_CLIENT_SECRET": "s3cret",
        "STEAD_IDENTITY_MY_CORP_SIGN_UP": "open",
        "STEAD_IDENTITY_OTHER_KIND": "fake-directory",
    }
    settings = load_settings(config=config, environ=environ)
    assert settings.identity.sections["my-corp"]["client_secret"] == "s3cret"
    assert settings.identity.sections["other"] == {"kind": "fake-directory"}
    shown = {row.name: row for row in show_settings(settings)}
    assert shown["identity.my-corp.client_secret"].value == HIDDEN
    assert shown["identity.my-corp.title"].value == "Corp"
    assert shown["identity.my-corp.sign_up"].source == "environment STEAD_IDENTITY_MY_CORP_SIGN_UP"
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("identity = 1", "identity must be a table"),
        ('[identity]\nkind = "oidc"', "There is no setting identity.kind"),
        ('[identity.My_Corp]\nkind = "oidc"', "no name for an identity provider"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(tmp_path: Path, toml: str, message: str) -> None:
    config = tmp_path / "stead.toml"
    config.write_text(toml)
    with pytest.raises(InvalidInput, match=message):
        load_settings(config=config, environ={})


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"isuer": "x"}, "no setting identity.corp.isuer. Did you mean issuer?"),
        ({"titel": "x"}, "Did you mean title?"),
        ({"kind": "fake-pag"}, "no plugin brings the kind 'fake-pag'. Did you mean 'fake-page'?"),
        ({"order": "first"}, "Setting identity.corp.order"),
        ({"roles": {"x": ["king"]}}, "Setting identity.corp.roles"),
        ({"client_secret_file": "/nowhere/at/all"}, "identity.corp.client_secret_file: the file /nowhere/at/all"),
        ({"scopes": 7}, "Setting identity.corp.scopes"),
        ({"broken": True}, r"\[identity.corp\] cannot be used: ValueError: it was told to be broken"),
    ],
)
def test_a_provider_that_cannot_be_made_stops_the_start_and_says_why(section: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as raised:
        loaded(**section)
    assert "secret-value" not in str(raised.value)


def test_secrets_come_from_files_and_lists_from_text(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from a file\n")
    settings = loaded(client_secret_file=str(file), scopes="openid, email").settings
    assert settings.client_secret is not None
    assert settings.client_secret.get_secret_value() == "from a file"
    assert settings.scopes == ["openid", "email"]
    assert loaded(scopes='["a", "b"]', groups='{"x": "y"}').settings.scopes == ["a", "b"]


def test_a_provider_that_is_off_is_not_made() -> None:
    assert not list(load({"corp": {"kind": "not-installed", "enabled": False}}, registry_of()))


def test_a_kind_must_leave_the_cores_settings_alone() -> None:
    registry = registry_of(IdentityProviderSpec("bad", "Bad", lambda _: FakePage(), CoreSettings))
    assert "Stead reads itself" in next(one.error for one in registry.status() if one.name == "fakes")


def test_patterns_are_globs_of_whole_names() -> None:
    matches = matcher(["team-*", "exact", "a?c", "[xy]z"])
    assert all(matches(name) for name in ("team-", "team-a/b", "exact", "abc", "xz"))
    assert not any(matches(name) for name in ("my-team-a", "exactly", "Exact", "abbc", "zz", "team\n-x"))


def test_a_hostile_group_name_takes_no_time() -> None:
    started = time.monotonic()
    matcher(["*a*a*a*a*a*a*a*b"])("a" * 255)
    assert time.monotonic() - started < 5


def test_groups_are_bounded_and_mapped() -> None:
    rules = Rules(groups={"eng-*": "engineering"}, patterns=("keep*",), roles={"eng-*": (Role.AUDITOR,)})
    assert rules.groups_of(["eng-a", "eng-b", "keep", "drop", "bad\x00keep", ""]) == {"engineering", "keep"}
    assert rules.roles_of(["eng-a"], ()) == (Role.AUDITOR, Role.MEMBER)
    assert len(Rules().groups_of(f"g{number}" for number in range(MOST_GROUPS + 50))) == MOST_GROUPS


def test_a_quick_provider_is_waited_for_and_a_slow_one_is_not() -> None:
    now = [0.0]
    gate = Gate("Corp", 1, clock=lambda: now[0])
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with gate.question():
            entered.set()
            leave.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(60)
    through = threading.Event()

    def follow() -> None:
        with gate.question():
            through.set()

    follower = threading.Thread(target=follow)
    follower.start()
    assert not through.is_set()
    leave.set()
    assert through.wait(60)
    holder.join(60)
    follower.join(60)
    leave.clear()
    entered.clear()
    slow = threading.Thread(target=hold)
    slow.start()
    assert entered.wait(60)
    now[0] += PATIENCE + 1
    with pytest.raises(Unavailable, match="Corp answers slowly"), gate.question():
        pass
    leave.set()
    slow.join(60)
    eventually(lambda: gate.running == 0, timeout=60)


def test_settings_of_providers_are_no_flags() -> None:
    assert Settings().identity.sections == {}
