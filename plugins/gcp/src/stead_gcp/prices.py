"""Prices: a bundled table with its date, and the command that refreshes it from Google's catalogue.

``python -m stead_gcp.prices e2-standard-4 --zone us-central1-a --disk 50`` tells what a machine costs;
``python -m stead_gcp.prices --refresh --key KEY --output FILE`` writes the table anew, with an API key for the
Cloud Billing Catalog API (``GET /v1/services/6F81-5844-456A/skus``). Prices are on demand, in USD, without
tax, traffic and licences. The bundled table is approximate, says so, and has three regions; a refreshed one has all.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from stead.api import Price

TABLE = Path(__file__).parent / "prices.json"
CATALOGUE = "https://cloudbilling.googleapis.com"
COMPUTE = "services/6F81-5844-456A"
HOURS = 730  # of a month, as Google counts
PART = re.compile(r"(E2|N1 Predefined|N2|N2D AMD|T2D AMD|C2|C2D AMD|C3|C4|N4) Instance (Core|Ram) running in ")
COMPUTE_OPTIMIZED = re.compile(r"Compute optimized (Core|Ram) running in ")
DISKS = {
    "Storage PD Capacity": "pd-standard",
    "Balanced PD Capacity": "pd-balanced",
    "SSD backed PD Capacity": "pd-ssd",
}
GIB_PER_CPU = {"standard": 4.0, "highmem": 8.0, "highcpu": 1.0}
GIB_OF_N1 = {"standard": 3.75, "highmem": 6.5, "highcpu": 0.9}
SHARED = {"e2-micro": (0.25, 1.0), "e2-small": (0.5, 2.0), "e2-medium": (1.0, 4.0)}  # billed processors, GiB
CUSTOM_FACTOR = 1.05  # custom machine types cost so much more, but for E2
FETCHED = "Google's price catalogue"
MACHINES = ("google_compute_instance", "google_compute_instance_from_template")


@dataclass(frozen=True)
class Prices:
    """USD per hour of a processor and of a GiB by family and region, and per GiB and month of disks.

    :param source: where they are from, for people.
    """

    as_of: str
    families: Mapping[str, Mapping[str, tuple[float, float]]]
    disks: Mapping[str, Mapping[str, float]]
    source: str = FETCHED

    def machine(self, machine_type: str, region: str) -> float | None:
        """Per hour while it runs; ``None`` where the table does not know it."""
        size = size_of(machine_type)
        family = machine_type.partition("-")[0]
        rates = self.families.get(family, {}).get(region)
        if size is None or rates is None:
            return None
        factor = CUSTOM_FACTOR if "-custom-" in f"-{machine_type}" and family != "e2" else 1.0
        return factor * (size[0] * rates[0] + size[1] * rates[1])

    def disk(self, disk_type: str, gib: float, region: str) -> float | None:
        month = self.disks.get(disk_type, {}).get(region)
        return None if month is None else month * gib / HOURS

    def price(self, type_name: str, attributes: Mapping[str, Any]) -> Price | None:
        """Of a resource with these attributes; an instance with the disk that is made with it."""
        region = str(attributes.get("zone") or "").rpartition("/")[2].rpartition("-")[0]
        if type_name == "google_compute_disk":
            kind = str(attributes.get("type") or "pd-standard").rpartition("/")[2]
            return self._priced(self.disk(kind, float(attributes.get("size") or 10), region))
        if type_name not in MACHINES:
            return None
        kind = str(attributes.get("machine_type") or "").rpartition("/")[2]
        running = attributes.get("desired_status") in (None, "", "RUNNING")
        machine = self.machine(kind, region)
        boot = self._boot(attributes, region)
        if machine is None or boot is None:
            return None
        return self._priced((machine if running else 0.0) + boot)

    def _boot(self, attributes: Mapping[str, Any], region: str) -> float | None:
        for disk in attributes.get("boot_disk") or ():
            for parameters in disk.get("initialize_params") or ():
                kind = str(parameters.get("type") or "pd-standard").rpartition("/")[2]
                return self.disk(kind, float(parameters.get("size") or 10), region)
        return 0.0

    def _priced(self, hourly: float | None) -> Price | None:
        return None if hourly is None else Price(hourly=round(hourly, 6), as_of=self.as_of)


def size_of(machine_type: str) -> tuple[float, float] | None:
    """Billed processors and GiB of a machine type, from its name."""
    if machine_type in SHARED:
        return SHARED[machine_type]
    custom = re.fullmatch(r"(?:[a-z0-9]+-)?custom-(\d+)-(\d+)(?:-ext)?", machine_type)
    if custom:
        return float(custom.group(1)), float(custom.group(2)) / 1024
    named = re.fullmatch(r"([a-z0-9]+)-(standard|highmem|highcpu)-(\d+)", machine_type)
    if not named:
        return None
    per_cpu = GIB_OF_N1 if named.group(1) == "n1" else GIB_PER_CPU
    return float(named.group(3)), float(named.group(3)) * per_cpu[named.group(2)]


def load(path: Path) -> Prices:
    raw = json.loads(path.read_text())
    families = {
        family: {region: (float(core), float(ram)) for region, (core, ram) in regions.items()}
        for family, regions in raw["families"].items()
    }
    return Prices(raw["as_of"], families, raw["disks"], raw["source"])


@functools.cache
def bundled() -> Prices:
    return load(TABLE)


def _usd(sku: Mapping[str, Any]) -> float | None:
    """The last tier's price: the first ones of some are free for a first instance alone."""
    rates = sku["pricingInfo"][0]["pricingExpression"]["tieredRates"]
    price = rates[-1]["unitPrice"]
    return int(price.get("units") or 0) + int(price.get("nanos") or 0) / 1e9


