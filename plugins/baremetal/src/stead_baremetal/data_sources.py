"""Data sources: the machines of the inventory, for parameters, labels and prices."""

from __future__ import annotations

import hashlib

from stead.api.errors import ResourceNotFound
from stead.api.provider import Context, DataSource, ObjectSchema, attribute, each
from stead_baremetal.fleet import Wish, state_of
from stead_baremetal.host import facts, fleet_of
from stead_baremetal.matching import is_wanted

HOURS = 24


class MachineFacts(ObjectSchema):
    """One machine."""

    name: str = attribute(computed=True)
    address: str = attribute(computed=True)
    labels: dict[str, str] = attribute(computed=True)
    hourly_price: float = attribute(computed=True)
    drained: bool = attribute(computed=True)
    state: str = attribute(computed=True)


class Machines(DataSource, name="baremetal_machines"):
    """The machines that have some labels."""

    id: str = attribute(computed=True)
    labels: dict[str, str] | None = attribute(
        optional=True, validators=[each(is_wanted)], description="As in baremetal_host."
    )
    probe: bool = attribute(
        default=False, description="Ask each machine how it is; takes a connection to each of them."
    )
    names: list[str] = attribute(computed=True, description="Their names, in order.")
    machines: list[MachineFacts] = attribute(computed=True, description="state is empty where they were not asked.")
    label_values: dict[str, list[str]] = attribute(computed=True, description="The values that each label has here.")
    free: int = attribute(computed=True, description="How many could be claimed now; -1 where they were not asked.")
    lowest_daily_price: float = attribute(computed=True, description="Of the cheapest of them, for a day.")
    highest_daily_price: float = attribute(computed=True, description="Of the dearest of them.")
    currency: str = attribute(computed=True, description="Of the prices.")

    def read(self, context: Context) -> None:
        fleet = fleet_of(context)
        found = sorted(fleet.fitting(context, Wish(self.labels or {})), key=lambda machine: machine.name)
        sights = fleet.survey(context, found) if self.probe else {}
        states = {m.name: state_of(m, sights[m.name])[0] if m.name in sights else "" for m in found}
        self.names = [machine.name for machine in found]
        self.machines = [MachineFacts(**facts(machine), state=states[machine.name]) for machine in found]
        values: dict[str, set[str]] = {}
        for machine in found:
            for name, value in machine.labels.items():
                values.setdefault(name, set()).add(value)
        self.label_values = {name: sorted(texts, key=_by_number) for name, texts in sorted(values.items())}
        self.free = list(states.values()).count("free") if self.probe else -1
        prices = [machine.hourly_price * HOURS for machine in found] or [0.0]
        self.lowest_daily_price, self.highest_daily_price = min(prices), max(prices)
        self.currency = fleet.inventory(context).currency
        self.id = hashlib.sha256(repr(sorted((self.labels or {}).items())).encode()).hexdigest()[:16]


def _by_number(text: str) -> tuple[float, str]:
    try:
        return float(text), text
    except ValueError:
        return float("inf"), text


class MachineData(DataSource, name="baremetal_machine"):
    """One machine of the inventory."""

    id: str = attribute(computed=True)
    name: str = attribute(required=True, description="Its name.")
    address: str = attribute(computed=True, description="Its address.")
    labels: dict[str, str] = attribute(computed=True, description="All its labels.")
    hourly_price: float = attribute(computed=True, description="By the inventory.")
    drained: bool = attribute(computed=True, description="Whether the inventory keeps it out of use.")

    def read(self, context: Context) -> None:
        machine = fleet_of(context).find(context, self.name)
        if machine is None:
            raise ResourceNotFound(f"The inventory has no machine {self.name}.", field="name")
        self.id = machine.name
        for name, value in facts(machine).items():
            setattr(self, name, value)
