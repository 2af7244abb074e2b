"""All pages, and what they share, put into the application."""

from __future__ import annotations

from flask import Flask

from stead.web.pages import (
    administration,
    builds,
    creation,
    devices,
    factors,
    groups,
    identity,
    logs,
    search,
    session,
    settings,
    sign_in,
    templates,
    terminals,
    users,
    versions,
    workspaces,
)
from stead.web.pages.assets import init_assets
from stead.web.pages.notices import init_notices
from stead.web.pages.rendering import init_rendering

_PAGES = (
    session,
    sign_in,
    workspaces,
    creation,
    builds,
    logs,
    templates,
    versions,
    settings,
    factors,
    users,
    administration,
    identity,
    groups,
    devices,
    terminals,
    search,
)


def register(app: Flask) -> None:
    init_assets(app)
    init_rendering(app)
    init_notices(app)
    for module in _PAGES:
        app.register_blueprint(module.blueprint)
