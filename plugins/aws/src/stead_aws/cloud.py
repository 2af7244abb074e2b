"""AWS as resources use it: clients made when first needed, calls repeated with back-off, errors translated."""

from __future__ import annotations

import hashlib
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from botocore import xform_name
from botocore.client import BaseClient
from botocore.config import Config
from botocore.parsers import ResponseParserError

from stead.api.errors import OperationTimedOut, ProviderFailure, SteadError
from stead.api.provider import Context
from stead_aws.failures import SDK_ERRORS, code_of, is_missing, is_passing, translate
from stead_aws.settings import AwsSettings

T = TypeVar("T")
Found = dict[str, Any]
LONGEST_PAUSE = 20.0  # seconds
# Just made things are unknown to other servers of AWS for some seconds, and permissions spread slowly.
UNSETTLED = ("InvalidInstanceID.NotFound", "InvalidGroup.NotFound", "InvalidVolume.NotFound", "NoSuchEntity")

TAKEN = r"\w+\.Duplicate|EntityAlreadyExists\w*"


class Cloud:
    """One account, for all resources of a provider configuration. May be used from several threads.

    :param session: makes the SDK's session; called at the first use, so that a plan of new things asks nobody.
    """

    def __init__(self, session: Callable[[], Any], settings: AwsSettings, config: Config, **client: Any) -> None:
        self.settings = settings
        self._make_session = session
        self._config = config
        self._options = client
        self._endpoints: dict[str, str] = client.pop("endpoints", {})
        self._lock = threading.Lock()
        self._session: Any = None
        self._clients: dict[tuple[str, str], BaseClient] = {}
        self._identity: Found | None = None

    @property
    def session(self) -> Any:
        if self._session is None:
            self._session = self._make_session()
        return self._session

    @property
    def region(self) -> str:
        """The configuration's region; empty where none is set."""
        with self._lock:
            return str(self.session.region_name or "")

    def client(self, service: str, region: str = "") -> BaseClient:
        """The SDK's client, one for each service and region. The SDK's sessions do not bear two threads."""
        with self._lock:
            key = (service, region or str(self.session.region_name or ""))
            if key not in self._clients:
                self._clients[key] = self.session.client(
                    service,
                    region_name=key[1] or None,
                    endpoint_url=self._endpoints.get(service),
                    config=self._config,
                    **self._options,
                )
            return self._clients[key]

    def ask(
        self,
        context: Context,
        doing: str,
        service: str,
        operation: str,
        *,
        region: str = "",
        field: str | None = None,
        **arguments: Any,
    ) -> Found:
        """Call something that may be called again: a question, or a change that AWS takes twice without harm."""
        pause = self.settings.pause
        for attempt in range(self.settings.attempts):
            context.check()
            try:
                return self._call(service, operation, region, arguments)
            except SDK_ERRORS as error:
                if attempt + 1 == self.settings.attempts or not is_passing(error):
                    raise translate(error, doing, field, f"{service}:{operation}") from error
            context.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            pause = min(pause * 2, LONGEST_PAUSE)
        raise AssertionError("attempts is at least 1")

    def _call(self, service: str, operation: str, region: str, arguments: Found) -> Found:
        method = getattr(self.client(service, region), xform_name(operation))
        try:
            answer: Found = method(**{name: value for name, value in arguments.items() if value is not None})
        except KeyError as error:
            raise ResponseParserError(f"The answer has no {error.args[0]}") from error
        if "RequestId" not in answer.get("ResponseMetadata", {}):
            # The SDK takes any XML, such as a page to sign in at, for an answer that lists nothing.
            raise ResponseParserError("The answer has no id of a request")
        return answer

    def pages(
        self, context: Context, doing: str, service: str, operation: str, member: str, **arguments: Any
    ) -> Iterator[Any]:
        """Every item of a listing, over all its pages."""
        token: Found = {}
        while True:
            page = self.ask(context, doing, service, operation, **arguments, **token)
            yield from page.get(member, ())
            marker = page.get("NextToken")
            if not marker:
                return
            token = {"NextToken": marker}

    def find(self, context: Context, doing: str, service: str, operation: str, **arguments: Any) -> Found | None:
        """As :meth:`ask`; ``None`` where there is no such thing."""
        try:
            return self.ask(context, doing, service, operation, **arguments)
        except ProviderFailure as failure:
            if failure.__cause__ is not None and is_missing(failure.__cause__):  # type: ignore[arg-type]
                return None
            raise

    def settle(
        self,
        context: Context,
        doing: str,
        service: str,
        operation: str,
        *,
        unsettled: tuple[str, ...] = UNSETTLED,
        **arguments: Any,
    ) -> Found:
        """As :meth:`ask`, about something that was made a moment ago and that AWS may not know everywhere yet."""
        until = time.monotonic() + self.settings.settle
        while True:
            try:
                return self.ask(context, doing, service, operation, **arguments)
            except ProviderFailure as failure:
                if cause_code(failure) not in unsettled or time.monotonic() > until:
                    raise
            context.wait(min(self.settings.poll, 2.0))

    def make(
        self,
        context: Context,
        doing: str,
        find: Callable[[], T | None],
        service: str,
        operation: str,
        *,
        accept: Callable[[Found], T],
        region: str = "",
        field: str | Callable[[ProviderFailure], str | None] | None = None,
        unsettled: str = "",
        **arguments: Any,
    ) -> T:
        """Create something once: before every try, look whether an earlier one has made it.

        :param find: the thing that carries the key of this creation, or ``None``.
        :param accept: the thing in the answer of the call.
        :param unsettled: pattern of refusals that pass, since what the call names was made a moment ago.
        """
        pause = self.settings.pause
        for attempt in range(self.settings.attempts):
            context.check()
            found = find()
            if found is not None:
                return found
            try:
                return accept(self._call(service, operation, region, arguments))
            except SDK_ERRORS as error:
                # An earlier try may have made it, and AWS may not list it yet.
                if attempt and re.fullmatch(TAKEN, code_of(error)):
                    found = self._late(context, find)
                    if found is not None:
                        return found
                passing = is_passing(error) or (unsettled and re.search(unsettled, str(error)))
                if attempt + 1 == self.settings.attempts or not passing:
                    failure = translate(error, doing, action=f"{service}:{operation}")
                    failure.field = field(failure) if callable(field) else field
                    raise failure from error
            context.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            pause = min(pause * 2, LONGEST_PAUSE)
        raise AssertionError("attempts is at least 1")

    def _late(self, context: Context, find: Callable[[], T | None]) -> T | None:
        """What an earlier try has made, when AWS knows of it; ``None`` where it was somebody else."""
        until = time.monotonic() + self.settings.settle
        while (found := find()) is None and time.monotonic() < until:
            context.wait(min(self.settings.poll, 2.0))
        return found

    def remove(
        self,
        context: Context,
        doing: str,
        service: str,
        operation: str,
        *,
        busy: tuple[str, ...] = (),
        **arguments: Any,
    ) -> bool:
        """Remove something; False where it was gone already.

        :param busy: codes that mean that something still uses it: tried again until the context's deadline.
        """
        waited = 0.0
        while True:
            try:
                return self.find(context, doing, service, operation, **arguments) is not None
            except ProviderFailure as failure:
                if cause_code(failure) not in busy or (context.deadline is None and waited > 300):
                    raise
            context.wait(self.settings.poll)
            waited += self.settings.poll

    def until(
        self,
        context: Context,
        what: str,
        look: Callable[[], T | None],
        done: Callable[[T | None], bool],
    ) -> T | None:
        """Look again and again until it is done; the first looks follow each other closely."""
        pause = min(0.2, self.settings.poll)
        while True:
            seen = look()
            if done(seen):
                return seen
            try:
                context.wait(pause)
            except OperationTimedOut as error:
                raise OperationTimedOut(
                    f"{what} took too long.", remedy="Raise timeouts of the resource, or try again."
                ) from error
            pause = min(pause * 1.5, self.settings.poll)

    def identity(self, context: Context) -> Found:
        """Whose credentials these are: ``Account``, ``Arn``, ``UserId``."""
        if self._identity is None:
            doing = "The account could not be read"
            self._identity = self.ask(context, doing, "sts", "GetCallerIdentity")
        return self._identity

    def arn(self, context: Context, service: str, region: str, rest: str) -> str:
        identity = self.identity(context)
        partition = str(identity["Arn"]).split(":")[1]
        return f"arn:{partition}:{service}:{region}:{identity['Account']}:{rest}"


def cause_code(failure: ProviderFailure) -> str:
    """AWS's error code behind one of our failures."""
    return code_of(failure.__cause__) if failure.__cause__ is not None else ""


def is_refused(failure: SteadError) -> bool:
    """Whether AWS has said no for good: then the call has made nothing."""
    cause = failure.__cause__
    return isinstance(cause, SDK_ERRORS) and bool(code_of(cause)) and not is_passing(cause)


def cloud_of(context: Context) -> Cloud:
    """The account of the provider that the resource at hand belongs to."""
    cloud: Cloud = context.provider.cloud  # type: ignore[union-attr]
    return cloud


def token_of(context: Context, purpose: str = "") -> str | None:
    """A client token: AWS itself takes two calls with the same one for one call."""
    if not context.key:
        return None
    return hashlib.sha256(f"{context.key}/{purpose}".encode()).hexdigest()


@contextmanager
def limited(context: Context, seconds: float) -> Iterator[Context]:
    """The context with a deadline of its own, where that is earlier."""
    limit = time.monotonic() + seconds
    yield replace(context, deadline=limit if context.deadline is None else min(limit, context.deadline))
