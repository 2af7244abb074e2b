"""``hashicorp/tls``, and the certificates that a server shows."""

from __future__ import annotations

import base64
import hashlib
import http.client
import socket
import ssl
import warnings
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from cryptography import x509
from cryptography.hazmat.primitives import serialization as wire
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from stead.api.errors import PlatformUnreachable, ProviderFailure
from stead.api.provider import (
    BlockSchema,
    Context,
    DataSource,
    Nesting,
    ObjectSchema,
    Provider,
    attribute,
    block,
    matches,
)
from stead.api.records import NoSettings, ProviderSpec
from stead.terraform.standard.time_points import rfc3339
from stead.terraform.standard.tls_certificates import TlsCertRequest, TlsLocallySignedCert, TlsSelfSignedCert
from stead.terraform.standard.tls_keys import TlsPrivateKey, TlsPublicKey

#: Seconds for a connection to a server whose certificates are asked for.
TIMEOUT = 20.0

_ALGORITHMS: tuple[tuple[type, str], ...] = (
    (rsa.RSAPublicKey, "RSA"),
    (ec.EllipticCurvePublicKey, "ECDSA"),
    (ed25519.Ed25519PublicKey, "Ed25519"),
    (ed448.Ed448PublicKey, "Ed448"),
    (dsa.DSAPublicKey, "DSA"),
)


class Proxy(BlockSchema):
    url: str | None = attribute(optional=True, validators=[matches(r"https?://.+", "must be an http or https URL")])
    username: str | None = attribute(optional=True, required_with=["url"])
    password: str | None = attribute(optional=True, sensitive=True, required_with=["username"])
    from_env: bool | None = attribute(optional=True, conflicts_with=["url", "username", "password"])


class CertificateFacts(ObjectSchema):
    cert_pem: str = attribute(computed=True)
    is_ca: bool = attribute(computed=True)
    issuer: str = attribute(computed=True)
    not_after: str = attribute(computed=True)
    not_before: str = attribute(computed=True)
    public_key_algorithm: str = attribute(computed=True)
    serial_number: str = attribute(computed=True)
    sha1_fingerprint: str = attribute(computed=True)
    signature_algorithm: str = attribute(computed=True)
    subject: str = attribute(computed=True)
    version: int = attribute(computed=True)


class TlsCertificate(DataSource, name="tls_certificate"):
    """Facts about the certificates in a text, or about those that a server shows, the root first."""

    id: str = attribute(computed=True)
    content: str | None = attribute(optional=True, exactly_one_of=["url"])
    url: str | None = attribute(
        optional=True,
        exactly_one_of=["content"],
        validators=[matches(r"(https|tls)://.+", "must be a URL with https:// or tls://")],
    )
    verify_chain: bool | None = attribute(optional=True, conflicts_with=["content"])
    certificates: list[CertificateFacts] = attribute(computed=True)

    def read(self, context: Context) -> None:
        if self.content is not None:
            self.certificates = [_facts(certificate) for certificate in _load_all(self.content)]
        else:
            self.certificates = [_facts(certificate) for certificate in reversed(self._shown_by_server(context))]
        joined = "".join(item.cert_pem for item in self.certificates)
        self.id = hashlib.sha1(joined.encode(), usedforsecurity=False).hexdigest()

    def _shown_by_server(self, context: Context) -> list[x509.Certificate]:
        parts = urlsplit(self.url or "")
        host = parts.hostname or ""
        try:
            port = parts.port or 443
            proxies = context.provider.proxy if isinstance(context.provider, Tls) else []
            plain = _connect(host, port, proxies if parts.scheme == "https" else None)
            with _trust(verify=self.verify_chain is not False).wrap_socket(plain, server_hostname=host) as secure:
                return _chain(secure)
        except ssl.SSLCertVerificationError as error:
            raise ProviderFailure(
                f"The certificates of {host} do not verify: {error.verify_message}.",
                field="url",
                remedy="Set verify_chain = false to read them all the same.",
            ) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise PlatformUnreachable(f"Could not ask {host} for its certificates: {error}.", field="url") from error


