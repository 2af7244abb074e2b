"""Queries on what builds made: resources, agents, apps, scripts, agent logs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stead.domain.records import Agent, App, LogLine, Resource, Script
from stead.domain.states import AgentLifecycle, AgentStatus, AppHealth
from stead.models import AgentLogRow, AgentRow, AppRow, ResourceRow, ScriptRow, ScriptRunRow, WorkspaceRow
from stead.store import codec
from stead.store.jobs import NewLine

_APP_FIELDS = (
    "id",
    "agent_id",
    "slug",
    "display_name",
    "url",
    "icon",
    "command",
    "external",
    "subdomain",
    "share",
    "hidden",
    "open_in",
    "order",
    "group",
    "tooltip",
    "healthcheck",
)
_SCRIPT_FIELDS = (
    "id",
    "display_name",
    "icon",
    "log_path",
    "script",
    "cron",
    "run_on_start",
    "run_on_stop",
    "start_blocks_login",
    "timeout",
)


@dataclass(frozen=True)
class AgentSecrets:
    """What an agent has that no record shows. ``sealed`` is its environment as the keyring sealed it."""

    token_hash: str | None = field(default=None, repr=False)
    instance_id: str | None = None
    sealed: bytes | None = field(default=None, repr=False)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredAgent:
    """An agent with what it belongs to."""

    agent: Agent
    build_id: str
    workspace_id: str | None
    secrets: AgentSecrets
    boot_id: str
    latest: bool  # its build is the workspace's latest


def insert(
    resource: Resource,
    position: int,
    build_id: str,
    workspace_id: str | None,
    secrets: dict[str, AgentSecrets],
    at: datetime,
) -> None:
    """Store a resource with its agents; ``secrets`` by agent id."""
    ResourceRow.insert(
        id=resource.id,
        build_id=build_id,
        position=position,
        address=resource.address,
        type=resource.type,
        name=resource.name,
        icon=resource.icon,
        hide=resource.hide,
        daily_cost=resource.daily_cost,
        metadata=codec.dump(resource.metadata),
    ).execute()
    for agent in resource.agents:
        _insert_agent(agent, build_id, workspace_id, secrets.get(agent.id, AgentSecrets()), at)


def _insert_agent(agent: Agent, build_id: str, workspace_id: str | None, secrets: AgentSecrets, at: datetime) -> None:
    AgentRow.insert(
        id=agent.id,
        resource_id=agent.resource_id,
        build_id=build_id,
        workspace_id=workspace_id,
        name=agent.name,
        os=agent.os,
        arch=agent.arch,
        directory=agent.directory,
        token_hash=secrets.token_hash,
        instance_id=secrets.instance_id.lower() if secrets.instance_id else None,
        sealed=secrets.sealed,
        lifecycle=agent.lifecycle.value,
        motd_file=agent.motd_file,
        connection_timeout=agent.connection_timeout,
        troubleshooting_url=agent.troubleshooting_url,
        display_apps=list(agent.display_apps),
        order=agent.order,
        metadata=_static_metadata(agent),
        settings=secrets.settings,
        created_at=at,
    ).execute()
    for app in agent.apps:
        AppRow.insert(
            health=app.health.value,
            **{name: getattr(app, name) for name in _APP_FIELDS if name != "healthcheck"},
            healthcheck=dict(app.healthcheck) if app.healthcheck else None,
        ).execute()
    for position, script in enumerate(agent.scripts):
        fields = {name: getattr(script, name) for name in _SCRIPT_FIELDS}
        ScriptRow.insert(agent_id=agent.id, position=position, **fields).execute()


def _static_metadata(agent: Agent) -> list[dict[str, Any]]:
    live = ("value", "error", "collected_at")
    return [{k: v for k, v in item.items() if k not in live} for item in codec.dump(agent.metadata)]


def of_builds(build_ids: Iterable[str]) -> dict[str, tuple[Resource, ...]]:
    """Resources with agents, apps and scripts, by build."""
    wanted = sorted(set(build_ids))
    if not wanted:
        return {}
    agents: dict[str, list[Agent]] = {}
    for row, agent in _agents(AgentRow.select().where(AgentRow.build_id.in_(wanted))):
        agents.setdefault(row.resource_id, []).append(agent)
    found: dict[str, list[Resource]] = {}
    for row in ResourceRow.select().where(ResourceRow.build_id.in_(wanted)).order_by(ResourceRow.position):
        found.setdefault(row.build_id, []).append(_resource(row, agents.get(row.id, [])))
    return {build_id: tuple(resources) for build_id, resources in found.items()}


def agent(agent_id: str) -> StoredAgent | None:
    return _stored(AgentRow.id == agent_id)


def agent_by_token_hash(token_hash: str) -> StoredAgent | None:
    """The agent of that token, of the newest build where a token was kept over several."""
    return _stored(AgentRow.token_hash == token_hash)


def builds_of_tokens(token_hashes: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Workspace and build of the agents of these tokens, each of its newest build, by token."""
    of_tokens = AgentRow.token_hash.in_(sorted(set(token_hashes))) & AgentRow.workspace_id.is_null(False)
    columns = (AgentRow.token_hash, AgentRow.workspace_id, AgentRow.build_id)
    query = AgentRow.select(*columns).where(of_tokens).order_by(AgentRow.created_at)
    return {token_hash: (workspace, build) for token_hash, workspace, build in query.tuples()}


