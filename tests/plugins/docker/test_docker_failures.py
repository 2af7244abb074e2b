"""Every error of the SDK becomes one of ours, with words that help."""

from __future__ import annotations

import errno
import inspect
from typing import Any

import pytest
import requests
from docker import errors as sdk

from stead.api.errors import (
    CapacityExhausted,
    CredentialsRejected,
    OperationTimedOut,
    PermissionMissing,
    PlatformUnreachable,
    ProviderFailure,
    ResourceConflict,
    ResourceNotFound,
    Throttled,
)
from stead_docker.failures import SDK_ERRORS, translate, translated

SAMPLES: dict[str, tuple[Any, ...]] = {
    "ContainerError": ("c", 1, "cmd", "image", b"no"),
    "BuildError": ("no", []),
    "TLSParameterError": ("no certificate",),
}


def _sdk_exceptions() -> list[type[Exception]]:
    classes = [item for _, item in inspect.getmembers(sdk, inspect.isclass) if item.__module__ == sdk.__name__]
    return [item for item in classes if issubclass(item, Exception)]


def api_error(status: int, explanation: str) -> sdk.APIError:
    response = requests.Response()
    response.status_code = status
    kind = sdk.NotFound if status == 404 else sdk.APIError
    return kind("refused", response=response, explanation=explanation)


@pytest.mark.parametrize("kind", _sdk_exceptions(), ids=lambda kind: kind.__name__)
def test_every_exception_of_the_sdk_has_a_failure(kind: type[Exception]) -> None:
    error = kind(*SAMPLES.get(kind.__name__, ("it went wrong",)))
    with (
        pytest.raises(ProviderFailure, match="The thing could not be done: ") as caught,
        translated("The thing could not be done"),
    ):
        raise error
    assert caught.value.__cause__ is error
    assert isinstance(error, SDK_ERRORS)


def test_the_walk_finds_the_exceptions() -> None:
    assert {"APIError", "NotFound", "BuildError", "TLSParameterError"} <= {k.__name__ for k in _sdk_exceptions()}


@pytest.mark.parametrize(
    ("status", "words", "expected"),
    [
        (500, "Get https://registry.test/v2/: dial tcp: lookup registry.test: no such host", PlatformUnreachable),
        (404, "pull access denied for x, repository does not exist or may require 'docker login'", ResourceNotFound),
        (500, "manifest for x:1 not found: manifest unknown: manifest unknown", ResourceNotFound),
        (500, "Head https://r/v2/x: unauthorized: authentication required", CredentialsRejected),
        (429, "toomanyrequests: You have reached your pull rate limit", Throttled),
        (409, 'Conflict. The container name "/x" is already in use by container "y"', ResourceConflict),
        (500, "Bind for 0.0.0.0:80 failed: port is already allocated", ResourceConflict),
        (500, "driver failed: all ports are allocated", CapacityExhausted),
        (500, "could not find an available, non-overlapping IPv4 address pool", CapacityExhausted),
        (500, "write /x: no space left on device", CapacityExhausted),
        (403, "authorization denied by plugin", PermissionMissing),
        (503, "busy", PlatformUnreachable),
        (504, "late", OperationTimedOut),
        (400, "invalid reference format", ProviderFailure),
        (500, "something new", ProviderFailure),
    ],
)
def test_an_engines_words_decide(status: int, words: str, expected: type[ProviderFailure]) -> None:
    failure = translate(api_error(status, words), "It failed", "image")
    assert type(failure) is expected
    assert failure.field == "image"
    assert words in failure.message


@pytest.mark.parametrize(
    ("number", "expected", "words"),
    [
        (errno.EACCES, PermissionMissing, "usermod -aG docker"),
        (errno.ENOENT, PlatformUnreachable, "Start Docker"),
        (errno.ECONNREFUSED, PlatformUnreachable, "Start Docker"),
    ],
)
def test_a_socket_that_cannot_be_used(number: int, expected: type[ProviderFailure], words: str) -> None:
    wrapped = sdk.DockerException("Error while fetching server API version")
    wrapped.__cause__ = requests.ConnectionError("Connection aborted.", OSError(number, "no"))
    failure = translate(wrapped, "Docker does not answer")
    assert type(failure) is expected
    assert words in str(failure)
