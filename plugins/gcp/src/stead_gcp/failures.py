"""What goes wrong with Google Cloud, in the words of :mod:`stead.api.errors`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from google.api_core import exceptions as sdk
from google.auth import exceptions as auth

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
    """An answer of success that is not Google Cloud's: cut off, or of a proxy or a page to sign in at."""


SDK_ERRORS = (
    UnreadableAnswer,
    sdk.GoogleAPIError,
    sdk.DuplicateCredentialArgs,
    auth.GoogleAuthError,
    requests.RequestException,
    *((sdk.AsyncRestUnsupportedParameterError,) if hasattr(sdk, "AsyncRestUnsupportedParameterError") else ()),
)

CREDENTIALS = (
    "Set credentials in [plugins.gcp] to the key file of a service account, or give the machine that runs Stead "
    "a service account."
)
PERMISSION = "Allow it: python -m stead_gcp.policy prints the role that Stead needs."
QUOTA = "Ask for a higher quota in the console under IAM & Admin, Quotas, or remove what is not needed."
CAPACITY = "Choose another zone or machine type, or try again later."
NETWORK = "Check the network, a proxy (https_proxy) and compute_endpoint in [plugins.gcp]."
BETWEEN = "Something between Stead and Google Cloud may have answered in its place. " + NETWORK
LONGEST = 1000  # characters of what Google Cloud says
API_OFF = "Turn the API on for the project: gcloud services enable compute.googleapis.com"
AGAIN = "Try again later."


@dataclass(frozen=True)
class Rule:
    """Which failure a reason means. The first rule that matches counts."""

    pattern: str
    failure: type[ProviderFailure]
    remedy: str | None = None


# Reasons of refused requests (quotaExceeded) and codes of failed operations (QUOTA_EXCEEDED) differ in form alone.
REASONS = (
    Rule(r"accessnotconfigured|servicedisabled", PermissionMissing, API_OFF),
    Rule(r"(user)?ratelimitexceeded|resourceoperationrateexceeded|concurrentlimitexceeded", Throttled, AGAIN),
    Rule(
        r"zoneresourcepoolexhausted(withdetails)?|stockout|resourceexhausted|regionresourcepoolexhausted"
        r"|ipspaceexhausted(withdetails)?|networkresourceexhausted|resourcepoolexhausted",
        CapacityExhausted,
        CAPACITY,
    ),
    Rule(r"quotaexceeded|limitexceeded|dailylimitexceeded", QuotaExceeded, QUOTA),
    Rule(r"permissionserror|forbidden|insufficientpermissions|permissiondenied", PermissionMissing, PERMISSION),
    Rule(r"autherror|required(login)?|unauthenticated|accounterror|expired", CredentialsRejected, CREDENTIALS),
    Rule(r"(resource)?notfound|notfounderror", ResourceNotFound),
    Rule(r"(resource)?alreadyexists|duplicate", ResourceConflict, "Choose another name, or remove what has it."),
    Rule(r"resourceinuse(byanotherresource)?|resourceinusebyotherresource", ResourceConflict, "Remove what uses it."),
    Rule(r"conditionnotmet|fingerprintmismatch|conflict", ResourceConflict, "Something else changes it: try again."),
    Rule(r"resourcenotready|operationcanceledbyuser", PlatformUnreachable, AGAIN),
    Rule(r"internalerror|backenderror|serviceunavailable|unavailable", PlatformUnreachable, AGAIN),
    Rule(r"timeout|deadlineexceeded", OperationTimedOut, AGAIN),
)
STATUS: dict[int, Rule] = {
    401: Rule("", CredentialsRejected, CREDENTIALS),
    403: Rule("", PermissionMissing, PERMISSION),
    404: Rule("", ResourceNotFound),
    408: Rule("", OperationTimedOut, AGAIN),
    409: Rule("", ResourceConflict),
    412: Rule("", ResourceConflict, "Something else changes it: try again."),
    429: Rule("", Throttled, AGAIN),
    500: Rule("", PlatformUnreachable, AGAIN),
    502: Rule("", PlatformUnreachable, AGAIN),
    503: Rule("", PlatformUnreachable, AGAIN),
    504: Rule("", OperationTimedOut, AGAIN),
}
KINDS: tuple[tuple[tuple[type[Exception], ...], Rule], ...] = (
    ((UnreadableAnswer,), Rule("", PlatformUnreachable, BETWEEN)),
    ((auth.TransportError, auth.TimeoutError), Rule("", PlatformUnreachable, NETWORK)),
    ((auth.GoogleAuthError, sdk.DuplicateCredentialArgs), Rule("", CredentialsRejected, CREDENTIALS)),
    ((requests.Timeout,), Rule("", OperationTimedOut, NETWORK)),
    ((requests.exceptions.SSLError,), Rule("", PlatformUnreachable, NETWORK)),
    ((requests.exceptions.InvalidJSONError,), Rule("", PlatformUnreachable, NETWORK)),
    ((requests.ConnectionError, requests.exceptions.ChunkedEncodingError), Rule("", PlatformUnreachable, NETWORK)),
    ((sdk.RetryError,), Rule("", OperationTimedOut, AGAIN)),
)
PASSING = (Throttled, PlatformUnreachable, OperationTimedOut)
_PERMISSION = re.compile(
    r"'([a-zA-Z]+\.[a-zA-Z]+\.[a-zA-Z]+)' permission|permission '?([a-zA-Z]+\.[a-zA-Z]+\.[a-zA-Z]+)"
)


