"""Agents: what the gateway reports of them, their logs, and SSH certificates."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stead.api.errors import Conflict, Forbidden, InvalidInput, NotFound
from stead.domain import rbac
from stead.domain.records import Actor, Agent, AgentMetadata, App, LogLine, Script, Workspace
from stead.domain.states import AgentLifecycle, AppHealth, BuildStatus
from stead.domain.transitions import agent_may_become
from stead.services import live, ssh, workspaces
from stead.services.builds import LARGEST_LOG_PAGE
from stead.services.core import SYSTEM, Change, Core
from stead.store import resources as store
from stead.store import users as user_store
from stead.store import workspaces as workspace_store
from stead.store.jobs import NewLine

LONGEST_LINE = 16 * 1024
LINE_COST = 32  # what a line counts beside its text: empty ones take room too
RUNS_KEPT = 100  # of one script; a cron script runs for as long as the workspace does


@dataclass(frozen=True)
class Manifest:
    """What an agent needs to know of itself; the fields are those of the agent protocol."""

    agent_id: str
    agent_name: str
    workspace_id: str
    workspace_name: str
    owner: str
    owner_email: str
    owner_full_name: str
    directory: str
    env: Mapping[str, str] = field(repr=False)
    motd_file: str
    access_url: str
    scripts: tuple[Script, ...]
    apps: tuple[App, ...]
    metadata: tuple[AgentMetadata, ...]
    connection_timeout: int
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class SshAccess:
    """What a person's SSH client needs for one agent."""

    certificate: str
    host_ca: tuple[str, ...]
    hostname: str
    user: str
    expires_at: datetime
    agent: Agent


def _stored(core: Core, actor: Actor, agent_id: str) -> store.StoredAgent:
    """The agent itself, or the system, speaks of an agent."""
    if actor.user_id not in (agent_id, SYSTEM.user_id):
        raise Forbidden("Only the agent itself may report this.")
    with core.database.read():
        stored = store.agent(agent_id)
    if stored is None:
        raise NotFound(f"There is no agent {agent_id}.")
    return stored


def _announce(change: Change, stored: store.StoredAgent, **payload: object) -> None:
    change.announce(f"agent:{stored.agent.id}", **payload)
    if stored.workspace_id is not None:
        change.announce(f"workspace:{stored.workspace_id}", id=stored.workspace_id)
        owner_id = workspace_store.owner_of(stored.workspace_id)
        change.announce(f"workspaces:{owner_id}", id=stored.workspace_id)


def connected(core: Core, actor: Actor, agent_id: str, version: str, boot_id: str = "") -> Manifest:
    """An agent has a connection. The caller has told ``core.presence`` before."""
    stored = _stored(core, actor, agent_id)
    now = core.clock.now()
    values: dict[str, Any] = {"last_connected_at": now, "version": version[:64], "boot_id": boot_id[:64]}
    if stored.agent.first_connected_at is None:
        values["first_connected_at"] = now
    with core.change(actor) as change:
        store.update_agent(agent_id, **values)
        _announce(change, stored, status=True)
    return manifest(core, agent_id)


def manifest(core: Core, agent_id: str) -> Manifest:
    """What the agent is told of itself."""
    with core.database.read():
        stored = store.agent(agent_id)
        workspace = workspace_store.by_id(stored.workspace_id) if stored and stored.workspace_id else None
        owner = user_store.by_id(workspace.owner_id) if workspace else None
    if stored is None or workspace is None or owner is None:
        raise NotFound(f"There is no agent {agent_id}.")
    agent = stored.agent
    return Manifest(
        agent_id=agent.id,
        agent_name=agent.name,
        workspace_id=workspace.id,
        workspace_name=workspace.name,
        owner=owner.username,
        owner_email=owner.email,
        owner_full_name=owner.name,
        directory=agent.directory,
        env=_env(core, stored),
        motd_file=agent.motd_file,
        access_url=core.settings.access_url,
        scripts=agent.scripts,
        apps=agent.apps,
        metadata=agent.metadata,
        connection_timeout=agent.connection_timeout,
        settings=stored.secrets.settings,
    )


