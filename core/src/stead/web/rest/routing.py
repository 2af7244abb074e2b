"""How a route of the API is declared: once, with everything that checks, documents and tests it.

::

    @api.post("/users", "Create a user", body=CreateUser, returns=User, status=201)
    def create_user(body: CreateUser) -> User: ...

The declaration parses the body and the query, sees to it that somebody is signed in, renders the
returned record, and becomes an operation of the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel

from stead.web.auth import current_actor
from stead.web.rest.parsing import parse_body, parse_query
from stead.web.rest.serialize import to_json

PREFIX = "/api/v2"

Handler = Callable[..., Any]


@dataclass(frozen=True)
class PageOf:
    """``returns`` of a listing: ``{"items": [RECORD, ...], "total": n}``."""

    item: type[Any]


@dataclass(frozen=True)
class Binary:
    """``returns`` of a download."""

    media_type: str


@dataclass(frozen=True)
class Upload:
    """The multipart form that a route takes beside (or instead of) its JSON body.

    :param file: name of the part that carries the file.
    :param fields: model of the other parts.
    """

    file: str
    fields: type[BaseModel]


@dataclass(frozen=True)
class Route:
    """One declared route. ``public`` routes are answered without anybody being signed in."""

    method: str
    path: str
    summary: str
    handler: Handler
    tag: str
    status: int = 200
    public: bool = False
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    upload: Upload | None = None
    returns: Any = None
    description: str = ""

    @property
    def rule(self) -> str:
        """The Flask rule with the API's prefix."""
        return self.path if self.path == "/healthz" else PREFIX + self.path

    @property
    def endpoint(self) -> str:
        return self.handler.__name__


class Api:
    """A group of routes: one Flask blueprint, one tag in the OpenAPI document."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.blueprint = Blueprint(f"api_{name}", __name__)
        self.routes: list[Route] = []

    def get(self, path: str, summary: str, **options: Any) -> Callable[[Handler], Handler]:
        return self._route("GET", path, summary, options)

    def post(self, path: str, summary: str, **options: Any) -> Callable[[Handler], Handler]:
        return self._route("POST", path, summary, options)

    def put(self, path: str, summary: str, **options: Any) -> Callable[[Handler], Handler]:
        return self._route("PUT", path, summary, options)

    def patch(self, path: str, summary: str, **options: Any) -> Callable[[Handler], Handler]:
        return self._route("PATCH", path, summary, options)

    def delete(self, path: str, summary: str, **options: Any) -> Callable[[Handler], Handler]:
        return self._route("DELETE", path, summary, options)

    def _route(self, method: str, path: str, summary: str, options: dict[str, Any]) -> Callable[[Handler], Handler]:
        def declare(handler: Handler) -> Handler:
            if options.get("returns") is None:
                options.setdefault("status", 204)
            description = (handler.__doc__ or "").strip()
            route = Route(method, path, summary, handler, self.name, description=description, **options)
            self.routes.append(route)
            self.blueprint.add_url_rule(route.rule, route.endpoint, _view(route), methods=[method], strict_slashes=True)
            return handler

        return declare


def _view(route: Route) -> Handler:
    @wraps(route.handler)
    def view(**arguments: Any) -> Response:
        if not route.public:
            current_actor()
        if route.query is not None:
            arguments["query"] = parse_query(route.query)
        if route.body is not None and route.upload is None:
            arguments["body"] = parse_body(route.body)
        return _render(route, route.handler(**arguments))

    return view


def _render(route: Route, result: Any) -> Response:
    if isinstance(result, Response):
        return result
    if result is None:
        return Response(status=204)
    response = jsonify(to_json(result))
    response.status_code = route.status
    return response
