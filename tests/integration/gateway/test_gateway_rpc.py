"""The agent's control connection against a running server."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from stead.domain.records import AgentMetadata
from stead.testing.handmade import end_workspace
from stead.testing.waiting import eventually_async

NOW = datetime.now(UTC).isoformat()
KEY = "nodekey:" + "ab" * 32


async def status_of(url: str, token: str | None) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, additional_headers=headers):
            pass
    response = refused.value.response
    return response.status_code, json.loads(response.body or b"{}")


async def test_hello_brings_everything_that_an_agent_needs(site: Any) -> None:
    made = site.workspace(directory="/work", env={"A": "secret-b"})
    async with site.rpc(made.tokens["main"]) as agent:
        answer = await agent.hello(boot_id="b", tunnel_key=KEY)
        manifest = answer["manifest"]
        assert manifest["workspace_name"] == made.workspace.name
        assert manifest["owner"] == "owner"
        assert (manifest["directory"], manifest["env"]) == ("/work", {"A": "secret-b"})
        assert answer["streams"]["parked"] == 4
        assert answer["ssh"]["principals"] == [f"workspace:{made.workspace.id}"]
        assert answer["ssh"]["user_ca"][0].startswith("ssh-ed25519 ")
        assert answer["tunnel"]["derp_map_url"] == f"{site.deployment.url}/derp/map.json"
        assert answer["tunnel"]["relay_http"] is True
        assert answer["tunnel"]["address"].startswith("tc")
        record = await eventually_async(lambda: site.agent_record(made))
        assert (record["status"], record["version"]) == ("connected", "1.0")
    await eventually_async(lambda: site.agent_record(made)["status"] == "disconnected", 10)


async def test_another_protocol_number_is_answered_with_what_is_spoken(site: Any) -> None:
    made = site.workspace()
    url = f"{site.websocket_url}/api/v2/agent/rpc?protocol=99"
    assert await status_of(url, made.tokens["main"]) == (
        400,
        {"message": "This server speaks another version of the agent protocol.", "supported": [1]},
    )


@pytest.mark.parametrize("token", [None, "wrong", "x" * 5000])
async def test_a_bad_token_gets_401(site: Any, token: str | None) -> None:
    status, body = await status_of(f"{site.websocket_url}/api/v2/agent/rpc?protocol=1", token)
    assert (status, body["error"]["reason"]) == (401, "not_authenticated")


async def test_a_persons_token_is_no_agents_token(site: Any) -> None:
    url = f"{site.websocket_url}/api/v2/agent/rpc?protocol=1"
    assert (await status_of(url, site.deployment.token))[0] == 401


async def test_nothing_comes_before_hello(site: Any) -> None:
    async with site.rpc(site.workspace().tokens["main"]) as agent:
        assert (await agent.call("logs", lines=[]))["error"]["code"] == -32600
        assert await agent.hello()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", -32700),
        ("[" * 5000, -32700),
        ("[]", -32600),
        ('{"id": null, "method": 1}', -32600),
        ('{"method": "hello", "params": [1]}', -32600),
    ],
)
async def test_malformed_messages_are_answered_and_do_no_harm(site: Any, text: str, code: int) -> None:
    async with site.rpc(site.workspace().tokens["main"]) as agent:
        await agent.hello()
        await agent.socket.send(text)
        # Without an id there is nobody to answer to; the connection goes on.
        assert (await agent.call("no such method"))["error"]["code"] == -32601
        del code


async def test_bad_parameters_name_the_field(site: Any) -> None:
    async with site.rpc(site.workspace().tokens["main"]) as agent:
        await agent.hello()
        error = (await agent.call("lifecycle", state="sleepy", at=NOW))["error"]
        assert (error["code"], error["data"]["field"]) == (-32602, "state")
        error = (await agent.call("ports", ports=[{"port": 70000}]))["error"]
        assert error["data"]["field"] == "ports.0.port"


async def test_a_message_that_is_too_long_ends_the_connection(site: Any) -> None:
    async with site.rpc(site.workspace().tokens["main"]) as agent:
        await agent.hello()
        with pytest.raises(ConnectionClosed) as closed:
            await agent.call("logs", lines=[{"at": NOW, "text": "x" * (2 * 1024 * 1024)}])
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_a_second_connection_replaces_the_first(site: Any) -> None:
    made = site.workspace()
    async with site.rpc(made.tokens["main"]) as first:
        await first.hello()
        async with site.rpc(made.tokens["main"]) as second:
            await second.hello()
            with pytest.raises(ConnectionClosed) as closed:
                await first.answer(-1)
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "replaced")
            assert site.agent_record(made)["status"] == "connected"
            assert (await second.call("ports", ports=[]))["result"] == {}


async def test_only_declared_metadata_is_kept(site: Any) -> None:
    made = site.workspace(metadata=[AgentMetadata("load", "Load", "uptime", 10, 1)])
    told: list[Any] = []
    with site.core.bus.subscribe(f"agent:{made.agent_id}", lambda _, payload: told.append(payload.get("metadata"))):
        async with site.rpc(made.tokens["main"]) as agent:
            await agent.hello()
            values = [{"key": key, "value": "1", "collected_at": NOW} for key in ("load", "other", "another")]
            assert (await agent.call("metadata", values=values))["result"] == {}
            await eventually_async(lambda: any(told))
    assert [keys for keys in told if keys] == [["load"]]
    assert site.agent_record(made)["metadata"][0]["key"] == "load"


async def test_what_an_agent_reports_is_shown(site: Any) -> None:
    made = site.workspace()
    async with site.rpc(made.tokens["main"]) as agent:
        await agent.hello()
        for state in ("starting", "ready"):
            assert (await agent.call("lifecycle", state=state, at=NOW))["result"] == {}
        line = {"at": NOW, "level": "info", "source": "startup", "text": "installing"}
        assert (await agent.call("logs", lines=[line, {**line, "text": "done"}]))["result"] == {}
        stats = {"cpu": {"used_cores": 0.5}, "memory": {"used": 1}, "sessions": {"ssh": 1}}
        assert (await agent.call("stats", **stats))["result"]["interval"] > 0
        assert (await agent.call("path", path="websocket", latency_ms=3))["result"] == {}
        record = site.agent_record(made)
        assert (record["lifecycle"], record["path"]) == ("ready", "websocket")
        logs = site.deployment.get(f"/agents/{made.agent_id}/logs")["items"]
        assert [entry["text"] for entry in logs] == ["installing", "done"]
        workspace = site.deployment.get(f"/workspaces/{made.workspace.id}")
        assert workspace["ready"] is True


async def test_the_host_certificate_is_signed_for_this_workspace(site: Any) -> None:
    made = site.workspace()
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3oVt3LlqUKbI9gPz0vsZb7oNUsdWPv5qSVkZJwZz0P test"
    async with site.rpc(made.tokens["main"]) as agent:
        await agent.hello()
        answer = (await agent.call("host_certificate", public_key=key))["result"]
        assert answer["certificate"].startswith("ssh-ed25519-cert-v01@openssh.com ")
        error = (await agent.call("host_certificate", public_key="rubbish"))["error"]
        assert error["data"]["field"] == "public_key"


async def test_a_tunnel_key_of_another_agent_is_refused(site: Any) -> None:
    key = "nodekey:" + "cd" * 32
    async with (
        site.rpc(site.workspace().tokens["main"]) as one,
        site.rpc(site.workspace().tokens["main"]) as other,
    ):
        await one.hello(tunnel_key=key)
        await other.hello()
        assert "another agent" in (await other.call("tunnel_key", public_key=key))["error"]["message"]
        assert (await one.call("tunnel_key", public_key=key))["result"]["tunnel"]["address"]
        error = (await one.call("tunnel_key", public_key="nodekey:xyz"))["error"]
        assert error["code"] == -32602


@pytest.mark.parametrize("transition", ["stop", "delete"])
async def test_when_the_build_is_gone_the_agent_is_told_at_once(site: Any, transition: str) -> None:
    made = site.workspace()
    async with site.rpc(made.tokens["main"]) as agent:
        await agent.hello()
        await asyncio.to_thread(end_workspace, site.core, site.owner, made.workspace.id, transition)
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(agent.answer(-1), 10)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4003, "revoked")
    assert (await status_of(f"{site.websocket_url}/api/v2/agent/rpc?protocol=1", made.tokens["main"]))[0] == 401


async def test_the_map_follows_the_host_that_the_client_asked(site: Any) -> None:
    port = site.deployment.port
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{site.deployment.url}/derp/map.json", headers={"Host": f"stead.internal:{port}"})
    [node] = answer.json()["Regions"]["900"]["Nodes"]
    assert (node["HostName"], node["DERPPort"], node["STUNPort"]) == (
        "stead.internal",
        port,
        site.deployment.stun_port,
    )


async def test_no_secret_is_in_the_servers_log(site: Any) -> None:
    made = site.workspace(env={"PASSWORD": "very-secret-value"})
    async with site.rpc(made.tokens["main"]) as agent:
        answer = await agent.hello(tunnel_key="nodekey:" + "ef" * 32)
    log = site.deployment.log
    for secret in (
        made.tokens["main"],
        answer["streams"]["ticket"],
        answer["tunnel"]["address"],
        site.deployment.token,
        "very-secret-value",
    ):
        assert secret not in log
