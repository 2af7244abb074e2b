"""What the plugin registers, what importing it costs, its failures, its prices and its platform."""

from __future__ import annotations

import inspect
import json
import re
import string
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import boto3.exceptions
import pytest
from botocore import exceptions as sdk

from stead.api import MemoryReplays
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
from stead_aws import plugin, prices
from stead_aws.failures import SDK_ERRORS, translate
from stead_aws.functions import disk_price, hourly_price
from stead_aws.identity import AwsIdentity
from stead_aws.platform import AwsPlatform
from stead_aws.policy_document import PolicyDocument, Principal, StatementBlock
from stead_aws.provider import Aws, DefaultTags, IgnoreTags
from stead_aws.settings import AwsSettings
from stead_aws.volume import Volume

MEASURE = """
import json, sys, time
import stead.api, stead.api.provider
before = time.process_time()
import stead_aws.plugin as plugin
specs = plugin.stead_terraform_providers() + plugin.stead_platforms()
seconds = time.process_time() - before
print(json.dumps({"seconds": seconds, "sdk": sorted({"boto3", "botocore", "asn1crypto"} & sys.modules.keys())}))
"""


def test_importing_the_plugin_imports_no_sdk_and_takes_no_time() -> None:
    ran = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, timeout=60, check=True)
    measured = json.loads(ran.stdout)
    assert measured["sdk"] == []
    assert measured["seconds"] < 0.3


def test_what_it_brings_stands_behind_factories() -> None:
    (provider,), (platform,) = plugin.stead_terraform_providers(), plugin.stead_platforms()
    assert provider.full_address == "registry.terraform.io/hashicorp/aws"
    assert isinstance(provider.factory(AwsSettings()), Aws)
    assert isinstance(platform.factory(AwsSettings()), AwsPlatform)
    assert platform.identity is not None
    assert isinstance(platform.identity(AwsSettings(), MemoryReplays()), AwsIdentity)


def test_every_type_and_argument_is_described() -> None:
    for model in (*Aws.resources, *Aws.data_sources):
        schema = model.schema()
        assert schema.description, model.type_name
        for item in schema.attributes.values():
            assert item.description or item.computed, f"{model.type_name}.{item.name}"


@pytest.mark.parametrize("starter", plugin.STARTERS, ids=lambda starter: starter.name)
def test_starters_are_complete(starter: Any) -> None:
    readme = (starter.path / "README.md").read_text()
    assert readme.startswith("# ")
    for line in (starter.path / "main.tf").read_text().splitlines():
        if line.startswith("  display_name = ") and "Welcome" not in line:
            assert line.partition('"')[2].strip('"') in readme, line


def _sdk_exceptions() -> list[type[Exception]]:
    found = []
    for module in (sdk, boto3.exceptions):
        for _, item in inspect.getmembers(module, inspect.isclass):
            if issubclass(item, Exception) and not issubclass(item, Warning) and item.__module__ == module.__name__:
                found.append(item)
    return found


def _made(kind: type[Exception]) -> Exception:
    if issubclass(kind, sdk.ClientError):
        return kind({"Error": {"Code": "Strange", "Message": "No."}}, "RunInstances")
    if issubclass(kind, sdk.WaiterError):
        return kind(name="w", reason="r", last_response={})
    if issubclass(kind, sdk.HTTPClientError):
        return kind(error="e", request=None, response=None, endpoint_url="u", proxy_url="p")
    if issubclass(kind, sdk.BotoCoreError) and "__init__" not in vars(kind):
        names = [part[1].partition("[")[0] for part in string.Formatter().parse(kind.fmt) if part[1]]
        return kind(**dict.fromkeys(names, "a value"))
    for arguments in (("it went wrong",), (), *[("a",) * count for count in range(2, 5)]):
        try:
            return kind(*arguments)
        except (TypeError, KeyError):
            continue
    return kind(service_name="s", operation_name="o", error_message="e")


@pytest.mark.parametrize("kind", _sdk_exceptions(), ids=lambda kind: kind.__name__)
def test_every_exception_of_the_sdk_has_a_failure(kind: type[Exception]) -> None:
    error = _made(kind)
    assert isinstance(error, SDK_ERRORS)
    failure = translate(error, "It could not be done", "field")
    assert isinstance(failure, ProviderFailure)
    assert failure.message.startswith("It could not be done: ")
    assert failure.field == "field"


