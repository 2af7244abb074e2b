"""The pages that people see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response, make_response

if TYPE_CHECKING:
    from flask import Flask

    from stead.api.errors import SteadError


def register_pages(app: Flask) -> None:
    """Register the blueprints of all pages with the application."""
    del app


def render_error(error: SteadError, status: int) -> Response:
    """The page that tells a person what went wrong. Works without a signed-in user and without the database."""
    return make_response(str(error), status, {"Content-Type": "text/plain; charset=utf-8"})
