"""``docker_network``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stead.api.errors import ProviderFailure, ResourceConflict
from stead.api.provider import Context, Nesting, ObjectSchema, Plan, Resource, attribute, block, is_known
from stead_docker.engine import engine_of
from stead_docker.labels import KEY, Label, blocks_of, carries, merged


class IpamConfig(ObjectSchema):
    """One address range of the network."""

    aux_address: dict[str, str] | None = attribute(
        optional=True, force_new=True, description="Addresses that the driver uses itself."
    )
    gateway: str | None = attribute(optional=True, force_new=True, description="Address of the gateway.")
    ip_range: str | None = attribute(optional=True, force_new=True, description="Range to give out, in CIDR form.")
    subnet: str | None = attribute(optional=True, force_new=True, description="Subnet in CIDR form.")

    def to_api(self) -> dict[str, Any]:
        values = {
            "Subnet": self.subnet,
            "IPRange": self.ip_range,
            "Gateway": self.gateway,
            "AuxiliaryAddresses": self.aux_address,
        }
        return {name: value for name, value in values.items() if value}


def ipam_blocks(found: dict[str, Any]) -> list[IpamConfig]:
    """The address ranges as the engine tells them."""
    return [
        IpamConfig(
            subnet=item.get("Subnet"),
            ip_range=item.get("IPRange") or None,
            gateway=item.get("Gateway") or None,
            aux_address=item.get("AuxiliaryAddresses") or None,
        )
        for item in found["IPAM"]["Config"] or ()
    ]


def _unordered(ranges: Iterable[IpamConfig], gateways: Mapping[str | None, str | None] | None = None) -> list[str]:
    """The ranges in a form to compare.

    :param gateways: by subnet, for ranges that name none.
    """
    known = gateways or {}
    return sorted(repr({"Gateway": known.get(item.subnet)} | item.to_api()) for item in ranges)


class Network(Resource, name="docker_network"):
    """A network of the engine."""

    id: str = attribute(computed=True)
    name: str = attribute(required=True, force_new=True, description="Name of the network.")
    driver: str | None = attribute(
        optional=True, computed=True, force_new=True, description="bridge, overlay, macvlan, host."
    )
    attachable: bool | None = attribute(
        optional=True, force_new=True, description="Containers may be attached by hand."
    )
    check_duplicate: bool | None = attribute(optional=True, force_new=True, description="Refuse a name that is taken.")
    ingress: bool | None = attribute(optional=True, force_new=True, description="Routing mesh of a swarm.")
    internal: bool | None = attribute(optional=True, computed=True, force_new=True, description="Without a way out.")
    ipv6: bool | None = attribute(optional=True, force_new=True, description="With IPv6.")
    ipam_driver: str = attribute(default="default", force_new=True, description="Driver of the addresses.")
    ipam_options: dict[str, str] | None = attribute(
        optional=True, computed=True, force_new=True, description="Its options."
    )
    options: dict[str, str] | None = attribute(
        optional=True, computed=True, force_new=True, description="Of the driver."
    )
    scope: str = attribute(computed=True, description="local, swarm or global.")
    ipam_config: set[IpamConfig] = attribute(
        optional=True, computed=True, force_new=True, as_blocks=True, description="Its address ranges."
    )
    labels: list[Label] = block(Label, nesting=Nesting.SET, force_new=True)

    def plan(self, context: Context, plan: Plan) -> None:
        """A gateway that the engine chose is no change of the address ranges."""
        del context
        prior = plan.prior.ipam_config if plan.prior is not None else None
        if "ipam_config" in plan.changed and prior and is_known(self.ipam_config):
            gateways = {item.subnet: item.gateway for item in prior}
            if _unordered(prior) == _unordered(self.ipam_config, gateways):
                self.ipam_config = prior

    def create(self, context: Context) -> None:
        found = self._own(context) or self._make(context)
        made = self._inspect(context, str(found["Id"]))
        if made is None:
            raise ResourceConflict(f"Network {self.name} was removed while it was being created.")
        self._assign(made)

    def _own(self, context: Context) -> dict[str, Any] | None:
        """What an earlier try of the same creation has left."""
        filters = {"label": f"{KEY}={context.key}"}
        found = engine_of(context).ask(context, "Networks could not be listed", lambda c: c.networks(filters=filters))
        mine = [item for item in found if carries(item["Labels"], context.key) and item["Name"] == self.name]
        return mine[0] if mine else None

    def _make(self, context: Context) -> dict[str, Any]:
        known = is_known(self.options)
        return engine_of(context).make(
            context,
            f"Network {self.name} could not be created",
            lambda c: c.create_network(
                self.name,
                driver=self.driver if is_known(self.driver) and self.driver else "bridge",
                options=self.options if known else None,
                ipam=self._ipam(),
                check_duplicate=True,
                internal=bool(is_known(self.internal) and self.internal),
                labels=merged(self.labels, context.labels),
                enable_ipv6=bool(self.ipv6),
                attachable=self.attachable,
                ingress=self.ingress,
            ),
            lambda: self._own(context),
            fields=self._field_of,
        )

    @staticmethod
    def _field_of(failure: ProviderFailure) -> str | None:
        return "name" if isinstance(failure, ResourceConflict) else None

    def _ipam(self) -> dict[str, Any]:
        ranges = self.ipam_config if is_known(self.ipam_config) else None
        configured = [item.to_api() for item in ranges or ()]
        ipam: dict[str, Any] = {"Driver": self.ipam_driver, "Config": configured}
        options = self.ipam_options if is_known(self.ipam_options) else None
        return {**ipam, "Options": options} if options else ipam

    def _inspect(self, context: Context, identity: str) -> dict[str, Any] | None:
        return engine_of(context).find(
            context, f"Network {identity} could not be read", lambda c: c.inspect_network(identity)
        )

    def _assign(self, found: dict[str, Any]) -> None:
        self.id, self.name, self.scope = found["Id"], found["Name"], found["Scope"]
        self.driver, self.internal = found["Driver"], found["Internal"]
        if not is_known(self.options) or self.options is None:
            self.options = found["Options"] or {}
        if not is_known(self.ipam_options) or self.ipam_options is None:
            self.ipam_options = found["IPAM"]["Options"] or {}
        if not is_known(self.ipam_config) or self.ipam_config is None:
            self.ipam_config = ipam_blocks(found)  # type: ignore[assignment]  # sets of objects are lists

    def read(self, context: Context) -> bool:
        found = self._inspect(context, self.id)
        if found is not None:
            self._assign(found)
        return found is not None

    def delete(self, context: Context) -> None:
        engine = engine_of(context)
        doing = f"Network {self.name} could not be removed"
        engine.remove(context, doing, lambda c: c.remove_network(self.id))

    @classmethod
    def import_(cls, context: Context, identity: str) -> Network | None:
        network = cls(id=identity)
        found = network._inspect(context, identity)
        if found is None:
            return None
        network._assign(found)
        network.attachable, network.ingress = found["Attachable"] or None, found["Ingress"] or None
        network.ipv6 = found["EnableIPv6"] or None
        network.ipam_driver = found["IPAM"]["Driver"]
        network.labels = blocks_of(found["Labels"])
        return network
