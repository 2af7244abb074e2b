"""An engine as resources use it: connected when first needed, questions repeated, errors translated."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import requests
from docker import errors as sdk
from urllib3 import exceptions as http

from stead.api.errors import ProviderFailure
from stead.api.provider import Context
from stead_docker.connection import Address, Client, connect
from stead_docker.failures import SDK_ERRORS, translate
from stead_docker.settings import DockerSettings

T = TypeVar("T")
FIRST_PAUSE = 0.1  # seconds; doubles with every try
PASSING = (408, 429, 502, 503, 504)
REFUSED = (429, 503)
BROKEN = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError, http.ProtocolError, sdk.StreamParseError)
LATE = (requests.Timeout, http.TimeoutError)


def _is_refused(error: Exception) -> bool:
    """Whether the engine has done nothing, and may do it a moment later."""
    return isinstance(error, sdk.APIError) and error.status_code in REFUSED


def _is_lost(error: Exception) -> bool:
    """Whether the answer is lost: nobody knows what the engine has done. Not so where it only takes long."""
    return isinstance(error, BROKEN) and not isinstance(error, LATE)


def _is_passing(error: Exception) -> bool:
    """Whether the same question may be answered a moment later."""
    if isinstance(error, sdk.APIError):
        return error.status_code in PASSING
    return isinstance(error, (*BROKEN, *LATE))


def _is_repeatable(error: Exception) -> bool:
    """Whether to try again what comes to the same however often it is done."""
    return _is_refused(error) or _is_lost(error)


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
        try:
            return self._repeated(context, call, _is_passing)
        except SDK_ERRORS as error:
            raise translate(error, doing, field) from error

    def _repeated(self, context: Context, call: Callable[[Client], T], worth_it: Callable[[Exception], bool]) -> T:
        """The answer to the first try that has one; the error of the last where none has."""
        pause = FIRST_PAUSE
        for left in reversed(range(self.settings.attempts)):
            context.check()
            try:
                return call(self.client)
            except SDK_ERRORS as error:
                if not left or not worth_it(error):
                    raise
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
        again: bool = False,
    ) -> T:
        """Change something; tried again where the engine has refused to begin.

        :param fields: says at which attribute a failure points, where it depends on the failure.
        :param again: it comes to the same however often it is done: tried again where the answer is lost, too.
        """
        try:
            return self._repeated(context, call, _is_repeatable if again else _is_refused)
        except SDK_ERRORS as error:
            failure = translate(error, doing, field)
            failure.field = (fields(failure) if fields else None) or failure.field
            raise failure from error

    def make(
        self,
        context: Context,
        doing: str,
        call: Callable[[Client], T],
        found: Callable[[], T | None],
        *,
        fields: Callable[[ProviderFailure], str | None] | None = None,
    ) -> T:
        """Create one thing, also where the answer to the creation is lost.

        :param found: what carries the key of the creation, if it came to be.
        """
        doubtful = False

        def once(client: Client) -> T:
            nonlocal doubtful
            try:
                return call(client)
            except SDK_ERRORS as error:
                doubtful = doubtful or _is_lost(error)
                made = _quietly(found) if doubtful else None
                if made is None:
                    raise
                return made

        return self.do(context, doing, once, fields=fields, again=True)

    def remove(self, context: Context, doing: str, call: Callable[[Client], Any]) -> bool:
        """Remove something; False where it was gone already."""

        def tolerant(client: Client) -> bool:
            try:
                call(client)
            except sdk.NotFound:
                return False
            return True

        return self.do(context, doing, tolerant, again=True)


def _quietly(found: Callable[[], T | None]) -> T | None:
    """``None``, too, where the engine does not answer: what went wrong before says more."""
    try:
        return found()
    except ProviderFailure:
        return None


def engine_of(context: Context) -> Engine:
    """The engine of the provider that the resource at hand belongs to."""
    engine: Engine = context.provider.engine  # type: ignore[union-attr]
    return engine
