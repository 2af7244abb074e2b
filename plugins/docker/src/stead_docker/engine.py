"""An engine as resources use it: connected when first needed, questions repeated, errors translated."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import requests
from docker import errors as sdk

from stead.api.errors import ProviderFailure
from stead.api.provider import Context
from stead_docker.connection import Address, Client, connect
from stead_docker.failures import SDK_ERRORS, translate
from stead_docker.settings import DockerSettings

T = TypeVar("T")
FIRST_PAUSE = 0.1  # seconds; doubles with every try
PASSING = (408, 429, 502, 503, 504)


def _is_passing(error: Exception) -> bool:
    """Whether the same question may be answered a moment later."""
    if isinstance(error, sdk.APIError):
        return error.status_code in PASSING
    return isinstance(error, (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError))


class Engine:
    """One engine, for all resources of a provider configuration. May be used from several threads."""

    def __init__(self, address: Address, settings: DockerSettings, auth: dict[str, dict[str, str]]) -> None:
        self.address = address
        self.settings = settings
        self._auth = auth
        self._lock = threading.Lock()
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """The SDK's client; connects at first use, so that a plan of new things asks no engine."""
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> Client:
        client = connect(self.address, self.settings.timeout, self.settings.silence)
        for registry, credential in self._auth.items():
            # The SDK has no public way to add a credential without asking the registry at once.
            client._auth_configs.add_auth(registry, credential)
        return client

    def ask(
        self,
        context: Context,
        doing: str,
        call: Callable[[Client], T],
        *,
        field: str | None = None,
    ) -> T:
        """Put a question, which changes nothing, and repeat it while the engine is only passingly away."""
        pause = FIRST_PAUSE
        for attempt in range(self.settings.attempts):
            context.check()
            try:
                return call(self.client)
            except SDK_ERRORS as error:
                if attempt + 1 == self.settings.attempts or not _is_passing(error):
                    raise translate(error, doing, field) from error
            context.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            pause *= 2
        raise AssertionError("attempts is at least 1")

    def find(self, context: Context, doing: str, call: Callable[[Client], T]) -> T | None:
        """As :meth:`ask`; ``None`` where there is no such thing."""

        def tolerant(client: Client) -> T | None:
            try:
                return call(client)
            except sdk.NotFound:
                return None

        return self.ask(context, doing, tolerant)

    def do(
        self,
        context: Context,
        doing: str,
        call: Callable[[Client], T],
        *,
        field: str | None = None,
        fields: Callable[[ProviderFailure], str | None] | None = None,
    ) -> T:
        """Change something, once.

        :param fields: says at which attribute a failure points, where it depends on the failure.
        """
        context.check()
        try:
            return call(self.client)
        except SDK_ERRORS as error:
            failure = translate(error, doing, field)
            failure.field = (fields(failure) if fields else None) or failure.field
            raise failure from error

    def remove(self, context: Context, doing: str, call: Callable[[Client], Any]) -> bool:
        """Remove something; False where it was gone already."""

        def tolerant(client: Client) -> bool:
            try:
                call(client)
            except sdk.NotFound:
                return False
            return True

        return self.do(context, doing, tolerant)


def engine_of(context: Context) -> Engine:
    """The engine of the provider that the resource at hand belongs to."""
    engine: Engine = context.provider.engine  # type: ignore[union-attr]
    return engine
