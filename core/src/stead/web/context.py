"""What a request handler needs to know of its surroundings: the core, and which request this is."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, cast

from flask import current_app, g, request

if TYPE_CHECKING:
    from stead.services.core import Core

CORE = "stead.core"
REQUEST_ID_HEADER = "X-Request-Id"

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{8,64}")


def current_core() -> Core:
    """The core that :func:`stead.web.app.create_app` was given."""
    return cast("Core", current_app.extensions[CORE])


def request_id() -> str:
    """The id of this request: the one that a proxy in front gave it, or a fresh one."""
    if "request_id" not in g:
        given = request.headers.get(REQUEST_ID_HEADER, "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    return cast("str", g.request_id)


def client_address() -> str:
    """The address of the client; the server in front has already applied the trusted proxies."""
    return request.remote_addr or ""


def is_api_request() -> bool:
    """Whether the answer belongs to a program (JSON) rather than to a person (a page)."""
    return request.path.startswith("/api/") or request.path == "/healthz"


def is_secure() -> bool:
    """Whether people reach this deployment over https, by its access URL or by this very request."""
    return request.is_secure or str(current_core().settings.access_url).startswith("https:")
