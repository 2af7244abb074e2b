"""Instance identity: tokens signed by an authority of the test."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from stead.api import ExpectedInstance, IdentityRejected, MemoryReplays
from stead.api.errors import Unavailable
from stead_gcp.identity import GoogleIdentity, HttpKeys

NOW = 1_800_000_000.0
EXPECTED = ExpectedInstance("7000000123", account="acme-dev", region="us-central1-a")
FUZZED = 20_000  # run this file by itself for a million


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Authority:
    """Signs as Google does."""

    def __init__(self, bits: int = 2048) -> None:
        self.key = rsa.generate_private_key(65537, bits)

    def public(self, kid: str) -> rsa.RSAPublicKey | None:
        return self.key.public_key() if kid == "k1" else None

    def token(
        self,
        audience: str,
        *,
        header: dict[str, Any] | None = None,
        machine: dict[str, Any] | None = None,
        **claims: Any,
    ) -> bytes:
        head = {"alg": "RS256", "kid": "k1", "typ": "JWT", **(header or {})}
        engine = {
            "project_id": "acme-dev",
            "project_number": 123456789,
            "zone": "us-central1-a",
            "instance_id": "7000000123",
            "instance_name": "dev",
            **(machine or {}),
        }
        body = {
            "iss": "https://accounts.google.com",
            "aud": audience,
            "iat": int(NOW),
            "exp": int(NOW) + 3600,
            "email": "dev@acme-dev.iam.gserviceaccount.com",
            "email_verified": True,
            "google": {"compute_engine": engine},
            **claims,
        }
        signed = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(body).encode())}"
        signature = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{b64(signature)}".encode()


class Fixed:
    """Keys of one authority."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    def key(self, kid: str) -> rsa.RSAPublicKey | None:
        return self._authority.public(kid)


@pytest.fixture(scope="module")
def google() -> Authority:
    return Authority()


@pytest.fixture
def verifier(google: Authority) -> GoogleIdentity:
    return GoogleIdentity(Fixed(google), MemoryReplays(lambda: NOW), lambda: NOW)


def test_a_machine_proves_itself_once(google: Authority, verifier: GoogleIdentity) -> None:
    challenge = verifier.challenge()
    document = google.token(challenge)
    assert verifier.claimed_instance(document) == "7000000123"
    proven = verifier.verify(document, challenge, EXPECTED)
    assert (proven.platform, proven.instance_id, proven.account, proven.region) == ("gcp", *_three(EXPECTED))
    with pytest.raises(IdentityRejected, match="has been used"):
        verifier.verify(document, challenge, EXPECTED)


def _three(expected: ExpectedInstance) -> tuple[str, str, str]:
    return expected.instance_id, expected.account, expected.region


def test_challenges_differ_and_are_long(verifier: GoogleIdentity) -> None:
    made = {verifier.challenge() for _ in range(100)}
    assert len(made) == 100
    assert all(len(item.rpartition(":")[2]) >= 43 for item in made)