def _part(description: str) -> tuple[str, int] | None:
    """Family, and 0 for a processor and 1 for memory."""
    found = PART.match(description)
    if found:
        return found.group(1).split()[0].lower(), int(found.group(2) == "Ram")
    found = COMPUTE_OPTIMIZED.match(description)
    return ("c2", int(found.group(1) == "Ram")) if found else None


def tabled(skus: Iterable[Mapping[str, Any]], as_of: str) -> Prices:
    """The table of a catalogue: on demand alone."""
    parts: dict[str, dict[str, list[float | None]]] = {}
    disks: dict[str, dict[str, float]] = {}
    for sku in skus:
        description, price = str(sku.get("description", "")), _usd(sku)
        if sku.get("category", {}).get("usageType") != "OnDemand" or price is None:
            continue
        part = _part(description)
        disk = next((kind for words, kind in DISKS.items() if re.fullmatch(rf"{words}( in .*)?", description)), None)
        for region in sku.get("serviceRegions", ()):
            if part is not None:
                parts.setdefault(part[0], {}).setdefault(region, [None, None])[part[1]] = price
            elif disk is not None:
                disks.setdefault(disk, {})[region] = price
    families = {
        family: {
            region: (core, ram)
            for region, (core, ram) in sorted(regions.items())
            if core is not None and ram is not None
        }
        for family, regions in sorted(parts.items())
    }
    return Prices(as_of, families, {kind: dict(sorted(regions.items())) for kind, regions in sorted(disks.items())})


def fetch(key: str, address: str = CATALOGUE, timeout: float = 60.0) -> Prices:
    """Ask Google's catalogue."""
    skus: list[Mapping[str, Any]] = []
    token = ""
    while True:
        query = {"currencyCode": "USD", "pageSize": "5000", **({"pageToken": token} if token else {})}
        response = requests.get(
            f"{address}/v1/{COMPUTE}/skus", params=query, headers={"x-goog-api-key": key}, timeout=timeout
        )
        response.raise_for_status()
        page = response.json()
        skus += page.get("skus", ())
        token = page.get("nextPageToken", "")
        if not token:
            return tabled(skus, datetime.now(UTC).date().isoformat())


def written(prices: Prices) -> str:
    head = {"as_of": prices.as_of, "currency": "USD", "source": prices.source}
    raw = {**head, "families": prices.families, "disks": prices.disks}
    return json.dumps(raw, indent=2) + "\n"


def _tell(arguments: argparse.Namespace) -> int:
    prices, region = bundled(), arguments.zone.rpartition("-")[0]
    machine = prices.machine(arguments.machine, region)
    disk = prices.disk(arguments.disk_type, arguments.disk, region)
    if machine is None or disk is None:
        print(f"The table of {prices.as_of} has no price of {arguments.machine} in {region}.", file=sys.stderr)
        return 1
    total = machine + disk
    print(f"{arguments.machine} in {region}: {total:.4f} USD an hour, {24 * total:.2f} a day")
    print(f"As of {prices.as_of}, by {prices.source}.")
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m stead_gcp.prices", description="What machines cost.")
    parser.add_argument("machine", nargs="?", default="e2-standard-2", help="machine type")
    parser.add_argument("--zone", default="us-central1-a")
    parser.add_argument("--disk", type=float, default=0.0, help="GB of a disk with it")
    parser.add_argument("--disk-type", default="pd-balanced")
    parser.add_argument("--refresh", action="store_true", help="write the table anew from Google's catalogue")
    parser.add_argument(
        "--key", default=os.environ.get("GOOGLE_API_KEY", ""), help="API key; GOOGLE_API_KEY where not set"
    )
    parser.add_argument("--address", default=CATALOGUE, help="of the catalogue")
    parser.add_argument("--output", type=Path, default=TABLE)
    arguments = parser.parse_args(argv)
    if not arguments.refresh:
        return _tell(arguments)
    if not arguments.key:
        print("An API key is needed: --key, or GOOGLE_API_KEY.", file=sys.stderr)
        return 2
    try:
        prices = fetch(arguments.key, arguments.address)
    except requests.RequestException as error:
        print(f"The catalogue does not answer: {type(error).__name__}.", file=sys.stderr)
        return 1
    if not prices.families or not prices.disks:
        print("The catalogue tells of no machine, or of no disk: the table stays as it is.", file=sys.stderr)
        return 1
    new = arguments.output.with_name(f"{arguments.output.name}.new")
    new.write_text(written(prices))
    new.replace(arguments.output)
    print(f"{arguments.output}: {len(prices.families)} families, {prices.as_of}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
