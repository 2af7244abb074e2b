"""The keys that a provider signs with, and their rotation."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, OKPKey, RSAKey

from stead.api.errors import Unavailable
from stead_oidc.discovery import Kept
from stead_oidc.web import Web, host_of

_MOST_KEYS = 200
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


class UnknownKey(Exception):
    """None of the provider's keys fits the token's header."""


class Keys:
    """The keys of one provider.

    A key that is not known yet makes them be fetched again: providers rotate. That is done once in ``interval``
    seconds at most, for anybody can send a token that names a key which never was.
    """

    def __init__(
        self,
        web: Web,
        address: Callable[[], str],
        lifetime: float,
        patience: float,
        interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._web = web
        self._address = address
        self._interval = interval
        self._kept = Kept(self._fetch, lifetime, patience, clock)

    def candidates(self, header: Mapping[str, Any]) -> list[Key]:
        """Keys that may have made a signature with this header; the header's ``alg`` was allowed before.

        :raises UnknownKey: there is none, though the keys are fresh.
        """
        found = _fitting(self._kept.get(), header) or _fitting(self._kept.newer(self._interval), header)
        if not found:
            raise UnknownKey(f"no key {header.get('kid', '')!r} for {header.get('alg')}"[:200])
        return found

    def count(self) -> int:
        """How many there are; asks for them where that was not done yet."""
        return len(self._kept.get())

    def _fetch(self) -> list[Key]:
        url = self._address()
        answer = self._web.get(url)
        entries = answer.fields().get("keys") if answer.ok else None
        if not isinstance(entries, list):
            raise Unavailable(f"{host_of(url)} answered {answer.status} to the question for its keys.")
        keys = [key for entry in entries[:_MOST_KEYS] if (key := _key(entry)) is not None]
        if not keys:
            raise Unavailable(f"{host_of(url)} publishes no key that can check a signature.")
        return keys


def _key(entry: object) -> Key | None:
    """A public key for signatures; ``None`` for all others. A shared secret is none, whoever publishes it."""
    if not isinstance(entry, dict) or entry.get("kty") not in {"RSA", "EC", "OKP"} or entry.get("use", "sig") != "sig":
        return None
    public = {name: value for name, value in entry.items() if name not in {"x5c", "key_ops"}}
    try:
        return JWKRegistry.import_key(public)
    except (JoseError, ValueError, TypeError, KeyError):
        return None  # of a kind that is not known here: other keys may be


def _fitting(keys: list[Key], header: Mapping[str, Any]) -> list[Key]:
    algorithm, kid = str(header["alg"]), header.get("kid")
    fitting = [key for key in keys if _signs(key, algorithm)]
    if kid is None:
        return fitting
    return [key for key in fitting if key.as_dict(private=False).get("kid") == kid]


def _signs(key: Key, algorithm: str) -> bool:
    meant = key.get("alg")
    if meant and meant != algorithm:
        return False
    if isinstance(key, RSAKey):
        return algorithm.startswith(("RS", "PS"))
    if isinstance(key, ECKey):
        return key.curve_name == _CURVES.get(algorithm)
    return isinstance(key, OKPKey) and algorithm in {"EdDSA", "Ed25519"}
