"""What goes wrong with Azure, in the words of :mod:`stead.api.errors`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from azure.core import exceptions as sdk
from azure.core.polling.base_polling import BadResponse, BadStatus, OperationFailed

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

SDK_ERRORS = (
    sdk.AzureError,
    sdk.SerializationError,
    sdk.DeserializationError,
    BadStatus,
    BadResponse,
    OperationFailed,
)

CREDENTIALS = (
    "Set tenant_id, client_id and client_secret in [plugins.azure] or the ARM_… variables, or give the machine that "
    "runs Stead a managed identity (use_msi = true)."
)
PERMISSION = "Allow it: python -m stead_azure.policy prints the role that Stead needs."
QUOTA = "Ask for a higher quota in the portal under Quotas, or remove what is not needed."
CAPACITY = "Choose another size, zone or region, or try again later."
NETWORK = "Check the network, a proxy (https_proxy) and endpoint and ca_bundle in [plugins.azure]."
AGAIN = "Try again."


@dataclass(frozen=True)
class Rule:
    """Which failure an error code means. The first rule that matches counts."""

    pattern: str
    failure: type[ProviderFailure]
    remedy: str | None = None


# What says what is the matter may stand in the message alone: quotas come as OperationNotAllowed.
MESSAGES = (
    Rule(r"exceeding approved .*quota|quota limit|exceeds? .*\bquota\b", QuotaExceeded, QUOTA),
    Rule(
        r"currently not available in (location|zone)|not enough capacity|insufficient capacity",
        CapacityExhausted,
        CAPACITY,
    ),
)
CODES = (
    Rule(
        r"InvalidAuthenticationToken\w*|ExpiredAuthenticationToken|AuthenticationFailed\w*|invalid_client"
        r"|unauthorized_client|InvalidTenantId|SubscriptionNotFound|InvalidSubscriptionId|DisabledSubscription"
        r"|ReadOnlyDisabledSubscription|AADSTS\d+",
        CredentialsRejected,
        CREDENTIALS,
    ),
    Rule(
        r"AuthorizationFailed|LinkedAuthorizationFailed|LinkedAccessCheckFailed|Authorization_RequestDenied"
        r"|RoleAssignmentNotFound|AuthorizationPermissionMismatch",
        PermissionMissing,
        PERMISSION,
    ),
    Rule(r"RequestDisallowedByPolicy|RequestDisallowedByAzure|ScopeLocked", PermissionMissing),
    Rule(
        r"TooManyRequests|OperationNotAllowedOnThrottling|SubscriptionRequestsThrottled|TenantRequestsThrottled"
        r"|ResourceRequestsThrottled|Throttl\w*|RateLimit\w*|SubscriptionTooManyRequests",
        Throttled,
        "Try again later.",
    ),
    Rule(
        r"\w*AllocationFailed|SkuNotAvailable|OverconstrainedAllocationRequest|OverconstrainedZonalAllocationRequest"
        r"|AllocationFailure|ZonalAllocationFailed|NotAvailableForSubscription|InsufficientCapacity"
        r"|SubnetIsFull|LowPriorityAllocation\w*|SpotAllocation\w*",
        CapacityExhausted,
        CAPACITY,
    ),
    Rule(
        r"QuotaExceeded\w*|ResourceQuotaExceeded|\w*QuotaExceeded|\w*CountLimitReached|\w*LimitReached"
        r"|MaxResourceCountReached|ResourceGroupQuotaExceeded|TagCountExceeded\w*",
        QuotaExceeded,
        QUOTA,
    ),
    Rule(
        r"(Parent)?ResourceNotFound|NotFound|ResourceGroupNotFound|InvalidResourceReference|ImageNotFound"
        r"|PlatformImageNotFound|DiskNotFound|ResourceGroupBeingDeleted|ParentResourceNotFound",
        ResourceNotFound,
    ),
    Rule(
        r"\w*Conflict\w*|\w*InUse\w*|AnotherOperationInProgress|OperationPreempted|OperationNotAllowed|\w*CannotBe\w+"
        r"|NicReservedForAnotherVm|AttachDiskWhileBeingDetached|DiskBeingDetached|ResourceExists|InUse\w*|\w*BeingUsed\w*"
        r"|RetryableError\w*|ReferencedResourceNotProvisioned|NetcfgSubnetRangesOverlap|PropertyChangeNotAllowed",
        ResourceConflict,
    ),
    Rule(r"RequestTimeout|GatewayTimeout|\w*Timeout|\w*TimedOut", OperationTimedOut, AGAIN),
    Rule(
        r"InternalServerError|InternalError|InternalExecutionError|InternalOperationError|ServerBusy|ServiceUnavailable"
        r"|BadGateway|\w*Unavailable",
        PlatformUnreachable,
        AGAIN,
    ),
)
STATUS: dict[int, Rule] = {
    401: Rule("", CredentialsRejected, CREDENTIALS),
    403: Rule("", PermissionMissing, PERMISSION),
    404: Rule("", ResourceNotFound),
    408: Rule("", OperationTimedOut, AGAIN),
    409: Rule("", ResourceConflict),
    412: Rule("", ResourceConflict),
    429: Rule("", Throttled, "Try again later."),
    500: Rule("", PlatformUnreachable, AGAIN),
    502: Rule("", PlatformUnreachable, AGAIN),
    503: Rule("", PlatformUnreachable, AGAIN),
    504: Rule("", OperationTimedOut, AGAIN),
}
KINDS: tuple[tuple[type[Exception], Rule], ...] = (
    (sdk.ServiceRequestTimeoutError, Rule("", OperationTimedOut, NETWORK)),
    (sdk.ServiceResponseTimeoutError, Rule("", OperationTimedOut, NETWORK)),
    (sdk.ServiceRequestError, Rule("", PlatformUnreachable, NETWORK)),
    (sdk.ServiceResponseError, Rule("", PlatformUnreachable, NETWORK)),
    (sdk.IncompleteReadError, Rule("", PlatformUnreachable, AGAIN)),
    (sdk.DecodeError, Rule("", PlatformUnreachable, "What answers there is not Azure: check a proxy in between.")),
    (sdk.ClientAuthenticationError, Rule("", CredentialsRejected, CREDENTIALS)),
    (sdk.ResourceNotFoundError, Rule("", ResourceNotFound)),
    (sdk.ResourceExistsError, Rule("", ResourceConflict)),
    (sdk.ResourceModifiedError, Rule("", ResourceConflict)),
    (sdk.ResourceNotModifiedError, Rule("", ResourceConflict)),
)
_ACTION = re.compile(r"perform action '([\w.]+/[\w./]+)'")
_AADSTS = re.compile(r"\bAADSTS\d+")
# Azure says more than a person needs: who asked in which trace, and links to follow.
_NOISE = re.compile(r"\s*(Trace ID|Correlation ID|Timestamp|RequestId|Time):? ?\S+( \S+Z)?", re.IGNORECASE)


def error_object(error: BaseException) -> Any:
    """The error of Azure's answer, ``None`` where there is none."""
    return getattr(error, "error", None)


