"""The OpenAPI document: valid, complete, and true."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from stead.web.rest import all_routes


@pytest.fixture
def document(world: Any) -> dict[str, Any]:
    answer = world.client().get("/api/v2/openapi.json")
    assert answer.mimetype == "application/json"
    return dict(answer.json)


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")


def test_every_route_is_documented(document: dict[str, Any]) -> None:
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(operations) == len(list(all_routes()))
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    assert all(operation["summary"] for operation in operations)


def test_public_routes_alone_need_no_credential(document: dict[str, Any]) -> None:
    public = {
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if operation.get("security") == []
    }
    assert public == {
        "GET /healthz",
        "GET /api/v2/buildinfo",
        "GET /api/v2/openapi.json",
        "POST /api/v2/users/first",
        "GET /api/v2/login/methods",
        "POST /api/v2/login/device",
        "POST /api/v2/login/device/token",
        "POST /api/v2/login/terminal/token",
        "POST /api/v2/login",
    }


@pytest.mark.parametrize(
    ("path", "documented"),
    [
        ("/users/me", "/users/{ref}"),
        ("/users", "/users"),
        ("/users/me/tokens", "/users/me/tokens"),
        ("/templates", "/templates"),
        ("/templates/plain", "/templates/{ref}"),
        ("/templates/plain/versions", "/templates/{ref}/versions"),
        ("/template-versions/{version}", "/template-versions/{ref}"),
        ("/workspaces", "/workspaces"),
        ("/workspaces/member%2Fdev", "/workspaces/{ref}"),
        ("/workspaces/member%2Fdev/builds", "/workspaces/{ref}/builds"),
        ("/builds/{build}", "/builds/{ref}"),
        ("/builds/{build}/logs", "/builds/{ref}/logs"),
        ("/starters", "/starters"),
        ("/plugins", "/plugins"),
        ("/audit", "/audit"),
        ("/audit/verify", "/audit/verify"),
        ("/buildinfo", "/buildinfo"),
    ],
)
def test_answers_are_what_the_document_says(world: Any, document: dict[str, Any], path: str, documented: str) -> None:
    answer = world.call("owner", "GET", path.format(version=world.version.id, build=world.build.id))
    assert answer.status_code == 200, answer.text
    success = document["paths"][f"/api/v2{documented}"]["get"]["responses"]["200"]
    schema = {
        **success["content"]["application/json"]["schema"],
        "components": document["components"],
    }
    Draft202012Validator(schema).validate(answer.json)


def test_an_error_is_what_the_document_says(world: Any, document: dict[str, Any]) -> None:
    answer = world.call("owner", "GET", "/workspaces/nothing")
    Draft202012Validator(document["components"]["schemas"]["Error"]).validate(answer.json)