def test_the_walk_finds_the_exceptions() -> None:
    assert len(_sdk_exceptions()) > 80


@pytest.mark.parametrize(
    ("code", "status", "failure"),
    [
        ("UnauthorizedOperation", 403, PermissionMissing),
        ("AccessDenied", 403, PermissionMissing),
        ("AuthFailure", 401, CredentialsRejected),
        ("ExpiredToken", 400, CredentialsRejected),
        ("SignatureDoesNotMatch", 403, CredentialsRejected),
        ("RequestLimitExceeded", 503, Throttled),
        ("Throttling", 400, Throttled),
        ("InsufficientInstanceCapacity", 500, CapacityExhausted),
        ("VcpuLimitExceeded", 400, QuotaExceeded),
        ("InstanceLimitExceeded", 400, QuotaExceeded),
        ("LimitExceeded", 409, QuotaExceeded),
        ("InvalidInstanceID.NotFound", 400, ResourceNotFound),
        ("InvalidAMIID.Malformed", 400, ResourceNotFound),
        ("NoSuchEntity", 404, ResourceNotFound),
        ("InvalidGroup.Duplicate", 400, ResourceConflict),
        ("EntityAlreadyExists", 409, ResourceConflict),
        ("DependencyViolation", 400, ResourceConflict),
        ("IncorrectInstanceState", 400, ResourceConflict),
        ("RequestTimeout", 408, OperationTimedOut),
        ("InternalError", 500, PlatformUnreachable),
        ("Unheard", 503, PlatformUnreachable),
        ("Unheard", 400, ProviderFailure),
    ],
)
def test_a_code_decides(code: str, status: int, failure: type[ProviderFailure]) -> None:
    response: Any = {
        "Error": {"Code": code, "Message": "It said so. Encoded authorization failure message: abc123"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    found = translate(sdk.ClientError(response, "X"), "It failed", action="ec2:X")
    assert type(found) is failure
    assert "abc123" not in str(found)
    if failure is PermissionMissing:
        assert "ec2:X" in str(found)


def test_credentials_are_in_no_text(rig) -> None:
    provider = Aws(settings=rig.settings, access_key="AKIA", secret_key="very-secret", token="token-secret")
    rig.edge.fail(".*", "error", code="AuthFailure", status=401, times=9)
    with pytest.raises(CredentialsRejected) as caught:
        provider.cloud.identity(rig.context())
    text = f"{caught.value} {provider!r} {provider.settings!r} {caught.value.__cause__}"
    assert "very-secret" not in text
    assert "token-secret" not in text


def test_without_credentials_the_check_says_what_to_do(
    forget_environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    report = AwsPlatform(AwsSettings(region="us-east-1")).check_credentials()
    assert not report.ok
    assert "[plugins.aws]" in report.remedies[0]
    with pytest.raises(ProviderFailure, match="cannot be tried"):
        AwsPlatform(AwsSettings(region="us-east-1")).trial()


def test_the_check_finds_what_works(rig) -> None:
    report = rig.platform.check_credentials()
    assert report.ok
    assert "us-east-1" in report.summary


def test_default_and_ignored_tags(rig) -> None:
    provider = Aws(
        settings=rig.settings,
        default_tags=[DefaultTags(tags={"Team": "red"})],
        ignore_tags=[IgnoreTags(keys={"Cost"}, key_prefixes={"kubernetes.io/"})],
    )
    rig.provider = provider
    volume = rig.create(Volume(availability_zone="us-east-1a", size=1, tags={"Name": "v"}), "key")
    rig.ec2.create_tags(
        Resources=[volume.id], Tags=[{"Key": "Cost", "Value": "1"}, {"Key": "kubernetes.io/x", "Value": "1"}]
    )
    assert volume.read(rig.context("key"))
    assert volume.tags == {"Name": "v"}
    assert volume.tags_all == {"Name": "v", "Team": "red"}


def test_a_policy_document_is_written_as_the_original_writes_it() -> None:
    document = PolicyDocument(
        version="2012-10-17",
        statement=[
            StatementBlock(
                effect="Allow",
                actions={"sts:AssumeRole"},
                principals=[Principal(type="Service", identifiers={"ec2.amazonaws.com"})],
            )
        ],
    )
    document.read(None)  # type: ignore[arg-type]
    assert json.loads(document.json)["Statement"] == [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
    ]
    assert document.minified_json == json.dumps(json.loads(document.json), separators=(",", ":"))


def test_prices_of_machines_and_disks() -> None:
    assert hourly_price("t3.micro", "us-east-1") == 0.0104
    assert hourly_price("t3.micro", "mars-1") == 0.0
    assert round(disk_price("gp3", 730, "us-east-1"), 6) == 0.08
    platform = AwsPlatform(AwsSettings(region="us-east-1"))
    machine = platform.price("aws_instance", {"instance_type": "t3.micro", "root_block_device": []})
    assert machine is not None
    assert 0.0104 < machine.hourly < 0.012
    assert machine.as_of == prices.bundled().as_of
    disk = platform.price("aws_ebs_volume", {"type": "gp3", "size": 73, "region": "eu-central-1"})
    assert disk is not None
    assert round(disk.hourly, 6) == 0.00952
    assert platform.price("aws_instance", {"instance_type": "t99.vast"}) is None
    assert platform.price("aws_iam_role", {}) is None


@pytest.fixture
def price_list() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Answers ``GetProducts`` in two pages, in the form that AWS documents."""
    asked: list[dict[str, Any]] = []

    def product(attributes: dict[str, str], usd: str) -> str:
        dimension = {"unit": "Hrs", "pricePerUnit": {"USD": usd}}
        return json.dumps(
            {
                "product": {"attributes": attributes},
                "terms": {"OnDemand": {"a.b": {"priceDimensions": {"a.b.c": dimension}}}},
            }
        )

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(request)
            fields = {item["Field"]: item["Value"] for item in request["Filters"]}
            answer: dict[str, Any]
            if fields.get("productFamily") == "Storage":
                answer = {"PriceList": [product({"volumeApiName": "gp3"}, "0.09")]}
            elif "NextToken" in request:
                answer = {"PriceList": [product({"instanceType": "m5.large"}, "0.2")]}
            else:
                listed = [product({"instanceType": "t3.nano"}, "0.01"), product({"instanceType": "x1.big"}, "9")]
                listed.append(product({"instanceType": "t3.small"}, "0"))
                answer = {"PriceList": listed, "NextToken": "more"}
            body = json.dumps({"FormatVersion": "aws_v1", **answer}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Nobody reads it."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_the_price_table_is_refreshed(
    price_list: tuple[str, list[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, asked = price_list
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    output = tmp_path / "prices.json"
    arguments = ["--refresh", "--region", "eu-west-3", "--output", str(output), "--endpoint", address]
    assert prices.main(arguments) == 0
    found = prices.load(output)
    assert found.machines == {"eu-west-3": {"m5.large": 0.2, "t3.nano": 0.01}}
    assert found.disks == {"eu-west-3": {"gp3": 0.09}}
    assert found.source == prices.FETCHED
    assert {item["ServiceCode"] for item in asked} == {"AmazonEC2"}


def test_the_shipped_prices_are_dated_and_say_that_they_are_approximate(capsys: pytest.CaptureFixture[str]) -> None:
    assert prices.main([]) == 0
    said = capsys.readouterr().out
    assert f"Prices of {date.fromisoformat(prices.bundled().as_of)}" in said
    assert "approximate" in said.lower()
    assert "approximate" in (Path(__file__).parents[3] / "plugins" / "aws" / "README.md").read_text()


def test_regions_without_prices_leave_the_table_as_it_is(
    price_list: tuple[str, list[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setattr(prices, "FAMILIES", re.compile("nothing"))
    output = tmp_path / "prices.json"
    arguments = ["--refresh", "--region", "mars-1", "--output", str(output), "--endpoint", price_list[0]]
    assert prices.main(arguments) == 1
    assert not output.exists()
