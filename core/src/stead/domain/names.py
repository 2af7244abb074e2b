"""Rules for the names that people choose."""

from __future__ import annotations

import re
import unicodedata

from stead.api.errors import InvalidInput

_WORD = re.compile(r"[a-zA-Z0-9](?:-?[a-zA-Z0-9])*")
_VERSION = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*")
_EMAIL = re.compile(r"[^@\s<>\"']+@[^@\s<>\"']+")
RESERVED_USERS = frozenset({"me", "system", "prebuilds"})
RESERVED_WORKSPACES = frozenset({"new"})
LONGEST = 32
LONGEST_VERSION = 64
LONGEST_EMAIL = 254
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1024
LONGEST_PROGRAM = 48
_UNSEEN = frozenset({"Mn", "Cf", "Cc"})


def _check_word(value: str, field: str, what: str, reserved: frozenset[str]) -> str:
    if not value:
        raise InvalidInput(f"The {what} is empty.", field=field)
    if len(value) > LONGEST:
        raise InvalidInput(f"The {what} has {len(value)} characters; at most {LONGEST} are allowed.", field=field)
    if not _WORD.fullmatch(value):
        raise InvalidInput(
            f"The {what} {value!r} is not allowed.",
            field=field,
            remedy="Use letters, digits and single hyphens between them.",
        )
    if value.lower() in reserved:
        raise InvalidInput(f"The {what} {value!r} is reserved.", field=field, remedy="Choose another one.")
    return value


def check_username(value: str) -> str:
    return _check_word(value, "username", "username", RESERVED_USERS)


def check_workspace_name(value: str) -> str:
    return _check_word(value, "name", "workspace name", RESERVED_WORKSPACES)


def check_template_name(value: str) -> str:
    return _check_word(value, "name", "template name", RESERVED_WORKSPACES)


def check_version_name(value: str) -> str:
    if len(value) > LONGEST_VERSION or not _VERSION.fullmatch(value):
        raise InvalidInput(
            f"The version name {value!r} is not allowed.",
            field="name",
            remedy=f"Use at most {LONGEST_VERSION} letters, digits, dots, underscores and hyphens.",
        )
    return value


def check_email(value: str) -> str:
    if len(value) > LONGEST_EMAIL or not _EMAIL.fullmatch(value):
        raise InvalidInput("This is not an e-mail address.", field="email", remedy="Write it as name@host.")
    return value.lower()


def check_password(value: str) -> str:
    if len(value) < SHORTEST_PASSWORD:
        raise InvalidInput(
            f"The password is too short: at least {SHORTEST_PASSWORD} characters are needed.", field="password"
        )
    if len(value) > LONGEST_PASSWORD:
        raise InvalidInput(f"The password is longer than {LONGEST_PASSWORD} characters.", field="password")
    return value


def check_text(value: str, field: str, longest: int) -> str:
    """Free text of bounded length."""
    if len(value) > longest:
        raise InvalidInput(f"{field} has {len(value)} characters; at most {longest} are allowed.", field=field)
    return value


def folded(login: str) -> str:
    """One form of all spellings of a name that a directory may take for the same.

    Directories compare names without case, accents, width and what cannot be seen, each in its own way: what counts
    failures must not be more exact than any of them.
    """
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", login).casefold())
    shown = "".join(char for char in text if char.isspace() or unicodedata.category(char) not in _UNSEEN)
    return " ".join(shown.split())


def program(client: str) -> str:
    """What a program that asks to be let in is called: what it says of itself, on one line."""
    text = "".join(char for char in client if char.isprintable()).strip()
    return check_text(text or "a program", "client", LONGEST_PROGRAM)
