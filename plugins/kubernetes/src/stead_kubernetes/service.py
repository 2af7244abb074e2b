"""``kubernetes_service``."""

from __future__ import annotations

from typing import ClassVar

from stead.api.provider import BlockSchema, Context, Nesting, Resource, Unknown, attribute, block, one_of
from stead_kubernetes.base import LIMITS, Object
from stead_kubernetes.cluster import Found, cluster_of
from stead_kubernetes.convert import Spec
from stead_kubernetes.kinds import SERVICES
from stead_kubernetes.metadata import Create, NamespacedMetadata
from stead_kubernetes.waiting import balanced_service

BALANCED = "LoadBalancer"


class ServicePort(Spec):
    """A port of the service."""

    app_protocol: str | None = attribute(optional=True)
    name: str | None = attribute(optional=True)
    node_port: int | None = attribute(optional=True, computed=True)
    port: int = attribute(required=True)
    protocol: str = attribute(default="TCP", validators=[one_of("TCP", "UDP", "SCTP")])
    target_port: str | None = attribute(optional=True, computed=True)


class ClientIp(Spec):
    """How long a client stays with a pod."""

    timeout_seconds: int | None = attribute(optional=True, computed=True)


class Affinity(Spec):
    """How a client stays with a pod."""

    NAMES: ClassVar[dict[str, str]] = {"client_ip": "clientIP"}
    client_ip: list[ClientIp] = block(ClientIp, max_items=1)


class ServiceSpec(Spec):
    """Which pods, and how they are reached."""

    allocate_load_balancer_node_ports: bool = attribute(default=True)
    cluster_ip: str | None = attribute(optional=True, computed=True, force_new=True)
    cluster_ips: list[str] | None = attribute(optional=True, computed=True, force_new=True)
    external_ips: set[str] | None = attribute(optional=True)
    external_name: str | None = attribute(optional=True)
    external_traffic_policy: str | None = attribute(
        optional=True, computed=True, validators=[one_of("Local", "Cluster")]
    )
    health_check_node_port: int | None = attribute(optional=True, computed=True, force_new=True)
    internal_traffic_policy: str | None = attribute(
        optional=True, computed=True, validators=[one_of("Local", "Cluster")]
    )
    ip_families: list[str] | None = attribute(optional=True, computed=True)
    ip_family_policy: str | None = attribute(optional=True, computed=True)
    load_balancer_class: str | None = attribute(optional=True, force_new=True)
    load_balancer_ip: str | None = attribute(optional=True)
    load_balancer_source_ranges: set[str] | None = attribute(optional=True)
    publish_not_ready_addresses: bool = attribute(default=False)
    selector: dict[str, str] | None = attribute(optional=True)
    traffic_distribution: str | None = attribute(
        optional=True, validators=[one_of("PreferClose", "PreferSameZone", "PreferSameNode")]
    )
    session_affinity: str = attribute(default="None", validators=[one_of("ClientIP", "None")])
    type: str = attribute(
        default="ClusterIP", validators=[one_of("ClusterIP", "ExternalName", "NodePort", "LoadBalancer")]
    )
    port: list[ServicePort] = block(ServicePort)
    session_affinity_config: list[Affinity] = block(Affinity, max_items=1)


class Entry(BlockSchema):
    """An address of the load balancer."""

    hostname: str = attribute(computed=True)
    ip: str = attribute(computed=True)


class Service(Object, name="kubernetes_service"):
    """A name and an address for pods."""

    KIND = SERVICES
    LIMITS: ClassVar[dict[str, float]] = {**LIMITS, "create": 600.0}
    wait_for_load_balancer: bool = attribute(default=True, description="Wait for the load balancer's address.")
    status: list[dict[str, list[dict[str, list[dict[str, str]]]]]] = attribute(
        computed=True, description="Addresses of the load balancer."
    )
    metadata: list[NamespacedMetadata] = block(NamespacedMetadata, min_items=1, max_items=1)
    spec: list[ServiceSpec] = block(ServiceSpec, min_items=1, max_items=1)
    timeouts: Create | None = block(Create, nesting=Nesting.SINGLE)

    def content(self, context: Context) -> Found:
        found = super().content(context)
        spec = found["spec"]
        if self.spec[0].type != BALANCED:
            # True by default in the template, and refused by the API server for other types.
            spec.pop("allocateLoadBalancerNodePorts", None)
        for name in ("nodePort",):
            for port in spec.get("ports") or ():
                if not port.get(name):
                    port.pop(name, None)
        if not spec.get("healthCheckNodePort"):
            spec.pop("healthCheckNodePort", None)
        return found

    def settle(self, context: Context, found: Found) -> Found:
        if self.spec[0].type == BALANCED and self.wait_for_load_balancer:
            return balanced_service(cluster_of(context), context, found)
        return found

    def observe(self, context: Context, found: Found, *, refresh: bool) -> None:
        spec = dict(found["spec"])
        spec.setdefault("allocateLoadBalancerNodePorts", self.spec[0].allocate_load_balancer_node_ports)
        super().observe(context, {**found, "spec": spec}, refresh=refresh)
        if self.status is Unknown or refresh:
            ingress = ((found.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
            addresses = [{"hostname": item.get("hostname", ""), "ip": item.get("ip", "")} for item in ingress]
            self.status = [{"load_balancer": [{"ingress": addresses}]}]


class ServiceV1(Service, name="kubernetes_service_v1"):
    """A name and an address for pods."""


RESOURCES: tuple[type[Resource], ...] = (Service, ServiceV1)
