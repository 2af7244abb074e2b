"""How Stead proves to the token endpoint that it is Stead (OpenID Connect Core, section 9; RFC 8705)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from authlib.oauth2.rfc7523.assertion import private_key_jwt_sign
from authlib.oauth2.rfc7523.client import ASSERTION_TYPE
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from stead.api.errors import InvalidInput
from stead_oidc.discovery import Metadata
from stead_oidc.settings import OidcSettings, WebSettings

_ASSERTION_SECONDS = 120
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


@dataclass(frozen=True)
class Proof:
    """What is added to a request to the token endpoint."""

    form: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


ClientAuth = Callable[[Metadata], Proof]


def client_auth(settings: OidcSettings) -> ClientAuth:
    """The way that the settings name, with its files read.

    :raises InvalidInput: a file cannot be read or holds something else.
    """
    way = _way(settings)
    if way == "private_key_jwt":
        return _private_key(settings)
    if way in {"tls", "none"}:
        return lambda _: Proof({"client_id": settings.client_id})
    secret = secret_of(settings)
    if way == "auto":
        return lambda metadata: _by_secret(settings.client_id, secret, _preferred(metadata))
    return lambda _: _by_secret(settings.client_id, secret, way)


def secret_of(settings: WebSettings) -> str:
    """The client's secret.

    :raises InvalidInput: its file cannot be read, or is empty.
    """
    if settings.client_secret is not None:
        return settings.client_secret.get_secret_value()
    secret = read_file(settings.client_secret_file, "client_secret_file").decode("utf-8", "replace").strip()
    if not secret:
        raise InvalidInput(f"{settings.client_secret_file} is empty.", field="client_secret_file")
    return secret


def read_file(path: Path | None, field_name: str) -> bytes:
    """The content of a file that a setting names.

    :raises InvalidInput: it cannot be read.
    """
    if path is None:
        raise InvalidInput(f"{field_name} is not set.", field=field_name)
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.", field=field_name) from error


def _way(settings: OidcSettings) -> str:
    if settings.client_auth != "auto":
        return settings.client_auth
    if settings.client_key_file is not None:
        return "private_key_jwt"
    has_secret = settings.client_secret is not None or settings.client_secret_file is not None
    return "auto" if has_secret else "tls"


def _preferred(metadata: Metadata) -> str:
    methods = metadata.token_auth_methods
    return "post" if "client_secret_post" in methods and "client_secret_basic" not in methods else "basic"


def _by_secret(client_id: str, secret: str, way: str) -> Proof:
    if way == "post":
        return Proof({"client_id": client_id, "client_secret": secret})
    # RFC 6749, section 2.3.1: both are encoded as in a form first.
    joined = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
    return Proof({}, {"authorization": f"Basic {base64.b64encode(joined).decode()}"})


def _private_key(settings: OidcSettings) -> ClientAuth:
    key, algorithm = _load_key(settings.client_key_file)
    header: dict[str, Any] = {"alg": algorithm}
    if settings.client_key_id:
        header["kid"] = settings.client_key_id
    if settings.client_certificate_file is not None:
        header |= _thumbprints(settings.client_certificate_file)

    def prove(metadata: Metadata) -> Proof:
        to_issuer = settings.client_assertion_audience == "issuer"
        audience = metadata.issuer if to_issuer else metadata.token_endpoint
        assertion = private_key_jwt_sign(
            key, settings.client_id, audience, algorithm, header=dict(header), expires_in=_ASSERTION_SECONDS
        )
        return Proof(
            {
                "client_id": settings.client_id,
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": assertion,
            }
        )

    return prove


def _load_key(path: Path | None) -> tuple[Key, str]:
    content = read_file(path, "client_key_file")
    try:
        private = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as error:
        raise InvalidInput(
            f"{path} holds no private key (PEM, without a password).", field="client_key_file"
        ) from error
    if isinstance(private, rsa.RSAPrivateKey):
        return RSAKey.import_key(content), "RS256"
    if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name in _CURVES:
        return ECKey.import_key(content), _CURVES[private.curve.name]
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return OKPKey.import_key(content), "EdDSA"
    raise InvalidInput(f"{path} holds a key that cannot sign here: use RSA, EC or Ed25519.", field="client_key_file")


def _thumbprints(path: Path) -> dict[str, str]:
    content = read_file(path, "client_certificate_file")
    try:
        certificate = x509.load_pem_x509_certificate(content)
    except ValueError as error:
        raise InvalidInput(f"{path} holds no certificate (PEM).", field="client_certificate_file") from error
    # SHA-1 here only names the certificate, in the one form that Entra ID has always understood (x5t).
    named = {"x5t": hashes.SHA1(), "x5t#S256": hashes.SHA256()}  # noqa: S303
    return {
        name: base64.urlsafe_b64encode(certificate.fingerprint(kind)).rstrip(b"=").decode()
        for name, kind in named.items()
    }
