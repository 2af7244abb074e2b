"""The pages that people see: blueprints that parse, call a service and render."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stead.web.pages.rendering import render_error

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["register_pages", "render_error"]


def register_pages(app: Flask) -> None:
    """Register the blueprints of all pages with the application."""
    # The pages need what stead.web.failures decides, which in turn renders its errors with this package.
    from stead.web.pages.registry import register

    register(app)
