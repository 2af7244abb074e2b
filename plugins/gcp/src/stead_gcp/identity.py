"""Instance identity: tokens that Google's metadata server signs for a machine.

https://cloud.google.com/compute/docs/instances/verifying-instance-identity: the agent asks
``instance/service-accounts/default/identity?audience=CHALLENGE&format=full`` and sends the token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from stead.api import ExpectedInstance, Identity, IdentityRejected, InstanceIdentity, Replays
from stead.api.errors import Unavailable

ISSUERS = ("https://accounts.google.com",)
PREFIX = "stead-instance-identity:"
CHALLENGE_TIME = 60.0  # seconds
SKEW = 60.0  # seconds that clocks may differ
LONGEST_LIFE = 3600.0 + SKEW  # seconds that Google's tokens live
LONGEST = 16 * 1024  # characters of a token
LEAST_BITS = 2048
KEEP_AT_MOST = 24 * 3600.0  # seconds that keys are cached
ASK_AGAIN = 60.0  # seconds between two questions for an unknown key
INSTANCE = re.compile(r"[0-9]{1,20}")
TYPES = ("google_compute_instance", "google_compute_instance_from_template")


class Keys(Protocol):
    """Google's public keys, by their id."""

    def key(self, kid: str) -> rsa.RSAPublicKey | None:
        """The key, or ``None``; :class:`stead.api.errors.Unavailable` where Google does not answer."""


class HttpKeys:
    """Keys from Google's address, cached as long as its headers say."""

    def __init__(self, address: str, timeout: float, clock: Callable[[], float] = time.time) -> None:
        self._address, self._timeout, self._clock = address, timeout, clock
        self._lock = threading.Lock()
        self._keys: dict[str, rsa.RSAPublicKey] = {}
        self._until = 0.0
        self._asked = float("-inf")

    def key(self, kid: str) -> rsa.RSAPublicKey | None:
        with self._lock:
            now = self._clock()
            stale = now >= self._until
            if stale or (kid not in self._keys and now >= self._asked + ASK_AGAIN):
                self._refresh(now)
            return self._keys.get(kid)

    def _refresh(self, now: float) -> None:
        self._asked = now
        try:
            response = requests.get(self._address, timeout=self._timeout)
            response.raise_for_status()
            found = {item["kid"]: _public(item) for item in response.json()["keys"] if item.get("kty") == "RSA"}
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise Unavailable("Google's keys for instance identity cannot be read now. Try again.") from error
        age = re.search(r"max-age=(\d+)", response.headers.get("Cache-Control", ""))
        self._keys, self._until = found, now + min(float(age.group(1)) if age else 0.0, KEEP_AT_MOST)


def _public(item: Mapping[str, Any]) -> rsa.RSAPublicKey:
    modulus, exponent = (int.from_bytes(_decoded(item[name]), "big") for name in ("n", "e"))
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


@dataclass(frozen=True)
class Token:
    """A token in its parts; nothing of it is verified."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes

    @property
    def machine(self) -> Mapping[str, Any]:
        google = self.claims.get("google")
        machine = google.get("compute_engine") if isinstance(google, dict) else None
        if not isinstance(machine, dict):
            raise IdentityRejected("The token is not of a machine; it must be asked for with format=full.")
        return machine


def parsed(document: bytes) -> Token:
    """Take a token apart.

    :raises IdentityRejected: it is none.
    """
    try:
        text = document.strip().decode("ascii")
        if len(text) > LONGEST:
            raise ValueError("too long")
        head, body, signature = text.split(".")
        header, claims = json.loads(_decoded(head)), json.loads(_decoded(body))
        token = Token(header, claims, f"{head}.{body}".encode(), _decoded(signature))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise IdentityRejected("The token cannot be read.") from error
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise IdentityRejected("The token cannot be read.")
    return token


def _seconds(value: Any) -> float:
    """A time of a claim; a claim that is none is no good."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**40:
        raise IdentityRejected("The token has no times.")
    return float(value)


class GoogleIdentity(InstanceIdentity):
    """Verifies identity tokens of Google Cloud.

    :param keys: Google's public keys.
    """

    def __init__(self, keys: Keys, replays: Replays, clock: Callable[[], float] = time.time) -> None:
        self._keys, self._replays, self._clock = keys, replays, clock

    def challenge(self) -> str:
        """The audience to ask a token for."""
        return PREFIX + secrets.token_urlsafe(32)

    def claimed_instance(self, document: bytes) -> str:
        found = parsed(document).machine.get("instance_id")
        if not isinstance(found, str) or not INSTANCE.fullmatch(found):
            raise IdentityRejected("The token names no machine.")
        return found

    def expected(self, type_name: str, attributes: Mapping[str, Any]) -> ExpectedInstance:
        instance, project, zone = (str(attributes.get(name) or "") for name in ("instance_id", "project", "zone"))
        if type_name not in TYPES or not INSTANCE.fullmatch(instance) or not project or not zone:
            raise IdentityRejected(f"{type_name} is no machine that could prove itself.")
        return ExpectedInstance(instance, account=project, region=zone.rpartition("/")[2])

    def verify(self, document: bytes, challenge: str, expected: ExpectedInstance) -> Identity:
        now = self._clock()
        mark = hashlib.sha256(challenge.encode("utf-8", "replace")).hexdigest()
        # Used up first: one attempt for each challenge, whatever comes of it.
        fresh = challenge.startswith(PREFIX) and self._replays.once(f"gcp:challenge:{mark}", now + LONGEST_LIFE)
        if not fresh:
            raise IdentityRejected("The challenge has been used.")
        token = parsed(document)
        self._check_signature(token)
        at = self._check_claims(token.claims, challenge, now)
        machine = token.machine
        found = (machine.get("instance_id"), machine.get("project_id"), machine.get("zone"))
        if found != (expected.instance_id, expected.account, expected.region):
            raise IdentityRejected("The token is of another machine.")
        if expected.role and token.claims.get("email") != expected.role:
            raise IdentityRejected("The machine has another service account than it should have.")
        return Identity("gcp", expected.instance_id, expected.account, expected.region, at)

    def _check_signature(self, token: Token) -> None:
        kid = token.header.get("kid")
        if token.header.get("alg") != "RS256" or not isinstance(kid, str) or "crit" in token.header:
            raise IdentityRejected("The token is not signed as Google signs.")
        key = self._keys.key(kid)
        if key is None or key.key_size < LEAST_BITS:
            raise IdentityRejected("The token is signed with no key of Google's.")
        try:
            key.verify(token.signature, token.signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature as error:
            raise IdentityRejected("The token's signature does not hold.") from error

    def _check_claims(self, claims: Mapping[str, Any], challenge: str, now: float) -> float:
        """Issuer, audience and times; returns when it was signed."""
        if claims.get("iss") not in ISSUERS:
            raise IdentityRejected("The token was not issued by Google.")
        audience = claims.get("aud")
        if not isinstance(audience, str) or not secrets.compare_digest(audience.encode(), challenge.encode()):
            raise IdentityRejected("The token is for another audience.")
        issued, expires = _seconds(claims.get("iat")), _seconds(claims.get("exp"))
        if not now - CHALLENGE_TIME - SKEW <= issued <= now + SKEW or not now < expires <= issued + LONGEST_LIFE:
            raise IdentityRejected("The token is not of this moment.")
        return issued
