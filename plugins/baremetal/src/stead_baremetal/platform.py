"""Machines of one's own as a place where workspaces run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stead.api import CredentialsReport, OwnedResource, Platform, Price, Trial
from stead.api.errors import PlatformUnreachable, ProviderFailure
from stead.api.provider import BuildContext, Context
from stead_baremetal.fleet import Fleet, Wish, claims, state_of
from stead_baremetal.host import Host, release
from stead_baremetal.inventory import Machine
from stead_baremetal.matching import lacking
from stead_baremetal.provider import Baremetal
from stead_baremetal.settings import BaremetalSettings

HOST = Host.type_name
GOOD = frozenset({"free", "busy", "drained"})


class BaremetalPlatform(Platform):
    """The inventory that the settings name."""

    def __init__(self, settings: BaremetalSettings) -> None:
        self._provider = Baremetal(settings=settings)

    @property
    def _fleet(self) -> Fleet:
        return self._provider.fleet

    def _context(self) -> Context:
        return Context(provider=self._provider, build=BuildContext())

    def check_credentials(self) -> CredentialsReport:
        """Sign in to every machine that the inventory does not keep out of use."""
        try:
            machines = [m for m in self._fleet.inventory(self._context()).machines if not m.drain_reason]
            sights = self._fleet.survey(self._context(), machines)
        except ProviderFailure as failure:
            return CredentialsReport(False, failure.message, tuple(filter(None, [failure.remedy])))
        if not machines:
            return CredentialsReport(False, "The inventory has no machine to use.", ("Add machines to it.",))
        states = {machine.name: state_of(machine, sights[machine.name]) for machine in machines}
        remedies = []
        for name, (state, why) in sorted(states.items()):
            if state not in GOOD:
                remedy = getattr(sights[name], "remedy", None) or ""
                remedies.append(f"{name} is {state}: {why} {remedy}".strip())
        good = len(states) - len(remedies)
        return CredentialsReport(
            not remedies, f"{good} of {len(states)} machines can be used: {_counted(states)}.", tuple(remedies)
        )

    def trial(self) -> Trial:
        raise ProviderFailure(
            "Machines of your own cannot be tried without naming them.",
            remedy="List them in an inventory and set it in [plugins.baremetal].",
        )

    def owned_resources(self, deployment: str) -> Sequence[OwnedResource]:
        return _Owned(self, deployment)

    def listed(self, deployment: str) -> Iterator[OwnedResource]:
        """What is ours on the machines that answer; then it fails where some do not."""
        context = self._context()
        machines = self._fleet.fitting(context, Wish({}))
        sights = self._fleet.survey(context, machines)
        for machine, status in claims(machines, sights):
            claim = status.claim
            if claim is not None and claim.deployment == deployment:
                yield OwnedResource(claim.key, HOST, machine.name, deployment, claim.labels)
        silent = [m.name for m in machines if isinstance(sights[m.name], ProviderFailure) and not m.drain_reason]
        if silent:
            raise PlatformUnreachable(
                f"What is on {', '.join(silent)} is not known: they cannot be asked.",
                remedy="Bring them back, or drain them in the inventory.",
            )

    def destroy_owned(self, resource: OwnedResource) -> None:
        if resource.type_name != HOST:
            raise ProviderFailure(f"{resource.type_name} is nothing that machines have.")
        context = self._context()
        machine = self._fleet.find(context, resource.identity)
        if machine is not None:
            release(context, self._fleet, machine, resource.key)

    def price(self, type_name: str, attributes: Mapping[str, Any]) -> Price | None:
        """Of the machine, or of the cheapest that has the labels; by the inventory."""
        if type_name != HOST:
            return None
        inventory = self._fleet.inventory(self._context())
        name = attributes.get("name") or attributes.get("machine")
        wanted = attributes.get("labels") or {}
        prices = [m.price for m in inventory.machines if m.price is not None and _may_be(m, name, wanted)]
        return Price(min(prices), inventory.as_of, inventory.currency) if prices else None


class _Owned(Sequence[OwnedResource]):
    """Tells what the machines that answer have before it fails for those that do not.

    So a sweep removes what it can reach, and still knows that the rest was not seen.
    """

    def __init__(self, platform: BaremetalPlatform, deployment: str) -> None:
        self._platform, self._deployment = platform, deployment

    def __iter__(self) -> Iterator[OwnedResource]:
        return self._platform.listed(self._deployment)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, index: Any) -> Any:
        return tuple(self)[index]


def _may_be(machine: Machine, name: str | None, wanted: Mapping[str, str]) -> bool:
    return name in (None, "", machine.name) and not lacking(wanted, machine)


def _counted(states: Mapping[str, tuple[str, str]]) -> str:
    words = [state for state, _ in states.values()]
    return ", ".join(f"{words.count(word)} {word}" for word in sorted(set(words)))
