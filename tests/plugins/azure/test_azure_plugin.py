"""What the plugin registers, its role, its prices, and what importing it costs."""

from __future__ import annotations

import datetime
import http.server
import inspect
import json
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path
from types import SimpleNamespace

import azure.core.exceptions as core
import azure.identity as identity
import pytest

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
from stead_azure import plugin, policy, prices
from stead_azure.failures import SDK_ERRORS, translate
from stead_azure.provider import Azure

MEASURE = """
import json, sys, time
import stead.api, stead.api.provider
before = time.perf_counter()
import stead_azure.plugin as plugin
specs = plugin.stead_terraform_providers() + plugin.stead_platforms()
seconds = time.perf_counter() - before
print(json.dumps({"seconds": seconds, "sdk": sorted(name for name in sys.modules if name.startswith("azure"))}))
"""


def test_importing_the_plugin_imports_no_sdk_and_takes_no_time() -> None:
    ran = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, timeout=60, check=True)
    measured = json.loads(ran.stdout)
    assert measured["sdk"] == []
    assert measured["seconds"] < 0.3


def test_every_type_and_argument_is_described() -> None:
    for model in (*Azure.resources, *Azure.data_sources):
        schema = model.schema()
        assert schema.description, model.type_name
        for field in schema.attributes.values():
            assert field.description or field.computed, f"{model.type_name}.{field.name}"


@pytest.mark.parametrize("starter", plugin.STARTERS, ids=lambda starter: starter.name)
def test_starters_are_complete(starter) -> None:
    assert (starter.path / "README.md").read_text().startswith("# ")
    assert "azurerm_linux_virtual_machine" in (starter.path / "main.tf").read_text()


def _exceptions() -> list[type[Exception]]:
    found = [item for module in (core, identity) for _, item in inspect.getmembers(module, inspect.isclass)]
    return sorted({item for item in found if issubclass(item, Exception)}, key=lambda item: item.__name__)


def _made(kind: type[Exception]) -> Exception:
    if kind.__name__ == "TooManyRedirectsError":
        return kind([])
    if kind.__name__ == "AuthenticationRequiredError":
        return kind(["scope"], "it went wrong")
    if kind.__name__ in ("StreamClosedError", "ResponseNotReadError", "StreamConsumedError"):
        return kind(SimpleNamespace(request="GET"))
    if kind.__name__ == "ODataV4Error":
        return kind(Answer(400, "Odd", "it went wrong"))
    return kind("it went wrong")


@pytest.mark.parametrize("kind", _exceptions(), ids=lambda kind: kind.__name__)
def test_every_exception_of_the_sdk_has_a_failure(kind: type[Exception]) -> None:
    error = _made(kind)
    assert isinstance(error, SDK_ERRORS)
    failure = translate(error, "The thing could not be done")
    assert isinstance(failure, ProviderFailure)
    assert failure.message.startswith("The thing could not be done: ")


def test_the_walk_finds_the_exceptions() -> None:
    names = {kind.__name__ for kind in _exceptions()}
    assert {"AzureError", "HttpResponseError", "CredentialUnavailableError", "DeserializationError"} <= names