class Tls(
    Provider,
    address="hashicorp/tls",
    resources=[TlsCertRequest, TlsLocallySignedCert, TlsPrivateKey, TlsSelfSignedCert],
    data_sources=[TlsCertificate, TlsPublicKey],
):
    """Keys and certificates."""

    proxy: list[Proxy] = block(Proxy, nesting=Nesting.LIST, max_items=1)


def tls_provider() -> ProviderSpec:
    return ProviderSpec(address="hashicorp/tls", title="Keys and certificates", factory=_make)


def _make(settings: NoSettings) -> Tls:
    del settings
    return Tls()


def _connect(host: str, port: int, proxies: list[Proxy] | None) -> socket.socket:
    """A TCP connection; ``proxies`` is the provider's block, or ``None`` where no proxy may be used."""
    proxy, credentials = _proxy_for(host, proxies)
    if proxy is None:
        return socket.create_connection((host, port), timeout=TIMEOUT)
    parts = urlsplit(proxy)
    tunnel = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=TIMEOUT)
    tunnel.set_tunnel(host, port, {"Proxy-Authorization": f"Basic {credentials}"} if credentials else {})
    tunnel.connect()
    return tunnel.sock


def _proxy_for(host: str, proxies: list[Proxy] | None) -> tuple[str | None, str]:
    if proxies is None:
        return None, ""
    block = proxies[0] if proxies else Proxy()
    if block.url:
        pair = f"{block.username or ''}:{block.password or ''}"
        return block.url, base64.b64encode(pair.encode()).decode() if block.username else ""
    if block.from_env is False or proxy_bypass(host):
        return None, ""
    return getproxies().get("https"), ""


def _trust(*, verify: bool) -> ssl.SSLContext:
    trust = ssl.create_default_context()
    if not verify:
        trust.check_hostname = False
        trust.verify_mode = ssl.CERT_NONE
    return trust


def _chain(secure: ssl.SSLSocket) -> list[x509.Certificate]:
    """All certificates that the server sent, its own first. Before Python 3.13 the call is an inner one."""
    holder: Any = secure if hasattr(secure, "get_unverified_chain") else secure._sslobj  # type: ignore[attr-defined]
    sent = holder.get_unverified_chain() or []
    encoded = [item if isinstance(item, bytes) else item.public_bytes(2) for item in sent]
    return [x509.load_der_x509_certificate(item) for item in encoded]


def _load_all(content: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content.encode())
    except ValueError as error:
        raise ProviderFailure(f"The content holds no certificates in PEM: {error}.", field="content") from None


def _facts(certificate: x509.Certificate) -> CertificateFacts:
    der = certificate.public_bytes(wire.Encoding.DER)
    return CertificateFacts(
        cert_pem=certificate.public_bytes(wire.Encoding.PEM).decode(),
        is_ca=_is_authority(certificate),
        issuer=certificate.issuer.rfc4514_string(),
        subject=certificate.subject.rfc4514_string(),
        not_before=rfc3339(certificate.not_valid_before_utc),
        not_after=rfc3339(certificate.not_valid_after_utc),
        public_key_algorithm=_public_key_algorithm(certificate),
        signature_algorithm=_signature_algorithm(certificate),
        serial_number=str(certificate.serial_number),
        sha1_fingerprint=hashlib.sha1(der, usedforsecurity=False).hexdigest(),
        version=certificate.version.value + 1,
    )


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _public_key_algorithm(certificate: x509.Certificate) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        key = certificate.public_key()
    return next((name for kind, name in _ALGORITHMS if isinstance(key, kind)), "unknown")


def _signature_algorithm(certificate: x509.Certificate) -> str:
    """In Go's words: ``SHA256-RSA``, ``ECDSA-SHA256``, ``Ed25519``."""
    name = certificate.signature_algorithm_oid._name
    if name.startswith("ecdsa-with-"):
        return f"ECDSA-{name.removeprefix('ecdsa-with-')}"
    if name.endswith("WithRSAEncryption"):
        return f"{name.removesuffix('WithRSAEncryption').upper()}-RSA"
    return {"ed25519": "Ed25519", "RSASSA-PSS": "SHA256-RSAPSS"}.get(name, name)
