"""The provider ``stead/baremetal``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stead.api.provider import Context, Provider, attribute
from stead_baremetal.data_sources import MachineData, Machines
from stead_baremetal.fleet import Fleet
from stead_baremetal.host import Host
from stead_baremetal.settings import BaremetalSettings

SOURCES = ("inventory", "inventory_command", "inventory_url")


class Baremetal(Provider, address="stead/baremetal", resources=[Host], data_sources=[MachineData, Machines]):
    """Machines of one's own, reached over SSH. What is not given here is as in [plugins.baremetal]."""

    inventory: str | None = attribute(
        optional=True,
        conflicts_with=["inventory_command", "inventory_url"],
        description="File that lists the machines; relative to the template's files.",
    )
    inventory_command: list[str] | None = attribute(
        optional=True, conflicts_with=["inventory_url"], description="Program that prints the inventory as JSON."
    )
    inventory_url: str | None = attribute(optional=True, description="HTTP address that answers the inventory.")
    inventory_token: str | None = attribute(
        optional=True, sensitive=True, description="Bearer token for inventory_url."
    )
    user: str | None = attribute(optional=True, description="Account to sign in with.")
    key_file: str | None = attribute(optional=True, description="Private key to sign in with.")
    known_hosts: str | None = attribute(optional=True, description="File with the machines' host keys.")

    def __init__(self, **values: Any) -> None:
        self.settings: BaremetalSettings = values.pop("settings", None) or BaremetalSettings()
        self._fleet: Fleet | None = None
        super().__init__(**values)

    def configure(self, context: Context) -> None:
        given: dict[str, Any] = {
            name: getattr(self, name)
            for name in (*SOURCES, "inventory_token", "user", "key_file", "known_hosts")
            if getattr(self, name) is not None
        }
        if any(name in given for name in SOURCES):
            # The block names another inventory: those of the settings, and their token, do not count.
            given = {
                "inventory": None,
                "inventory_command": [],
                "inventory_url": None,
                "inventory_token": None,
                **given,
            }
        for name in ("inventory", "key_file", "known_hosts"):
            if isinstance(given.get(name), str):
                given[name] = Path(context.build.resolve(given[name]))
        known = {name: getattr(self.settings, name) for name in type(self.settings).model_fields}
        self._fleet = Fleet(BaremetalSettings.model_validate({**known, **given}))

    @property
    def fleet(self) -> Fleet:
        if self._fleet is None:
            self.configure(Context(provider=self))
        assert self._fleet is not None  # noqa: S101 - configure has set it
        return self._fleet
