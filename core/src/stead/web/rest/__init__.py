"""The REST API under ``/api/v2``: thin handlers that parse, call a service, and render."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from stead.web.context import CORE
from stead.web.incoming import RefConverter
from stead.web.rest import (
    agents,
    audit,
    builds,
    deployment,
    factors,
    groups,
    identity,
    templates,
    tokens,
    users,
    versions,
    workspaces,
)
from stead.web.rest.openapi import document
from stead.web.rest.routing import Api, Route

if TYPE_CHECKING:
    from flask import Flask

GROUPS: tuple[Api, ...] = (
    deployment.api,
    users.api,
    tokens.api,
    factors.api,
    identity.api,
    groups.api,
    templates.api,
    versions.api,
    workspaces.api,
    builds.api,
    agents.api,
    audit.api,
)


def register_rest(app: Flask) -> None:
    """Register every route of the API with the application."""
    app.url_map.converters["ref"] = RefConverter
    for group in GROUPS:
        app.register_blueprint(group.blueprint)

    @cache
    def openapi() -> bytes:
        access_url = str(app.extensions[CORE].settings.access_url)
        return json.dumps(document(all_routes(), access_url), ensure_ascii=False).encode()

    app.extensions[deployment.OPENAPI_DOCUMENT] = openapi


def all_routes() -> Iterator[Route]:
    """Every route of the API, in the order of its groups."""
    for group in GROUPS:
        yield from group.routes
