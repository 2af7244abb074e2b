"""What clients of the tunnel have to know of the server's TLS certificate."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from stead.api.errors import InvalidInput


@dataclass(frozen=True)
class PinnedCertificate:
    """A self-signed leaf: its digest goes into the relay map, its PEM to agents."""

    digest: str
    pem: str


def pinned_certificate(path: Path | None) -> PinnedCertificate | None:
    """The certificate in ``path``, if nobody could verify it without having been told of it.

    :raises InvalidInput: the file holds no certificate.
    """
    if path is None:
        return None
    try:
        leaf = x509.load_pem_x509_certificates(path.read_bytes())[0]
    except (OSError, ValueError) as error:
        raise InvalidInput(f"tls_cert_file: {path} holds no certificate.", field="tls_cert_file") from error
    if leaf.issuer != leaf.subject:
        return None
    digest = hashlib.sha256(leaf.public_bytes(Encoding.DER)).hexdigest()
    return PinnedCertificate(digest, leaf.public_bytes(Encoding.PEM).decode())