def status_of(error: BaseException) -> int:
    return int(getattr(error, "status_code", 0) or 0)


def codes_of(error: BaseException) -> Iterator[str]:
    """Azure's error codes, those of inner errors first: they are more exact."""

    def walk(item: Any) -> Iterator[str]:
        for inner in getattr(item, "details", None) or ():
            yield from walk(inner)
        if getattr(item, "code", None):
            yield str(item.code)

    if isinstance(error, sdk.ClientAuthenticationError):
        yield from _AADSTS.findall(str(error.message))
    yield from walk(error_object(error))


def code_of(error: BaseException | None) -> str:
    return next(codes_of(error), "") if error is not None else ""


def _rule(error: BaseException) -> Rule:
    text = str(getattr(error, "message", "") or error)
    codes = list(codes_of(error))
    if status_of(error) != 429:
        for rule in MESSAGES:
            if codes and re.search(rule.pattern, text, re.IGNORECASE):
                return rule
    for code in codes:
        for rule in CODES:
            if re.fullmatch(rule.pattern, code):
                return rule
    for kind, rule in KINDS:
        if isinstance(error, kind):
            return rule
    return STATUS.get(status_of(error)) or Rule("", ProviderFailure)


def is_passing(error: BaseException) -> bool:
    """Whether the same call may work a moment later, also if it has worked and its answer was lost."""
    if isinstance(error, sdk.HttpResponseError) and status_of(error) in (408, 429, 500, 502, 503, 504):
        return True
    if "RetryableError" in code_of(error) or code_of(error) in ("AnotherOperationInProgress", "OperationPreempted"):
        return True
    return issubclass(_rule(error).failure, Throttled | PlatformUnreachable | OperationTimedOut) and not isinstance(
        error, sdk.DecodeError
    )


def is_refused(error: BaseException | None) -> bool:
    """Whether Azure has said no for good: then the call has made nothing."""
    return error is not None and 400 <= status_of(error) < 500 and status_of(error) != 404 and not is_passing(error)


def is_missing(error: BaseException | None) -> bool:
    """Whether there is no such thing. A missing subscription is no missing thing."""
    return status_of(error) == 404 and _rule(error).failure is ResourceNotFound if error is not None else False


def pause_wanted(error: BaseException) -> float:
    """Seconds for which Azure asks to be left alone (``Retry-After``); 0 where it does not."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        return max(0.0, float(headers.get("Retry-After", 0)))
    except ValueError:
        return 0.0


def _words(error: BaseException) -> str:
    found = error_object(error)
    message = str(getattr(found, "message", "") or "")
    for inner in getattr(found, "details", None) or ():
        message = str(getattr(inner, "message", "") or message)
    if message:
        words = f"{message.strip().rstrip('.')} ({code_of(error)})"
    else:
        words = str(getattr(error, "message", "") or error).splitlines()[0] if str(error) else ""
    words = _NOISE.sub("", " ".join(words.split()))
    return words.rstrip(".") or type(error).__name__


def translate(error: BaseException, doing: str, field: str | None = None, action: str = "") -> ProviderFailure:
    """The failure of ours that an exception of the SDK means.

    :param doing: what did not work, as the start of a sentence: "Disk home could not be deleted".
    :param action: what was called, as roles name it (``Microsoft.Compute/disks/write``).
    """
    rule, words = _rule(error), _words(error)
    remedy = rule.remedy
    if rule.failure is PermissionMissing and rule.remedy:
        named = _ACTION.search(words)
        remedy = f"The account lacks {named.group(1) if named else action}. {PERMISSION}"
    return rule.failure(f"{doing}: {words}.", field=field, remedy=remedy)