def builds_of_instance(instance_id: str) -> list[tuple[str, str, str]]:
    """Agent, build and workspace of every build that gave an agent to this cloud instance.

    Case does not matter: no platform tells instances apart by it, and some write it now so, now so.
    """
    query = AgentRow.select(AgentRow.id, AgentRow.build_id, AgentRow.workspace_id)
    of_workspace = (AgentRow.instance_id == instance_id.lower()) & AgentRow.workspace_id.is_null(False)
    return [(row.id, row.build_id, row.workspace_id) for row in query.where(of_workspace)]


def give_token(agent_id: str, token_hash: str, at: datetime, unless_after: datetime) -> bool:
    """Replace an agent's token, unless it was given one after that time; of many callers one succeeds."""
    due = AgentRow.proven_at.is_null() | (AgentRow.proven_at <= unless_after)
    query = AgentRow.update(token_hash=token_hash, proven_at=at).where((AgentRow.id == agent_id) & due)
    return bool(query.execute())


def update_agent(agent_id: str, **values: Any) -> None:
    AgentRow.update(**values).where(AgentRow.id == agent_id).execute()


def app_health(agent_id: str, slug: str, health: AppHealth) -> bool:
    """Note an app's health; true where that is news."""
    of_agent = (AppRow.agent_id == agent_id) & (AppRow.slug == slug)
    return bool(AppRow.update(health=health.value).where(of_agent & (AppRow.health != health.value)).execute())


def script_belongs(agent_id: str, script_id: str) -> bool:
    of_agent = (ScriptRow.agent_id == agent_id) & (ScriptRow.id == script_id)
    return bool(ScriptRow.select(ScriptRow.id).where(of_agent).exists())


def insert_script_run(
    script_id: str, stage: str, started_at: datetime, finished_at: datetime, exit_code: int, *, timed_out: bool
) -> None:
    ScriptRunRow.insert(
        script_id=script_id,
        stage=stage,
        started_at=started_at,
        finished_at=finished_at,
        exit_code=exit_code,
        timed_out=timed_out,
    ).execute()


def drop_old_runs(script_id: str, keep: int) -> None:
    """Forget all runs of a script but the last ``keep``."""
    of_script = ScriptRunRow.script_id == script_id
    newest = ScriptRunRow.select(ScriptRunRow.id).where(of_script).order_by(ScriptRunRow.id.desc())
    oldest_kept = newest.limit(1).offset(keep - 1).scalar()
    if oldest_kept is not None:
        ScriptRunRow.delete().where(of_script & (ScriptRunRow.id < oldest_kept)).execute()


def log_size(agent_id: str) -> int:
    """Characters of log that are stored for the agent."""
    return int(AgentRow.select(AgentRow.log_size).where(AgentRow.id == agent_id).scalar() or 0)


