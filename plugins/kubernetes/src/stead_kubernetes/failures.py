"""What goes wrong with a cluster, in the words of :mod:`stead.api.errors`."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3
from kubernetes.client.exceptions import ApiException, OpenApiException
from kubernetes.config.config_exception import ConfigException

from stead.api.errors import (
    CapacityExhausted,
    CredentialsRejected,
    OperationTimedOut,
    PermissionMissing,
    PlatformUnreachable,
    ProviderFailure,
    QuotaExceeded,
    ResourceConflict,
    ResourceNotFound,
    Throttled,
)


class UnreadableAnswer(Exception):
    """An answer of success that is not the API's: cut off, or of a proxy or a page to sign in at."""


SDK_ERRORS = (OpenApiException, ConfigException, urllib3.exceptions.HTTPError, UnreadableAnswer)
CREDENTIALS = "Check the kubeconfig, its context and whether the token or certificate has expired."
PERMISSION = "Allow it: python -m stead_kubernetes.policy prints the role that Stead needs."
NETWORK = "Check that the address of the API server is right and can be reached from where Stead runs."
BETWEEN = "Something between Stead and the API server may have answered in its place. " + NETWORK
QUOTA = "Ask who runs the cluster for a higher quota, or remove what is not needed (kubectl describe quota)."
AUTHORITY = "Check the certificate authority (cluster_ca_certificate, ca_file)."
AGAIN = "Try again later."


@dataclass(frozen=True)
class Rule:
    """Which failure something means."""

    failure: type[ProviderFailure]
    remedy: str | None = None


REASONS: dict[str, Rule] = {
    "Unauthorized": Rule(CredentialsRejected, CREDENTIALS),
    "Forbidden": Rule(PermissionMissing, PERMISSION),
    "NotFound": Rule(ResourceNotFound),
    "Gone": Rule(ResourceNotFound),
    "Expired": Rule(Throttled, AGAIN),
    "AlreadyExists": Rule(ResourceConflict, "Choose another name, import it, or remove what has it."),
    "Conflict": Rule(ResourceConflict, "Something else changes it: try again."),
    "TooManyRequests": Rule(Throttled, AGAIN),
    "ServerTimeout": Rule(OperationTimedOut, AGAIN),
    "Timeout": Rule(OperationTimedOut, AGAIN),
    "InternalError": Rule(PlatformUnreachable, AGAIN),
    "ServiceUnavailable": Rule(PlatformUnreachable, AGAIN),
}
STATUS: dict[int, Rule] = {
    401: REASONS["Unauthorized"],
    403: REASONS["Forbidden"],
    404: REASONS["NotFound"],
    408: REASONS["Timeout"],
    409: REASONS["Conflict"],
    410: REASONS["Gone"],
    429: REASONS["TooManyRequests"],
    500: REASONS["InternalError"],
    502: REASONS["ServiceUnavailable"],
    503: REASONS["ServiceUnavailable"],
    504: REASONS["Timeout"],
}
EXCEEDED = re.compile(r"exceeded quota", re.IGNORECASE)
NO_ROOM = re.compile(r"provided port is already allocated|range is full|no more IPs", re.IGNORECASE)
# A new namespace gets its default service account, and that its token, a moment later.
YOUNG = re.compile(r'serviceaccount "default" not found|no API token found for service account', re.IGNORECASE)
ENDING = re.compile(r"because it is being terminated", re.IGNORECASE)
DENIED = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)
# Which attribute of a template a rejected field of the API is.
CAMEL = re.compile(r"(?<=[a-z0-9])([A-Z])")
PASSING = (Throttled, PlatformUnreachable, OperationTimedOut)


def status_of(error: BaseException) -> Mapping[str, Any]:
    """The ``Status`` object of an answer; empty where it has none."""
    body = getattr(error, "body", None)
    try:
        found = json.loads(body) if body else {}
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("kind") == "Status" else {}


def as_object(text: str) -> dict[str, Any]:
    """An answer as the object that it is; :class:`UnreadableAnswer` where it is none.

    The text is not told: it may be the beginning of a secret.
    """
    try:
        found = json.loads(text)
    except ValueError:
        what = "a page of HTML" if text.lstrip().startswith("<") else "no JSON, or was cut off"
        raise UnreadableAnswer(f"the answer is {what}") from None
    if not isinstance(found, dict):
        raise UnreadableAnswer("the answer is no object")
    return found


def as_resource(text: str) -> dict[str, Any]:
    """As :func:`as_object`, of something that has metadata."""
    found = as_object(text)
    if not isinstance(found.get("metadata"), dict):
        raise UnreadableAnswer("the answer is no object of Kubernetes")
    return found