WRONG: dict[str, dict[str, Any]] = {
    "audience": {"aud": "https://example.com"},
    "audience as a list": {"aud": ["x"]},
    "issuer": {"iss": "https://accounts.google.com.evil.test"},
    "old issuer": {"iss": "accounts.google.com"},
    "expired": {"exp": int(NOW) - 1},
    "old": {"iat": int(NOW) - 600, "exp": int(NOW) + 60},
    "from the future": {"iat": int(NOW) + 600, "exp": int(NOW) + 3600},
    "lives too long": {"exp": int(NOW) + 100_000},
    "no times": {"exp": None},
    "times as text": {"exp": "never"},
    "true as a time": {"iat": True},
    "other machine": {"machine": {"instance_id": "7000000124"}},
    "other project": {"machine": {"project_id": "other"}},
    "other zone": {"machine": {"zone": "europe-west1-b"}},
    "number as an id": {"machine": {"instance_id": 7000000123}},
    "no machine": {"google": {}},
    "google is text": {"google": "compute_engine"},
    "unsigned": {"header": {"alg": "none"}},
    "shared secret": {"header": {"alg": "HS256"}},
    "other algorithm": {"header": {"alg": "RS512"}},
    "unknown key": {"header": {"kid": "k2"}},
    "no key": {"header": {"kid": None}},
    "critical header": {"header": {"crit": ["b64"]}},
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_what_is_wrong_is_refused(google: Authority, verifier: GoogleIdentity, name: str) -> None:
    challenge = verifier.challenge()
    with pytest.raises(IdentityRejected) as caught:
        verifier.verify(google.token(challenge, **WRONG[name]), challenge, EXPECTED)
    for secret in (*_three(EXPECTED), challenge):
        assert secret not in str(caught.value)


def test_another_authority_a_short_key_and_changed_bytes_are_refused(
    google: Authority, verifier: GoogleIdentity
) -> None:
    challenge = verifier.challenge()
    with pytest.raises(IdentityRejected, match="signature"):
        verifier.verify(Authority().token(challenge), challenge, EXPECTED)
    short = Authority(1024)
    weak = GoogleIdentity(Fixed(short), MemoryReplays(lambda: NOW), lambda: NOW)
    with pytest.raises(IdentityRejected, match="no key"):
        weak.verify(short.token(challenge), challenge, EXPECTED)
    document = google.token(verifier.challenge())
    for index in range(0, len(document), 37):
        other = verifier.challenge()
        changed = bytearray(google.token(other))
        changed[index % len(changed)] ^= 1
        with pytest.raises(IdentityRejected):
            verifier.verify(bytes(changed), other, EXPECTED)


def test_a_challenge_that_is_not_ours_is_refused(google: Authority, verifier: GoogleIdentity) -> None:
    for challenge in ("", "https://example.com", "x" * 64):
        with pytest.raises(IdentityRejected):
            verifier.verify(google.token(challenge), challenge, EXPECTED)


def test_a_role_that_was_provisioned_counts(google: Authority, verifier: GoogleIdentity) -> None:
    role = ExpectedInstance(*_three(EXPECTED), role="dev@acme-dev.iam.gserviceaccount.com")
    challenge = verifier.challenge()
    assert verifier.verify(google.token(challenge), challenge, role).instance_id == "7000000123"
    challenge = verifier.challenge()
    with pytest.raises(IdentityRejected, match="service account"):
        verifier.verify(google.token(challenge, email="else@x"), challenge, role)


def test_what_is_expected_comes_from_the_state(verifier: GoogleIdentity) -> None:
    attributes = {"instance_id": "7000000123", "project": "acme-dev", "zone": "us-central1-a"}
    assert verifier.expected("google_compute_instance", attributes) == EXPECTED
    for wrong in ({**attributes, "instance_id": ""}, {**attributes, "project": None}):
        with pytest.raises(IdentityRejected):
            verifier.expected("google_compute_instance", wrong)
    with pytest.raises(IdentityRejected):
        verifier.expected("google_compute_disk", attributes)


class Fresh:
    """Finds every challenge unused: what is remembered is not the question here."""

    def once(self, key: str, until: float | None) -> bool:
        return True


def fuzz(google: Authority, count: int, seed: int) -> int:
    """Documents of every kind of nonsense; returns how many were refused."""
    verifier = GoogleIdentity(Fixed(google), Fresh(), lambda: NOW)
    chance, valid, refused = random.Random(seed), google.token("x"), 0
    head, body, signature = valid.split(b".")
    for number in range(count):
        document = _mangled(chance, number, [head, body, signature])
        with contextlib.suppress(IdentityRejected):
            verifier.claimed_instance(document)
        try:
            verifier.verify(document, f"stead-instance-identity:{number}", EXPECTED)
        except IdentityRejected:
            refused += 1
    return refused


def _mangled(chance: random.Random, number: int, parts: list[bytes]) -> bytes:
    kind = number % 5
    if kind == 0:
        return chance.randbytes(chance.randrange(200))
    if kind == 1:
        values = [
            None,
            1,
            "x",
            [],
            {},
            [[[]]],
            {"google": {"compute_engine": 3}},
            {"google": []},
            1e400,
            {"exp": 2**70},
        ]
        texts = [b64(json.dumps(chance.choice(values)).encode()).encode() for _ in range(2)]
        return b".".join([*texts, parts[2]])
    document = bytearray(b".".join(parts))
    if kind == 2:
        del document[chance.randrange(len(document)) :]
        return bytes(document)
    for _ in range(chance.randrange(1, 6)):
        document[chance.randrange(len(document))] = chance.randrange(256)
    return bytes(document) if kind == 3 else bytes(document) + chance.randbytes(3)


def test_no_nonsense_crashes_the_parser(google: Authority) -> None:
    assert fuzz(google, FUZZED, seed=7) == FUZZED, "verify refuses every one"


class _Certificates(BaseHTTPRequestHandler):
    answers: list[tuple[int, dict[str, str], Any]] = []
    asked = 0

    def log_message(self, *arguments: Any) -> None:
        """Nothing on standard error."""

    def do_GET(self) -> None:
        kind = type(self)
        kind.asked += 1
        status, headers, body = kind.answers[min(kind.asked, len(kind.answers)) - 1]
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def test_keys_are_cached_as_long_as_their_headers_say(google: Authority) -> None:
    numbers = google.key.public_key().public_numbers()
    jwk = {"kty": "RSA", "kid": "k1", "n": b64(numbers.n.to_bytes(256, "big")), "e": "AQAB", "alg": "RS256"}
    curve = {"kty": "EC", "kid": "k9", "x": "AA", "y": "AA", "crv": ec.SECP256R1.name}
    good = (200, {"Cache-Control": "public, max-age=300"}, {"keys": [jwk, curve]})
    kind = type("Handler", (_Certificates,), {"answers": [good, good, (500, {}, {})]})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    clock = [NOW]
    try:
        keys = HttpKeys(f"http://127.0.0.1:{server.server_address[1]}/certs", 5, lambda: clock[0])
        assert keys.key("k1").public_numbers() == numbers
        assert keys.key("k1") is not None
        assert keys.key("nobody") is None
        assert kind.asked == 1, "an unknown key asks again, but not at once"
        clock[0] += 301
        assert keys.key("k1") is not None
        assert kind.asked == 2
        clock[0] += 301
        with pytest.raises(Unavailable):
            keys.key("k1")
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


if __name__ == "__main__":
    began = time.monotonic()
    print(f"{fuzz(Authority(), 1_000_000, seed=int(began))} refusals in {time.monotonic() - began:.0f} s")
