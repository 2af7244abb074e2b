"""The headers that every answer carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import request

from stead.web.context import REQUEST_ID_HEADER, is_api_request, is_secure, request_id

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.wrappers import Response

# Everything comes from this host, and nothing is inline: no script, no style.
PAGE_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
API_POLICY = "default-src 'none'; frame-ancestors 'none'"

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def init_headers(app: Flask) -> None:
    app.after_request(add_headers)


def add_headers(response: Response) -> Response:
    """Add the security headers, the request id, and for dynamic answers ``Cache-Control: no-store``."""
    response.headers[REQUEST_ID_HEADER] = request_id()
    for name, value in _ALWAYS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Content-Security-Policy", API_POLICY if is_api_request() else PAGE_POLICY)
    if is_secure():
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response
