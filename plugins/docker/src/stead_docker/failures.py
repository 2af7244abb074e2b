"""What goes wrong with an engine, in the words of :mod:`stead.api.errors`."""

from __future__ import annotations

import contextlib
import errno
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import requests
from docker import errors as sdk
from urllib3 import exceptions as http

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

# Streams of progress messages are read past ``requests``, so that errors of what it stands on come through.
SDK_ERRORS = (sdk.DockerException, sdk.StreamParseError, requests.RequestException, http.HTTPError)

NO_ENGINE = "Start Docker on that machine, or name another engine in the provider's host or in plugins.docker.host."
NO_ACCESS = "Add the account that runs Stead to the group docker (usermod -aG docker NAME), and start Stead again."
REGISTRY_DOWN = (
    "Check the engine's network and proxy, or bring the image to the engine (docker load, docker build) "
    "and name it by its tag."
)
REGISTRY_LOGIN = "Give registry_auth in the provider block, or log in to the registry with docker login."


@dataclass(frozen=True)
class Rule:
    """Which failure an engine's words mean. The first rule that matches counts."""

    pattern: str
    failure: type[ProviderFailure]
    remedy: str | None = None


# The engine tells most of these as "500 Internal Server Error": only its words say what happened.
WORDS = (
    Rule(
        r"toomanyrequests|rate limit",
        Throttled,
        "Wait, or give registry_auth: logged in, the limit is higher.",
    ),
    Rule(
        r"manifest unknown|manifest for .* not found|repository does not exist|pull access denied"
        r"|does not exist or no pull access|no such image|no matching manifest",
        ResourceNotFound,
        "Check name and tag. If the image is private: " + REGISTRY_LOGIN,
    ),
    Rule(
        r"unauthorized|authentication required|no basic auth|access .* denied",
        CredentialsRejected,
        REGISTRY_LOGIN,
    ),
    Rule(
        r"all ports are allocated|no available (ip|port)",
        CapacityExhausted,
        "Free ports of the engine's machine.",
    ),
    Rule(
        r"port is already allocated|address already in use|failed to bind",
        ResourceConflict,
        "Choose another external port, or leave external out to get a free one.",
    ),
    Rule(
        r"non-overlapping|fully subnetted|pool overlaps",
        CapacityExhausted,
        "Remove unused networks (docker network prune), or widen default-address-pools of the engine.",
    ),
    Rule(r"no space left", CapacityExhausted, "Free space on the engine's machine (docker system prune)."),
    Rule(r"quota", QuotaExceeded),
    Rule(
        r"could not select device driver",
        CapacityExhausted,
        "The engine has no driver for GPUs: install its container toolkit, or leave gpus out.",
    ),
    Rule(
        r"already in use|already exists|is being used|volume is in use|has active endpoints|conflict",
        ResourceConflict,
        "Choose another name, or remove what has it.",
    ),
    Rule(
        r"dial tcp|lookup |no such host|i/o timeout|tls handshake|connection refused|client.timeout"
        r"|network is unreachable|server misbehaving|unexpected eof|proxyconnect",
        PlatformUnreachable,
        REGISTRY_DOWN,
    ),
    Rule(
        r"executable file not found|exec format error|no such file or directory: unknown",
        ProviderFailure,
        "Check entrypoint, command and working_dir, and that the image is made for this machine.",
    ),
)
STATUS: dict[int, Rule] = {
    401: Rule("", CredentialsRejected, REGISTRY_LOGIN),
    403: Rule("", PermissionMissing, "An authorization plugin of the engine forbids it: ask who runs the engine."),
    404: Rule("", ResourceNotFound),
    408: Rule("", OperationTimedOut),
    409: Rule("", ResourceConflict),
    429: Rule("", Throttled),
    503: Rule("", PlatformUnreachable),
    504: Rule("", OperationTimedOut),
}
KINDS: tuple[tuple[type[Exception], Rule], ...] = (
    (
        sdk.TLSParameterError,
        Rule("", CredentialsRejected, "Check cert_path, ca_material, cert_material, key_material."),
    ),
    (
        sdk.InvalidConfigFile,
        Rule("", CredentialsRejected, "Check the registry configuration (registry_auth)."),
    ),
    (sdk.InvalidVersion, Rule("", ProviderFailure, "Install a newer Docker Engine.")),
    (
        sdk.ContextNotFound,
        Rule("", ResourceNotFound, "See docker context ls on the machine that runs Stead."),
    ),
    (sdk.ContextAlreadyExists, Rule("", ResourceConflict)),
    (
        requests.Timeout,
        Rule("", OperationTimedOut, "Try again; if it stays slow, raise plugins.docker.timeout."),
    ),
    (http.TimeoutError, Rule("", OperationTimedOut, "Try again; if it stays slow, raise plugins.docker.silence.")),
    (requests.ConnectionError, Rule("", PlatformUnreachable, NO_ENGINE)),
    (http.ProtocolError, Rule("", PlatformUnreachable, "The connection broke; try again.")),
    (
        requests.exceptions.ChunkedEncodingError,
        Rule("", PlatformUnreachable, "The connection broke; try again."),
    ),
    (sdk.StreamParseError, Rule("", PlatformUnreachable, "The connection broke; try again.")),
)
TLS = Rule(
    "", CredentialsRejected, "Check that both sides' certificates are of the same authority and in date (cert_path)."
)
ERRNO: dict[int, Rule] = {
    errno.EACCES: Rule("", PermissionMissing, NO_ACCESS),
    errno.EPERM: Rule("", PermissionMissing, NO_ACCESS),
    errno.ENOENT: Rule("", PlatformUnreachable, NO_ENGINE),
    errno.ECONNREFUSED: Rule("", PlatformUnreachable, NO_ENGINE),
}
TELLING = {
    errno.EACCES: "this account may not use the engine's socket",
    errno.EPERM: "this account may not use the engine's socket",
    errno.ENOENT: "there is no socket at that path",
    errno.ECONNREFUSED: "nothing listens there",
}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what caused it, and what libraries have wrapped into its arguments."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        found = waiting.pop(0)
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        waiting += [item for item in found.args if isinstance(item, BaseException)]
        waiting += [item for item in (found.__cause__, found.__context__) if item is not None]


