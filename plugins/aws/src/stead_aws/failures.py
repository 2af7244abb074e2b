"""What goes wrong with AWS, in the words of :mod:`stead.api.errors`."""

from __future__ import annotations

import re
from dataclasses import dataclass

import boto3.exceptions
from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError

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
    sdk.BotoCoreError,
    sdk.ClientError,
    sdk.HTTPClientError,
    sdk.MissingServiceIdError,
    sdk.UndefinedModelAttributeError,
    ResponseParserError,
    boto3.exceptions.Boto3Error,
)

LONGEST = 1000  # characters of what AWS says
CREDENTIALS = (
    "Set access_key and secret_key, profile or role_arn in [plugins.aws], or give the machine that runs Stead a role."
)
PERMISSION = "Allow it: python -m stead_aws.policy prints the policy that Stead needs."
QUOTA = "Ask for a higher limit in the console under Service Quotas, or remove what is not needed."
CAPACITY = "Choose another instance type or availability zone, or try again later."
NETWORK = (
    "Check the network, a proxy (https_proxy) and the endpoints in the provider block or in plugins.aws.endpoints."
)
BETWEEN = "Something between Stead and AWS has answered in its place. "
REGION = 'Set region in the provider block (region = "eu-central-1") or in plugins.aws.region.'
CLOCK = "Set the clock of the machine that runs Stead: AWS refuses signatures that are off by some minutes."


@dataclass(frozen=True)
class Rule:
    """Which failure an error code means. The first rule that matches counts."""

    pattern: str
    failure: type[ProviderFailure]
    remedy: str | None = None


CODES = (
    Rule(r"RequestExpired|RequestTimeTooSkewed|SignatureDoesNotMatch", CredentialsRejected, CLOCK + " " + CREDENTIALS),
    Rule(
        r"AuthFailure|InvalidClientTokenId|UnrecognizedClient\w*|InvalidAccessKeyId|ExpiredToken\w*|InvalidToken"
        r"|MissingAuthenticationToken\w*|IncompleteSignature|OptInRequired|Blocked|PendingVerification",
        CredentialsRejected,
        CREDENTIALS,
    ),
    Rule(r"UnauthorizedOperation|AccessDenied\w*|Client\.UnauthorizedOperation", PermissionMissing, PERMISSION),
    Rule(
        r"RequestLimitExceeded|Throttling\w*|Throttled\w*|TooManyRequests\w*|SlowDown|PriorRequestNotComplete"
        r"|EC2ThrottledException|BandwidthLimitExceeded|RequestThrottled\w*",
        Throttled,
        "Try again later.",
    ),
    Rule(
        r"InsufficientInstanceCapacity|InsufficientHostCapacity|InsufficientReservedInstanceCapacity"
        r"|InsufficientVolumeCapacity|InsufficientCapacity\w*|InsufficientAddressCapacity|InsufficientFreeAddresses\w*"
        r"|Unsupported|SpotMaxPriceTooLow|capacity-not-available|price-too-low|capacity-oversubscribed",
        CapacityExhausted,
        CAPACITY,
    ),
    Rule(r"\w*LimitExceeded(Exception)?|MaxSpotInstanceCountExceeded|\w*QuotaExceeded\w*", QuotaExceeded, QUOTA),
    Rule(r"Invalid\w+\.Malformed|InvalidAMIID\.\w+", ResourceNotFound, "Check the id, and that it is of this region."),
    Rule(r"Invalid\w+\.NotFound|NoSuchEntity\w*|Invalid\w+NotFound|\w+NotFound(Exception)?", ResourceNotFound),
    Rule(
        r"\w+\.Duplicate|EntityAlreadyExists\w*|DependencyViolation|DeleteConflict\w*|\w+InUse|IncorrectState"
        r"|IncorrectInstanceState|IncorrectSpotRequestState|ConcurrentModification\w*|IdempotentParameterMismatch"
        r"|EntityTemporarilyUnmodifiable|OperationNotPermitted|VolumeInUse|Invalid\w+\.InUse",
        ResourceConflict,
    ),
    Rule(r"RequestTimeout\w*", OperationTimedOut, "Try again."),
    Rule(r"Internal\w*|ServiceUnavailable\w*|Unavailable|ServiceFailure|5\d\d", PlatformUnreachable, "Try again."),
)
STATUS: dict[int, Rule] = {
    401: Rule("", CredentialsRejected, CREDENTIALS),
    403: Rule("", PermissionMissing, PERMISSION),
    404: Rule("", ResourceNotFound),
    429: Rule("", Throttled, "Try again later."),
    500: Rule("", PlatformUnreachable, "Try again."),
    502: Rule("", PlatformUnreachable, "Try again."),
    503: Rule("", PlatformUnreachable, "Try again."),
    504: Rule("", OperationTimedOut, "Try again."),
}
KINDS: tuple[tuple[tuple[type[Exception], ...], Rule], ...] = (
    ((sdk.NoRegionError, sdk.InvalidRegionError, sdk.UnknownRegionError), Rule("", ProviderFailure, REGION)),
    (
        (
            sdk.NoCredentialsError,
            sdk.PartialCredentialsError,
            sdk.CredentialRetrievalError,
            sdk.ProfileNotFound,
            sdk.InfiniteLoopConfigError,
            sdk.InvalidConfigError,
            sdk.ConfigNotFound,
            sdk.ConfigParseError,
            sdk.UnknownCredentialError,
            sdk.RefreshWithMFAUnsupportedError,
            sdk.MetadataRetrievalError,
            sdk.SSOError,
            sdk.TokenRetrievalError,
            sdk.NoAuthTokenError,
            *((sdk.LoginError,) if hasattr(sdk, "LoginError") else ()),  # of SDKs since 2025
        ),
        Rule("", CredentialsRejected, CREDENTIALS),
    ),
    ((sdk.ConnectTimeoutError, sdk.ReadTimeoutError), Rule("", OperationTimedOut, NETWORK)),
    (
        (sdk.SSLError,),
        Rule("", PlatformUnreachable, "Set ca_bundle in [plugins.aws] where a proxy has certificates of its own."),
    ),
    ((sdk.HTTPClientError, sdk.ConnectionError, sdk.IncompleteReadError), Rule("", PlatformUnreachable, NETWORK)),
    ((sdk.EndpointConnectionError, sdk.EndpointProviderError), Rule("", PlatformUnreachable, NETWORK)),
    (
        (ResponseParserError,),
        Rule("", PlatformUnreachable, BETWEEN + NETWORK),
    ),
    ((sdk.WaiterError,), Rule("", OperationTimedOut, "Try again.")),
)
# Somebody else changes the same thing at this moment: AWS asks to come again.
CHANGING = r"ConcurrentModification\w*|ConcurrentTagAccess|EntityTemporarilyUnmodifiable\w*"
_ACTION = re.compile(r"not authorized to perform:? ([a-z0-9-]+:\w+)")


