"""The real tunnel program through the real relay, and what happens when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path

import pytest
import uvicorn

from stead.gateway.upgrade import protocol_factory
from stead.network.relay import Admission, Relay, RelayEndpoint, relay_map
from stead.network.relay.admission import parse_key
from stead.network.stun import serve_stun
from stead.network.tailcat import RelayAccess, Tailcat
from stead.network.tunnel import TunnelServer

pytestmark = pytest.mark.timeout(180)


async def serve(app, **options):
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off", **options)
    )
    server.capture_signals = contextlib.nullcontext
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0.01)
    return server, task, server.servers[0].sockets[0].getsockname()[1]


@pytest.fixture
async def tunnel(plane, tmp_path):
    """A relay and the control plane's end of the tunnel, which leads to ``plane``'s streams."""
    admission = Admission()
    relay = Relay(admission)
    stun = await serve_stun("127.0.0.1", 0)
    document = {}

    async def map_app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(document).encode()})

    server, task, port = await serve(map_app, http=protocol_factory(relay))
    document.update(relay_map(RelayEndpoint("127.0.0.1", port, stun.get_extra_info("sockname")[1], None)))
    access = RelayAccess(f"http://127.0.0.1:{port}/map.json", plain_http=True)
    end = TunnelServer(
        Tailcat.find(), folder=tmp_path / "tunnel", port=plane.stream_port, relay=access, admission=admission
    )
    await end.start()
    address = await end.wait_ready()
    plane.on_tunnel_key = lambda key: admission.admit("agent", parse_key(key))
    plane.tunnel = {
        "address": address.address, "port": address.port, "derp_map_url": access.map_url, "pin_ca": None,
        "relay_http": True,
    }  # fmt: skip
    yield end
    await end.stop()
    relay.shutdown()
    stun.close()
    server.should_exit = True
    await task


def kinds(plane):
    return {stream.kind for stream in plane.parked}


def tunnel_processes(agent_pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == agent_pid and (folder / "comm").read_text().strip() == "tailcat":
                    found.append(int(folder.name))
    return found


@pytest.mark.openssh
@pytest.mark.parametrize("always_relay", [False, True], ids=["direct", "relayed"])
async def test_streams_come_through_the_tunnel(plane, tunnel, start_agent, ssh, wait_for, always_relay):
    start_agent(tunnel=True, **({"TS_DEBUG_ALWAYS_USE_DERP": "true"} if always_relay else {}))
    await wait_for(lambda: len(plane.parked) == 4 and kinds(plane) == {"tcp"}, "streams through the tunnel")
    code, output, errors = await ssh.run("ws", "cat", stdin=b"x" * 1_000_000)
    assert (code, len(output)) == (0, 1_000_000), errors
    expected = "relayed" if always_relay else "direct"
    await wait_for(lambda: plane.said("path") and plane.said("path")[-1]["path"] == expected, f"the path {expected}")


async def test_a_dead_tunnel_is_replaced_and_the_fallback_carries(plane, tunnel, start_agent, wait_for):
    agent = start_agent(tunnel=True)
    await wait_for(lambda: len(plane.parked) == 4 and kinds(plane) == {"tcp"}, "streams through the tunnel")
    before = list(plane.parked)
    (first,) = tunnel_processes(agent.process.pid)
    os.kill(first, signal.SIGKILL)
    await wait_for(lambda: plane.said("tunnel_key"), "a fresh key")

    def fresh():
        return [stream for stream in plane.parked if stream not in before]

    await wait_for(lambda: len(fresh()) == 4 and {s.kind for s in fresh()} == {"tcp"}, "streams through the new tunnel")
    assert first not in tunnel_processes(agent.process.pid)


async def test_the_control_plane_is_told_that_a_tunnel_is_gone(plane, tunnel, start_agent, wait_for):
    agent = start_agent(tunnel=True)
    await wait_for(lambda: len(plane.parked) == 4 and kinds(plane) == {"tcp"}, "streams through the tunnel")
    await plane.rpc.close()
    await wait_for(lambda: len(plane.hellos) == 2, "the agent to come back")
    assert [hello["tunnel_runs"] for hello in plane.hellos] == [False, True]
    assert plane.hellos[1]["tunnel_key"]
    (first,) = tunnel_processes(agent.process.pid)
    os.kill(first, signal.SIGKILL)
    # The key that the second hello named was never used: it is told all the same.
    await wait_for(lambda: plane.said("tunnel_key") == [{"public_key": plane.hellos[1]["tunnel_key"]}], "the next key")


async def test_a_restarted_tunnel_server_is_found_again(plane, tunnel, start_agent, wait_for):
    agent = start_agent(tunnel=True)
    await wait_for(lambda: len(plane.parked) == 4 and kinds(plane) == {"tcp"}, "streams through the tunnel")
    before = tunnel_processes(agent.process.pid)
    os.kill(tunnel.process_id, signal.SIGKILL)
    await wait_for(lambda: tunnel_processes(agent.process.pid) not in ([], before), "a fresh client", 60)
    await wait_for(lambda: len(plane.parked) == 4 and kinds(plane) == {"tcp"}, "streams through the tunnel", 60)


async def test_without_a_tunnel_websocket_carries_and_a_late_tunnel_is_taken(plane, tunnel, start_agent, wait_for):
    offer, plane.tunnel = plane.tunnel, None
    start_agent(tunnel=True)
    await wait_for(lambda: len(plane.parked) == 4 and kinds(plane) == {"websocket"}, "streams over WebSocket")
    plane.tunnel = offer
    await plane.notify("tunnel", {"tunnel": offer})
    await wait_for(lambda: "tcp" in kinds(plane), "streams through the tunnel")


async def test_an_unreachable_tunnel_falls_back(plane, start_agent, wait_for):
    plane.tunnel = {"address": "tcnonsense", "port": 1, "derp_map_url": "http://127.0.0.1:1/none", "relay_http": True}
    start_agent(tunnel=True)
    await wait_for(lambda: len(plane.parked) == 4 and kinds(plane) == {"websocket"}, "streams over WebSocket")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_the_tunnel_process_does_not_outlive_the_agent(plane, tunnel, start_agent, wait_for, number):
    agent = start_agent(tunnel=True)
    await wait_for(lambda: len(plane.parked) == 4, "parked streams")
    (process,) = tunnel_processes(agent.process.pid)
    agent.stop(number)
    await wait_for(lambda: not Path(f"/proc/{process}").exists(), "the end of the tunnel process")


async def test_the_address_is_nowhere_in_the_log(plane, tunnel, start_agent, wait_for):
    agent = start_agent(tunnel=True)
    await wait_for(lambda: len(plane.parked) == 4 and kinds(plane) == {"tcp"}, "streams through the tunnel")
    assert plane.tunnel["address"] not in agent.output()