def _words(error: Exception) -> str:
    explanation = getattr(error, "explanation", None)
    text = explanation if isinstance(explanation, str) and explanation else str(error)
    return " ".join(text.split()).rstrip(".") or type(error).__name__


def by_words(text: str) -> Rule | None:
    """The rule for what an engine said, also inside a stream of progress messages."""
    return next((rule for rule in WORDS if re.search(rule.pattern, text, re.IGNORECASE)), None)


def _rule(error: Exception) -> tuple[Rule, str]:
    """The rule for an error, and what to tell of it."""
    if isinstance(error, sdk.APIError):
        words = _words(error)
        plain = STATUS.get(error.status_code or 0, Rule("", ProviderFailure))
        if error.status_code == 404 and not isinstance(error, sdk.ImageNotFound):
            return plain, words
        return by_words(words) or plain, words
    chain = list(_chain(error))
    if any(isinstance(item, ssl.SSLError) for item in chain):  # an OSError too, with numbers of its own
        return TLS, _words(error)
    number = next((item.errno for item in chain if isinstance(item, OSError) and item.errno in ERRNO), None)
    if number is not None:
        return ERRNO[number], TELLING[number]
    for kind, rule in KINDS:
        if any(isinstance(item, kind) for item in chain):
            return rule, _words(error)
    return Rule("", ProviderFailure), _words(error)


def translate(error: Exception, doing: str, field: str | None = None) -> ProviderFailure:
    """The failure of ours that an exception of the SDK means.

    :param doing: what did not work, as the start of a sentence: "Container web could not be created".
    """
    rule, words = _rule(error)
    return rule.failure(f"{doing}: {words}.", field=field, remedy=rule.remedy)


def failure_of(text: str, doing: str, field: str | None = None) -> ProviderFailure:
    """The failure that a message in a pull's or a build's stream means."""
    rule = by_words(text) or Rule("", ProviderFailure)
    words = " ".join(text.split()).rstrip(".")
    return rule.failure(f"{doing}: {words}.", field=field, remedy=rule.remedy)


@contextlib.contextmanager
def translated(doing: str, field: str | None = None) -> Iterator[None]:
    """Turn every error of the SDK inside into one of ours."""
    try:
        yield
    except SDK_ERRORS as error:
        raise translate(error, doing, field) from error
