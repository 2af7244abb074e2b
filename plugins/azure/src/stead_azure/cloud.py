"""Azure as resources use it: clients made when first needed, calls repeated with back-off, errors translated."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from json import JSONDecodeError
from typing import Any, Protocol

from azure.core.exceptions import DecodeError

from stead.api.errors import OperationTimedOut, ProviderFailure
from stead.api.provider import Context
from stead_azure.failures import SDK_ERRORS, code_of, is_missing, is_passing, pause_wanted, translate
from stead_azure.operations import Operation
from stead_azure.polling import WatchedPolling, backoff
from stead_azure.settings import AzureSettings

Found = dict[str, Any]
# Azure still takes something apart: the next moment the same call works.
BUSY = frozenset(
    {
        "InUseSubnetCannotBeDeleted",
        "InUseNetworkSecurityGroupCannotBeDeleted",
        "PublicIPAddressCannotBeDeleted",
        "NicInUse",
        "NetworkInterfaceInUse",
        "NicReservedForAnotherVm",
        "AttachDiskWhileBeingDetached",
        "DiskBeingDetached",
        "DiskInUse",
        "ReferencedResourceNotProvisioned",
        "ResourceGroupBeingDeleted",
    }
)


class Account(Protocol):
    """How to reach Azure. ``client`` makes a client of the SDK by the name that operations use."""

    subscription: str

    def client(self, name: str) -> Any: ...

    def close(self) -> None: ...


class Cloud:
    """One subscription, for all resources of a provider configuration. May be used from several threads."""

    def __init__(self, account: Callable[[], Account], settings: AzureSettings) -> None:
        self.settings = settings
        self._make_account = account
        self._lock = threading.Lock()
        self._account: Account | None = None
        self._clients: dict[str, Any] = {}
        self._locks: dict[str, threading.Lock] = {}

    @property
    def account(self) -> Account:
        """Made at the first use, so that a plan of new things asks nobody."""
        with self._lock:
            if self._account is None:
                self._account = self._make_account()
            return self._account

    @property
    def subscription(self) -> str:
        return self.account.subscription

    def _method(self, operation: Operation) -> Any:
        account = self.account
        with self._lock:
            if operation.client not in self._clients:
                self._clients[operation.client] = account.client(operation.client)
            return getattr(getattr(self._clients[operation.client], operation.group), operation.method)

    def ask(
        self, context: Context, doing: str, operation: Operation, *args: Any, field: Any = None, **options: Any
    ) -> Found:
        """Call something that may be called again, and come back when it is done: a question, or a change that names
        what it changes. Every change of Azure's resource manager does.

        :param field: the attribute to point at where it fails, or a callable that tells it from the failure.
        """
        options["cls"] = _raw
        long = operation.method.startswith("begin_")

        def call() -> Found:
            if long:
                return self._finish(context, operation, args, options)
            found: Found = self._method(operation)(*args, **options)
            return found

        return self._repeat(context, doing, operation, call, field)

    def _finish(self, context: Context, operation: Operation, args: Any, options: Found) -> Found:
        """Start an operation and wait for its end, in this thread's time."""
        settings = self.settings
        polling = WatchedPolling(context, settings.poll, settings.pause, settings.attempts)
        poller = self._method(operation)(*args, polling=polling, **options)
        while not poller.done():
            context.check()
            poller.wait(0.2)
        found: Found = poller.result()
        return found

    def _repeat(
        self, context: Context, doing: str, operation: Operation, call: Callable[[], Found], field: Any
    ) -> Found:
        for attempt in range(self.settings.attempts):
            context.check()
            try:
                return _sensible(call)
            except SDK_ERRORS as error:
                if attempt + 1 == self.settings.attempts or not is_passing(error):
                    failure = translate(error, doing, action=operation.action)
                    failure.field = field(failure) if callable(field) else field
                    raise failure from error
                wanted = pause_wanted(error)
            context.log(f"{doing.rsplit(' could not ', 1)[0]}: Azure is busy; trying again.", "debug")
            backoff(context, self.settings.pause, attempt, wanted)
        raise AssertionError("attempts is at least 1")

    def find(self, context: Context, doing: str, operation: Operation, *args: Any, **options: Any) -> Found | None:
        """As :meth:`ask`; ``None`` where there is no such thing."""
        try:
            return self.ask(context, doing, operation, *args, **options)
        except ProviderFailure as failure:
            if is_missing(failure.__cause__):
                return None
            raise

    def patient(self, context: Context, doing: str, operation: Operation, *args: Any, **options: Any) -> Found:
        """As :meth:`ask`, and waits until the context's deadline while something else still uses the thing."""
        return self._patient(context, lambda: self.ask(context, doing, operation, *args, **options))

    def remove(self, context: Context, doing: str, operation: Operation, *args: Any, **options: Any) -> bool:
        """Remove something; False where it was gone already."""
        return self._patient(context, lambda: self.find(context, doing, operation, *args, **options)) is not None

    def _patient(self, context: Context, call: Callable[[], Any]) -> Any:
        attempt = 0
        until = time.monotonic() + 600.0 if context.deadline is None else None
        while True:
            try:
                return call()
            except ProviderFailure as failure:
                if code_of(failure.__cause__) not in BUSY or (until is not None and time.monotonic() > until):
                    raise
                busy = failure
            try:
                backoff(context, self.settings.pause, attempt)
            except OperationTimedOut:
                raise busy from None
            attempt += 1

    def pages(self, context: Context, doing: str, operation: Operation, *args: Any, **options: Any) -> list[Found]:
        """Every item of a listing, over all its pages."""

        method = self._method(operation)

        def call() -> Any:
            try:
                return [item.as_dict() for item in method(*args, **options)]
            except AttributeError as error:
                # The SDK takes it for granted that JSON is an object.
                raise DecodeError("The answer is no object", error=error) from error

        listed: Any = self._repeat(context, doing, operation, call, None)
        return list(listed)

    @contextmanager
    def exclusive(self, context: Context, identity: str) -> Iterator[None]:
        """One change at a time of what Azure changes as a whole: a network with its subnets, a machine."""
        with self._lock:
            lock = self._locks.setdefault(identity.lower(), threading.Lock())
        while not lock.acquire(timeout=0.1):
            context.check()
        try:
            yield
        finally:
            lock.release()

    def close(self) -> None:
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
            account, self._account = self._account, None
        for client in clients:
            client.close()
        if account is not None:
            account.close()


def _sensible(call: Callable[[], Any]) -> Any:
    """What the call gives. The SDK itself looks at pages that are no JSON as if they were."""
    try:
        return call() or {}
    except JSONDecodeError as error:
        raise DecodeError("The answer is no JSON, or was cut off", error=error) from error


def _raw(response: Any, value: Any, headers: Any) -> Found:
    """Azure's answer as it stands on the wire."""
    del value, headers
    answer = response.http_response
    text = answer.text() if answer.status_code != 204 else ""
    found: Found = answer.json() if text.strip() else {}
    if not isinstance(found, dict):
        raise DecodeError("The answer is no object")
    return found


def cloud_of(context: Context) -> Cloud:
    """The subscription of the provider that the resource at hand belongs to."""
    cloud: Cloud = context.provider.cloud  # type: ignore[union-attr]
    return cloud


@contextmanager
def limited(context: Context, seconds: float) -> Iterator[Context]:
    """The context with a deadline of its own, where that is earlier."""
    limit = time.monotonic() + seconds
    yield replace(context, deadline=limit if context.deadline is None else min(limit, context.deadline))