class Answer:
    """An answer as the SDK's errors read it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status_code, self.reason, self.headers = status, "no", {}
        self._text = json.dumps({"error": {"code": code, "message": message}})

    def text(self, encoding: str | None = None) -> str:
        return self._text


@pytest.mark.parametrize(
    ("status", "code", "message", "expected"),
    [
        (401, "ExpiredAuthenticationToken", "expired", CredentialsRejected),
        (403, "AuthorizationFailed", "perform action 'Microsoft.Compute/disks/write' over", PermissionMissing),
        (404, "ResourceNotFound", "no", ResourceNotFound),
        (404, "SubscriptionNotFound", "no", CredentialsRejected),
        (409, "OperationNotAllowed", "exceeding approved Total Regional Cores quota", QuotaExceeded),
        (409, "SkuNotAvailable", "The requested size is currently not available in location", CapacityExhausted),
        (409, "ZonalAllocationFailed", "no", CapacityExhausted),
        (409, "AnotherOperationInProgress", "no", ResourceConflict),
        (429, "TooManyRequests", "quota of calls", Throttled),
        (500, "InternalServerError", "no", PlatformUnreachable),
        (504, "GatewayTimeout", "no", OperationTimedOut),
        (400, "InvalidParameter", "something new", ProviderFailure),
    ],
)
def test_azures_words_decide(status: int, code: str, message: str, expected: type[ProviderFailure]) -> None:
    error = core.HttpResponseError(response=Answer(status, code, message))
    failure = translate(error, "It failed", "size", "Microsoft.Compute/disks/read")
    assert type(failure) is expected
    assert message in failure.message
    if expected is PermissionMissing:
        assert "Microsoft.Compute/disks/write" in str(failure)


def test_the_role_is_what_is_used_and_no_more(rig, world, capsys) -> None:
    policy.main(["--subscription", "s1"])
    printed = json.loads(capsys.readouterr().out)
    assert printed["AssignableScopes"] == ["/subscriptions/s1"]
    rig.peer.granted = set(printed["Actions"])
    for name in ("address", "attachment"):
        rig.peer.things.clear()
        resource = world(name)
        resource.create(rig.context("k1"))
        resource.read(rig.context("k1"))
        resource.delete(rig.context("k1"))
    assert rig.platform.check_credentials().ok
    for item in rig.platform.owned_resources(rig.name):
        rig.platform.destroy_owned(item)
    assert rig.peer.used <= set(printed["Actions"])
    rig.peer.granted -= {"Microsoft.Compute/disks/write"}
    rig.peer.things.clear()
    with pytest.raises(PermissionMissing, match=r"lacks Microsoft\.Compute/disks/write"):
        world("disk").create(rig.context("k1"))


def test_what_is_missing_is_named_by_the_check(rig) -> None:
    rig.peer.granted = set(policy.role()["Actions"]) - {"Microsoft.Network/virtualNetworks/read"}
    report = rig.platform.check_credentials()
    assert not report.ok
    assert [line for line in report.remedies if "Microsoft.Network/virtualNetworks/read" in line]


def test_what_is_owned_goes_in_its_order_and_twice(rig, world) -> None:
    world("attachment").create(rig.context("k1"))
    owned = rig.platform.owned_resources(rig.name)
    kinds = [item.type_name.removeprefix("azurerm_") for item in owned]
    assert kinds == [
        "linux_virtual_machine",
        "managed_disk",
        "network_interface",
        "subnet",
        "virtual_network",
        "resource_group",
    ]
    assert len({item.key for item in owned}) == len(owned)
    assert rig.platform.owned_resources("another") == ()
    for item in (*owned, *owned):
        rig.platform.destroy_owned(item)
    assert rig.peer.things == {}


def test_azure_cannot_be_tried_on_this_machine(rig) -> None:
    with pytest.raises(ProviderFailure, match="public address"):
        rig.platform.trial()


def test_prices_of_what_the_state_has() -> None:
    disk = {"storage_account_type": "Premium_LRS", "disk_size_gb": 100, "location": "West Europe"}
    found = prices.price("azurerm_managed_disk", disk)
    assert found is not None
    assert found.hourly == pytest.approx(prices.table()["regions"]["eastus"]["disks"]["P10"] / 730, rel=1e-3)
    machine = {"size": "standard_d2s_v5", "location": "eastus", "power_state": "running"}
    running = prices.price("azurerm_linux_virtual_machine", machine)
    stopped = prices.price("azurerm_linux_virtual_machine", {**machine, "power_state": "deallocated"})
    assert running is not None
    assert stopped is not None
    assert running.hourly > stopped.hourly > 0
    assert prices.price("azurerm_linux_virtual_machine", {**machine, "size": "Standard_New"}) is None
    assert prices.price("azurerm_subnet", {}) is None


class PriceList(http.server.BaseHTTPRequestHandler):
    """Azure's price list, in two pages."""

    def do_GET(self) -> None:
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        host = f"http://{self.headers['Host']}"
        if "Virtual Machines" in query.get("$filter", ""):
            found = {"Items": [item("D2s v5", 0.5)], "NextPageLink": f"{host}/?page=2"}
        elif "page" in query:
            windows = {**item("D2s v5", 9.0), "productName": "Virtual Machines Dsv5 Series Windows"}
            found = {"Items": [item("D2s v5 Spot", 0.1), windows], "NextPageLink": None}
        else:
            found = {"Items": [{**item("P10 LRS", 21.5), "meterName": "P10 LRS Disk"}], "NextPageLink": None}
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silence."""


def item(sku: str, price: float) -> dict[str, object]:
    return {"skuName": sku, "productName": "Virtual Machines Dsv5 Series", "retailPrice": price, "meterName": sku}


def test_prices_are_refreshed_from_the_vendors_list(tmp_path: Path, capsys, monkeypatch) -> None:
    small = {**prices.table(), "regions": {"eastus": {"machines": {"Standard_D2s_v5": {"regular": 1}}, "disks": {}}}}
    monkeypatch.setattr(prices, "table", lambda: small)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), PriceList)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        target = tmp_path / "prices.json"
        prices.main(["--refresh", "--address", f"http://127.0.0.1:{server.server_address[1]}/", "--table", str(target)])
    finally:
        server.shutdown()
        server.server_close()
    found = json.loads(target.read_text())["regions"]["eastus"]
    assert found["machines"]["Standard_D2s_v5"] == {"regular": 0.5, "spot": 0.1}
    assert found["disks"] == {"P10": 21.5}
    said = capsys.readouterr().out
    assert "2 prices of 1 regions" in said
    assert "Azure's price list" in said


def test_the_shipped_prices_are_dated_and_say_that_they_are_approximate(capsys) -> None:
    prices.main([])
    said = capsys.readouterr().out
    assert f"as of {datetime.date.fromisoformat(prices.table()['as_of'])}" in said
    assert "approximate" in said.lower()
    assert "approximate" in (Path(__file__).parents[3] / "plugins" / "azure" / "README.md").read_text()