def _env(core: Core, stored: store.StoredAgent) -> dict[str, str]:
    if stored.secrets.sealed is None:
        return {}
    env = json.loads(core.keyring.open(f"agent:{stored.agent.id}", stored.secrets.sealed))
    return {str(name): str(value) for name, value in env.items()}


def disconnected(core: Core, actor: Actor, agent_id: str) -> None:
    """The agent's connection ended and no other took its place."""
    stored = _stored(core, actor, agent_id)
    with core.change(actor) as change:
        store.update_agent(agent_id, disconnected_at=core.clock.now())
        _announce(change, stored, status=True)


def lifecycle(core: Core, actor: Actor, agent_id: str, state: AgentLifecycle, at: datetime) -> bool:
    """The agent tells how far it is; false where that does not follow from where it was."""
    stored = _stored(core, actor, agent_id)
    then = AgentLifecycle(state)
    if not agent_may_become(stored.agent.lifecycle, then):
        return False
    values: dict[str, Any] = {"lifecycle": then.value}
    if then is AgentLifecycle.STARTING:
        values |= {"started_at": at, "ready_at": None}
    elif then in (AgentLifecycle.READY, AgentLifecycle.START_ERROR):
        values["ready_at"] = at
    with core.change(actor) as change:
        store.update_agent(agent_id, **values)
        _announce(change, stored, lifecycle=then.value)
        change.event("workspace.agent.lifecycle", agent=agent_id, workspace=stored.workspace_id, state=then.value)
    return True


def append_logs(core: Core, actor: Actor, agent_id: str, lines: Sequence[NewLine]) -> None:
    """Keep lines of the agent's scripts, up to the bound that the settings give one agent."""
    stored = _stored(core, actor, agent_id)
    if not lines:
        return
    with core.change(actor) as change:
        size = store.log_size(agent_id)
        kept, size = _within(lines, size, core.settings.agent_log_bytes)
        if kept:
            store.update_agent(agent_id, log_size=size)
            last = store.append_log(agent_id, kept)
            change.announce(f"agent:{stored.agent.id}", log=last)


def _within(lines: Sequence[NewLine], size: int, bound: int) -> tuple[list[NewLine], int]:
    """The lines that fit, and the size of the log with them.

    The first line that does not fit is replaced by a note, after which the log counts as full.
    """
    kept: list[NewLine] = []
    for line in lines:
        if size >= bound:
            break
        text = line.text.replace("\x00", "")[:LONGEST_LINE]
        size += len(text) + LINE_COST
        if size > bound:
            kept.append(NewLine(line.at, "warn", line.source[:64], "The log is full; what follows is not kept."))
            return kept, bound
        kept.append(NewLine(line.at, line.level[:8], line.source[:64], text))
    return kept, size


def logs(core: Core, actor: Actor, agent_id: str, after: int = 0, limit: int = 1000) -> tuple[LogLine, ...]:
    """Lines of an agent's log with an id greater than ``after``."""
    get(core, actor, agent_id)
    with core.database.read():
        return tuple(store.log(agent_id, after, max(1, min(limit, LARGEST_LOG_PAGE))))


def get(core: Core, actor: Actor, agent_id: str) -> Agent:
    """An agent of a workspace that the actor may see."""
    agent, _ = with_workspace(core, actor, agent_id)
    return agent


def with_workspace(core: Core, actor: Actor, agent_id: str) -> tuple[Agent, str]:
    """An agent and the id of its workspace."""
    with core.database.read():
        stored = store.agent(agent_id)
        owner_id = workspace_store.owner_of(stored.workspace_id) if stored and stored.workspace_id else None
        build = workspace_store.build(stored.build_id) if stored else None
    allowed = rbac.allows(actor, rbac.Resource.WORKSPACE, rbac.Action.READ, owner_id)
    if stored is None or stored.workspace_id is None or not (allowed or actor.user_id == agent_id):
        raise NotFound(f"There is no agent {agent_id}.")
    since = build.job.finished_at if build and build.job.status is BuildStatus.SUCCEEDED else None
    return live.agent(core, stored.agent, since), stored.workspace_id


