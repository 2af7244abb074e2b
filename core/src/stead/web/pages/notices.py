"""A message that one request leaves for the page after it: "The token was deleted."

It travels in a cookie that the next page takes away. It is shown as text, whoever wrote it.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from flask import Flask, g, redirect, request
from werkzeug.wrappers import Response

from stead.web.context import is_secure

_COOKIE = "stead_notice"
_LONGEST = 300
_SECONDS = 60


def init_notices(app: Flask) -> None:
    app.jinja_env.globals["take_notice"] = take_notice
    app.after_request(_clear)


def redirect_saying(location: str, message: str) -> Response:
    """Go to another page, which shows the message once."""
    response = redirect(location, 303)
    response.set_cookie(
        _COOKIE, quote(message[:_LONGEST]), max_age=_SECONDS, httponly=True, samesite="Lax", secure=is_secure()
    )
    return response


def take_notice() -> str:
    """The message for this page, or nothing."""
    message = request.cookies.get(_COOKIE)
    if not message:
        return ""
    g.notice_taken = True
    return unquote(message)[:_LONGEST]


def _clear(response: Response) -> Response:
    if "notice_taken" in g:
        response.delete_cookie(_COOKIE, httponly=True, samesite="Lax", secure=is_secure())
    return response
