"""The calls to a provider: bounded in time and size, encrypted, and never led elsewhere by a redirect."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import certifi
import httpcore

from stead.api.errors import InvalidInput, Unavailable
from stead_oidc import VERSION
from stead_oidc.deadlines import DeadlineBackend, within
from stead_oidc.settings import WebSettings, require_https

_CONNECTIONS = 20
_KEEP_SECONDS = 4.0  # less than the five seconds after which many servers close
_LOOK = "Look whether the address is right, the provider runs, and nothing on the way holds Stead back."
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Answer:
    """What came back. ``headers`` have lower-case names."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body, read as JSON.

        :raises Unavailable: it is something else (a page of a proxy, say).
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise Unavailable(f"{host_of(self.url)} answered {self.status} with something that is no JSON.") from error

    def fields(self) -> dict[str, Any]:
        """As :meth:`json`, and an object."""
        found = self.json()
        if not isinstance(found, dict):
            raise Unavailable(f"{host_of(self.url)} answered {self.status} with JSON that is no object.")
        return found


class Web:
    """Calls of one configured provider. Used from many threads at once.

    :param base: address of the provider. Only where it is plain HTTP itself may its other addresses be.
    :param certificate: certificate and key files that the client shows.
    """

    def __init__(self, settings: WebSettings, base: str, certificate: tuple[Path, Path] | None = None) -> None:
        self._timeout = settings.timeout
        self._max_bytes = settings.max_bytes
        self._allow_http = settings.allow_http
        self._base_is_http = urlsplit(base).scheme == "http"
        self._pool = httpcore.ConnectionPool(
            ssl_context=_tls(settings.ca_file, certificate),
            proxy=httpcore.Proxy(settings.proxy) if settings.proxy else None,
            max_connections=_CONNECTIONS,
            keepalive_expiry=_KEEP_SECONDS,
            network_backend=DeadlineBackend(),
        )

    def close(self) -> None:
        self._pool.close()

    def get(
        self, url: str, *, token: str = "", query: Mapping[str, str] | None = None, accept: str = "application/json"
    ) -> Answer:
        """Ask."""
        full = f"{url}{'&' if '?' in url else '?'}{urlencode(query)}" if query else url
        return self._exchange("GET", full, {"accept": accept, **_bearer(token)}, b"")

    def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Answer:
        """Send a form."""
        given = {"accept": "application/json", "content-type": _FORM, **(headers or {})}
        return self._exchange("POST", url, given, urlencode(form).encode())

    def post_json(self, url: str, content: Any, *, token: str) -> Answer:
        """Send JSON."""
        given = {"accept": "application/json", "content-type": "application/json", **_bearer(token)}
        return self._exchange("POST", url, given, json.dumps(content).encode())

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.check_address(url)
        sent = {**headers, "accept-encoding": "identity", "user-agent": f"stead-oidc/{VERSION}"}
        host = host_of(url)
        try:
            with within(self._timeout):
                return self._twice(method, url, sent, body)
        except httpcore.TimeoutException as error:
            message = f"{host} did not answer within {self._timeout:g} seconds."
            raise Unavailable(message, remedy=_LOOK) from error
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, OSError) as error:
            raise _unreachable(host, error) from error

    def _twice(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Once more where the connection ended before an answer came.

        A server may close a kept connection at the moment in which it is used again. If it did take a code or a
        token, it refuses the second try, and nothing is lost that was not lost already.
        """
        try:
            return self._bounded(method, url, headers, body)
        except (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError):
            return self._bounded(method, url, headers, body)

    def _bounded(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout)
        with self._pool.stream(
            method, url, headers=list(headers.items()), content=body or None, extensions={"timeout": timeouts}
        ) as response:
            found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            if found.get("content-encoding", "identity") != "identity":
                raise Unavailable(f"{host_of(url)} compressed its answer, which it was asked not to do.")
            return Answer(url, response.status, found, self._read(response, host_of(url)))

    def _read(self, response: httpcore.Response, host: str) -> bytes:
        whole = bytearray()
        for part in response.iter_stream():
            whole += part
            if len(whole) > self._max_bytes:
                raise Unavailable(
                    f"{host} sent more than {self._max_bytes} bytes.",
                    remedy="max_bytes sets the bound, if that is right.",
                )
        return bytes(whole)

    def check_address(self, url: str) -> None:
        """Refuse an address that would not be encrypted, or is none of the web.

        :raises Unavailable: as it says.
        """
        try:
            require_https(url, "The provider's address", self._allow_http)
            if urlsplit(url).scheme == "http" and not (self._base_is_http or self._allow_http):
                raise ValueError(f"The provider's address must be an https URL, not {url}")
        except ValueError as error:
            raise Unavailable(f"{error}.", remedy="It comes from the provider's discovery document.") from error


def host_of(url: str) -> str:
    """Host and port, for messages: the rest of an address may hold a secret."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or url[:100]


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


def _unreachable(host: str, error: Exception) -> Unavailable:
    refused = _certificate_error(error)
    if refused is not None:
        return Unavailable(
            f"The certificate of {host} is not trusted: {refused.verify_message}.",
            remedy="If the authority is your own, name it in ca_file.",
        )
    return Unavailable(f"{host} cannot be reached: {error or type(error).__name__}.", remedy=_LOOK)


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _tls(ca_file: Path | None, certificate: tuple[Path, Path] | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        if ca_file is None and not _system_has_authorities():
            context.load_verify_locations(certifi.where())
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(f"The authorities in {ca_file} cannot be read: {error}", field="ca_file") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        try:
            context.load_cert_chain(certificate[0], certificate[1])
        except (OSError, ssl.SSLError) as error:
            message = f"The client certificate {certificate[0]} cannot be used: {error}"
            raise InvalidInput(message, field="tls_certificate_file") from error
    return context


def _system_has_authorities() -> bool:
    paths = ssl.get_default_verify_paths()
    folder = Path(paths.capath) if paths.capath else None
    return bool(paths.cafile) or bool(folder and folder.is_dir() and any(folder.iterdir()))
