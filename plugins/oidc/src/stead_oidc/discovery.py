"""What a provider publishes about itself (OpenID Connect Discovery 1.0), fetched once and kept for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from stead.api.errors import Unavailable
from stead_oidc.web import Web, host_of

T = TypeVar("T")

WELL_KNOWN = "/.well-known/openid-configuration"


class Kept(Generic[T]):
    """A value that is fetched when it is first asked for, and again when it is too old.

    Only one thread fetches; the others wait for it, but no longer than ``patience`` seconds.
    """

    def __init__(self, fetch: Callable[[], T], lifetime: float, patience: float, clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._lifetime = lifetime
        self._patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        self._found: tuple[T, float] | None = None

    def get(self) -> T:
        """The value, fetched where needed."""
        return self._fresh(lambda fetched: self._clock() - fetched < self._lifetime)

    def newer(self, seconds: float) -> T:
        """The value, fetched again unless that was done within the last ``seconds``."""
        return self._fresh(lambda fetched: self._clock() - fetched < seconds)

    def _fresh(self, is_fresh: Callable[[float], bool]) -> T:
        found = self._found
        if found is not None and is_fresh(found[1]):
            return found[0]
        if not self._lock.acquire(timeout=self._patience):
            raise Unavailable("The provider has not answered the sign-in before this one yet.")
        try:
            found = self._found
            if found is None or not is_fresh(found[1]):
                found = self._found = (self._fetch(), self._clock())
            return found[0]
        finally:
            self._lock.release()


@dataclass(frozen=True)
class Metadata:
    """The discovery document, as far as it is used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    end_session_endpoint: str
    token_auth_methods: tuple[str, ...]
    names_itself: bool  # RFC 9207: every answer of the authorization endpoint says whose it is


class Discovery:
    """The metadata of one issuer.

    :param mutual_tls: use the addresses that the provider has for clients with a certificate (RFC 8705, section 5).
    """

    def __init__(
        self,
        web: Web,
        issuer: str,
        lifetime: float,
        patience: float,
        *,
        mutual_tls: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._web = web
        self._issuer = issuer
        self._mutual_tls = mutual_tls
        self._kept = Kept(self._fetch, lifetime, patience, clock)

    def get(self) -> Metadata:
        """
        :raises Unavailable: it cannot be had, or is not this issuer's.
        """
        return self._kept.get()

    def _fetch(self) -> Metadata:
        url = self._issuer.rstrip("/") + WELL_KNOWN
        answer = self._web.get(url)
        if not answer.ok:
            raise Unavailable(
                f"{host_of(url)} answered {answer.status} to the question for its discovery document.",
                remedy=f"Look whether issuer is right: {url} must be there.",
            )
        return self._read(answer.fields())

    def _read(self, found: dict[str, Any]) -> Metadata:
        issuer = _text(found, "issuer")
        # Another issuer in our provider's place could have tokens of that one accepted as ours.
        if issuer != self._issuer:
            raise Unavailable(
                f"The discovery document says that the issuer is {issuer[:200]!r}, not {self._issuer!r}.",
                remedy="Set issuer to exactly what the provider calls itself, with or without the slash at the end.",
            )
        if self._mutual_tls and isinstance(aliases := found.get("mtls_endpoint_aliases"), dict):
            found = {**found, **aliases}
        methods = found.get("token_endpoint_auth_methods_supported")
        return Metadata(
            issuer=issuer,
            authorization_endpoint=_text(found, "authorization_endpoint"),
            token_endpoint=_text(found, "token_endpoint"),
            jwks_uri=_text(found, "jwks_uri"),
            userinfo_endpoint=_text(found, "userinfo_endpoint", needed=False),
            end_session_endpoint=_text(found, "end_session_endpoint", needed=False),
            token_auth_methods=tuple(map(str, methods)) if isinstance(methods, list) else ("client_secret_basic",),
            names_itself=found.get("authorization_response_iss_parameter_supported") is True,
        )


def _text(found: dict[str, Any], name: str, *, needed: bool = True) -> str:
    value = found.get(name)
    if isinstance(value, str) and value:
        return value
    if needed:
        raise Unavailable(f"The provider's discovery document has no {name}.")
    return ""
