"""Small HTTP requests with an end: to the machine's metadata service, and to the control plane."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from stead_agent.errors import ProofError
from stead_agent.tls import client_context

LONGEST = 128 * 1024  # bytes of an answer
METADATA_SECONDS = 5.0
CONTROL_PLANE_SECONDS = 60.0  # it may have to ask the cloud in turn


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """A redirect is an answer that was not asked for."""


def ask_metadata(
    url: str, headers: Mapping[str, str] | None = None, method: str = "GET", missing: bytes | None = None
) -> bytes:
    """An answer of the metadata service, which no proxy may stand before.

    :param missing: the answer where the service has nothing at this address.
    :raises ProofError: it does not answer, or refuses.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    request = urllib.request.Request(url, headers=dict(headers or {}), method=method)  # noqa: S310 - of our own making
    try:
        return _read(opener, request, METADATA_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 404 and missing is not None:
            return missing
        raise ProofError(f"The machine's metadata service answers with HTTP {error.code} ({_path(url)}).") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ProofError(f"The machine's metadata service does not answer ({_reason(error)}).") from error


def ask_control_plane(url: str, body: Mapping[str, str]) -> dict[str, Any]:
    """Send JSON and return the JSON answer.

    :raises ProofError: there is none, or the control plane refused; says why as far as it does.
    """
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=client_context()), _NoRedirect())
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")  # noqa: S310 - of settings
    try:
        answer = json.loads(_read(opener, request, CONTROL_PLANE_SECONDS))
    except urllib.error.HTTPError as error:
        raise ProofError(f"The control plane refused with HTTP {error.code}: {_why(error)}") from error
    except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
        raise ProofError(f"The control plane cannot be reached ({_reason(error)}).") from error
    if not isinstance(answer, dict):
        raise ProofError("The control plane answered with something else than was asked.")
    return answer


def _read(opener: urllib.request.OpenerDirector, request: urllib.request.Request, seconds: float) -> bytes:
    """The body of an answer, which has to be complete in this time, and short."""
    end = time.monotonic() + seconds
    with opener.open(request, timeout=seconds) as answer:
        data = b""
        while part := answer.read1(16384):
            data += part
            if len(data) > LONGEST:
                raise ValueError("the answer is too long")
            if time.monotonic() > end:
                raise TimeoutError("the answer takes too long")
        return data


def _why(error: urllib.error.HTTPError) -> str:
    try:
        found = json.loads(error.read(LONGEST))["error"]
        return " ".join(str(found[name]) for name in ("message", "remedy") if found.get(name))[:500]
    except (OSError, ValueError, RecursionError, http.client.HTTPException, KeyError, TypeError, AttributeError):
        return "it does not say why."


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error or type(error).__name__)[:200]


def _path(url: str) -> str:
    return "/" + url.partition("://")[2].partition("/")[2].partition("?")[0]
