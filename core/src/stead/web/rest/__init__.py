"""The REST API under ``/api/v2``: thin handlers that parse, call a service, and render."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stead.web.incoming import RefConverter
from stead.web.rest import (
    agents,
    audit,
    builds,
    deployment,
    templates,
    tokens,
    users,
    versions,
    workspaces,
)
from stead.web.rest.routing import Api

if TYPE_CHECKING:
    from flask import Flask

GROUPS: tuple[Api, ...] = (
    deployment.api,
    users.api,
    tokens.api,
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
