"""What can go wrong at the command line, and the one place that maps it to exit codes.

=====  ==========================================================
code   meaning
=====  ==========================================================
0      done
1      it failed: a build, the server, the network
2      wrong use: an option, an argument, an input that the server refused
3      not signed in, or not allowed
4      there is no such thing
5      the present state does not allow it; a name is taken
130    interrupted
=====  ==========================================================

The errors are the command line's own, because the tree of :mod:`stead.api.errors` comes with imports that
a command has no time for; ``reason`` is the same word.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_SIGNED_IN = 3
    NOT_FOUND = 4
    CONFLICT = 5
    INTERRUPTED = 130


_BY_REASON = {
    "invalid_input": Exit.USAGE,
    "template_invalid": Exit.USAGE,
    "too_large": Exit.USAGE,
    "archive_invalid": Exit.USAGE,
    "archive_too_large": Exit.USAGE,
    "not_authenticated": Exit.NOT_SIGNED_IN,
    "second_factor_missing": Exit.NOT_SIGNED_IN,
    "forbidden": Exit.NOT_SIGNED_IN,
    "not_found": Exit.NOT_FOUND,
    "policy_denied": Exit.NOT_SIGNED_IN,
    "conflict": Exit.CONFLICT,
}


def exit_code(reason: str) -> Exit:
    """The exit code for an error's ``reason``."""
    return _BY_REASON.get(reason, Exit.FAILED)


class CliError(Exception):
    """A failure that the command line shows: what happened, which field, and what to do.

    :param reason: the same low-cardinality word that the API and :mod:`stead.api.errors` use.
    """

    def __init__(
        self, message: str, *, reason: str = "error", field: str | None = None, remedy: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.field = field
        self.remedy = remedy


class Unreachable(CliError):
    """The server does not answer, or not as a Stead server does. Worth a retry."""

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message, reason="unavailable", remedy=remedy)


def usage_error(message: str, *, field: str | None = None, remedy: str | None = None) -> CliError:
    """What the person typed is wrong."""
    return CliError(message, reason="invalid_input", field=field, remedy=remedy)


def not_signed_in() -> CliError:
    return CliError(
        "You are not signed in.",
        reason="not_authenticated",
        remedy="Run stead login URL, or set STEAD_TOKEN.",
    )
