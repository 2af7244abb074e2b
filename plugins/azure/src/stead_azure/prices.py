"""What machines, disks and addresses cost: ``prices.json``, refreshed by ``python -m stead_azure.prices --refresh``.

The figures come from Azure's public price list (``https://prices.azure.com/api/retail/prices``), which needs no
account: pay as you go, in US dollars, without tax and discounts. What is shipped is approximate, and says so.
"""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from stead.api.records import Price
from stead_azure.base import region

TABLE = Path(__file__).parent / "prices.json"
ADDRESS = "https://prices.azure.com/api/retail/prices"
VERSION = "2023-01-01-preview"
FETCHED = "Azure's price list"
HOURS = 730.0  # of a month, as Azure counts
MOST_PAGES = 200
FAMILIES = {
    "Standard_LRS": ("S", "Standard HDD Managed Disks"),
    "StandardSSD_LRS": ("E", "Standard SSD Managed Disks"),
    "Premium_LRS": ("P", "Premium SSD Managed Disks"),
}
# Sizes in GiB up to which a disk is of a tier: Azure bills the tier, not the size.
TIERS = ((4, 1), (8, 2), (16, 3), (32, 4), (64, 6), (128, 10), (256, 15), (512, 20), (1024, 30), (2048, 40), (4096, 50))
LARGE_TIERS = ((8192, 60), (16384, 70), (32767, 80))


@cache
def table() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(TABLE.read_text())
    return found


def tier(kind: str, size: int) -> str:
    """The tier that a disk of so many GiB is billed as: ``P10``; empty where there is none."""
    letter = FAMILIES.get(kind, ("", ""))[0]
    number = next((number for limit, number in (*TIERS, *LARGE_TIERS) if size <= limit), None)
    if not letter or number is None:
        return ""
    return f"{letter}{max(number, 4)}" if letter == "S" else f"{letter}{number}"


def price(type_name: str, attributes: Mapping[str, Any]) -> Price | None:
    """What a resource costs an hour. A machine's is that of the machine and of its disk, while both are there."""
    try:
        where = region(str(attributes.get("location") or table()["default_region"]))
        hourly = _hourly(type_name, attributes, where)
    except (KeyError, TypeError, ValueError):
        return None
    return None if hourly is None else Price(round(hourly, 6), table()["as_of"])


def _hourly(type_name: str, attributes: Mapping[str, Any], where: str) -> float | None:
    if type_name == "azurerm_managed_disk":
        return _disk(str(attributes["storage_account_type"]), int(attributes["disk_size_gb"]), where)
    if type_name == "azurerm_public_ip":
        return float(table()["addresses"][str(attributes.get("sku") or "Standard")])
    if type_name == "azurerm_linux_virtual_machine":
        return _machine(attributes, where)
    return None


def _known(where: str, what: str) -> dict[str, Any]:
    """The prices of a region; those of the default region where the table has none for it."""
    regions = table()["regions"]
    return {**regions[table()["default_region"]][what], **regions.get(where, {}).get(what, {})}


def _machine(attributes: Mapping[str, Any], where: str) -> float | None:
    known = _known(where, "machines")
    spot = attributes.get("priority") == "Spot"
    rates = {name.lower(): rates for name, rates in known.items()}.get(str(attributes["size"]).lower())
    rate = (rates or {}).get("spot" if spot else "regular")
    if rate is None:
        return None
    disk = next(iter(attributes.get("os_disk") or ()), None) or {}
    kind = str(disk.get("storage_account_type") or "StandardSSD_LRS")
    stays = _disk(kind, int(disk.get("disk_size_gb") or 30), where) or 0.0
    powered = attributes.get("power_state") in (None, "", "running")
    return (float(rate) if powered else 0.0) + stays


def _disk(kind: str, size: int, where: str) -> float | None:
    monthly = _known(where, "disks").get(tier(kind, size))
    return None if monthly is None else float(monthly) / HOURS


def pages(client: httpx.Client, address: str, question: str) -> Iterator[dict[str, Any]]:
    """Every item of a question to the price list."""
    following: str | None = address
    parameters: dict[str, str] | None = {"api-version": VERSION, "$filter": question}
    for _ in range(MOST_PAGES):
        answer = client.get(str(following), params=parameters)
        answer.raise_for_status()
        found = answer.json()
        yield from found["Items"]
        following, parameters = found.get("NextPageLink"), None
        if not following:
            return


def refreshed(client: httpx.Client, old: Mapping[str, Any], address: str, today: str) -> dict[str, Any]:
    """The table with today's prices for the regions and machines that it has."""
    regions = {}
    sizes = old["regions"][old["default_region"]]["machines"]
    for name, before in old["regions"].items():
        asked = {size: _rates(client, address, name, size) or before["machines"].get(size) for size in sizes}
        machines = {size: rates for size, rates in asked.items() if rates}
        regions[name] = {"machines": machines, "disks": {**before["disks"], **_disk_prices(client, address, name)}}
    return {**old, "as_of": today, "source": FETCHED, "regions": regions}


def _rates(client: httpx.Client, address: str, name: str, size: str) -> dict[str, float]:
    question = (
        f"serviceName eq 'Virtual Machines' and armRegionName eq '{name}' and armSkuName eq '{size}' "
        "and priceType eq 'Consumption'"
    )
    rates: dict[str, float] = {}
    for item in pages(client, address, question):
        if "Windows" in item["productName"] or "Low Priority" in item["skuName"]:
            continue
        rates["spot" if "Spot" in item["skuName"] else "regular"] = float(item["retailPrice"])
    return rates


def _disk_prices(client: httpx.Client, address: str, name: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for letter, product in FAMILIES.values():
        question = (
            f"serviceName eq 'Storage' and armRegionName eq '{name}' and productName eq '{product}' "
            "and priceType eq 'Consumption'"
        )
        for item in pages(client, address, question):
            meter = str(item["meterName"])
            if meter.endswith("LRS Disk") and item["skuName"].endswith(" LRS") and meter.startswith(letter):
                found[meter.split(maxsplit=1)[0]] = float(item["retailPrice"])
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m stead_azure.prices", description="Prices that Stead shows.")
    parser.add_argument("--refresh", action="store_true", help="ask Azure's price list, and write the table")
    parser.add_argument("--address", default=ADDRESS, help="of the price list")
    parser.add_argument("--table", type=Path, default=TABLE, help="file to write")
    chosen = parser.parse_args(arguments)
    if chosen.refresh:
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        with httpx.Client(timeout=30.0) as client:
            found = refreshed(client, table(), chosen.address, today)
        chosen.table.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    else:
        found = table()
    count = sum(len(item["machines"]) + len(item["disks"]) for item in found["regions"].values())
    print(f"{count} prices of {len(found['regions'])} regions, as of {found['as_of']} ({found['source']})")


if __name__ == "__main__":
    main()
