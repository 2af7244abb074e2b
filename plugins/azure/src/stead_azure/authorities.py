"""Who may vouch for Azure's metadata service: pinned roots, and the way to them.

Intermediates change without notice, so they are not pinned. They come with the message, or from the address that a
certificate names, where that is one of a few hosts; either way only a chain to a pinned root counts.
"""

from __future__ import annotations

import datetime
import threading
import urllib.parse
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from stead.api.errors import PluginFailure, Unavailable

ROOTS = Path(__file__).parent / "certificates" / "roots.pem"
# The metadata service of each of Azure's clouds.
NAMES = ("metadata.azure.com", "metadata.azure.us", "metadata.azure.cn", "metadata.microsoftazure.de")
HOSTS = (
    "cacerts.digicert.com",
    "cacerts.digicert.cn",
    "www.microsoft.com",
    "cacerts.geotrust.com",
    "caissuers.microsoft.com",
)
LONGEST = 16384  # bytes of a fetched certificate
MOST_FETCHES = 3  # on the way from one certificate to a root
MOST_KEPT = 64
# What reading a stranger's certificate raises.
ODD = (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError, TypeError)
Fetch = Callable[[str], bytes]


def load_roots(*files: Path) -> list[x509.Certificate]:
    """The certificates in these files (PEM).

    :raises PluginFailure: a file cannot be used.
    """
    found: list[x509.Certificate] = []
    for file in files:
        try:
            found += x509.load_pem_x509_certificates(file.read_bytes())
        except (OSError, ValueError) as error:
            raise PluginFailure(f"{file} holds no certificates (PEM): {error}.") from error
    return found


def fetch(address: str) -> bytes:
    """A certificate from its issuer's address."""
    with httpx.Client(timeout=5.0, follow_redirects=False) as client, client.stream("GET", address) as answer:
        answer.raise_for_status()
        data = b""
        for part in answer.iter_bytes():
            data += part
            if len(data) > LONGEST:
                raise httpx.DecodingError("The certificate is too long.")
        return data


class Authorities:
    """Traces certificates to pinned roots. Safe for use from several threads."""

    def __init__(self, roots: Sequence[x509.Certificate], fetch: Fetch = fetch) -> None:
        self._store = Store(list(roots))
        self._fetch = fetch
        self._lock = threading.Lock()
        self._kept: dict[str, x509.Certificate] = {}

    def vouch(self, signer: x509.Certificate, others: Sequence[x509.Certificate], at: float) -> bool:
        """Whether ``signer`` is the metadata service of Azure, at this time.

        :raises Unavailable: an issuer that has to be fetched does not answer.
        """
        try:
            name = service_name(signer)
            return name is not None and self._traced(signer, list(others), name, at)
        except ODD:
            return False  # a certificate is read only where it is needed, and may turn out to be none

    def _traced(self, signer: x509.Certificate, chain: list[x509.Certificate], name: str, at: float) -> bool:
        for _ in range(MOST_FETCHES):
            if self._verifies(signer, chain, name, at):
                return True
            issuer = self._issuer(_last(signer, chain))
            if issuer is None or issuer in chain:
                return False
            chain.append(issuer)
        return self._verifies(signer, chain, name, at)

    def _verifies(self, signer: x509.Certificate, chain: Sequence[x509.Certificate], name: str, at: float) -> bool:
        when = datetime.datetime.fromtimestamp(at, datetime.UTC).replace(tzinfo=None)
        verifier = PolicyBuilder().store(self._store).time(when).build_server_verifier(x509.DNSName(name))
        try:
            verifier.verify(signer, list(chain))
        except (VerificationError, ValueError):
            return False
        return True

    def _issuer(self, certificate: x509.Certificate) -> x509.Certificate | None:
        address = issuer_address(certificate)
        if address is None:
            return None
        with self._lock:
            if address in self._kept:
                return self._kept[address]
        try:
            found = _loaded(self._fetch(address))
        except (httpx.HTTPError, OSError) as error:
            raise Unavailable("The authority of Azure's metadata service does not answer. Try again.") from error
        if found is not None:
            with self._lock:
                if len(self._kept) >= MOST_KEPT:
                    self._kept.clear()
                self._kept[address] = found
        return found


def _last(signer: x509.Certificate, chain: Sequence[x509.Certificate]) -> x509.Certificate:
    """The certificate at which the way ends as far as it is known."""
    last, left = signer, list(chain)
    while True:
        above = next((item for item in left if item.subject == last.issuer), None)
        if above is None:
            return last
        left.remove(above)
        last = above


def _loaded(data: bytes) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(data)
    except ValueError:
        pass
    try:
        return x509.load_pem_x509_certificate(data)
    except ValueError:
        return None


def service_name(certificate: x509.Certificate) -> str | None:
    """The name by which a certificate is one of the metadata service, or ``None``."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = names.get_values_for_type(x509.DNSName)
    except ODD:
        return None
    for name in found:
        low = name.lower()
        if any(low == service or low.endswith(f".{service}") for service in NAMES):
            return "any" + low[1:] if low.startswith("*.") else low
    return None


def issuer_address(certificate: x509.Certificate) -> str | None:
    """Where the issuer's certificate is, if that is a place that we ask."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        found = [item for item in access if item.access_method == x509.AuthorityInformationAccessOID.CA_ISSUERS]
    except ODD:
        return None
    for item in found:
        if not isinstance(item.access_location, x509.UniformResourceIdentifier):
            continue
        parts = urllib.parse.urlsplit(item.access_location.value)
        if parts.scheme in ("http", "https") and parts.netloc.lower() in HOSTS:
            return item.access_location.value
    return None
