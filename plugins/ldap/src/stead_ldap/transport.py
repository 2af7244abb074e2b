"""How a server is reached: its address, its certificate, and the time that it has."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from stead.api.errors import InvalidInput
from stead_ldap.settings import PORTS, LdapSettings


class ServerLost(Exception):
    """A server does not answer, answers nonsense, or must not be trusted: the next one is asked."""


class Untrusted(ServerLost):
    """The server's certificate does not prove that it is the one that was meant."""


class Deadline:
    """A moment by which something must have happened."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock() + seconds

    def left(self) -> float:
        """Seconds until then.

        :raises TimeoutError: it has passed.
        """
        seconds = self._at - self._clock()
        if seconds <= 0:
            raise TimeoutError
        return seconds

    @property
    def over(self) -> bool:
        """Whether it has passed."""
        return self._clock() >= self._at

    def within(self, seconds: float) -> Deadline:
        """The sooner of this one and ``seconds`` from now."""
        sooner = Deadline(seconds, self._clock)
        sooner._at = min(sooner._at, self._at)
        return sooner


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> Address:
        """Of ``ldap://host`` or ``ldaps://host:port``, as the settings have checked it."""
        parts = urlsplit(url)
        return cls(parts.scheme, parts.hostname or "", parts.port or PORTS[parts.scheme])

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def tls_context(settings: LdapSettings) -> ssl.SSLContext:
    """Verifies name and authority of every server; shows the client certificate where there is one.

    :raises InvalidInput: a file cannot be read or is not what it should be.
    """
    try:
        context = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(
            f"The authorities in {settings.ca_file} cannot be read: {error}.",
            field="ca_file",
            remedy="Give a PEM file that the server's account may read.",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.client_cert_file is not None:
        _load_client(context, settings)
    return context


def _load_client(context: ssl.SSLContext, settings: LdapSettings) -> None:
    try:
        context.load_cert_chain(str(settings.client_cert_file), settings.client_key_file, password=_no_password)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(
            f"The client certificate {settings.client_cert_file} cannot be used: {error}.",
            field="client_cert_file",
            remedy="Give certificate and key as PEM files without a password, which belong together.",
        ) from error


def _no_password() -> str:
    """Instead of OpenSSL's question at the terminal."""
    return ""


def untrusted(error: ssl.SSLCertVerificationError, wanted: str) -> Untrusted:
    """What is wrong with a certificate, in words that lead to the remedy."""
    reason = error.verify_message or str(error)
    if "match" in reason.lower():
        text = f"its certificate is for another name than {wanted} ({reason}): use that name, or set server_name"
    else:
        text = f"its certificate is not trusted ({reason}): set ca_file to the authority that signed it"
    return Untrusted(text)