class OperationFailed(Exception):
    """An operation of Google Cloud ended with an error: the cause of what is raised."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status

    @classmethod
    def of(cls, operation: Mapping[str, Any]) -> OperationFailed:
        """From an operation whose status is DONE and which has an error."""
        errors = operation.get("error", {}).get("errors") or [{}]
        first = errors[0]
        words = first.get("message") or operation.get("httpErrorMessage") or first.get("code", "it failed")
        details = [text for item in first.get("errorDetails", ()) if (text := _localized(item))]
        status = int(operation.get("httpErrorStatusCode", 0))
        return cls(str(first.get("code", "")), " ".join([str(words), *details]), status)


def _localized(detail: Mapping[str, Any]) -> str:
    return str(detail.get("localizedMessage", {}).get("message", ""))


def reasons_of(error: BaseException) -> list[str]:
    """What Google Cloud calls it, without capitals and underscores."""
    if isinstance(error, OperationFailed):
        found = [error.code]
    elif isinstance(error, sdk.GoogleAPICallError):
        found = [str(item.get("reason", "")) for item in error.errors if isinstance(item, Mapping)]
        found.append(str(getattr(error, "reason", None) or ""))
    else:
        found = []
    return [item.replace("_", "").lower() for item in found if item]


def _by_reason(error: Exception) -> Rule | None:
    for reason in reasons_of(error):
        for rule in REASONS:
            if re.fullmatch(rule.pattern, reason):
                return rule
    return None


def rule_of(error: Exception) -> Rule:
    if isinstance(error, OperationFailed):
        return _by_reason(error) or STATUS.get(error.status, Rule("", ProviderFailure))
    if isinstance(error, sdk.GoogleAPICallError):
        return _by_reason(error) or STATUS.get(int(error.code or 0), Rule("", ProviderFailure))
    for kinds, rule in KINDS:
        if isinstance(error, kinds):
            return rule
    return Rule("", ProviderFailure)


def is_passing(error: BaseException) -> bool:
    """Whether the same call may work a moment later, also if it has worked and its answer was lost."""
    return isinstance(error, Exception) and issubclass(rule_of(error).failure, PASSING)


def is_missing(error: BaseException) -> bool:
    return isinstance(error, Exception) and rule_of(error).failure is ResourceNotFound


def _words(error: Exception) -> str:
    text = getattr(error, "message", None) or str(error)
    # The SDK puts method and address in front of what was said.
    text = re.sub(r"^(GET|POST|PUT|PATCH|DELETE) \S+: ", "", str(text))
    if text.lstrip().startswith("<"):
        text = "the answer is a page of HTML"
    words = " ".join(text.split()).rstrip(".") or type(error).__name__
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}…"


def translate(
    error: Exception, doing: str, field: str | None = None, permissions: tuple[str, ...] = ()
) -> ProviderFailure:
    """The failure of ours that an exception of the SDK means.

    :param doing: what did not work, as the start of a sentence: "Disk home could not be created".
    :param permissions: what the call needs; named where Google Cloud does not say which is missing.
    """
    rule, words = rule_of(error), _words(error)
    remedy = rule.remedy
    if rule.failure is PermissionMissing and remedy == PERMISSION:
        named = _PERMISSION.search(words)
        missing = (named.group(1) or named.group(2)) if named else " or ".join(permissions)
        remedy = f"The credentials lack {missing}. {PERMISSION}" if missing else PERMISSION
    return rule.failure(f"{doing}: {words}.", field=field, remedy=remedy)
