"""Errors of the builder."""

from __future__ import annotations


class BundleError(Exception):
    """The bundle could not be built; the text says what is missing and how to get it."""
