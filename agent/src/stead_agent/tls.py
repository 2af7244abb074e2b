"""Certificates to trust, in images that may have none of their own."""

from __future__ import annotations

import functools
import os
import ssl
from pathlib import Path

SYSTEM_STORES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
BUNDLED_STORE = Path(__file__).with_name("cacert.pem")


def trust_store() -> Path | None:
    """The first file of authorities there is: the one that was named, the system's, the bundle's."""
    named = os.environ.get("STEAD_AGENT_CA_FILE") or os.environ.get("SSL_CERT_FILE") or ""
    for name in (named, *SYSTEM_STORES, str(BUNDLED_STORE)):
        if name and Path(name).is_file():
            return Path(name)
    return None


@functools.cache
def client_context() -> ssl.SSLContext:
    """The context for every TLS connection to the control plane."""
    store = trust_store()
    return ssl.create_default_context(cafile=str(store) if store else None)
