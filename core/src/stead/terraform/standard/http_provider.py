"""``hashicorp/http``: one request, and its answer."""

from __future__ import annotations

import base64
import ssl
import tempfile
import time
from pathlib import Path

import httpx

from stead.api.errors import OperationTimedOut, PlatformUnreachable, ProviderFailure
from stead.api.provider import (
    BlockSchema,
    Context,
    DataSource,
    Nesting,
    Provider,
    attribute,
    between,
    block,
    matches,
    one_of,
)
from stead.api.records import NoSettings, ProviderSpec

#: Seconds for one attempt, where the template says nothing.
TIMEOUT = 60.0
#: Bytes of a body: it passes through Terraform's state.
LARGEST = 16 * 1024 * 1024
_TEXT_TYPES = ("text/", "application/json", "application/xml", "application/yaml", "application/javascript")


class Retry(BlockSchema):
    attempts: int | None = attribute(optional=True, validators=[between(0, 100)], description="How often to try again.")
    min_delay_ms: int | None = attribute(optional=True, validators=[between(low=0)])
    max_delay_ms: int | None = attribute(optional=True, validators=[between(low=0)])


class Http(DataSource, name="http"):
    """An HTTP request that only reads."""

    id: str = attribute(computed=True)
    url: str = attribute(required=True, validators=[matches(r"(?i)https?://.+", "must be an http or https URL")])
    method: str | None = attribute(optional=True, validators=[one_of("GET", "HEAD", "POST")])
    request_headers: dict[str, str] | None = attribute(optional=True)
    request_body: str | None = attribute(optional=True)
    request_timeout_ms: int | None = attribute(optional=True, validators=[between(low=1)])
    ca_cert_pem: str | None = attribute(optional=True, conflicts_with=["insecure"])
    client_cert_pem: str | None = attribute(optional=True, required_with=["client_key_pem"])
    client_key_pem: str | None = attribute(optional=True, required_with=["client_cert_pem"])
    insecure: bool | None = attribute(optional=True)
    retry: Retry | None = block(Retry, nesting=Nesting.SINGLE)
    body: str = attribute(computed=True, deprecated="Use response_body instead")
    response_body: str = attribute(computed=True)
    response_body_base64: str = attribute(computed=True)
    response_headers: dict[str, str] = attribute(computed=True)
    status_code: int = attribute(computed=True)

    def read(self, context: Context) -> None:
        response, body = self._with_retries(context)
        self.id = self.url
        self.status_code = response.status_code
        self.response_headers = {
            "-".join(part.capitalize() for part in name.split("-")): ", ".join(response.headers.get_list(name))
            for name in response.headers
        }
        self._take_body(context, body, response.headers.get("content-type", ""))

    def _take_body(self, context: Context, body: bytes, content_type: str) -> None:
        if body and not content_type.startswith(_TEXT_TYPES):
            context.warn(
                "The answer may be no text",
                f"Its content type is {content_type!r}. response_body_base64 has the exact bytes.",
            )
        self.response_body = self.body = body.decode(errors="replace")
        self.response_body_base64 = base64.b64encode(body).decode()

    def _with_retries(self, context: Context) -> tuple[httpx.Response, bytes]:
        """Try again where nobody answers, and on 429 and 5xx; the pause doubles each time."""
        retry = self.retry or Retry()
        attempts = 1 + (retry.attempts or 0)
        low, high = (retry.min_delay_ms or 1000) / 1000, (retry.max_delay_ms or 30000) / 1000
        with self._client() as client:
            for attempt in range(1, attempts + 1):
                context.check()
                last = attempt == attempts
                try:
                    response, body = self._once(context, client)
                except httpx.TransportError as error:
                    if last:
                        raise _unreachable(self.url, error) from error
                except (httpx.RequestError, httpx.InvalidURL) as error:
                    raise ProviderFailure(f"The request cannot be made: {error}.", field="url") from error
                else:
                    if last or not _worth_a_retry(response.status_code):
                        return response, body
                context.wait(min(high, low * 2 ** (attempt - 1)))
        raise AssertionError("the last attempt returns or raises")

    def _once(self, context: Context, client: httpx.Client) -> tuple[httpx.Response, bytes]:
        timeout = self.request_timeout_ms / 1000 if self.request_timeout_ms else TIMEOUT
        ends_at = time.monotonic() + timeout
        body = bytearray()
        with client.stream(
            self.method or "GET",
            self.url,
            headers=self.request_headers or {},
            content=self.request_body.encode() if self.request_body is not None else None,
            timeout=timeout,
        ) as response:
            for chunk in response.iter_bytes():
                context.check()
                body += chunk
                if len(body) > LARGEST:
                    raise ProviderFailure(f"The answer is bigger than {LARGEST >> 20} MiB.", field="url")
                if time.monotonic() > ends_at:
                    raise httpx.ReadTimeout(f"no complete answer within {timeout:g} seconds")
        return response, bytes(body)

    def _client(self) -> httpx.Client:
        try:
            return httpx.Client(verify=self._tls(), follow_redirects=True, max_redirects=10)
        except (ssl.SSLError, ValueError) as error:
            raise ProviderFailure(
                f"The certificates for the request cannot be used: {error}.", field="ca_cert_pem"
            ) from error

    def _tls(self) -> ssl.SSLContext:
        trust = ssl.create_default_context(cadata=self.ca_cert_pem)
        if self.insecure:
            trust.check_hostname = False
            trust.verify_mode = ssl.CERT_NONE
        if self.client_cert_pem and self.client_key_pem:
            _load_pair(trust, self.client_cert_pem, self.client_key_pem)
        return trust


class HttpProvider(Provider, address="hashicorp/http", data_sources=[Http]):
    """HTTP requests that only read."""


def http_provider() -> ProviderSpec:
    return ProviderSpec(address="hashicorp/http", title="HTTP", factory=_make)


def _make(settings: NoSettings) -> HttpProvider:
    del settings
    return HttpProvider()


def _load_pair(trust: ssl.SSLContext, certificate: str, key: str) -> None:
    """OpenSSL reads a pair from files only; these are private and gone at once."""
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder, "pair.pem")
        pair.touch(mode=0o600)
        pair.write_text(f"{certificate}\n{key}\n")
        trust.load_cert_chain(pair)


def _worth_a_retry(status: int) -> bool:
    return status == 429 or status >= 500


def _unreachable(url: str, error: httpx.TransportError) -> ProviderFailure:
    where = httpx.URL(url).host
    if isinstance(error, httpx.TimeoutException):
        return OperationTimedOut(
            f"{where} did not answer in time.", field="url", remedy="Raise request_timeout_ms or try again."
        )
    return PlatformUnreachable(f"No answer from {where}: {error}.", field="url")
