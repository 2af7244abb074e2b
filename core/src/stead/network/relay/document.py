"""The DERP map: the JSON document that tells tunnel clients where the relay is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

REGION_ID = 900


@dataclass(frozen=True)
class RelayEndpoint:
    """Where one client reaches the relay.

    :param stun_port: UDP; ``None`` where no STUN server runs.
    :param certificate_digest: hex SHA-256 of the leaf certificate's DER, to pin a self-signed one.
    """

    host: str
    port: int
    stun_port: int | None = None
    certificate_digest: str | None = None


def relay_map(endpoint: RelayEndpoint) -> dict[str, Any]:
    node: dict[str, Any] = {
        "Name": f"{REGION_ID}a",
        "RegionID": REGION_ID,
        "HostName": endpoint.host,
        "DERPPort": endpoint.port,
        "STUNPort": endpoint.stun_port or -1,
        "CanPort80": False,
    }
    if endpoint.certificate_digest:
        node["CertName"] = f"sha256-raw:{endpoint.certificate_digest.lower()}"
    region = {"RegionID": REGION_ID, "RegionCode": "stead", "RegionName": "Stead", "Nodes": [node]}
    return {"Regions": {str(REGION_ID): region}}
