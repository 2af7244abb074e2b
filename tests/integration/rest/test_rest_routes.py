"""Every route and everybody: whoever adds a route adds a row here, or this fails."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from stead.web.rest import all_routes

# The order of the numbers in a row: what each gets to see of the route.
COLUMNS = ("nobody", "other", "member", "template-admin", "user-admin", "auditor", "owner")

ALL = (200,) * 7
SIGNED_IN = (401, *(200,) * 6)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJfSz2Z1n6LYCJDHSTBTPVuuvcfe6TgAlCQnMSdGqXxB test"

Row = tuple[tuple[int, ...], dict[str, Any]]

# METHOD rule → statuses by column, and what is sent. Names in braces are those of the world.
TABLE: dict[str, Row] = {
    "GET /healthz": (ALL, {}),
    "GET /api/v2/buildinfo": (ALL, {}),
    "GET /api/v2/openapi.json": (ALL, {}),
    "GET /api/v2/starters": (SIGNED_IN, {}),
    "GET /api/v2/starters/<ref:ref>/archive": (SIGNED_IN, {"path": "/starters/{starter}/archive"}),
    "GET /api/v2/plugins": ((401, 403, 403, 403, 403, 200, 200), {}),
    "GET /api/v2/policies": ((401, 403, 403, 403, 403, 200, 200), {}),
    "POST /api/v2/users/first": (
        (409,) * 7,
        {"json": {"username": "x1", "email": "x1@example.com", "password": "correct horse 1"}},
    ),
    "POST /api/v2/login": (ALL, {"json": {"login": "spare", "password": "{password}"}}),
    "POST /api/v2/logout": ((401, *(204,) * 6), {}),
    "GET /api/v2/users": (SIGNED_IN, {}),
    "POST /api/v2/users": (
        (401, 403, 403, 403, 201, 403, 201),
        {"json": {"username": "new", "email": "new@example.com", "password": "correct horse 2"}},
    ),
    "GET /api/v2/users/<ref:ref>": (
        (401, 404, 404, 200, 200, 200, 200),
        {"path": "/users/{spare}"},
    ),
    "PATCH /api/v2/users/<ref:ref>": (
        (401, 404, 404, 403, 200, 403, 200),
        {"path": "/users/{spare}", "json": {"status": "suspended"}},
    ),
    "PUT /api/v2/users/<ref:ref>/password": (
        (401, 404, 404, 403, 204, 403, 204),
        {"path": "/users/{spare}/password", "json": {"new": "another long one"}},
    ),
    "GET /api/v2/login/methods": (ALL, {}),
    "POST /api/v2/login/device": (ALL, {"json": {"client": "cli"}}),
    "POST /api/v2/login/device/token": ((400,) * 7, {"json": {"device_code": "no-such-code"}}),
    "POST /api/v2/login/terminal/token": ((401,) * 7, {"json": {"code": "no-such-code", "verifier": "v" * 43}}),
    "GET /api/v2/identity/providers": ((401, 403, 403, 403, 403, 200, 200), {}),
    "POST /api/v2/identity/providers/<ref:ref>/check": (
        (401, 403, 403, 403, 403, 403, 404),
        {"path": "/identity/providers/none/check"},
    ),
    "POST /api/v2/identity/providers/<ref:ref>/test": (
        (401, 403, 403, 403, 403, 403, 404),
        {"path": "/identity/providers/none/test", "json": {"username": "ada"}},
    ),
    "GET /api/v2/identity/attempts": ((401, 403, 403, 403, 403, 200, 200), {}),
    "GET /api/v2/groups": ((401, 403, 403, 200, 200, 200, 200), {}),
    "POST /api/v2/groups": ((401, 403, 403, 403, 201, 403, 201), {"json": {"name": "fresh"}}),
    "GET /api/v2/groups/<ref:ref>": ((401, 403, 403, 200, 200, 200, 200), {"path": "/groups/crew"}),
    "PATCH /api/v2/groups/<ref:ref>": (
        (401, 403, 403, 403, 200, 403, 200),
        {"path": "/groups/crew", "json": {"name": "team"}},
    ),
    "DELETE /api/v2/groups/<ref:ref>": ((401, 403, 403, 403, 204, 403, 204), {"path": "/groups/crew"}),
    "GET /api/v2/groups/<ref:ref>/members": ((401, 403, 403, 200, 200, 200, 200), {"path": "/groups/crew/members"}),
    "PUT /api/v2/groups/<ref:ref>/members/<ref:user>": (
        (401, 403, 403, 403, 200, 403, 200),
        {"path": "/groups/crew/members/{spare}"},
    ),
    "DELETE /api/v2/groups/<ref:ref>/members/<ref:user>": (
        (401, 403, 403, 403, 204, 403, 204),
        {"path": "/groups/crew/members/owner"},
    ),
    "GET /api/v2/users/<ref:ref>/sessions": (
        (401, 404, 404, 403, 200, 403, 200),
        {"path": "/users/{spare}/sessions"},
    ),
    "DELETE /api/v2/users/<ref:ref>/sessions/<session_id>": (
        (401, 404, 404, 403, 404, 403, 404),
        {"path": "/users/{spare}/sessions/none"},
    ),
    "POST /api/v2/users/<ref:ref>/password-account": (
        (401, 404, 404, 403, 409, 403, 409),
        {"path": "/users/{spare}/password-account", "json": {"password": "another long one"}},
    ),
    "GET /api/v2/users/me/factors": (SIGNED_IN, {}),
    "POST /api/v2/users/me/factors/totp": (SIGNED_IN, {"json": {"password": "{password}"}}),
    "POST /api/v2/users/me/factors/totp/confirm": ((401,) * 7, {"json": {"step": "none", "code": "123456"}}),
    "POST /api/v2/users/me/factors/<ref:ref>/remove": (
        (401, *(404,) * 6),
        {"path": "/users/me/factors/none/remove", "json": {"password": "{password}"}},
    ),
    "POST /api/v2/users/me/factors/recovery-codes": ((401, *(409,) * 6), {"json": {"password": "{password}"}}),
    "GET /api/v2/users/<ref:ref>/factors": ((401, 404, 404, 200, 200, 200, 200), {"path": "/users/{spare}/factors"}),
    "DELETE /api/v2/users/<ref:ref>/factors": (
        (401, 404, 404, 403, 200, 403, 200),
        {"path": "/users/{spare}/factors"},
    ),
    "GET /api/v2/users/me/tokens": (SIGNED_IN, {}),
    "POST /api/v2/users/me/tokens": ((401, *(201,) * 6), {"json": {"name": "mine"}}),
    "DELETE /api/v2/users/me/tokens/<ref:ref>": (
        (401, 404, 204, 404, 204, 404, 204),
        {"path": "/users/me/tokens/{member_token}"},
    ),
    "GET /api/v2/templates": (SIGNED_IN, {}),
    "POST /api/v2/templates": (
        (401, 403, 403, 201, 403, 403, 201),
        {"json": {"name": "fresh", "version_id": "{free_version}"}},
    ),
    "GET /api/v2/templates/<ref:ref>": (SIGNED_IN, {"path": "/templates/plain"}),
    "PATCH /api/v2/templates/<ref:ref>": (
        (401, 403, 403, 200, 403, 403, 200),
        {"path": "/templates/plain", "json": {"description": "Plain"}},
    ),
    "DELETE /api/v2/templates/<ref:ref>": (
        (401, 403, 403, 204, 403, 403, 204),
        {"path": "/templates/unused"},
    ),
    "GET /api/v2/templates/<ref:ref>/versions": (SIGNED_IN, {"path": "/templates/plain/versions"}),
    "POST /api/v2/template-versions": ((401, 403, 403, 201, 403, 403, 201), {"archive": True}),
    "GET /api/v2/template-versions/<ref:ref>": (SIGNED_IN, {"path": "/template-versions/{version}"}),
    "GET /api/v2/template-versions/<ref:ref>/archive": (
        (401, 403, 403, 200, 403, 403, 200),
        {"path": "/template-versions/{version}/archive"},
    ),
    "GET /api/v2/template-versions/<ref:ref>/logs": (
        SIGNED_IN,
        {"path": "/template-versions/{version}/logs"},
    ),
    "POST /api/v2/template-versions/<ref:ref>/promote": (
        (401, 403, 403, 200, 403, 403, 200),
        {"path": "/template-versions/{version}/promote"},
    ),
    "POST /api/v2/template-versions/<ref:ref>/cancel": (
        (401, 403, 403, 200, 403, 403, 200),
        {"path": "/template-versions/{waiting_version}/cancel"},
    ),
    "GET /api/v2/workspaces": (SIGNED_IN, {}),
    "POST /api/v2/workspaces": ((401, *(201,) * 6), {"json": {"template": "plain", "name": "mine"}}),
    "GET /api/v2/workspaces/<ref:ref>": (
        (401, 404, 200, 200, 404, 200, 200),
        {"path": "/workspaces/member%2Fdev"},
    ),
    "PATCH /api/v2/workspaces/<ref:ref>": (
        (401, 404, 200, 403, 404, 403, 200),
        {"path": "/workspaces/{workspace}", "json": {"name": "dev"}},
    ),
    "GET /api/v2/workspaces/<ref:ref>/builds": (
        (401, 404, 200, 200, 404, 200, 200),
        {"path": "/workspaces/{workspace}/builds"},
    ),
    # The workspace's first build waits still: whoever may build is told so.
    "POST /api/v2/workspaces/<ref:ref>/builds": (
        (401, 404, 409, 403, 404, 403, 409),
        {"path": "/workspaces/{workspace}/builds", "json": {"transition": "stop"}},
    ),
    # It does not run yet: whoever may connect is told so.
    "POST /api/v2/workspaces/<ref:ref>/ssh-certificate": (
        (401, 404, 409, 403, 404, 403, 409),
        {"path": "/workspaces/{workspace}/ssh-certificate", "json": {"public_key": KEY}},
    ),
    "GET /api/v2/builds/<ref:ref>": ((401, 404, 200, 200, 404, 200, 200), {"path": "/builds/{build}"}),
    "POST /api/v2/builds/<ref:ref>/cancel": (
        (401, 404, 200, 403, 404, 403, 200),
        {"path": "/builds/{build}/cancel"},
    ),
    "GET /api/v2/builds/<ref:ref>/logs": (
        (401, 404, 200, 200, 404, 200, 200),
        {"path": "/builds/{build}/logs"},
    ),
    # The build has not run, so whoever may read states learns that there is none.
    "GET /api/v2/builds/<ref:ref>/state": (
        (401, 403, 403, 403, 403, 403, 404),
        {"path": "/builds/{build}/state"},
    ),
    "GET /api/v2/agents/<ref:ref>/logs": (
        (401, 404, 404, 404, 404, 404, 404),
        {"path": "/agents/00000000-0000-0000-0000-000000000000/logs"},
    ),
    "GET /api/v2/audit": ((401, 403, 403, 403, 403, 200, 200), {}),
    "GET /api/v2/audit/verify": ((401, 403, 403, 403, 403, 200, 200), {}),
}


def _key(method: str, rule: str) -> str:
    return f"{method} {rule}"


def test_every_route_has_a_row() -> None:
    declared = {_key(route.method, route.rule) for route in all_routes()}
    assert declared == set(TABLE), f"without a row: {declared - set(TABLE)}; gone: {set(TABLE) - declared}"


def test_the_application_serves_no_other_api_route(world: Any) -> None:
    declared = {_key(route.method, route.rule) for route in all_routes()}
    served = {
        _key(method, rule.rule)
        for rule in world.app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert served <= declared


@pytest.mark.parametrize("key", sorted(TABLE))
def test_route_answers_everybody_as_the_table_says(key: str, new_world: Callable[[], Any]) -> None:
    method, rule = key.split(" ")
    expected, sent = TABLE[key]
    got = []
    shared = new_world() if method == "GET" else None
    for column in COLUMNS:
        world = shared or new_world()
        names = _names(world, key)
        path = sent.get("path", rule.removeprefix("/api/v2")).format(**names)
        options = _options(sent, names)
        person = None if column == "nobody" else column
        if path == "/healthz":
            got.append(world.client().get(path).status_code)
        else:
            got.append(world.call(person, method, path, **options).status_code)
    assert dict(zip(COLUMNS, got, strict=True)) == dict(zip(COLUMNS, expected, strict=True))


def _options(sent: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    if "archive" in sent:
        archive = (io.BytesIO(names["archive"]), "t.tar.gz")  # type: ignore[arg-type]
        return {"data": {"archive": archive, "name": "v9"}, "content_type": "multipart/form-data"}
    if "json" in sent:
        return {"json": {key: _filled(value, names) for key, value in sent["json"].items()}}
    return {}


def _filled(value: Any, names: dict[str, str]) -> Any:
    return value.format(**names) if isinstance(value, str) else value


def _names(world: Any, key: str) -> dict[str, Any]:
    names = {
        "starter": "docker%2Fdocker",
        "spare": world.spare_user.id,
        "version": world.version.id,
        "workspace": world.workspace.id,
        "build": world.build.id,
        "password": world.password,
        "archive": world.archive,
    }
    if "{waiting_version}" in str(TABLE[key][1]):
        names["waiting_version"] = world.upload().id
    if "{free_version}" in str(TABLE[key][1]):
        names["free_version"] = world.imported().id
    if "unused" in str(TABLE[key][1]):
        world.make_template("unused")
    if "{member_token}" in str(TABLE[key][1]):
        names["member_token"] = world.token_id("member")
    return names
