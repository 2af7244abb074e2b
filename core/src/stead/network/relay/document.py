"""The DERP map: the JSON document that tells tunnel clients where the relay is."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

REGION_ID = 900


@dataclass(frozen=True)
class RelayEndpoint:
    """Where one client reaches the relay.

    :param stun_port: UDP; ``None`` where no STUN server runs.
    :param only_family: 4 or 6 where just that family of a host name is to be used.
    :param certificate_digest: hex SHA-256 of the leaf certificate's DER, to pin a self-signed one.
    """

    host: str
    port: int
    stun_port: int | None = None
    certificate_digest: str | None = None
    only_family: int | None = None


def relay_map(endpoint: RelayEndpoint) -> dict[str, Any]:
    node: dict[str, Any] = {
        "Name": f"{REGION_ID}a",
        "RegionID": REGION_ID,
        "HostName": endpoint.host,
        "DERPPort": endpoint.port,
        "STUNPort": endpoint.stun_port or -1,
        "CanPort80": False,
    }
    node |= _families(endpoint)
    if endpoint.certificate_digest:
        node["CertName"] = f"sha256-raw:{endpoint.certificate_digest.lower()}"
    region = {"RegionID": REGION_ID, "RegionCode": "stead", "RegionName": "Stead", "Nodes": [node]}
    return {"Regions": {str(REGION_ID): region}}


def _families(endpoint: RelayEndpoint) -> dict[str, str]:
    """Which address families the relay has, where that is known.

    Clients probe a family that they know nothing of, and wait three seconds for it before they join.
    """
    try:
        address = ipaddress.ip_address("127.0.0.1" if endpoint.host == "localhost" else endpoint.host)
    except ValueError:
        return {"IPv6": "none"} if endpoint.only_family == 4 else {}
    if address.version == 4:
        return {"IPv4": str(address), "IPv6": "none"}
    return {"IPv4": "none", "IPv6": str(address)}
