"""Every error of the SDK becomes one of ours, with words that help."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import requests
from google.api_core import exceptions as sdk
from google.auth import exceptions as auth
from stead_gcp_peer.server import Fault

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
from stead_gcp.failures import SDK_ERRORS, OperationFailed, is_missing, is_passing, translate
from stead_gcp.instance import Instance
from stead_gcp.instance_blocks import BootDisk, InitializeParams, NetworkInterface
from stead_gcp.platform import GcpPlatform

SAMPLES: dict[str, tuple[Any, ...]] = {"RetryError": ("it went wrong", RuntimeError("why"))}


def _classes() -> list[type[Exception]]:
    found: list[type[Exception]] = []
    for module in (sdk, auth, requests.exceptions):
        for _, item in inspect.getmembers(module, inspect.isclass):
            if issubclass(item, Exception) and not issubclass(item, Warning) and item.__module__ == module.__name__:
                found.append(item)
    return found


@pytest.mark.parametrize("kind", _classes(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_exception_of_the_sdk_has_a_failure(kind: type[Exception]) -> None:
    try:
        error = kind(*SAMPLES.get(kind.__name__, ("it went wrong",)))
    except TypeError:  # requests.exceptions.JSONDecodeError and the like
        error = kind("it went wrong", "text", 0)
    assert isinstance(error, SDK_ERRORS)
    failure = translate(error, "The thing could not be done", "name")
    assert isinstance(failure, ProviderFailure)
    assert failure.message.startswith("The thing could not be done: ")
    assert failure.field == "name"


def test_the_walk_finds_the_exceptions() -> None:
    names = {kind.__name__ for kind in _classes()}
    assert {"Forbidden", "TooManyRequests", "RetryError", "RefreshError", "DefaultCredentialsError", "Timeout"} <= names


def answered(status: int, reason: str, words: str) -> sdk.GoogleAPICallError:
    response = requests.Response()
    response.status_code = status
    item = {"message": words, "domain": "global", "reason": reason}
    payload = {"error": {"code": status, "message": words, "errors": [item]}}
    return sdk.format_http_response_error(response, "POST", "https://x.test/y", payload)


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (400, "invalid", ProviderFailure),
        (400, "resourceNotReady", PlatformUnreachable),
        (400, "resourceInUseByAnotherResource", ResourceConflict),
        (401, "authError", CredentialsRejected),
        (403, "forbidden", PermissionMissing),
        (403, "accessNotConfigured", PermissionMissing),
        (403, "quotaExceeded", QuotaExceeded),
        (403, "rateLimitExceeded", Throttled),
        (404, "notFound", ResourceNotFound),
        (409, "alreadyExists", ResourceConflict),
        (412, "conditionNotMet", ResourceConflict),
        (429, "rateLimitExceeded", Throttled),
        (500, "internalError", PlatformUnreachable),
        (503, "backendError", PlatformUnreachable),
        (504, "", OperationTimedOut),
    ],
)
def test_a_refusals_reason_decides(status: int, reason: str, expected: type[ProviderFailure]) -> None:
    failure = translate(answered(status, reason, "so it is"), "It failed")
    assert type(failure) is expected
    assert failure.message == "It failed: so it is."
    assert is_passing(answered(status, reason, "x")) == issubclass(
        expected, Throttled | PlatformUnreachable | OperationTimedOut
    )
    assert is_missing(answered(status, reason, "x")) == (expected is ResourceNotFound)


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("QUOTA_EXCEEDED", 403, QuotaExceeded),
        ("ZONE_RESOURCE_POOL_EXHAUSTED", 503, CapacityExhausted),
        ("ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", 503, CapacityExhausted),
        ("RESOURCE_NOT_FOUND", 404, ResourceNotFound),
        ("RESOURCE_ALREADY_EXISTS", 409, ResourceConflict),
        ("RESOURCE_IN_USE_BY_ANOTHER_RESOURCE", 400, ResourceConflict),
        ("PERMISSIONS_ERROR", 403, PermissionMissing),
        ("RATE_LIMIT_EXCEEDED", 403, Throttled),
        ("INTERNAL_ERROR", 500, PlatformUnreachable),
        ("SOMETHING_NEW", 400, ProviderFailure),
    ],
)
def test_a_failed_operations_code_decides(code: str, status: int, expected: type[ProviderFailure]) -> None:
    details = [{"localizedMessage": {"message": "Try us-central1-b."}}]
    error = {"errors": [{"code": code, "message": "No.", "errorDetails": details}]}
    failed = OperationFailed.of({"error": error, "httpErrorStatusCode": status})
    failure = translate(failed, "It failed")
    assert type(failure) is expected
    assert "Try us-central1-b" in failure.message


def test_the_missing_permission_is_named() -> None:
    words = "Required 'compute.instances.create' permission for 'projects/p/zones/z/instances/dev'"
    failure = translate(answered(403, "forbidden", words), "It failed", permissions=("compute.x.y",))
    assert "lack compute.instances.create." in str(failure)
    failure = translate(answered(403, "forbidden", "no"), "It failed", permissions=("compute.x.y",))
    assert "lack compute.x.y." in str(failure)


def test_credentials_that_cannot_be_used_say_what_to_do(rig, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:

    report = GcpPlatform(rig.configured(access_token="stale")).check_credentials()
    assert not report.ok
    assert "[plugins.gcp]" in report.remedies[0]
    broken = tmp_path / "key.json"
    broken.write_text('{"type": "service_account", "private_key": "s3cret"}')
    report = GcpPlatform(rig.configured(access_token=None, credentials=broken)).check_credentials()
    assert not report.ok
    assert "s3cret" not in repr(report)


def test_a_quota_points_at_the_machine_type_and_a_pool_at_the_zone(rig) -> None:

    for code, field in (("QUOTA_EXCEEDED", "machine_type"), ("ZONE_RESOURCE_POOL_EXHAUSTED", "zone")):
        rig.peer.faults[:] = [Fault(".*insert", "fails", reason=code, status=403)]
        machine = Instance(
            name="dev",
            machine_type="e2-medium",
            boot_disk=[BootDisk(initialize_params=[InitializeParams(image="debian-12")])],
            network_interface=[NetworkInterface(network="default")],
        )
        with pytest.raises(ProviderFailure) as caught:
            rig.create(machine)
        assert caught.value.field == field