def _of_answer(error: ApiException) -> Rule:
    status = status_of(error)
    words = str(status.get("message", ""))
    if error.status == 0:  # the SDK's way to tell of a failed handshake
        return Rule(CredentialsRejected, AUTHORITY)
    if EXCEEDED.search(words):
        return Rule(QuotaExceeded, QUOTA)
    if ENDING.search(words):
        return Rule(ResourceConflict, "The namespace is being removed: wait for its end, or use another one.")
    if YOUNG.search(words):
        return Rule(Throttled, "The namespace is new: its service account comes in a moment.")
    if NO_ROOM.search(words):
        return Rule(CapacityExhausted, "Choose another port, or leave it out to get a free one.")
    reason = REASONS.get(str(status.get("reason", "")))
    code = error.status if isinstance(error.status, int) else 0
    return reason or STATUS.get(code, Rule(ProviderFailure))


KINDS: tuple[tuple[type[BaseException], Rule], ...] = (
    (ConfigException, Rule(CredentialsRejected, CREDENTIALS)),
    (UnreadableAnswer, Rule(PlatformUnreachable, BETWEEN)),
    (urllib3.exceptions.SSLError, Rule(CredentialsRejected, AUTHORITY)),
    # By its class also a time-out, which it is not.
    (urllib3.exceptions.NewConnectionError, Rule(PlatformUnreachable, NETWORK)),
    (urllib3.exceptions.TimeoutError, Rule(OperationTimedOut, NETWORK)),
    (urllib3.exceptions.LocationValueError, Rule(ProviderFailure, "Check the address of the API server (host).")),
    (urllib3.exceptions.HTTPError, Rule(PlatformUnreachable, NETWORK)),
)


def rule_of(error: BaseException) -> Rule:
    """What the exception means."""
    if isinstance(error, ApiException):
        return _of_answer(error)
    if _is_tls(error):
        return Rule(CredentialsRejected, AUTHORITY)
    return next((rule for kind, rule in KINDS if isinstance(error, kind)), Rule(ProviderFailure))


def _is_tls(error: BaseException) -> bool:
    inner = [error.__cause__, error.__context__, getattr(error, "reason", None), *error.args]
    return any(isinstance(item, ssl.SSLError) for item in inner)


def is_passing(error: BaseException) -> bool:
    """Whether the same call may work a moment later, also if it has worked and its answer was lost."""
    return issubclass(rule_of(error).failure, PASSING)


def is_missing(error: BaseException) -> bool:
    return rule_of(error).failure is ResourceNotFound


def retry_after(error: BaseException) -> float:
    """Seconds that the API server asks to wait, or 0."""
    seconds = (status_of(error).get("details") or {}).get("retryAfterSeconds")
    headers = getattr(error, "headers", None) or {}
    try:
        return max(0.0, float(seconds or headers.get("Retry-After") or 0))
    except (TypeError, ValueError):
        return 0.0


def _words(error: BaseException) -> str:
    if isinstance(error, ApiException):
        text = status_of(error).get("message") or error.reason or f"it answered {error.status}"
    elif isinstance(error, urllib3.exceptions.HTTPError):
        # Their texts begin with the address of an object in memory.
        text = re.sub(r"^.*?: (?=[A-Z])|<[^>]*>:? ?|\(?HTTPS?Connection(Pool)?\([^)]*\)[:,]? ?", "", str(error))
    else:
        text = str(error)
    return " ".join(str(text).split()).rstrip(".") or type(error).__name__


def field_of(error: BaseException) -> str | None:
    """The attribute that an answer of ``Invalid`` points at: ``spec.volumeName`` is ``spec[0].volume_name``."""
    causes = (status_of(error).get("details") or {}).get("causes") or ()
    for cause in causes:
        path = str(cause.get("field", ""))
        name = CAMEL.sub(lambda found: "_" + found.group(1).lower(), path.partition("[")[0])
        head, _, rest = name.partition(".")
        if head in {"metadata", "spec"}:
            return f"{head}[0].{rest.partition('.')[0]}" if rest else head
    return None


def _permission(error: BaseException) -> str:
    found = DENIED.search(_words(error))
    if not found:
        return PERMISSION
    place = f" in namespace {found['namespace']}" if found["namespace"] else ""
    group = f" of {found['group']}" if found["group"] else ""
    return f"{found['user']} lacks {found['verb']} on {found['resource']}{group}{place}. {PERMISSION}"


def translate(error: Exception, doing: str, field: str | None = None) -> ProviderFailure:
    """The failure of ours that an exception of the SDK means.

    :param doing: what did not work, as the start of a sentence: "Pod web could not be created".
    """
    rule = rule_of(error)
    remedy = _permission(error) if rule.failure is PermissionMissing else rule.remedy
    return rule.failure(f"{doing}: {_words(error)}.", field=field or field_of(error), remedy=remedy)
