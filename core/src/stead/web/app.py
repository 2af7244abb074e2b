"""The Flask application: pages for people and the REST API, over one core."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask

from stead.web.auth import init_auth
from stead.web.context import CORE
from stead.web.csrf import init_csrf
from stead.web.extensions import register_plugin_blueprints
from stead.web.failures import init_failures
from stead.web.headers import init_headers
from stead.web.incoming import BoundedRequest, KeepEncodedSlashes, ReadChunkedBodies
from stead.web.pages import register_pages
from stead.web.rest import register_rest

if TYPE_CHECKING:
    from stead.services.core import Core

_MIB = 1024 * 1024


class SteadApp(Flask):
    """Flask with bodies that are bounded while they are read."""

    request_class = BoundedRequest


def create_app(core: Core) -> Flask:
    """Build the WSGI application.

    Flask's own signed-cookie session has no key and stays unused: see :mod:`stead.web.auth`.
    """
    app = SteadApp("stead.web", static_folder="static", static_url_path="/static")
    app.extensions[CORE] = core
    app.config.update(
        MAX_CONTENT_LENGTH=_MIB,
        MAX_FORM_MEMORY_SIZE=_MIB,
        MAX_FORM_PARTS=200,
        STEAD_SESSION_SECONDS=int(core.settings.session_lifetime),
        TEMPLATES_AUTO_RELOAD=False,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it
    init_headers(app)
    init_csrf(app)
    init_auth(app)
    init_failures(app)
    register_rest(app)
    register_pages(app)
    register_plugin_blueprints(app, core)
    app.wsgi_app = ReadChunkedBodies(KeepEncodedSlashes(app.wsgi_app))  # type: ignore[method-assign]
    return app
