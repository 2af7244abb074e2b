"""Prices: what the table tells, and how it is made anew."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from stead_gcp_peer.schema import document

from stead_gcp import prices


@pytest.mark.parametrize(
    ("machine", "hourly"),
    [
        ("e2-micro", 0.008376),
        ("e2-medium", 0.033506),
        ("e2-standard-2", 0.067012),
        ("e2-highmem-2", 0.0904),
        ("n1-standard-1", 0.0475),
        ("n2-standard-4", 0.194236),
        ("n1-custom-2-4096", 0.084179),
        ("c2-standard-4", 0.20872),
    ],
)
def test_machines_cost_what_their_parts_cost(machine: str, hourly: float) -> None:
    assert prices.bundled().machine(machine, "us-central1") == pytest.approx(hourly, rel=0.002)


def test_resources_cost_with_their_disks_and_stopped_ones_the_disks_alone(rig) -> None:
    boot = [{"initialize_params": [{"size": 73, "type": "pd-balanced"}]}]
    machine = {"machine_type": "e2-standard-2", "zone": "us-central1-a", "boot_disk": boot}
    running = rig.platform.price("google_compute_instance", machine)
    stopped = rig.platform.price("google_compute_instance", {**machine, "desired_status": "TERMINATED"})
    assert stopped.hourly == pytest.approx(0.01)
    assert running.hourly == pytest.approx(0.077012, rel=0.001)
    assert running.daily == pytest.approx(running.hourly * 24)
    assert (running.currency, len(running.as_of)) == ("USD", 10)
    disk = rig.platform.price("google_compute_disk", {"zone": "us-east1-b", "type": "pd-ssd", "size": 73})
    assert disk.hourly == pytest.approx(0.017)


def test_what_is_not_known_has_no_price(rig) -> None:
    for kind, attributes in (
        ("google_compute_instance", {"machine_type": "z9-huge-1", "zone": "us-central1-a"}),
        ("google_compute_instance", {"machine_type": "e2-medium", "zone": "mars-north1-a"}),
        ("google_compute_instance", {}),
        ("google_compute_firewall", {"name": "x"}),
    ):
        assert rig.platform.price(kind, attributes) is None


def sku(description: str, usd: float, regions: list[str], usage: str = "OnDemand") -> dict[str, Any]:
    nanos = round(usd * 1e9)
    rate = {"startUsageAmount": 0, "unitPrice": {"currencyCode": "USD", "units": "0", "nanos": nanos}}
    return {
        "name": "services/6F81-5844-456A/skus/0000",
        "skuId": "0000",
        "description": description,
        "category": {"serviceDisplayName": "Compute Engine", "resourceFamily": "Compute", "usageType": usage},
        "serviceRegions": regions,
        "pricingInfo": [{"pricingExpression": {"usageUnit": "h", "tieredRates": [rate]}}],
    }


SKUS = [
    sku("E2 Instance Core running in Americas", 0.02, ["us-central1", "us-east1"]),
    sku("E2 Instance Ram running in Americas", 0.003, ["us-central1", "us-east1"]),
    sku("E2 Instance Core running in EMEA", 0.03, ["europe-west1"]),
    sku("Spot Preemptible E2 Instance Core running in Americas", 0.001, ["us-central1"], "Preemptible"),
    sku("N1 Predefined Instance Core running in Americas", 0.031, ["us-central1"]),
    sku("N1 Predefined Instance Ram running in Americas", 0.004, ["us-central1"]),
    sku("N2 Custom Instance Core running in Americas", 9.0, ["us-central1"]),
    sku("N2D AMD Instance Core running in Americas", 0.0275, ["us-central1"]),
    sku("N2D AMD Instance Ram running in Americas", 0.0037, ["us-central1"]),
    sku("Compute optimized Core running in Americas", 0.034, ["us-central1"]),
    sku("Compute optimized Ram running in Americas", 0.0045, ["us-central1"]),
    sku("Storage PD Capacity", 0.04, ["us-central1"]),
    sku("SSD backed PD Capacity in Belgium", 0.18, ["europe-west1"]),
]


class Catalogue(BaseHTTPRequestHandler):
    """Google's price catalogue, in two pages."""

    def log_message(self, *arguments: Any) -> None:
        """Nothing on standard error."""

    def do_GET(self) -> None:
        split = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        api = document("cloudbilling.v1")
        found = api.match("GET", split.path)
        allowed = self.headers.get("x-goog-api-key") in ("key-1", "empty")
        status = 200 if found and allowed else 403
        second = "pageToken" in query
        answer = (
            {"skus": []}
            if self.headers.get("x-goog-api-key") == "empty"
            else {"skus": SKUS[7:] if second else SKUS[:7], "nextPageToken": "" if second else "more"}
        )
        if status == 200:
            api.check_request(found[0], found[1], query, None)
            api.check("ListSkusResponse", answer)
        content = json.dumps(answer if status == 200 else {}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def test_the_table_is_made_anew_from_the_catalogue(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    document("cloudbilling.v1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Catalogue)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    address, file = f"http://127.0.0.1:{server.server_address[1]}", tmp_path / "prices.json"
    arguments = ["--refresh", "--address", address, "--output", str(file)]
    try:
        assert prices.main([*arguments, "--key", "key-1"]) == 0
        fresh = file.read_text()
        assert prices.main([*arguments, "--key", "wrong"]) == 1
        assert prices.main([*arguments, "--key", "empty"]) == 1
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
    assert "wrong" not in capsys.readouterr().err
    assert file.read_text() == fresh, "a table stays where none comes in its place"
    assert [path.name for path in tmp_path.iterdir()] == ["prices.json"]
    table = prices.load(file)
    assert abs((datetime.now(UTC).date() - date.fromisoformat(table.as_of)).days) <= 1
    assert table.source == "Google's price catalogue"
    assert table.families["e2"] == {"us-central1": (0.02, 0.003), "us-east1": (0.02, 0.003)}
    assert sorted(table.families) == ["c2", "e2", "n1", "n2d"]
    assert table.disks == {"pd-standard": {"us-central1": 0.04}, "pd-ssd": {"europe-west1": 0.18}}


def test_the_bundled_table_has_its_date_and_says_that_it_is_approximate(capsys: pytest.CaptureFixture[str]) -> None:
    table = prices.bundled()
    assert date.fromisoformat(table.as_of).isoformat() == table.as_of
    assert "approximate" in table.source
    assert prices.main(["e2-medium"]) == 0
    shown = capsys.readouterr().out
    assert table.as_of in shown
    assert "approximate" in shown


def test_the_command_tells_what_a_machine_costs(capsys: pytest.CaptureFixture[str]) -> None:
    assert prices.main(["e2-standard-4", "--zone", "us-central1-a", "--disk", "50"]) == 0
    assert "3.38 a day" in capsys.readouterr().out
    assert prices.main(["e2-standard-4", "--zone", "mars-north1-a"]) == 1
    assert prices.main(["--refresh", "--key", ""]) == 2
