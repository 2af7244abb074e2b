"""What each request of an agent does."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from stead import VERSION
from stead.gateway.rpc import params as p
from stead.gateway.state import Gateway
from stead.services import agents
from stead.services.authentication import AgentIdentity
from stead.services.presence import ListeningPort, MetadataValue
from stead.store.jobs import NewLine

if TYPE_CHECKING:
    from stead.gateway.rpc.endpoint import Connection

logger = logging.getLogger(__name__)

STREAM_PATH = "/api/v2/agent/stream"
Handler = Callable[["AgentMethods", Mapping[str, Any]], Awaitable[Any]]


class AgentMethods:
    """The methods for one connected agent."""

    def __init__(self, gateway: Gateway, identity: AgentIdentity, connection: Connection) -> None:
        self._gateway = gateway
        self._core = gateway.core
        self._call = gateway.calls
        self._identity = identity
        self._connection = connection
        self._metadata: frozenset[str] = frozenset()

    async def hello(self, params: Mapping[str, Any]) -> dict[str, Any]:
        hello = p.read(p.Hello, params)
        gateway, agent_id = self._gateway, self._identity.agent_id
        if hello.tunnel_key:
            gateway.admit_key(agent_id, hello.tunnel_key)
        if not hello.tunnel_runs:
            gateway.streams.end_tunnel(agent_id)
        now = self._core.clock.now()
        self._core.presence.connected(agent_id, self._connection.id, now, gateway.path(agent_id))
        manifest = await self._call(
            agents.connected, self._core, self._identity.actor, agent_id, hello.version, hello.boot_id
        )
        self._metadata = frozenset(item.key for item in manifest.metadata)
        ticket = gateway.streams.issue(agent_id)
        self._connection.said_hello = True
        self._connection.capabilities = frozenset(hello.capabilities)
        return {
            "manifest": manifest_document(manifest),
            "tunnel": self._connection.tunnel_offer(),
            "streams": {
                "ticket": ticket,
                "parked": self._core.settings.agent_parked_streams,
                "websocket_url": STREAM_PATH,
            },
            "ssh": await self._ssh(),
            "server": {"version": VERSION, "time": now},
        }

    async def tunnel_key(self, params: Mapping[str, Any]) -> dict[str, Any]:
        self._gateway.admit_key(self._identity.agent_id, p.read(p.TunnelKey, params).public_key)
        self._gateway.streams.end_tunnel(self._identity.agent_id)
        return {"tunnel": self._connection.tunnel_offer()}

    async def lifecycle(self, params: Mapping[str, Any]) -> dict[str, Any]:
        report = p.read(p.LifecycleReport, params)
        await self._service(agents.lifecycle, report.state, report.at)
        return {}

    async def logs(self, params: Mapping[str, Any]) -> dict[str, Any]:
        lines = [NewLine(line.at, line.level, line.source, line.text) for line in p.read(p.Logs, params).lines]
        await self._service(agents.append_logs, lines)
        return {}

    async def metadata(self, params: Mapping[str, Any]) -> dict[str, Any]:
        values = {
            item.key: MetadataValue(item.value[: p.MAX_VALUE], item.error[: p.MAX_VALUE], item.collected_at)
            for item in p.read(p.Metadata, params).values
            # Values are kept in memory: what the template does not declare would only ever fill it.
            if item.key in self._metadata
        }
        self._core.presence.set_metadata(self._identity.agent_id, values)
        self._announce(metadata=sorted(values))
        return {}

    async def app_health(self, params: Mapping[str, Any]) -> dict[str, Any]:
        await self._service(agents.app_health, p.read(p.AppHealths, params).apps)
        return {}

    async def stats(self, params: Mapping[str, Any]) -> dict[str, Any]:
        self._core.presence.set_stats(self._identity.agent_id, _numbers(params))
        return {"interval": self._core.settings.agent_stats_interval}

    async def ports(self, params: Mapping[str, Any]) -> dict[str, Any]:
        found = [ListeningPort(x.port, x.process, x.address) for x in p.read(p.Ports, params).ports]
        self._core.presence.set_ports(self._identity.agent_id, found)
        self._announce(ports=len(found))
        return {}

    async def script_done(self, params: Mapping[str, Any]) -> dict[str, Any]:
        done = p.read(p.ScriptDone, params)
        await self._service(
            agents.script_done,
            done.script_id,
            done.started_at,
            done.finished_at,
            done.exit_code,
            done.stage,
            done.timed_out,
        )
        return {}

    async def host_certificate(self, params: Mapping[str, Any]) -> dict[str, Any]:
        key = p.read(p.HostCertificate, params).public_key
        certificate = await self._service(agents.host_certificate, key)
        return {"certificate": certificate, "user_ca": await self._call(agents.user_authorities, self._core)}

    async def path(self, params: Mapping[str, Any]) -> dict[str, Any]:
        hint = p.read(p.PathReport, params)
        seen = self._gateway.path(self._identity.agent_id) or hint.path
        self._core.presence.set_path(self._identity.agent_id, seen, hint.latency_ms)
        self._announce(path=seen.value)
        return {}

    async def _ssh(self) -> dict[str, Any]:
        return {
            "user_ca": await self._call(agents.user_authorities, self._core),
            "principals": [agents.principal(self._identity.workspace_id)],
            "certificate": None,
        }

    async def _service(self, function: Callable[..., Any], *args: Any) -> Any:
        return await self._call(function, self._core, self._identity.actor, self._identity.agent_id, *args)

    def _announce(self, **payload: Any) -> None:
        """Live values live in memory alone, so nobody else announces them."""
        self._core.bus.publish(f"agent:{self._identity.agent_id}", payload)


METHODS: dict[str, Handler] = {
    "hello": AgentMethods.hello,
    "tunnel_key": AgentMethods.tunnel_key,
    "lifecycle": AgentMethods.lifecycle,
    "logs": AgentMethods.logs,
    "metadata": AgentMethods.metadata,
    "app_health": AgentMethods.app_health,
    "stats": AgentMethods.stats,
    "ports": AgentMethods.ports,
    "script_done": AgentMethods.script_done,
    "host_certificate": AgentMethods.host_certificate,
    "path": AgentMethods.path,
}


def manifest_document(manifest: agents.Manifest) -> dict[str, Any]:
    """The manifest as the agent reads it: the agent's settings stand beside its fields."""
    fields = {f.name: getattr(manifest, f.name) for f in dataclasses.fields(manifest) if f.name != "settings"}
    return {**manifest.settings, **fields}


def _numbers(stats: Mapping[str, Any], depth: int = 2) -> dict[str, Any]:
    """The numbers and short words of a report, two levels deep; whatever else an agent says is dropped."""
    kept: dict[str, Any] = {}
    for name, value in list(stats.items())[:32]:
        if isinstance(value, Mapping) and depth:
            kept[str(name)[:64]] = _numbers(value, depth - 1)
        elif isinstance(value, (int, float)):
            kept[str(name)[:64]] = value
        elif isinstance(value, str):
            kept[str(name)[:64]] = value[:256]
    return kept
