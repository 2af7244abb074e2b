"""A cluster as resources use it: calls repeated with back-off, objects made once, errors translated."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException

from stead.api.errors import OperationTimedOut, ProviderFailure, ResourceConflict, ResourceNotFound
from stead.api.provider import Context
from stead_kubernetes import labels as labelling
from stead_kubernetes.connection import Address, connect
from stead_kubernetes.failures import (
    SDK_ERRORS,
    as_resource,
    is_missing,
    is_passing,
    retry_after,
    status_of,
    translate,
)
from stead_kubernetes.kinds import Kind
from stead_kubernetes.settings import KubernetesSettings

T = TypeVar("T")
Found = dict[str, Any]
LONGEST_PAUSE = 20.0  # seconds
PAGE = 250  # objects of a listing in one answer
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"


class Cluster:
    """One cluster, for all resources of a provider configuration. May be used from several threads."""

    def __init__(self, address: Callable[[], Address], settings: KubernetesSettings) -> None:
        self.settings = settings
        self._address = address
        self._lock = threading.Lock()
        self._client: ApiClient | None = None

    @property
    def client(self) -> ApiClient:
        """The SDK's client; made at first use, so that a plan of new things asks nobody."""
        with self._lock:
            if self._client is None:
                try:
                    self._client = connect(self._address())
                except (*SDK_ERRORS, OSError, ValueError) as error:
                    raise translate(error, "The cluster's configuration cannot be used") from error
            return self._client

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.rest_client.close()

    def _once(self, context: Context, method: str, path: str, query: Mapping[str, Any], body: Any, kind: str) -> str:
        headers = {"Accept": "application/json", **({"Content-Type": kind} if body is not None else {})}
        # JSON is YAML: the SDK leaves text of another content type alone.
        content = json.dumps(body) if kind == APPLY else body
        client = self.client
        method, url, sent, content, _ = client.param_serialize(
            method, path, query_params=list(query.items()), header_params=headers, body=content,
            auth_settings=["BearerToken"],
        )  # fmt: skip
        limit = context.remaining
        timeout = self.settings.timeout if limit is None else max(0.1, min(self.settings.timeout, limit))
        response = client.call_api(method, url, sent, content, _request_timeout=timeout)
        text: str = response.read().decode("utf-8", "replace")
        if not 200 <= response.status <= 299:
            ApiException.from_response(http_resp=response, body=text, data=None)
        return text

    def call(
        self,
        context: Context,
        doing: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        kind: str = "application/json",
        once: bool = False,
        read: Callable[[str], T] = str,  # type: ignore[assignment]
    ) -> T:
        """Send a request, and again while the failure is a passing one. Gives the answer's text.

        :param read: makes something else of the text; :class:`UnreadableAnswer` is a passing failure.
        :param once: not to be repeated, as it might be done twice.
        """
        pause = self.settings.pause
        attempts = 1 if once else self.settings.attempts
        for attempt in range(attempts):
            context.check()
            try:
                return read(self._once(context, method, path, query or {}, body, kind))
            except SDK_ERRORS as error:
                if attempt + 1 == attempts or not is_passing(error):
                    raise translate(error, doing) from error
                asked = retry_after(error)
            self.back_off(context, max(pause, min(asked, LONGEST_PAUSE)))
            pause = min(pause * 2, LONGEST_PAUSE)
        raise AssertionError("attempts is at least 1")

    def back_off(self, context: Context, pause: float) -> None:
        context.wait(pause * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, not a secret

    def ask(self, context: Context, doing: str, kind: Kind, namespace: str | None, name: str) -> Found:
        """One object; :class:`ResourceNotFound` where there is none."""
        return self.call(context, doing, "GET", kind.path(namespace, name), read=as_resource)

    def find(self, context: Context, doing: str, kind: Kind, namespace: str | None, name: str) -> Found | None:
        """As :meth:`ask`; ``None`` where there is none."""
        try:
            return self.ask(context, doing, kind, namespace, name)
        except ResourceNotFound as failure:
            if failure.__cause__ is not None and is_missing(failure.__cause__):
                return None
            raise

    def items(
        self, context: Context, doing: str, kind: Kind, namespace: str | None = None, **selectors: str
    ) -> Iterator[Found]:
        """Every object of a listing, over all its pages; of all namespaces where none is given."""
        query: Found = {**selectors, "limit": PAGE}
        while True:
            page = self.call(context, doing, "GET", kind.path(namespace), query=query, read=as_resource)
            yield from page.get("items") or ()
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return
            query["continue"] = token

    def text(
        self, context: Context, doing: str, kind: Kind, namespace: str, name: str, query: Mapping[str, Any]
    ) -> str:
        """What is no object: a container's log."""
        return self.call(context, doing, "GET", kind.path(namespace, name), query=query, once=True)

    def make(self, context: Context, doing: str, kind: Kind, namespace: str | None, body: Found) -> Found:
        """Create an object once: what an earlier try of the same creation has made is taken as it is."""
        pause = self.settings.pause
        for attempt in range(self.settings.attempts):
            if attempt:
                found = self._mine(context, doing, kind, namespace, body)
                if found is not None:
                    return found
            try:
                return self._post(context, doing, kind, namespace, body)
            except ProviderFailure as failure:
                cause = failure.__cause__
                if isinstance(failure, ResourceConflict) and _exists(cause):
                    return self._taken(context, doing, kind, namespace, body, failure)
                if cause is None or attempt + 1 == self.settings.attempts or not is_passing(cause):
                    raise
                asked = retry_after(cause)
            self.back_off(context, max(pause, min(asked, LONGEST_PAUSE)))
            pause = min(pause * 2, LONGEST_PAUSE)
        raise AssertionError("attempts is at least 1")

    def _post(self, context: Context, doing: str, kind: Kind, namespace: str | None, body: Found) -> Found:
        query = {"fieldManager": labelling.MANAGER}
        while True:
            try:
                return self.call(
                    context, doing, "POST", kind.path(namespace), query=query, body=body, once=True, read=as_resource
                )
            except ResourceConflict as failure:
                if not _exists(failure.__cause__) or not self._left(context, doing, kind, namespace, body):
                    raise

    def _left(self, context: Context, doing: str, kind: Kind, namespace: str | None, body: Found) -> bool:
        """Wait for the end of what has the name and is being removed; False where it stays."""
        name, pause = body["metadata"].get("name"), min(0.1, self.settings.poll)
        if not name:
            return True  # made up by the API server: the next one is another
        first = found = self.find(context, doing, kind, namespace, name)
        while found is not None and first is not None and found["metadata"]["uid"] == first["metadata"]["uid"]:
            if _alive(found):
                return False
            self.pause(context, pause, f"{doing}: the one before it is still there, {_holding(found)}")
            pause = min(pause * 1.5, self.settings.poll)
            found = self.find(context, doing, kind, namespace, name)
        return True

    def _mine(self, context: Context, doing: str, kind: Kind, namespace: str | None, body: Found) -> Found | None:
        """What carries the key of this creation, by its name or, where the API server makes one up, by its label."""
        name = body["metadata"].get("name")
        if name:
            found = self.find(context, doing, kind, namespace, name)
            return found if found is not None and _alive(found) and labelling.carries(found, context.key) else None
        if not context.key:
            return None
        selector = f"{labelling.KEY}={labelling.value(context.key)}"
        listed = self.items(context, doing, kind, namespace, labelSelector=selector)
        return next((item for item in listed if _alive(item)), None)

    def _taken(
        self, context: Context, doing: str, kind: Kind, namespace: str | None, body: Found, failure: ProviderFailure
    ) -> Found:
        found = self._mine(context, doing, kind, namespace, body)
        if found is not None:
            return found
        name = body["metadata"]["name"]
        raise ResourceConflict(
            f"{doing}: a {kind.kind} {name} exists already, and Stead did not make it for this.",
            field="metadata[0].name",
            remedy="Choose another name, import it, or remove what has it.",
        ) from failure

    def apply(self, context: Context, doing: str, kind: Kind, live: Found, body: Found) -> Found:
        """Server-side apply: what was set before and is not in ``body`` goes; what others have set stays."""
        metadata = live["metadata"]
        path = kind.path(metadata.get("namespace"), metadata["name"])
        self._own_fields(context, doing, path, live)
        query = {"fieldManager": labelling.MANAGER, "force": "true"}
        # With its id, so that a namesake made in between is not taken for it.
        body = {**body, "metadata": {**body["metadata"], "uid": metadata["uid"]}}
        return self.call(context, doing, "PATCH", path, query=query, body=body, kind=APPLY, read=as_resource)

    def _own_fields(self, context: Context, doing: str, path: str, live: Found) -> None:
        """The creation recorded our fields as those of an update; an apply would leave them when they go."""
        patches: list[Found] = [
            {"op": "replace", "path": f"/metadata/managedFields/{index}/operation", "value": "Apply"}
            for index, entry in enumerate(live["metadata"].get("managedFields") or ())
            if entry.get("manager") == labelling.MANAGER and entry.get("operation") == "Update"
            and not entry.get("subresource")
        ]  # fmt: skip
        if not patches:
            return
        version = live["metadata"]["resourceVersion"]
        test = {"op": "replace", "path": "/metadata/resourceVersion", "value": version}
        try:
            self.call(context, doing, "PATCH", path, body=[*patches[:1], test], kind=JSON_PATCH)
        except ResourceConflict:
            fresh = self.call(context, doing, "GET", path, read=as_resource)
            if fresh["metadata"]["resourceVersion"] == version:
                raise
            self._own_fields(context, doing, path, fresh)

    def remove(
        self, context: Context, doing: str, kind: Kind, namespace: str | None, name: str, uid: str | None = None
    ) -> None:
        """Remove an object with what belongs to it, and wait until it is gone; missing is success.

        :param uid: of the object that is meant: a namesake is left alone.
        """
        body: Found = {"propagationPolicy": "Foreground", **({"preconditions": {"uid": uid}} if uid else {})}
        pause = min(0.1, self.settings.poll)
        try:
            self.call(context, doing, "DELETE", kind.path(namespace, name), body=body)
            while (found := self.find(context, doing, kind, namespace, name)) is not None:
                if uid and found["metadata"]["uid"] != uid:
                    return
                self.pause(context, pause, f"{doing}: {_holding(found)}")
                pause = min(pause * 1.5, self.settings.poll)
        except ResourceNotFound as failure:
            if failure.__cause__ is None or not is_missing(failure.__cause__):
                raise
        except ResourceConflict as failure:
            # Where the id does not fit, it is another object, and ours is gone.
            if not uid or "UID" not in str(status_of(failure.__cause__ or failure).get("message", "")):
                raise

    def pause(self, context: Context, seconds: float, doing: str) -> None:
        """Wait before the next look; where the time is over, say for what."""
        try:
            context.wait(seconds)
        except OperationTimedOut as error:
            raise OperationTimedOut(f"{doing}.", remedy="Raise timeouts of the resource, or try again.") from error


def _exists(cause: BaseException | None) -> bool:
    return cause is not None and status_of(cause).get("reason") == "AlreadyExists"


def _alive(found: Found) -> bool:
    return not found["metadata"].get("deletionTimestamp")


def _holding(found: Found) -> str:
    """Why something that is being removed is still there."""
    metadata = found["metadata"]
    holders = list(metadata.get("finalizers") or ()) + list((found.get("spec") or {}).get("finalizers") or ())
    conditions = (found.get("status") or {}).get("conditions") or ()
    why = [item.get("message", "") for item in conditions if item.get("status") == "True" and item.get("message")]
    return f"it waits for {', '.join(holders) or 'its end'}" + (f" ({'; '.join(why)})" if why else "")


def cluster_of(context: Context) -> Cluster:
    """The cluster of the provider that the resource at hand belongs to."""
    cluster: Cluster = context.provider.cluster  # type: ignore[union-attr]
    return cluster


@contextmanager
def limited(context: Context, seconds: float) -> Iterator[Context]:
    """The context with a deadline of its own, where that is earlier."""
    limit = time.monotonic() + seconds
    yield replace(context, deadline=limit if context.deadline is None else min(limit, context.deadline))
