"""``/derp/map.json``: the relay as the asking client reaches it, which is by the host that it asked."""

from __future__ import annotations

import ipaddress

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from stead.gateway.state import Gateway
from stead.network.relay import RelayEndpoint, relay_map


class RelayDocuments:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def map(self, request: Request) -> Response:
        endpoint = RelayEndpoint(
            host=request.url.hostname or "localhost",
            port=request.url.port or (443 if request.url.scheme == "https" else 80),
            stun_port=self._gateway.stun_port,
            certificate_digest=self._gateway.certificate_digest,
            only_family=_family(request),
        )
        return JSONResponse(relay_map(endpoint), headers={"Cache-Control": "no-store"})

    async def probe(self, request: Request) -> Response:
        """What clients time to find out how near the relay is."""
        del request
        return Response(headers={"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"})

    async def not_upgraded(self, request: Request) -> Response:
        del request
        return PlainTextResponse("This is a DERP relay.\n", 426, {"Upgrade": "DERP", "Connection": "Upgrade"})


def _family(request: Request) -> int | None:
    try:
        address = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return 4 if mapped else address.version
