"""Where the command line is signed in: the session file and the variables that win over it."""

from __future__ import annotations

import os
from typing import NamedTuple

from stead.cli.failures import CliError, not_signed_in, usage_error
from stead.cli.files import write_atomically

URL_VARIABLES = ("STEAD_URL", "CODER_URL")
TOKEN_VARIABLES = ("STEAD_TOKEN", "STEAD_SESSION_TOKEN", "CODER_SESSION_TOKEN")


class Session(NamedTuple):
    """A server, and the token for it. ``saved`` tells whether it is the session file's."""

    url: str
    token: str
    saved: bool = False

    def __repr__(self) -> str:
        return f"Session(url={self.url!r}, saved={self.saved})"


def config_dir() -> str:
    """The folder of the command line's own files: ``STEAD_CONFIG_DIR`` or ``~/.config/stead``."""
    given = os.environ.get("STEAD_CONFIG_DIR")
    if given:
        return os.path.abspath(os.path.expanduser(given))
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(base, "stead")


def session_file() -> str:
    return os.path.join(config_dir(), "session.json")


def current_session(url: str | None = None) -> Session:
    """The session to use; a token of the session file is only ever sent to the server it came from.

    :param url: the server that the person named, which wins over all.
    :raises CliError: there is no server or no token for it.
    """
    url = _normal(url or _first(URL_VARIABLES) or "")
    token = _first(TOKEN_VARIABLES)
    saved = _saved()
    if token:
        target = url or (saved.url if saved else "")
        if not target:
            raise usage_error("There is a token, but no server for it.", remedy="Set STEAD_URL.")
        return Session(target, token)
    if saved is None or (url and url != saved.url):
        raise not_signed_in()
    return saved


def known_url(url: str | None = None) -> str | None:
    """The server that is named or saved, whether or not there is a token for it."""
    named = _normal(url or _first(URL_VARIABLES) or "")
    saved = _saved()
    return named or (saved.url if saved else None)


def save_session(url: str, token: str) -> None:
    """Keep the session for later commands, readable by this person alone."""
    import json

    text = json.dumps({"url": _normal(url), "token": token}, indent=2) + "\n"
    write_atomically(session_file(), text.encode(), mode=0o600)


def forget_session() -> None:
    """Remove the session file, if there is one."""
    try:
        os.unlink(session_file())
    except FileNotFoundError:
        return


def _saved() -> Session | None:
    try:
        with open(session_file(), encoding="utf-8") as file:
            import json  # only where there is a file: connections are quick without

            document = json.load(file)
        return Session(_normal(document["url"]), str(document["token"]), saved=True)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CliError(
            f"The session file {session_file()} cannot be read: {error}.",
            remedy="Remove it and run stead login again.",
        ) from error


def _first(names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := os.environ.get(name, "").strip())), "")


def _normal(url: str) -> str:
    url = url.strip().rstrip("/")
    if url and "://" not in url:
        url = f"https://{url}"
    if url and not url.startswith(("http://", "https://")):
        raise usage_error(f"{url} is not the URL of a server.", field="url", remedy="Write https://HOST.")
    return url
