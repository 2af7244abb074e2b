"""The OpenAPI 3.1 document, made from the declared routes and the types that they name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from stead import VERSION
from stead.web.failures import STATUS
from stead.web.rest.routing import Binary, PageOf, Route

Schema = dict[str, Any]

_REF = "#/components/schemas/{model}"
_CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")

_ERROR_SCHEMA: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["reason", "message", "field", "remedy"],
            "properties": {
                "reason": {"type": "string", "description": "A short word of low cardinality."},
                "message": {"type": "string", "description": "What happened and why, for a person."},
                "field": {"type": ["string", "null"], "description": "The input field that is wrong."},
                "remedy": {"type": ["string", "null"], "description": "What to do next."},
            },
        }
    },
}

_SECURITY: Schema = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token."},
    "tokenHeader": {"type": "apiKey", "in": "header", "name": "Coder-Session-Token"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "stead_session",
        "description": "A web session; unsafe methods also need the header X-CSRF-Token.",
    },
}


class Schemas:
    """Collects the components that the operations refer to."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {"Error": _ERROR_SCHEMA}

    def of(self, kind: Any, mode: JsonSchemaMode) -> Schema:
        """A schema for ``kind``, with whatever it refers to added to the components."""
        schema = TypeAdapter(kind).json_schema(mode=mode, ref_template=_REF)
        self.components.update(schema.pop("$defs", {}))
        if "properties" not in schema:
            return schema
        name = str(schema.get("title") or kind.__name__)
        self.components[name] = schema
        return {"$ref": _REF.format(model=name)}


def document(routes: Iterable[Route], access_url: str) -> Schema:
    """The whole document for the routes of a deployment that is reached at ``access_url``."""
    schemas = Schemas()
    paths: dict[str, Schema] = {}
    for route in routes:
        paths.setdefault(_path(route), {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stead",
            "version": VERSION,
            "description": "Self-hosted cloud development environments.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": access_url}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "securitySchemes": _SECURITY,
        },
        "security": [{name: []} for name in _SECURITY],
    }


def _path(route: Route) -> str:
    return _CONVERTER.sub(r"{\1}", route.rule)


def _operation(route: Route, schemas: Schemas) -> Schema:
    operation: Schema = {
        "operationId": route.endpoint,
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [*_path_parameters(route), *_query_parameters(route, schemas)],
        "responses": {str(route.status): _success(route, schemas), "default": _failure()},
    }
    if route.description:
        operation["description"] = route.description
    if route.body is not None or route.upload is not None:
        operation["requestBody"] = _request_body(route, schemas)
    if route.public:
        operation["security"] = []
    return operation


def _path_parameters(route: Route) -> list[Schema]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
            "description": "An id or a name; the slash of owner/name is written %2F.",
        }
        for name in _CONVERTER.findall(route.rule)
    ]


def _query_parameters(route: Route, schemas: Schemas) -> list[Schema]:
    if route.query is None:
        return []
    schema = route.query.model_json_schema(ref_template=_REF)
    schemas.components.update(schema.pop("$defs", {}))
    required = set(schema.get("required", ()))
    return [
        {"name": name, "in": "query", "required": name in required, "schema": inner}
        for name, inner in schema.get("properties", {}).items()
    ]


def _request_body(route: Route, schemas: Schemas) -> Schema:
    content: Schema = {}
    if route.body is not None:
        content["application/json"] = {"schema": schemas.of(route.body, "validation")}
    if route.upload is not None:
        content["multipart/form-data"] = {"schema": _form(route.upload.file, route.upload.fields)}
    return {"required": True, "content": content}


def _form(file: str, fields: type[BaseModel]) -> Schema:
    schema = fields.model_json_schema(ref_template=_REF)
    properties = {file: {"type": "string", "contentMediaType": "application/octet-stream"}}
    return {
        "type": "object",
        "properties": properties | schema.get("properties", {}),
        "required": [file, *schema.get("required", ())],
    }


def _success(route: Route, schemas: Schemas) -> Schema:
    phrase = HTTPStatus(route.status).phrase
    if route.returns is None:
        return {"description": phrase}
    if isinstance(route.returns, Binary):
        return {"description": phrase, "content": {route.returns.media_type: {"schema": {}}}}
    return {
        "description": phrase,
        "content": {"application/json": {"schema": _answer(route.returns, schemas)}},
    }


def _answer(returns: Any, schemas: Schemas) -> Schema:
    if not isinstance(returns, PageOf):
        return schemas.of(returns, "serialization")
    return {
        "type": "object",
        "required": ["items", "total"],
        "properties": {
            "items": {"type": "array", "items": schemas.of(returns.item, "serialization")},
            "total": {"type": "integer", "description": "How many there are on all pages."},
        },
    }


def _failure() -> Schema:
    codes = ", ".join(str(code) for code in sorted(set(STATUS.values())))
    return {
        "description": f"An error, with one of the statuses {codes}.",
        "content": {"application/json": {"schema": {"$ref": _REF.format(model="Error")}}},
    }
