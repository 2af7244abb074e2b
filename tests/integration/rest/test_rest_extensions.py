"""Blueprints that plugins bring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Blueprint
from flask.testing import FlaskClient

from stead.api import hookimpl
from stead.config import Settings
from stead.plugins import PluginRegistry
from stead.services import deployment, tokens
from stead.services.authentication import actor_for_user
from stead.services.core import close_core, open_core
from stead.web.app import create_app


@hookimpl
def stead_blueprints(context: Any) -> list[Blueprint]:
    pages = Blueprint("pages", __name__)

    @pages.get("/hello")
    def hello() -> str:
        return f"{context.username()} {context.roles()} {context.access_url}"

    @pages.post("/hello")
    def change() -> str:
        return "changed"

    inner = Blueprint("inner", __name__, url_prefix="/deep")

    @inner.get("/page")
    def page() -> str:
        return "deep"

    return [pages, inner]


def _broken(context: Any) -> list[Any]:
    return ["not a blueprint"]


@pytest.fixture
def signed_in(tmp_path: Path) -> Iterator[tuple[FlaskClient, dict[str, str]]]:
    good, bad = ModuleType("good"), ModuleType("bad")
    good.stead_blueprints = stead_blueprints  # type: ignore[attr-defined]
    bad.stead_blueprints = hookimpl(_broken)  # type: ignore[attr-defined]
    registry = PluginRegistry(builtins={"good": good, "bad": bad}, disabled=["docker"])
    registry.load()
    core = open_core(Settings(data_dir=tmp_path), plugins=registry)
    owner = deployment.create_first_owner(core, "owner", "owner@example.com", "correct horse battery")
    _, secret = tokens.create(core, actor_for_user(core, owner.id), "test")
    yield create_app(core).test_client(), {"Authorization": f"Bearer {secret}"}
    close_core(core)


def test_a_plugins_page_knows_who_looks_at_it(signed_in: tuple[FlaskClient, dict[str, str]]) -> None:
    client, headers = signed_in
    answer = client.get("/plugins/good/hello", headers=headers)
    assert answer.text == "owner ('owner',) http://127.0.0.1:3000"
    assert "Content-Security-Policy" in answer.headers
    assert client.get("/plugins/good/deep/page", headers=headers).text == "deep"


def test_a_plugins_page_is_behind_the_sign_in(signed_in: tuple[FlaskClient, dict[str, str]]) -> None:
    client, _ = signed_in
    answer = client.get("/plugins/good/hello")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/login?next=/plugins/good/hello"
    assert client.post("/plugins/good/hello").status_code == 403


def test_a_plugin_that_brings_nonsense_stops_no_other(signed_in: tuple[FlaskClient, dict[str, str]]) -> None:
    client, headers = signed_in
    assert client.get("/plugins/bad/hello", headers=headers).status_code == 404
    assert client.get("/api/v2/users/me", headers=headers).status_code == 200
