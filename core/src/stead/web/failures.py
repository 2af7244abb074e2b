"""The one place that maps errors to HTTP: for programs as JSON, for people as a page."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flask import Response, jsonify, request
from werkzeug.exceptions import HTTPException

from stead.api.errors import (
    Forbidden,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    RateLimited,
    SteadError,
    TooLarge,
)
from stead.domain.documents import STATUS, error_document, status_of
from stead.web.context import is_api_request, request_id
from stead.web.pages import render_error

if TYPE_CHECKING:
    from flask import Flask
    from flask.typing import ResponseReturnValue

__all__ = ["STATUS", "Internal", "MethodNotAllowed", "error_document", "init_failures", "status_of"]

log = logging.getLogger(__name__)

_HTTP_ERRORS: dict[int, type[SteadError]] = {
    400: InvalidInput,
    401: NotAuthenticated,
    403: Forbidden,
    404: NotFound,
    413: TooLarge,
    415: InvalidInput,
    429: RateLimited,
}


class MethodNotAllowed(SteadError):
    reason = "method_not_allowed"


class Internal(SteadError):
    reason = "internal"


def init_failures(app: Flask) -> None:
    app.register_error_handler(SteadError, _stead_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def _stead_error(error: SteadError) -> ResponseReturnValue:
    return _answer(error, status_of(error))


def _http_error(error: HTTPException) -> ResponseReturnValue:
    code = error.code or 500
    if code < 400:
        return error
    answer = _answer(_from_http(error, code), code)
    if error.response is None and code == 405:
        answer.headers["Allow"] = dict(error.get_headers()).get("Allow", "")
    return answer


def _from_http(error: HTTPException, code: int) -> SteadError:
    if code == 404:
        return NotFound("There is nothing at this address.")
    if code == 405:
        return MethodNotAllowed("This address does not take this method.")
    if code == 413:
        return _too_large()
    kind = _HTTP_ERRORS.get(code, InvalidInput if code < 500 else Internal)
    return kind(error.description or error.name)


def _too_large() -> TooLarge:
    largest = request.max_content_length
    if largest is None:  # the server in front has its own bound
        return TooLarge("The request is larger than this address takes.")
    return TooLarge(f"The request is larger than this address takes: at most {largest} bytes.", remedy="Send less.")


def _unexpected(error: Exception) -> ResponseReturnValue:
    # The boundary of a request: whatever went wrong in it must not leak its inside to the client.
    log.error("request %s failed", request_id(), exc_info=error)
    internal = Internal(
        "Something went wrong inside Stead.",
        remedy=f"The server's log has the details under the request id {request_id()}.",
    )
    return _answer(internal, 500)


def _answer(error: SteadError, status: int) -> Response:
    if is_api_request():
        response = jsonify(error_document(error))
        response.status_code = status
    else:
        response = render_error(error, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if status in {429, 503}:
        response.headers.setdefault("Retry-After", "5")
    return response
