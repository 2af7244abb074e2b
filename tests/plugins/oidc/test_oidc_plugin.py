"""The record of the plugin, its settings, its documentation, and how claims are read."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from stead_oidc_peer.flow import oidc_settings

import stead_oidc.plugin
from stead.api import AuthenticationFailed
from stead_oidc.claims import MISSING, find, names
from stead_oidc.reference import document
from stead_oidc.settings import GithubSettings, OidcSettings

DOCS = Path(__file__).resolve().parents[3] / "docs/identity"
CORE = {"kind", "title", "icon", "order", "sign_up", "sign_up_domains", "sign_up_groups", "groups", "roles"}

CLAIMS = {
    "groups": ["a"],
    "https://example.com/groups": ["dotted"],
    "realm_access": {"roles": ["r"], "deep.er": {"x": 1}},
    "a": {"b": {"c": 1}, "b.c": 2},
    "a.b": {"c": 3},
    "list": [{"name": "one"}, {"other": 1}, {"name": "two"}],
    "empty": [],
    "null": None,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("groups", ["a"]),
        ("https://example.com/groups", ["dotted"]),
        ("realm_access.roles", ["r"]),
        ("realm_access.deep.er.x", 1),
        ("a.b.c", 3),
        ("list.name", ["one", "two"]),
        ("empty", []),
        ("null", None),
        ("nothing", MISSING),
        ("groups.nothing", MISSING),
        ("realm_access.roles.nothing", MISSING),
        ("a..c", MISSING),
        (".", MISSING),
    ],
)
def test_claims_are_found_by_paths(path: str, value: object) -> None:
    assert find(CLAIMS, path) == value


def test_a_path_of_dots_is_no_work() -> None:
    nested: Any = 1
    for _ in range(200):
        nested = {"a": nested}
    assert find(nested, ".".join(["a"] * 200)) is MISSING
    assert find({"a": 1}, "." * 10_000) is MISSING


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("one", ("one",)),
        (["a", "b", "a", " "], ("a", "b")),
        ([["a"], ["b"]], ("a", "b")),
        ([1, None, {"x": 1}, "a"], ("a",)),
        (None, ()),
        ({}, ()),
        (True, ()),
    ],
)
def test_names_of_a_claim(value: object, found: tuple[str, ...]) -> None:
    assert names(value, 10) == found


def test_too_many_names_are_refused() -> None:
    with pytest.raises(AuthenticationFailed):
        names([str(number) for number in range(11)], 10)
    with pytest.raises(AuthenticationFailed):
        names([[]] * 10_000, 10)


@pytest.mark.parametrize(
    "wrong",
    [
        {"algorithms": ("HS256",)},
        {"algorithms": ("none",)},
        {"algorithms": ("RS256", "HS512")},
        {"algorithms": ()},
        {"extra_parameters": {"state": "mine"}},
        {"extra_parameters": {"redirect_uri": "https://evil.example"}},
        {"allowed_groups": ("a",)},
        {"client_secret": None},
        {"client_secret_file": "/tmp/x"},
        {"client_auth": "private_key_jwt"},
        {"client_auth": "tls"},
        {"tls_certificate_file": "/tmp/x"},
        {"group_lookup": "google"},
        {"group_lookup": "entra", "group_lookup_url": "http://graph.example.com"},
        {"timeout": 0},
        {"unknown": True},
    ],
)
def test_settings_that_cannot_be_meant(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        oidc_settings("https://id.example.com", **wrong)


def test_a_client_without_anything_says_so() -> None:
    settings = oidc_settings("https://id.example.com", client_secret=None, client_auth="none")
    assert settings.scopes == ("openid", "profile", "email")
    assert oidc_settings("https://id.example.com", scopes=("email",)).scopes == ("openid", "email")


def test_the_plugin_brings_two_kinds() -> None:
    kinds = {spec.kind: spec for spec in stead_oidc.plugin.stead_identity_providers()}
    assert set(kinds) == {"oidc", "github"}
    assert (kinds["oidc"].settings, kinds["github"].settings) == (OidcSettings, GithubSettings)


def test_the_reference_is_fresh() -> None:
    """``python -m stead_oidc.reference > docs/identity/openid-settings.md``"""
    assert (DOCS / "openid-settings.md").read_text() == document()


def examples() -> list[dict[str, Any]]:
    """The settings of all examples in the documentation."""
    text = (DOCS / "openid.md").read_text()
    blocks = [
        re.sub(r"^ {3}", "", block, flags=re.MULTILINE) for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    ]
    tables = [tomllib.loads(block) for block in blocks if "[identity." in block]
    return [next(iter(table["identity"].values())) for table in tables]


@pytest.mark.parametrize("example", examples(), ids=lambda example: str(example.get("title")))
def test_the_examples_of_the_documentation_are_valid(example: dict[str, Any]) -> None:
    given = {name: value for name, value in example.items() if name not in CORE}
    model = OidcSettings if example["kind"] == "oidc" else GithubSettings
    model.model_validate(given)
