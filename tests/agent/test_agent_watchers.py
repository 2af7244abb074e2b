"""Metadata, app health, statistics and ports."""

from __future__ import annotations

import asyncio
import socket


def value_of(plane, key):
    values = [value for call in plane.said("metadata") for value in call["values"] if value["key"] == key]
    return values[-1] if values else None


def item(key, script, **values):
    return {"key": key, "script": script, "interval": 1, "timeout": 1, **values}


async def test_metadata_is_collected_again_and_again(agent_with, wait_for, tmp_path):
    counter = tmp_path / "n"
    text = f"echo x >> {counter}; wc -l < {counter}"
    plane = await agent_with(metadata=[item("count", text)])
    await wait_for(lambda: (value_of(plane, "count") or {}).get("value") == "3", "the third value")
    assert value_of(plane, "count")["error"] == ""


async def test_metadata_that_fails_hangs_or_floods(agent_with, wait_for):
    items = [
        item("fails", "echo seen; exit 4"),
        item("hangs", "sleep 30"),
        item("floods", "yes \N{EURO SIGN} | head -c 1000000"),
        item("binary", "printf '\\377\\000x'"),
    ]
    plane = await agent_with(metadata=items)
    await wait_for(lambda: all(value_of(plane, entry["key"]) for entry in items), "all values")
    fails, hangs = value_of(plane, "fails"), value_of(plane, "hangs")
    assert (fails["value"], fails["error"]) == ("seen", "exit code 4")
    assert (hangs["value"], "longer than 1 s" in hangs["error"]) == ("", True)
    flood = value_of(plane, "floods")["value"]
    assert 2040 < len(flood.encode()) <= 2048
    assert set(flood) == {"\N{EURO SIGN}", "\n"}
    assert value_of(plane, "binary")["value"] == "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}x"


async def test_metadata_is_told_to_a_new_control_plane(agent_with, wait_for):
    plane = await agent_with(metadata=[item("once", "echo 1", interval=0)])
    await wait_for(lambda: value_of(plane, "once"), "the value")
    plane.calls.clear()
    await plane.stop()
    await plane.start()
    await wait_for(lambda: value_of(plane, "once"), "the value again")


async def test_app_health_follows_the_app(agent_with, wait_for):
    answer = b"HTTP/1.1 500 no\r\n\r\n"

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    check = {"url": f"http://127.0.0.1:{port}/healthz", "interval": 1, "threshold": 2}
    plane = await agent_with(apps=[{"slug": "app", "healthcheck": check}, {"slug": "none", "healthcheck": None}])

    def health():
        calls = plane.said("app_health")
        return calls[-1]["apps"] if calls else {}

    await wait_for(lambda: health() == {"app": "initializing"}, "the first state")
    await wait_for(lambda: health() == {"app": "unhealthy"}, "two failures")
    answer = b"HTTP/1.1 401 who\r\n\r\n"
    await wait_for(lambda: health() == {"app": "healthy"}, "health")
    server.close()
    await wait_for(lambda: health() == {"app": "unhealthy"}, "the app's end")


async def test_statistics(agent_with, wait_for):
    plane = await agent_with()
    await wait_for(lambda: plane.said("stats"), "statistics")
    stats = plane.said("stats")[0]
    assert stats["cpu"]["total_cores"] > 0
    assert 0 < stats["memory"]["used"] <= stats["memory"]["total"]
    assert 0 < stats["disk"]["used"] <= stats["disk"]["total"]
    assert stats["sessions"] == {"ssh": 0, "vscode": 0, "jetbrains": 0, "web": 0}


async def test_ports_appear_and_go(agent_with, wait_for):
    plane = await agent_with()

    def ports():
        calls = plane.said("ports")
        return {entry["port"]: entry for entry in calls[-1]["ports"]} if calls else {}

    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        await wait_for(lambda: number in ports(), "the port")
        assert ports()[number]["address"] == "127.0.0.1"
        assert ports()[number]["process"].startswith(("python", "pytest"))
    await wait_for(lambda: number not in ports(), "the port's end")
