"""``google_compute_address``."""

from __future__ import annotations

from typing import Any

from stead.api.provider import Context, Nesting, attribute, block, one_of
from stead_gcp import labels as labelling
from stead_gcp.base import (
    Found,
    Labelled,
    Timeouts,
    fill_defaults,
    given,
    is_name,
    limit_of,
    missing,
    observe_all,
    provider_of,
    without_nothing,
)
from stead_gcp.cloud import cloud_of, limited
from stead_gcp.links import link, name_of, parsed, same_link

READY = ("RESERVED", "IN_USE")


def same_version(one: Any, other: Any) -> bool:
    return bool((one or "IPV4") == (other or "IPV4"))


class Address(Labelled, name="google_compute_address"):
    """An address of a region that stays when instances come and go."""

    name: str = attribute(required=True, force_new=True, validators=[is_name], description="Name.")
    region: str | None = attribute(
        optional=True,
        computed=True,
        force_new=True,
        normalize=same_link,
        description="Region; the provider's where not set.",
    )
    address: str | None = attribute(
        optional=True, computed=True, force_new=True, description="The address; chosen where not set."
    )
    address_type: str = attribute(
        default="EXTERNAL",
        force_new=True,
        validators=[one_of("INTERNAL", "EXTERNAL", "")],
        description="EXTERNAL or INTERNAL.",
    )
    description: str | None = attribute(optional=True, force_new=True, description="What it is for.")
    ip_version: str | None = attribute(
        optional=True,
        force_new=True,
        normalize=same_version,
        validators=[one_of("IPV4", "IPV6", "")],
        description="IPV4 or IPV6.",
    )
    ipv6_endpoint_type: str | None = attribute(
        optional=True, force_new=True, validators=[one_of("VM", "NETLB", "")], description="VM or NETLB."
    )
    network: str | None = attribute(
        optional=True, force_new=True, normalize=same_link, description="Network, for peering."
    )
    network_tier: str | None = attribute(
        optional=True,
        computed=True,
        force_new=True,
        validators=[one_of("PREMIUM", "STANDARD", "")],
        description="PREMIUM or STANDARD.",
    )
    prefix_length: int | None = attribute(optional=True, computed=True, force_new=True, description="Of a range.")
    purpose: str | None = attribute(optional=True, computed=True, force_new=True, description="GCE_ENDPOINT …")
    subnetwork: str | None = attribute(
        optional=True,
        computed=True,
        force_new=True,
        normalize=same_link,
        description="Subnetwork of an internal address.",
    )
    users: list[str] = attribute(computed=True)
    timeouts: Timeouts | None = block(Timeouts, nesting=Nesting.SINGLE)

    def place(self, context: Context) -> Found:
        if not given(self.region):
            self.region = provider_of(context).need_region()
        return {"project": self.in_project(context), "region": name_of(self.region)}

    def _find(self, context: Context) -> Found | None:
        doing = f"Address {self.name} could not be read"
        return cloud_of(context).find(context, doing, "addresses.get", address=self.name, **self.place(context))

    def _settled(self, context: Context) -> Found | None:
        pause = min(0.2, cloud_of(context).settings.poll)
        while (found := self._find(context)) is not None and found.get("status", "RESERVED") not in READY:
            cloud_of(context).pause(context, pause, f"Address {self.name} is not ready")
            pause = min(pause * 1.5, cloud_of(context).settings.poll)
        return found

    def create(self, context: Context) -> None:
        with limited(context, limit_of(self.timeouts, "create")) as bound:
            found = cloud_of(context).make(
                bound,
                f"Address {self.name} could not be created",
                self._settled,
                lambda address: labelling.carries(address.get("labels"), context.key),
                "addresses.insert",
                discard=self._discard,
                taken=f"An address {self.name} exists already, and Stead did not make it for this.",
                addressResource=self._body(bound),
                **self.place(bound),
            )
        self._assign(context, found, refresh=False)

    def _discard(self, context: Context) -> None:
        found = self._settled(context)
        if found is not None and labelling.carries(found.get("labels"), context.key):
            self._remove(context)

    def _body(self, context: Context) -> Found:
        project, region = self.place(context).values()
        subnetwork, network = given(self.subnetwork), self.network
        return without_nothing(
            {
                "name": self.name,
                "description": self.description,
                "labels": self.labels_to_make(context),
                "address": given(self.address),
                "addressType": self.address_type or None,
                "ipVersion": self.ip_version or None,
                "ipv6EndpointType": self.ipv6_endpoint_type or None,
                "network": link(network, project, "global", "networks") if network else None,
                "networkTier": given(self.network_tier) or None,
                "prefixLength": given(self.prefix_length),
                "purpose": given(self.purpose) or None,
                "subnetwork": link(subnetwork, project, f"regions/{region}", "subnetworks") if subnetwork else None,
            }
        )

    def read(self, context: Context) -> bool:
        found = self._find(context)
        if found is None:
            return False
        self._assign(context, found, refresh=True)
        return True

    def _assign(self, context: Context, found: Found, *, refresh: bool) -> None:
        project, region = self.place(context).values()
        self.id = f"projects/{project}/regions/{region}/addresses/{self.name}"
        links = {"region": region, "subnetwork": found.get("subnetwork", ""), "network": found.get("network", "")}
        observe_all(self, links, refresh=refresh, same=same_link)
        observe_all(self, {"ip_version": found.get("ipVersion", "")}, refresh=refresh, same=same_version)
        observe_all(
            self,
            {
                "address": found.get("address", ""),
                "address_type": found.get("addressType", "EXTERNAL"),
                "description": found.get("description", ""),
                "ipv6_endpoint_type": found.get("ipv6EndpointType", ""),
                "network_tier": found.get("networkTier", ""),
                "prefix_length": int(found.get("prefixLength", 0)),
                "purpose": found.get("purpose", ""),
                "self_link": found.get("selfLink", ""),
                "creation_timestamp": found.get("creationTimestamp", ""),
                "users": sorted(found.get("users", ())),
            },
            refresh=refresh,
        )
        self.observe_labels(context, found, refresh=refresh)

    def update(self, context: Context, prior: Address) -> None:
        """Labels are all that changes in place."""
        doing = f"Address {self.name} could not be changed"
        with limited(context, limit_of(self.timeouts, "update")) as bound:
            if self.terraform_labels != prior.terraform_labels:
                self._relabel(bound, prior, doing)
            found = self._find(bound)
        if found is None:
            raise missing("Address", self.name)
        self._assign(context, found, refresh=False)

    def _relabel(self, context: Context, prior: Address, doing: str) -> None:
        found = self._find(context)
        if found is None:
            raise missing("Address", self.name)
        body = {
            "labels": self.labels_to_set(context, found, prior),
            "labelFingerprint": found.get("labelFingerprint", ""),
        }
        cloud_of(context).do(
            context,
            doing,
            "addresses.setLabels",
            field="labels",
            resource=self.name,
            regionSetLabelsRequestResource=body,
            **self.place(context),
        )

    def delete(self, context: Context) -> None:
        with limited(context, limit_of(self.timeouts, "delete")) as bound:
            self._remove(bound)

    def _remove(self, context: Context) -> None:
        doing = f"Address {self.name} could not be released"
        cloud_of(context).remove(context, doing, "addresses.delete", address=self.name, **self.place(context))

    @classmethod
    def import_(cls, context: Context, identity: str) -> Address | None:
        project, region, name = parsed(identity, "addresses", "regions")
        address = cls(name=name, project=project or None, region=region or None)
        found = address._find(context)
        if found is None:
            return None
        address.import_labels(context, found)
        address._assign(context, found, refresh=True)
        fill_defaults(address)
        return address