def code_of(error: BaseException) -> str:
    """AWS's error code, or nothing where AWS has not answered."""
    if not isinstance(error, sdk.ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: sdk.ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def by_code(code: str) -> Rule | None:
    return next((rule for rule in CODES if re.fullmatch(rule.pattern, code)), None)


def is_passing(error: Exception) -> bool:
    """Whether the same call may work a moment later, also if it has worked and its answer was lost."""
    if re.fullmatch(CHANGING, code_of(error)):
        return True
    return issubclass(_rule(error).failure, Throttled | PlatformUnreachable | OperationTimedOut)


def is_missing(error: Exception) -> bool:
    code = code_of(error)
    return bool(re.fullmatch(r"Invalid\w+\.NotFound|NoSuchEntity\w*|Invalid\w+NotFound", code))


def _rule(error: Exception) -> Rule:
    if isinstance(error, sdk.ClientError):
        return by_code(code_of(error)) or STATUS.get(status_of(error)) or Rule("", ProviderFailure)
    for kinds, rule in KINDS:
        if isinstance(error, kinds):
            return rule
    return Rule("", ProviderFailure)


def _words(error: Exception) -> str:
    if isinstance(error, sdk.ClientError):
        said = str(error.response.get("Error", {}).get("Message") or "")
        words = f"{said.rstrip('.')} ({code_of(error)})" if said else code_of(error)
    else:
        words = str(error)
    # Denials carry an encoded message of some thousand characters that only an administrator can decode.
    words = re.sub(r"\s*Encoded authorization failure message: \S+", "", words)
    # The whole answer follows where it could not be read: it may be long, and nobody knows what it holds.
    words = words.partition("Further retries may succeed")[0]
    words = " ".join(words.split()).rstrip(".,") or type(error).__name__
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}…"


def translate(error: Exception, doing: str, field: str | None = None, action: str = "") -> ProviderFailure:
    """The failure of ours that an exception of the SDK means.

    :param doing: what did not work, as the start of a sentence: "Volume vol-1 could not be deleted".
    :param action: what was called, as policies name it (``ec2:RunInstances``).
    """
    rule, words = _rule(error), _words(error)
    remedy = rule.remedy
    if rule.failure is PermissionMissing:
        named = _ACTION.search(words)
        remedy = f"The credentials lack {named.group(1) if named else action}. {PERMISSION}"
    return rule.failure(f"{doing}: {words}.", field=field, remedy=remedy)
