"""Google Cloud as resources use it: calls repeated with back-off, operations awaited, errors translated."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from google.api_core.exceptions import from_http_response
from google.auth.transport.requests import AuthorizedSession
from google.cloud import compute_v1
from google.protobuf.json_format import ParseError

from stead.api.errors import OperationTimedOut, ProviderFailure, ResourceConflict, ResourceNotFound, SteadError
from stead.api.provider import Context
from stead_gcp.calls import CALLS
from stead_gcp.failures import SDK_ERRORS, OperationFailed, UnreadableAnswer, is_missing, is_passing, translate
from stead_gcp.links import name_of
from stead_gcp.settings import GcpSettings

Found = dict[str, Any]
LONGEST_PAUSE = 20.0  # seconds
NAMESPACE = uuid.UUID("5a1d7b54-6f0e-4f6b-9f5e-2d1d2e6f7a10")  # of the request ids of creations


class Cloud:
    """One set of credentials, for all resources of a provider configuration. May be used from several threads.

    :param credentials: makes the SDK's credentials; called at the first use, so that a plan of new things asks nobody.
    :param endpoint: address of the Compute Engine API, or nothing for Google's.
    """

    def __init__(self, credentials: Callable[[], Any], settings: GcpSettings, endpoint: str | None) -> None:
        self.settings = settings
        self.endpoint = endpoint
        self._make_credentials = credentials
        self._lock = threading.RLock()
        self._credentials: Any = None
        self._clients: dict[str, Any] = {}

    @property
    def credentials(self) -> Any:
        """The SDK's credentials; what is wrong with them is a failure of ours."""
        with self._lock:
            if self._credentials is None:
                try:
                    self._credentials = self._make_credentials()
                except (*SDK_ERRORS, OSError, ValueError) as error:
                    raise translate(error, "The credentials cannot be used") from error
            return self._credentials

    def _client(self, name: str) -> Any:
        with self._lock:
            if name not in self._clients:
                options = {"api_endpoint": self.endpoint} if self.endpoint else None
                kind = getattr(compute_v1, f"{name}Client")
                self._clients[name] = kind(credentials=self.credentials, transport="rest", client_options=options)
            return self._clients[name]

    def _once(self, call: str, arguments: Found) -> Found:
        known = CALLS[call]
        given = {name: value for name, value in arguments.items() if value is not None}
        request = getattr(compute_v1, known.request).from_json(json.dumps(given))
        method = getattr(self._client(known.client), known.method)
        try:
            answer = method(request=request, retry=None, timeout=self.settings.timeout)
            if hasattr(answer, "pages"):
                return {"pages": [_plain(page) for page in answer.pages]}
        except (ParseError, UnicodeDecodeError) as error:
            raise UnreadableAnswer("the answer is no JSON of Google Cloud's, or was cut off") from error
        return _plain(answer)

    def _repeat(
        self, context: Context, doing: str, once: Callable[[], Found], field: str | None, needed: tuple[str, ...]
    ) -> Found:
        """Repeat what may be repeated, with jittered back-off, while the refusal is a passing one."""
        pause = self.settings.pause
        for attempt in range(self.settings.attempts):
            with _in_time(doing):
                context.check()
            try:
                return once()
            except SDK_ERRORS as error:
                if attempt + 1 == self.settings.attempts or not is_passing(error):
                    raise translate(error, doing, field, needed) from error
            self.back_off(context, pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        raise AssertionError("attempts is at least 1")

    def back_off(self, context: Context, pause: float) -> None:
        context.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret

    def ask(self, context: Context, doing: str, call: str, *, field: str | None = None, **arguments: Any) -> Found:
        """Call something that may be called again: a question, or a change with a request id.

        Takes and gives what the REST API does, with its names.
        """
        return self._repeat(context, doing, lambda: self._once(call, arguments), field, CALLS[call].permissions)

    def find(self, context: Context, doing: str, call: str, **arguments: Any) -> Found | None:
        """As :meth:`ask`; ``None`` where there is no such thing."""
        try:
            return self.ask(context, doing, call, **arguments)
        except ResourceNotFound as failure:
            if failure.__cause__ is not None and is_missing(failure.__cause__):
                return None
            raise

    def items(self, context: Context, doing: str, call: str, **arguments: Any) -> Iterator[Found]:
        """Every item of a listing, over all its pages; of aggregated ones over all places."""
        for page in self.ask(context, doing, call, **arguments)["pages"]:
            found = page.get("items", ())
            if isinstance(found, dict):
                for place in found.values():
                    for kind in place.values():
                        yield from kind if isinstance(kind, list) else ()
            else:
                yield from found

    def do(
        self,
        context: Context,
        doing: str,
        call: str,
        *,
        field: str | Callable[[ProviderFailure], str | None] | None = None,
        request: str = "",
        **arguments: Any,
    ) -> Found:
        """Change something and wait for the end of its operation.

        :param request: id under which Google Cloud takes several tries for one; made up where not given.
        """
        try:
            operation = self.ask(context, doing, call, requestId=request or str(uuid.uuid4()), **arguments)
            return self.finish(context, doing, operation, call)
        except ProviderFailure as failure:
            failure.field = (field(failure) if callable(field) else field) or failure.field
            raise

    def finish(self, context: Context, doing: str, operation: Found, call: str) -> Found:
        """Wait until an operation has ended. The first looks follow each other closely."""
        pause = min(0.2, self.settings.poll)
        while operation.get("status") != "DONE":
            self.pause(context, pause, doing)
            pause = min(pause * 1.5, self.settings.poll)
            operation = self._look(context, doing, operation)
        for warning in operation.get("warnings", ()):
            context.log(f"Google Cloud warns: {warning.get('message', warning.get('code', ''))}", "warn")
        if operation.get("error"):
            error = OperationFailed.of(operation)
            raise translate(error, doing, permissions=CALLS[call].permissions) from error
        return operation

    def pause(self, context: Context, seconds: float, doing: str) -> None:
        """Wait before the next look; where the time is over, say for what."""
        with _in_time(doing):
            context.wait(seconds)

    def _look(self, context: Context, doing: str, operation: Found) -> Found:
        if not operation.get("selfLink") or not operation.get("name"):
            error = UnreadableAnswer("the answer names no operation")
            raise translate(error, doing) from error
        project = operation["selfLink"].partition("/projects/")[2].partition("/")[0]
        place: Found = {"project": project, "operation": operation["name"]}
        if operation.get("zone"):
            return self.ask(context, doing, "zoneOperations.get", zone=name_of(operation["zone"]), **place)
        if operation.get("region"):
            return self.ask(context, doing, "regionOperations.get", region=name_of(operation["region"]), **place)
        return self.ask(context, doing, "globalOperations.get", **place)

    def make(
        self,
        context: Context,
        doing: str,
        find: Callable[[Context], Found | None],
        owned: Callable[[Found], bool],
        call: str,
        *,
        discard: Callable[[Context], None],
        taken: str,
        field: Callable[[ProviderFailure], str | None] | None = None,
        **arguments: Any,
    ) -> Found:
        """Create something once: before every try, look whether an earlier one has made it.

        :param owned: whether what :paramref:`find` found carries the key of this creation.
        :param discard: removes what a failed creation has left.
        :param taken: what to say where the name belongs to something else.
        """
        pause = self.settings.pause
        for attempt in range(self.settings.attempts):
            found = find(context)
            if found is not None:
                if owned(found):
                    return found
                raise ResourceConflict(taken, field="name", remedy="Choose another name, import it, or remove it.")
            request = str(uuid.uuid5(NAMESPACE, f"{context.key}/{call}/{attempt}")) if context.key else ""
            try:
                self.do(context, doing, call, field=field, request=request, **arguments)
            except SteadError as failure:
                if attempt + 1 == self.settings.attempts or not self._worth_another(context, failure, find, owned):
                    self._tidy(context, discard, doing)
                    raise
                self.back_off(context, pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        found = find(context)
        if found is None:
            raise ProviderFailure(f"{doing}: Google Cloud says that it made it, and does not have it.")
        return found

    def _worth_another(
        self,
        context: Context,
        failure: SteadError,
        find: Callable[[Context], Found | None],
        owned: Callable[[Found], bool],
    ) -> bool:
        """Whether to look and try once more: after a passing failure, and where the name was taken by ourselves."""
        if context.canceled.is_set() or context.remaining == 0.0 or failure.__cause__ is None:
            return False
        if isinstance(failure, ResourceConflict):
            found = find(context)
            return found is not None and owned(found)
        return is_passing(failure.__cause__)

    def _tidy(self, context: Context, discard: Callable[[Context], None], doing: str) -> None:
        """Remove what a failed creation has made, whatever else goes wrong; the sweep finds it otherwise."""
        late = Context(provider=context.provider, build=context.build, key=context.key, sink=context.sink)
        try:
            with limited(late, 10 * self.settings.timeout) as bound:
                discard(bound)
        except SteadError as error:
            context.log(f"{doing}, and something of it may be left over: {error}", "warn")

    def remove(self, context: Context, doing: str, call: str, **arguments: Any) -> bool:
        """Remove something and wait until it is gone; False where it was gone already."""
        pause = self.settings.pause
        for attempt in range(self.settings.attempts):
            try:
                self.do(context, doing, call, **arguments)
            except ResourceNotFound:
                return False
            except ProviderFailure as failure:
                if attempt + 1 == self.settings.attempts or not is_passing(failure.__cause__ or failure):
                    raise
            else:
                return True
            self.back_off(context, pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        raise AssertionError("attempts is at least 1")

    def rest(self, context: Context, doing: str, method: str, url: str, body: Found | None = None) -> Found:
        """Ask another API of Google's, which the SDK of Compute Engine does not cover."""

        def once() -> Found:
            with AuthorizedSession(self.credentials) as session:  # type: ignore[no-untyped-call]
                response = session.request(  # type: ignore[no-untyped-call]
                    method, url, json=body, timeout=self.settings.timeout
                )
            if not response.ok:
                raise from_http_response(response)  # type: ignore[no-untyped-call]
            answer: Found = response.json()
            if not isinstance(answer, dict):
                raise UnreadableAnswer("the answer is no object")
            return answer

        return self._repeat(context, doing, once, None, ())


@contextmanager
def _in_time(doing: str) -> Iterator[None]:
    """Where the time is over, say for what."""
    try:
        yield
    except OperationTimedOut as error:
        raise OperationTimedOut(
            f"{doing}: it took too long.", remedy="Raise timeouts of the resource, or try again."
        ) from error


def _plain(message: Any) -> Found:
    """A message as the REST API has it."""
    text = type(message).to_json(
        message, use_integers_for_enums=False, always_print_fields_with_no_presence=False, indent=None
    )
    plain: Found = json.loads(text)
    return plain


def cloud_of(context: Context) -> Cloud:
    """The cloud of the provider that the resource at hand belongs to."""
    cloud: Cloud = context.provider.cloud  # type: ignore[union-attr]
    return cloud


@contextmanager
def limited(context: Context, seconds: float) -> Iterator[Context]:
    """The context with a deadline of its own, where that is earlier."""
    limit = time.monotonic() + seconds
    yield replace(context, deadline=limit if context.deadline is None else min(limit, context.deadline))