def app_health(core: Core, actor: Actor, agent_id: str, apps: Mapping[str, AppHealth]) -> None:
    stored = _stored(core, actor, agent_id)
    with core.change(actor) as change:
        changed = [slug for slug, health in apps.items() if store.app_health(agent_id, slug, AppHealth(health))]
        if changed:
            _announce(change, stored, apps=changed)


def script_done(
    core: Core,
    actor: Actor,
    agent_id: str,
    script_id: str,
    started_at: datetime,
    finished_at: datetime,
    exit_code: int,
    stage: str,
    timed_out: bool = False,
) -> None:
    """A script of the agent ended."""
    _stored(core, actor, agent_id)
    if stage not in ("start", "stop", "cron"):
        raise InvalidInput("The stage is start, stop or cron.", field="stage")
    with core.change(actor) as change:
        if not store.script_belongs(agent_id, script_id):
            raise NotFound(f"The agent has no script {script_id}.")
        store.insert_script_run(script_id, stage, started_at, finished_at, exit_code, timed_out=timed_out)
        store.drop_old_runs(script_id, RUNS_KEPT)
        change.announce(f"agent:{agent_id}", script=script_id)


def ssh_certificate(
    core: Core, actor: Actor, workspace: str, agent: str | None, public_key: str, session: str = ""
) -> SshAccess:
    """A certificate for the actor's key that opens the SSH server of one agent for some minutes.

    :param session: goes into the key id, so that sessions can be told apart.
    """
    found = workspaces.get(core, actor, workspace)
    target = workspaces.agent(core, actor, found.id, agent)
    label = session or ssh.session_label()
    certificate, expires = ssh.sign_user(
        core,
        public_key,
        key_id=f"stead:{actor.username}:{label}",
        principal=principal(found.id),
        lifetime=core.settings.ssh_certificate_lifetime,
    )
    with core.change(actor) as change:
        change.record(
            "received ssh certificate",
            "workspace",
            found.id,
            f"{found.owner}/{found.name}",
            after={"agent": target.name, "session": label},
        )
        workspace_store.update(found.id, last_used_at=core.clock.now())
    return SshAccess(
        certificate=certificate,
        host_ca=(ssh.authority_key(core, "host"),),
        hostname=host_names(found, target.name)[0],
        user=actor.username,
        expires_at=expires,
        agent=target,
    )


def principal(workspace_id: str) -> str:
    """The name that a user certificate for the workspace carries."""
    return f"workspace:{workspace_id}"


def host_names(workspace: Workspace, agent: str) -> tuple[str, ...]:
    """Names under which SSH clients know an agent; the first is the most exact.

    ``AGENT.WORKSPACE.stead`` is none of them: it would read as the workspace AGENT of somebody called WORKSPACE.
    """
    name, owner = workspace.name, workspace.owner
    return (f"{agent}.{name}.{owner}.stead", f"{name}.{owner}.stead", f"{name}.stead")


def host_certificate(core: Core, actor: Actor, agent_id: str, public_key: str) -> str:
    """A certificate for the host key of the agent's SSH server."""
    stored = _stored(core, actor, agent_id)
    with core.database.read():
        workspace = workspace_store.by_id(stored.workspace_id) if stored.workspace_id else None
    if workspace is None:
        raise Conflict("The agent has no workspace.")
    names = host_names(workspace, stored.agent.name)
    return ssh.sign_host(core, public_key, key_id=f"stead-host:{agent_id}", names=names)


def user_authorities(core: Core) -> tuple[str, ...]:
    """Public keys whose user certificates agents accept."""
    return (ssh.authority_key(core, "user"),)
