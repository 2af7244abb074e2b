"""What pods and volumes cost, by a table of this cluster: so much for a processor, a GiB of memory and of storage.

Clusters have no public price. The bundled table is an example; the command writes one of your own, from what
the nodes cost, and ``prices`` in ``[plugins.kubernetes]`` names it:

python -m stead_kubernetes.prices --node 140 --node-cpus 4 --node-gib 16 --storage 0.10 --output /etc/stead/prices.json

``--node`` is what a node costs in a month. Of it, a GiB of memory is counted as an eighth of a processor, which is near
to how clouds split it.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stead.api import Price
from stead_kubernetes.quantities import amount

TABLE = Path(__file__).parent / "prices.json"
HOURS = 730  # of a month
GIB = 1024**3
CPU_TO_GIB = 8.0  # a processor counts as so many GiB


@dataclass(frozen=True)
class Prices:
    """Per hour of a processor and of a GiB, and per GiB and month of storage by class ("" for all others)."""

    as_of: str
    currency: str
    cpu_hour: float
    gib_hour: float
    storage: Mapping[str, float]

    def pods(self, cpus: float, gib: float) -> float:
        """Per hour."""
        return cpus * self.cpu_hour + gib * self.gib_hour

    def volume(self, gib: float, storage_class: str = "") -> float:
        """Per hour."""
        return gib * self.storage.get(storage_class, self.storage.get("", 0.0)) / HOURS

    def price(self, type_name: str, attributes: Mapping[str, Any]) -> Price | None:
        """Of a pod, a deployment or a claim with these attributes; ``None`` where that is not known."""
        kind = type_name.removesuffix("_v1")
        spec = _first(attributes.get("spec"))
        hourly: float | None = None
        if kind == "kubernetes_pod":
            hourly = self._pod(spec)
        elif kind == "kubernetes_deployment":
            pod = self._pod(_first(_first(spec.get("template")).get("spec")))
            hourly = None if pod is None else pod * int(spec.get("replicas") or 1)
        elif kind == "kubernetes_persistent_volume_claim":
            requests = _first(spec.get("resources")).get("requests") or {}
            if "storage" in requests:
                hourly = self.volume(
                    float(amount(requests["storage"])) / GIB, str(spec.get("storage_class_name") or "")
                )
        return None if hourly is None else Price(round(hourly, 6), self.as_of, self.currency)

    def _pod(self, spec: Mapping[str, Any]) -> float | None:
        """What is kept free for its containers; one that asks for nothing has no price."""
        wanted = [_requested(_first(item.get("resources"))) for item in spec.get("container") or ()]
        if not any(wanted):
            return None
        cpus = sum(float(amount(item.get("cpu", "0"))) for item in wanted)
        gib = sum(float(amount(item.get("memory", "0"))) / GIB for item in wanted)
        return self.pods(cpus, gib)


def _first(blocks: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = blocks[0] if isinstance(blocks, list) and blocks and blocks[0] else {}
    return found


def _requested(resources: Mapping[str, Any]) -> dict[str, str]:
    return {**(resources.get("limits") or {}), **(resources.get("requests") or {})}


def load(path: Path) -> Prices:
    """A table as :func:`written` writes it."""
    raw = json.loads(path.read_text())
    storage = {name: float(price) for name, price in raw["storage_gib_month"].items()}
    return Prices(raw["as_of"], raw.get("currency", "USD"), float(raw["cpu_hour"]), float(raw["gib_hour"]), storage)


@functools.cache
def table(path: Path | None = None) -> Prices:
    """The table of the settings, or the bundled one."""
    return load(path or TABLE)


def of_node(month: float, cpus: float, gib: float, storage: Mapping[str, float], currency: str = "USD") -> Prices:
    """From what a node of this size costs in a month."""
    gib_hour = month / HOURS / (cpus * CPU_TO_GIB + gib)
    today = datetime.now(UTC).date().isoformat()
    return Prices(today, currency, round(gib_hour * CPU_TO_GIB, 6), round(gib_hour, 6), storage)


def written(prices: Prices) -> str:
    raw = {
        "as_of": prices.as_of,
        "currency": prices.currency,
        "cpu_hour": prices.cpu_hour,
        "gib_hour": prices.gib_hour,
        "storage_gib_month": dict(prices.storage),
    }
    return json.dumps(raw, indent=2) + "\n"


def _storage(entries: Iterable[str]) -> dict[str, float]:
    """``0.10`` for all classes, ``fast=0.17`` for one."""
    found = {}
    for entry in entries:
        name, _, price = entry.rpartition("=")
        found[name] = float(price)
    return found or {"": 0.1}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m stead_kubernetes.prices", description="A price table of a cluster."
    )
    parser.add_argument("--node", type=float, help="what a node costs in a month; without it the table in use is shown")
    parser.add_argument("--node-cpus", type=float, default=4.0)
    parser.add_argument("--node-gib", type=float, default=16.0)
    parser.add_argument("--storage", action="append", default=[], help="a GiB in a month, or CLASS=PRICE")
    parser.add_argument("--currency", default="USD")
    parser.add_argument("--output", type=Path, help="where to; printed without it")
    arguments = parser.parse_args(argv)
    if arguments.node is None:
        print(written(table()), end="")
        return 0
    if arguments.node < 0 or arguments.node_cpus <= 0 or arguments.node_gib <= 0:
        print("A node has processors and memory, and costs nothing or more.", file=sys.stderr)
        return 2
    storage = _storage(arguments.storage)
    text = written(of_node(arguments.node, arguments.node_cpus, arguments.node_gib, storage, arguments.currency))
    if arguments.output:
        arguments.output.write_text(text)
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
