"""All machines of the inventory: how they are, and a claim on one of them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from stead.api.errors import CapacityExhausted, PlatformUnreachable, ProviderFailure, ResourceNotFound
from stead.api.provider import Context
from stead_baremetal.answers import Claim, Status
from stead_baremetal.failures import AnswerLost
from stead_baremetal.inventory import Inventory, Machine, read_inventory
from stead_baremetal.keeper import Busy, Keeper, OutOfUse
from stead_baremetal.matching import lacking, ranked
from stead_baremetal.settings import BaremetalSettings

BRIEFLY = 2.0  # seconds: an SSH server turns some away while many come at once
FRESH = 5.0  # seconds that an inventory counts as new
Sight = Status | ProviderFailure


@dataclass(frozen=True)
class Wish:
    """What a claim wants: labels, or one machine by its name."""

    labels: Mapping[str, str]
    machine: str = ""

    @property
    def text(self) -> str:
        if self.machine:
            return f"called {self.machine}"
        return "that has " + ", ".join(f"{k}={v}" for k, v in sorted(self.labels.items())) if self.labels else "at all"


class ClaimInDoubt(PlatformUnreachable):
    """``machine`` may have been claimed: it did not answer any more."""

    def __init__(self, machine: Machine, cause: ProviderFailure) -> None:
        super().__init__(f"{cause.message} It may have been claimed.", remedy=cause.remedy)
        self.machine = machine


class Fleet:
    """The inventory with the means to ask its machines."""

    def __init__(self, settings: BaremetalSettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._inventory: Inventory | None = None
        self._read_at = 0.0

    def inventory(self, context: Context) -> Inventory:
        with self._lock:
            if self._inventory is None or time.monotonic() - self._read_at > FRESH:
                self._inventory = read_inventory(self.settings, context)
                self._read_at = time.monotonic()
            return self._inventory

    def find(self, context: Context, name: str) -> Machine | None:
        return self.inventory(context).by_name().get(name)

    def keeper(self, machine: Machine) -> Keeper:
        return Keeper(machine, self.settings)

    def fitting(self, context: Context, wish: Wish) -> list[Machine]:
        """Machines with the labels, whatever their state.

        :raises ResourceNotFound: a machine is wanted by a name that the inventory does not have.
        """
        machines = self.inventory(context).machines
        if wish.machine and wish.machine not in {machine.name for machine in machines}:
            raise ResourceNotFound(f"The inventory has no machine {wish.machine}.", field="machine")
        return [m for m in machines if wish.machine in ("", m.name) and not lacking(wish.labels, m)]

    def survey(self, context: Context, machines: Sequence[Machine]) -> dict[str, Sight]:
        """How each of them is, by name; for those that cannot be asked, why."""

        def look(machine: Machine) -> Sight:
            try:
                return self.keeper(machine).status(context, BRIEFLY)
            except ProviderFailure as failure:
                return failure

        if not machines:
            return {}
        with ThreadPoolExecutor(min(len(machines), self.settings.parallel)) as pool:
            return dict(zip((m.name for m in machines), pool.map(look, machines), strict=True))

    def claim(self, context: Context, wish: Wish, claim: Claim) -> Machine:
        """Claim a machine that fits. Twice with the same key is the same machine.

        :raises CapacityExhausted: none is free; says why for each. :raises ClaimInDoubt: one may have been claimed.
        """
        fitting = self.fitting(context, wish)
        sights = self.survey(context, fitting)
        for machine in fitting:
            if _has_key(sights[machine.name], claim.key):
                return machine
        usable = [m for m in ranked(fitting, wish.labels, claim.key) if not m.drain_reason]
        for machine in usable:
            if _is_free(sights[machine.name]) and self._try(context, machine, claim, sights):
                return machine
        for machine in usable:
            if machine.power is not None and isinstance(sights[machine.name], PlatformUnreachable):
                context.log(f"{machine.name} does not answer and is being switched on.")
                if self._wake_and_try(context, machine, claim, sights):
                    return machine
        raise self._nothing_free(context, wish, fitting, sights)

    def _try(self, context: Context, machine: Machine, claim: Claim, sights: dict[str, Sight]) -> bool:
        try:
            with self.keeper(machine) as keeper:
                keeper.claim(context, claim)
        except AnswerLost as failure:
            raise ClaimInDoubt(machine, failure) from failure
        except ProviderFailure as failure:
            # Somebody was faster, or it is not to be used after all: the next one.
            sights[machine.name] = failure
            return False
        return True

    def _wake_and_try(self, context: Context, machine: Machine, claim: Claim, sights: dict[str, Sight]) -> bool:
        try:
            self.wake(context, machine)
        except ProviderFailure as failure:
            sights[machine.name] = failure
            return False
        return self._try(context, machine, claim, sights)

    def wake(self, context: Context, machine: Machine) -> None:
        """Switch a machine on, where the inventory says how, and wait until it answers."""
        if machine.power is None:
            return
        machine.power.switch_on()
        self.keeper(machine).status(context, self.settings.patience)

    def _nothing_free(
        self, context: Context, wish: Wish, fitting: list[Machine], sights: Mapping[str, Sight]
    ) -> CapacityExhausted:
        machines = self.inventory(context).machines
        if not fitting:
            lacks = Counter(label for machine in machines for label in lacking(wish.labels, machine))
            missing = ", ".join(f"{label} ({count})" for label, count in sorted(lacks.items()))
            return CapacityExhausted(
                f"No machine {wish.text} is among the {len(machines)} of the inventory; they lack: "
                f"{missing or 'everything'}.",
                field=None if wish.machine else "labels",
                remedy="Ask for other labels, or add a machine.",
            )
        states = [state_of(machine, sights[machine.name]) for machine in fitting]
        counted = ", ".join(f"{count} {state}" for state, count in Counter(state for state, _ in states).most_common())
        reasons = "; ".join(f"{m.name}: {why}" for m, (_, why) in zip(fitting, states, strict=True) if why)
        return CapacityExhausted(
            f"No machine {wish.text} is free: of {len(machines)} machines {len(fitting)} fit, of which {counted}."
            + (f" {reasons.rstrip('.')}." if reasons else ""),
            remedy="Wait for one, release one, or add one.",
        )


def _is_free(sight: Sight) -> bool:
    return isinstance(sight, Status) and sight.state == "free"


def _has_key(sight: Sight, key: str) -> bool:
    return isinstance(sight, Status) and sight.claim is not None and sight.claim.key == key


def state_of(machine: Machine, sight: Sight) -> tuple[str, str]:
    """One word on a machine, and why where that is not plain.

    ``free``, ``busy``, ``drained``, ``dirty``, ``unhealthy``, ``unreachable`` or ``unusable``.
    """
    if machine.drain_reason:
        return "drained", machine.drain_reason
    if isinstance(sight, Status):
        return sight.state, sight.why
    if isinstance(sight, Busy):
        return "busy", ""
    if isinstance(sight, OutOfUse):
        return sight.state, sight.why
    return ("unreachable" if isinstance(sight, PlatformUnreachable) else "unusable"), sight.message


def claims(machines: Iterable[Machine], sights: Mapping[str, Sight]) -> Iterable[tuple[Machine, Status]]:
    """The machines that somebody has."""
    for machine in machines:
        sight = sights[machine.name]
        if isinstance(sight, Status) and sight.claim is not None:
            yield machine, sight