def append_log(agent_id: str, lines: Sequence[NewLine]) -> int:
    """Add lines; returns the id of the last."""
    last = AgentLogRow.select(AgentLogRow.number).where(AgentLogRow.agent_id == agent_id)
    row = last.order_by(AgentLogRow.number.desc()).tuples().first()
    number = row[0] if row else 0
    rows = []
    for line in lines:
        number += 1
        rows.append({"agent_id": agent_id, "number": number, **vars(line)})
    for start in range(0, len(rows), 100):
        AgentLogRow.insert_many(rows[start : start + 100]).execute()
    return int(number)


def log(agent_id: str, after: int, limit: int) -> list[LogLine]:
    query = (
        AgentLogRow.select()
        .where((AgentLogRow.agent_id == agent_id) & (AgentLogRow.number > after))
        .order_by(AgentLogRow.number)
        .limit(limit)
    )
    return [LogLine(row.number, row.at, row.level, row.source, row.text) for row in query]


def _stored(condition: Any) -> StoredAgent | None:
    query = AgentRow.select().where(condition).order_by(AgentRow.created_at.desc()).limit(1)
    found = list(_agents(query))
    if not found:
        return None
    row, record = found[0]
    latest = (
        WorkspaceRow.select(WorkspaceRow.id)
        .where((WorkspaceRow.latest_build_id == row.build_id) & WorkspaceRow.deleted_at.is_null())
        .exists()
    )
    return StoredAgent(
        agent=record,
        build_id=row.build_id,
        workspace_id=row.workspace_id,
        secrets=AgentSecrets(row.token_hash, row.instance_id, row.sealed, row.settings),
        boot_id=row.boot_id,
        latest=bool(latest),
    )


def _agents(query: Any) -> list[tuple[Any, Agent]]:
    rows = sorted(query, key=lambda row: (row.order, row.name))
    ids = [row.id for row in rows]
    apps: dict[str, list[App]] = {}
    scripts: dict[str, list[Script]] = {}
    if ids:
        for app in AppRow.select().where(AppRow.agent_id.in_(ids)).order_by(AppRow.order, AppRow.slug):
            apps.setdefault(app.agent_id, []).append(_app(app))
        for script in ScriptRow.select().where(ScriptRow.agent_id.in_(ids)).order_by(ScriptRow.position):
            scripts.setdefault(script.agent_id, []).append(_script(script))
    return [(row, _agent(row, apps.get(row.id, ()), scripts.get(row.id, ()))) for row in rows]


def _agent(row: Any, apps: Sequence[App], scripts: Sequence[Script]) -> Agent:
    return Agent(
        id=row.id,
        resource_id=row.resource_id,
        name=row.name,
        os=row.os,
        arch=row.arch,
        directory=row.directory,
        status=_stored_status(row),
        lifecycle=AgentLifecycle(row.lifecycle),
        version=row.version,
        motd_file=row.motd_file,
        connection_timeout=row.connection_timeout,
        troubleshooting_url=row.troubleshooting_url,
        display_apps=tuple(row.display_apps),
        order=row.order,
        apps=tuple(apps),
        scripts=tuple(scripts),
        metadata=codec.AGENT_METADATA.validate_python(row.metadata),
        first_connected_at=row.first_connected_at,
        last_connected_at=row.last_connected_at,
        disconnected_at=row.disconnected_at,
        started_at=row.started_at,
        ready_at=row.ready_at,
    )


def _stored_status(row: Any) -> AgentStatus:
    """What the rows alone say; who holds the connections knows better and merges it in."""
    if row.first_connected_at is None:
        return AgentStatus.CONNECTING
    gone = row.disconnected_at is not None and row.disconnected_at >= row.last_connected_at
    return AgentStatus.DISCONNECTED if gone else AgentStatus.CONNECTED


def _app(row: Any) -> App:
    return App(health=AppHealth(row.health), **{name: getattr(row, name) for name in _APP_FIELDS})


def _script(row: Any) -> Script:
    return Script(**{name: getattr(row, name) for name in _SCRIPT_FIELDS})


def _resource(row: Any, agents: Sequence[Agent]) -> Resource:
    return Resource(
        id=row.id,
        address=row.address,
        type=row.type,
        name=row.name,
        icon=row.icon,
        hide=row.hide,
        daily_cost=row.daily_cost,
        metadata=codec.METADATA_ITEMS.validate_python(row.metadata),
        agents=tuple(agents),
    )
