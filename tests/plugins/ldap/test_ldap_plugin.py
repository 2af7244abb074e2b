"""What the plugin brings, its documentation, and the small parts that everything rests on."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import sansldap

import stead_ldap.plugin
from stead.api.signin import CORE_SETTINGS
from stead_ldap import refusals
from stead_ldap.names import direct_name, escape_dn, escape_filter, filter_for, first_of, same_dn
from stead_ldap.provider import LdapProvider
from stead_ldap.reference import document
from stead_ldap.settings import LdapSettings
from stead_ldap.transport import Deadline
from stead_ldap.wire import Entry, message_size

DOCS = Path(__file__).parents[3] / "docs/identity"
NOW = 1_800_000_000.0
SIGNS = "*()\\\x00/|&!=<>~, +\";#'\u00e9\u202e\U0001f600"


def examples() -> list[Any]:
    """The settings of all examples in the documentation."""
    found = []
    for page in ("openldap.md", "active-directory.md"):
        for number, block in enumerate(re.findall(r"```toml\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)):
            tables = tomllib.loads(block)["identity"].values()
            found += [pytest.param(table, id=f"{page}-{number}") for table in tables]
    return found


@pytest.mark.parametrize("example", examples())
def test_the_examples_of_the_documentation_are_settings(example: dict[str, Any]) -> None:
    own = {name: value for name, value in example.items() if name not in CORE_SETTINGS}
    assert example["kind"] == "ldap"
    assert LdapSettings.model_validate(own).servers


def test_the_reference_is_fresh() -> None:
    """``python -m stead_ldap.reference > docs/identity/ldap-settings.md``"""
    assert (DOCS / "ldap-settings.md").read_text() == document()


def test_the_plugin_brings_one_kind() -> None:
    (spec,) = stead_ldap.plugin.stead_identity_providers()
    assert (spec.kind, spec.settings) == ("ldap", LdapSettings)
    made = spec.factory(LdapSettings(servers=("ldaps://ldap.example.test",), base="dc=example,dc=test"))
    assert isinstance(made, LdapProvider)
    made.close()
    assert "sansldap" in sys.modules


def test_what_is_typed_comes_out_of_a_filter_as_it_went_in() -> None:
    for text in (SIGNS, *SIGNS, "alice", "alice@example.com"):
        parsed = filter_for("(uid={username})", text)
        assert parsed == sansldap.FilterEquality("uid", text.encode())
    assert escape_filter("al*(e)") == "al\\2a\\28e\\29"


def test_what_is_typed_stays_one_value_of_a_dn() -> None:
    template = "uid={username},ou=people"
    for text in (SIGNS.replace("\x00", ""), *SIGNS.replace("\x00", ""), " a ", "a\\ ", "#a", "a\\", "a,ou=x"):
        assert first_of(direct_name(template, text)) == ("uid", text), text
    assert escape_dn("\x00") == "\\00"
    assert direct_name("{username}@example.com", "alice") == "alice@example.com"


def test_distinguished_names() -> None:
    assert first_of("CN=a\\2cb\\c3\\a9\\\\,DC=x") == ("cn", "a,b\u00e9\\")
    assert first_of("cn=a+uid=b,dc=x") == ("", "")
    assert first_of("nothing") == ("", "")
    assert same_dn("CN=A , DC = x") == same_dn("cn=a,dc=x")


@pytest.mark.parametrize(
    ("attributes", "refusal"),
    [
        ({}, None),
        ({"useraccountcontrol": "512"}, None),
        ({"useraccountcontrol": "514"}, refusals.DISABLED),
        ({"accountexpires": "0"}, None),
        ({"accountexpires": "9223372036854775807"}, None),
        ({"accountexpires": "116444736000000000"}, refusals.EXPIRED),
        ({"accountexpires": str(int((NOW + 60 + refusals.FILETIME_EPOCH) * 10_000_000))}, None),
        ({"shadowexpire": "-1"}, None),
        ({"shadowexpire": "1"}, refusals.EXPIRED),
        ({"shadowexpire": "99999"}, None),
        ({"pwdendtime": "20200101000000Z"}, refusals.EXPIRED),
        ({"pwdendtime": "20990101000000Z"}, None),
        ({"pwdstarttime": "20990101000000Z"}, refusals.NOT_YET),
        ({"pwdaccountlockedtime": "20260101000000Z"}, None),
        ({"pwdaccountlockedtime": "000001010000Z"}, refusals.DISABLED),
        ({"nsaccountlock": "TRUE"}, refusals.DISABLED),
        ({"useraccountcontrol": "nonsense", "accountexpires": "", "pwdendtime": "x"}, None),
    ],
)
def test_what_entries_say_of_their_account(attributes: dict[str, str], refusal: object) -> None:
    entry = Entry("uid=a", {name: (value.encode(),) for name, value in attributes.items()})
    assert refusals.of_entry(entry, NOW) is refusal


@pytest.mark.parametrize(
    ("control", "refusal"),
    [
        (None, None),
        (b"", None),
        (b"\x30\x00", None),
        (b"\x30\x03\x81\x01\x00", refusals.PASSWORD_EXPIRED),
        (b"\x30\x03\x81\x01\x01", refusals.LOCKED),
        (b"\x30\x03\x81\x01\x02", refusals.MUST_CHANGE),
        (b"\x30\x05\xa0\x03\x80\x01\x07", None),  # a warning: the password runs out soon
        (b"\x30\x08\xa0\x03\x80\x01\x07\x81\x01\x00", refusals.PASSWORD_EXPIRED),
    ],
)
def test_what_the_password_policy_control_says(control: bytes | None, refusal: object) -> None:
    assert refusals.of_policy(control) is refusal


def test_a_control_that_cannot_be_read_lets_nobody_in() -> None:
    assert refusals.of_policy(b"\x30\x7f\x81") is not None
    assert refusals.of_policy(b"\x04\x01a") is not None


def test_messages_are_measured_before_they_are_read() -> None:
    assert message_size(b"") is message_size(b"\x30") is message_size(b"\x30\x82\x01") is None
    assert message_size(b"\x30\x05") == 7
    assert message_size(b"\x30\x82\x01\x00") == 260


def test_deadlines() -> None:
    now = [0.0]
    deadline = Deadline(10, lambda: now[0])
    assert deadline.within(3).left() == 3
    now[0] = 9.0
    assert deadline.within(3).left() == 1
    now[0] = 10.0
    assert deadline.over
    with pytest.raises(TimeoutError):
        deadline.left()
