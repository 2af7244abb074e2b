"""The published description of the API, as a judge of requests and answers.

The discovery document ships with ``google-api-python-client``. Its schemas become JSON Schema; nothing that they do
not name is let through.
"""

from __future__ import annotations

import functools
import json
import re
import uuid
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from urllib.parse import unquote

from stead.testing.left_out import leave_out

try:
    import googleapiclient
    from jsonschema import Draft202012Validator
except ImportError:  # the extra "test" is not installed
    googleapiclient = None


class Refused(Exception):
    """A request that the API does not take: 400 with this text."""


@dataclass(frozen=True)
class Method:
    id: str
    http: str
    pattern: re.Pattern[str]
    parameters: dict[str, Any]
    request: str | None
    response: str | None


def _converted(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        return {"$ref": f"#/$defs/{node['$ref']}"}
    kind, result = node.get("type"), {}
    if kind == "any":
        return {}
    result["type"] = kind
    if node.get("format") in ("int64", "uint64", "google-datetime", "google-duration", "byte"):
        result["type"] = "string"
    if node.get("format") in ("int64", "uint64"):
        result["pattern"] = r"^-?\d+$"
    if "enum" in node:
        result["enum"] = node["enum"]
    if "pattern" in node:
        result["pattern"] = f"^(?:{node['pattern']})$"
    if kind == "array":
        result["items"] = _converted(node["items"])
    if kind == "object":
        extra = node.get("additionalProperties")
        result["additionalProperties"] = _converted(extra) if extra else False
        result["properties"] = {name: _converted(value) for name, value in node.get("properties", {}).items()}
    return result


class Document:
    """One API's description."""

    def __init__(self, name: str) -> None:
        text = files("googleapiclient").joinpath(f"discovery_cache/documents/{name}.json").read_text()
        self.raw = json.loads(text)
        self.defs = {key: _converted(value) for key, value in self.raw["schemas"].items()}
        self.methods = [method for tree in self._trees(self.raw) for method in tree]
        self._validators: dict[str, Draft202012Validator] = {}

    def _trees(self, node: dict[str, Any]) -> Any:
        yield [self._method(item) for item in node.get("methods", {}).values()]
        for child in node.get("resources", {}).values():
            yield from self._trees(child)

    def _method(self, item: dict[str, Any]) -> Method:
        path = "/" + self.raw["servicePath"] + item.get("flatPath", item["path"])
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path))
        return Method(
            item["id"],
            item["httpMethod"],
            re.compile(pattern),
            {**self.raw.get("parameters", {}), **item.get("parameters", {})},
            item.get("request", {}).get("$ref"),
            item.get("response", {}).get("$ref"),
        )

    def match(self, http: str, path: str) -> tuple[Method, dict[str, str]] | None:
        for method in self.methods:
            found = method.pattern.fullmatch(path) if method.http == http else None
            if found:
                return method, {name: unquote(value) for name, value in found.groupdict().items()}
        return None

    def check(self, schema: str, value: Any) -> None:
        """Raise :class:`Refused` where the value is not of the schema."""
        if schema not in self._validators:
            self._validators[schema] = Draft202012Validator({"$ref": f"#/$defs/{schema}", "$defs": self.defs})
        error = next(self._validators[schema].iter_errors(value), None)
        if error is not None:
            where = "/".join(str(part) for part in error.absolute_path)
            raise Refused(f"Invalid value for field '{schema}/{where}': {error.message[:300]}")

    def required(self, schema: str, method: str) -> list[str]:
        properties = self.raw["schemas"][schema].get("properties", {})
        return [n for n, item in properties.items() if method in item.get("annotations", {}).get("required", ())]

    def check_request(self, method: Method, path: dict[str, str], query: dict[str, str], body: Any) -> None:
        for name, value in {**path, **query}.items():
            if name not in method.parameters and not name.startswith("$"):
                if name in path:  # flat paths have names of their own
                    continue
                raise Refused(f"Unknown name '{name}': Cannot bind query parameter")
            self._check_parameter(name, method.parameters.get(name, {}), value)
        for name, rule in method.parameters.items():
            if rule.get("required") and rule.get("location") == "query" and name not in query:
                raise Refused(f"Required field '{name}' not specified")
        if method.request is None:
            if body is not None:
                raise Refused(f"{method.id} takes no body")
            return
        self.check(method.request, {} if body is None else body)
        for name in self.required(method.request, method.id):
            if name not in (body or {}):
                raise Refused(f"Required field 'resource.{name}' not specified")

    def _check_parameter(self, name: str, rule: dict[str, Any], value: str) -> None:
        kinds = {"integer": r"-?\d+", "boolean": r"true|false"}
        pattern = rule.get("pattern") or kinds.get(rule.get("type", ""), ".*")
        if not re.fullmatch(pattern, value, re.DOTALL):
            raise Refused(f"Invalid value for field '{name}': '{value}'. Must be a match of regex '{pattern}'")
        if "enum" in rule and value not in rule["enum"]:
            raise Refused(f"Invalid value for field '{name}': '{value}'")
        if name == "requestId" and uuid.UUID(value).int == 0:
            raise Refused("requestId must not be the zero UUID")


@functools.cache
def document(name: str) -> Document:
    """The description of an API; what needs one is left out where there is none."""
    if googleapiclient is None:
        leave_out("Google's API descriptions", "pip install stead-gcp[test]")
    return Document(name)
