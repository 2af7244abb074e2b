"""Protection against requests that another site makes in a visitor's name.

The token is a keyed hash of the visitor's own secret: that of the web session, or before signing in
that of a cookie which only serves this purpose. So nothing is stored, a token dies with its session,
and knowing the token of one session says nothing about another's. Requests that carry an API token
need none, because no browser adds that header by itself.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

from flask import current_app, g, request

from stead.api.errors import Forbidden
from stead.web.auth import bearer_token, session_secret, uses_cookie
from stead.web.context import is_api_request, is_secure

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.wrappers import Response

VISITOR_COOKIE = "stead_visitor"
HEADER = "X-CSRF-Token"
FIELD = "csrf_token"

View = TypeVar("View", bound=Callable[..., Any])
_POSTED = "stead_posted_by_servers"

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def init_csrf(app: Flask) -> None:
    """Check every unsafe request, and give templates ``csrf_token()``."""
    app.before_request(check)
    app.after_request(_hand_out_visitor)
    app.jinja_env.globals["csrf_token"] = csrf_token


def without_token(view: View) -> View:
    """Mark a view that other servers post to: no cookie means anything to it, so none can be misused."""
    setattr(view, _POSTED, True)
    return view


def csrf_token() -> str:
    """The token for this visitor's forms (field ``csrf_token``) and requests (header ``X-CSRF-Token``)."""
    digest = hmac.digest(_visitor_secret().encode(), b"stead csrf token 1", hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def check() -> None:
    """Refuse an unsafe request of a browser that does not prove where it comes from.

    :raises Forbidden: the token is missing or not this visitor's, or the request is from another site.
    """
    if request.method in _SAFE_METHODS or not _needs_token():
        return
    if not _same_origin():
        raise Forbidden("The request came from another site and was refused.")
    given = request.headers.get(HEADER) or _form_token()
    if not hmac.compare_digest(given.encode(), csrf_token().encode()):
        raise Forbidden(
            "The page was open for too long, or its session has ended.",
            field=FIELD,
            remedy="Reload the page and try again.",
        )


def _form_token() -> str:
    # The API takes the token only as a header, so its bodies need not be read before they are bounded.
    return "" if is_api_request() else request.form.get(FIELD, "")


def _needs_token() -> bool:
    view = current_app.view_functions.get(request.endpoint or "")
    if bearer_token(request) is not None or getattr(view, _POSTED, False):
        return False
    return uses_cookie() or not is_api_request()


def _same_origin() -> bool:
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


def _visitor_secret() -> str:
    known = session_secret() or g.get("visitor") or request.cookies.get(VISITOR_COOKIE)
    if not known:
        known = g.visitor = secrets.token_urlsafe(24)
    return cast("str", known)


def _hand_out_visitor(response: Response) -> Response:
    if "visitor" in g:
        response.set_cookie(VISITOR_COOKIE, g.visitor, httponly=True, samesite="Lax", secure=is_secure(), path="/")
    return response
