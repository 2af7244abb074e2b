"""Prices: a bundled table with its date, and the command that refreshes it from AWS's price list.

``python -m stead_aws.prices`` shows the table, ``--refresh`` asks AWS (``pricing:GetProducts``) and writes it anew.
Prices are on demand, for Linux, in USD, without tax and without traffic. What is shipped is approximate, and says so.
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parent / "prices.json"
HOURS = 730  # of a month, as AWS counts
FAMILIES = re.compile(
    r"(t2|t3|t3a|t4g|m5|m5a|m6a|m6g|m6i|m7g|m7i|m7a|c5|c6a|c6g|c6i|c7g|c7i|r5|r6g|r6i|r7i|g4dn|g5|g6)\."
)

FETCHED = "AWS's price list"


@dataclass(frozen=True)
class Prices:
    """USD per hour of machines, and per GiB and month of disks, by region.

    :param source: where they are from, for people.
    """

    as_of: str
    machines: Mapping[str, Mapping[str, float]]
    disks: Mapping[str, Mapping[str, float]]
    source: str = FETCHED

    def machine(self, instance_type: str, region: str) -> float | None:
        return self.machines.get(region, {}).get(instance_type)

    def disk(self, volume_type: str, size: float, region: str) -> float | None:
        month = self.disks.get(region, {}).get(volume_type or "gp2")
        return None if month is None else month * size / HOURS


def load(path: Path) -> Prices:
    raw = json.loads(path.read_text())
    return Prices(raw["as_of"], raw["machines"], raw["disks"], raw["source"])


@functools.cache
def bundled() -> Prices:
    return load(TABLE)


def _filters(**values: str) -> list[dict[str, str]]:
    return [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in values.items()]


def _products(client: Any, filters: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    token: dict[str, str] = {}
    while True:
        page = client.get_products(ServiceCode="AmazonEC2", Filters=filters, **token)
        for text in page["PriceList"]:
            yield json.loads(text)
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def _usd(product: Mapping[str, Any]) -> float | None:
    """The first price above nothing that the product has on demand."""
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            price = float(dimension["pricePerUnit"].get("USD", 0))
            if price > 0:
                return price
    return None


def fetch(client: Any, regions: list[str]) -> Prices:
    """Ask AWS's price list for these regions."""
    machines: dict[str, dict[str, float]] = {}
    disks: dict[str, dict[str, float]] = {}
    for region in regions:
        shared = _filters(
            regionCode=region,
            operatingSystem="Linux",
            preInstalledSw="NA",
            tenancy="Shared",
            capacitystatus="Used",
            marketoption="OnDemand",
        )
        machines[region] = _table(_products(client, shared), "instanceType")
        machines[region] = {name: price for name, price in machines[region].items() if FAMILIES.match(name)}
        storage = _filters(regionCode=region, productFamily="Storage")
        disks[region] = _table(_products(client, storage), "volumeApiName")
    return Prices(datetime.now(UTC).date().isoformat(), machines, disks)


def _table(products: Iterator[dict[str, Any]], name: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for product in products:
        key, price = product["product"]["attributes"].get(name), _usd(product)
        if key and price is not None:
            found[key] = price
    return dict(sorted(found.items()))


def save(prices: Prices, path: Path) -> None:
    raw = {"as_of": prices.as_of, "source": prices.source, "machines": prices.machines, "disks": prices.disks}
    path.write_text(json.dumps(raw, indent=1) + "\n")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m stead_aws.prices", description="The table of prices.")
    parser.add_argument("--refresh", action="store_true", help="ask AWS and write the table anew")
    parser.add_argument("--output", type=Path, default=TABLE, help="the table's file")
    parser.add_argument("--region", action="append", help="only these regions; those of the table by default")
    parser.add_argument("--endpoint", help="address of the price list")
    options = parser.parse_args(arguments)
    known = bundled()
    if not options.refresh:
        _say(known)
        return 0
    import boto3

    client = boto3.client("pricing", region_name="us-east-1", endpoint_url=options.endpoint)
    prices = fetch(client, options.region or sorted(known.machines))
    empty = [region for region, table in prices.machines.items() if not table]
    if empty:
        sys.stderr.write(f"AWS tells no prices for {', '.join(empty)}; the table stays as it is.\n")
        return 1
    save(prices, options.output)
    _say(prices)
    return 0


def _say(prices: Prices) -> None:
    sys.stdout.write(f"Prices of {prices.as_of} ({prices.source}): {', '.join(prices.machines)}\n")


if __name__ == "__main__":
    sys.exit(main())
