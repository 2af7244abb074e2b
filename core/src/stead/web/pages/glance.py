"""What a workspace page says at a glance: where it stands, what is wrong, what comes next. Without Flask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stead.domain.records import Agent, Build, Job, Workspace
from stead.domain.states import (
    AgentLifecycle,
    AgentStatus,
    AppHealth,
    BuildStatus,
    Transition,
    WorkspaceStatus,
)
from stead.domain.states import Path as NetworkPath


@dataclass(frozen=True)
class State:
    """A word for where something stands. ``tone`` is good, busy, warn, bad or idle; ``moving`` is not the end."""

    tone: str
    label: str
    moving: bool = False


@dataclass(frozen=True)
class Problem:
    """Something that a person should know. ``link`` is one of ``log``, ``agent-log``, ``help``, or nothing."""

    tone: str
    title: str
    detail: str = ""
    link: str = ""
    href: str = ""


@dataclass(frozen=True)
class Step:
    """A part of a build; ``mark`` is done, now, failed, or empty for what is still to come."""

    label: str
    mark: str = ""


_WORKSPACE = {
    WorkspaceStatus.PENDING: State("busy", "Queued", moving=True),
    WorkspaceStatus.STARTING: State("busy", "Starting", moving=True),
    WorkspaceStatus.RUNNING: State("good", "Running"),
    WorkspaceStatus.STOPPING: State("busy", "Stopping", moving=True),
    WorkspaceStatus.STOPPED: State("idle", "Stopped"),
    WorkspaceStatus.DELETING: State("busy", "Deleting", moving=True),
    WorkspaceStatus.DELETED: State("idle", "Deleted"),
    WorkspaceStatus.CANCELING: State("busy", "Canceling", moving=True),
    WorkspaceStatus.CANCELED: State("warn", "Canceled"),
    WorkspaceStatus.FAILED: State("bad", "Failed"),
}

_JOB = {
    BuildStatus.PENDING: State("busy", "Queued", moving=True),
    BuildStatus.RUNNING: State("busy", "Running", moving=True),
    BuildStatus.CANCELING: State("busy", "Canceling", moving=True),
    BuildStatus.SUCCEEDED: State("good", "Succeeded"),
    BuildStatus.FAILED: State("bad", "Failed"),
    BuildStatus.CANCELED: State("warn", "Canceled"),
}

_LIFECYCLE = {
    AgentLifecycle.CREATED: State("busy", "Waiting for scripts", moving=True),
    AgentLifecycle.STARTING: State("busy", "Running startup scripts", moving=True),
    AgentLifecycle.START_TIMEOUT: State("warn", "Startup takes too long"),
    AgentLifecycle.START_ERROR: State("warn", "Startup script failed"),
    AgentLifecycle.READY: State("good", "Ready"),
    AgentLifecycle.SHUTTING_DOWN: State("busy", "Shutting down", moving=True),
    AgentLifecycle.SHUTDOWN_TIMEOUT: State("warn", "Shutdown takes too long"),
    AgentLifecycle.SHUTDOWN_ERROR: State("warn", "Shutdown script failed"),
    AgentLifecycle.OFF: State("idle", "Off"),
}

_OFFLINE = {
    AgentStatus.CONNECTING: State("busy", "Connecting", moving=True),
    AgentStatus.DISCONNECTED: State("warn", "Disconnected"),
    AgentStatus.TIMEOUT: State("bad", "Never connected"),
}

_APP = {
    AppHealth.INITIALIZING: State("busy", "starting", moving=True),
    AppHealth.HEALTHY: State("good", "healthy"),
    AppHealth.UNHEALTHY: State("bad", "not healthy"),
}

PATHS = {
    NetworkPath.DIRECT: ("Direct", "Encrypted, straight between the control plane and the workspace over UDP."),
    NetworkPath.RELAYED: ("Relayed", "Encrypted, through Stead's relay: the network lets no direct path through."),
    NetworkPath.WEBSOCKET: ("WebSocket", "Through a WebSocket: no tunnel came up in this workspace."),
}

VERBS = {Transition.START: "start", Transition.STOP: "stop", Transition.DELETE: "deletion"}
ACTIVE = frozenset({BuildStatus.PENDING, BuildStatus.RUNNING, BuildStatus.CANCELING})

_STAGES = ("queued", "preparing", "initializing", "planning", "applying", "finishing")
_SHOWN = (("Queue", 0), ("Prepare", 1), ("Plan", 3), ("Apply", 4))


def agents(workspace: Workspace) -> list[Agent]:
    """The agents of the workspace's latest build, in the order that the template gives them."""
    found = [agent for resource in workspace.latest_build.resources for agent in resource.agents]
    return sorted(found, key=lambda agent: (agent.order, agent.name))


def workspace_state(workspace: Workspace) -> State:
    """Where the workspace stands, with what its agents say."""
    if workspace.status is not WorkspaceStatus.RUNNING:
        return _WORKSPACE[workspace.status]
    if workspace.ready:
        return State("good", "Ready")
    states = [state for state in map(agent_state, agents(workspace)) if state.tone != "good"]
    for tone in ("bad", "warn"):
        for state in states:
            if state.tone == tone:
                return state
    return states[0] if states else _WORKSPACE[workspace.status]


def job_state(job: Job) -> State:
    return _JOB[job.status]


def agent_state(agent: Agent) -> State:
    """How far an agent is: its connection first, then its scripts."""
    if agent.status is not AgentStatus.CONNECTED:
        return State("idle", "Off") if agent.lifecycle is AgentLifecycle.OFF else _OFFLINE[agent.status]
    return _LIFECYCLE[agent.lifecycle]


def app_state(health: AppHealth) -> State | None:
    """The health of an app; ``None`` where it has no check."""
    return _APP.get(health)


def is_active(build: Build) -> bool:
    return build.job.status in ACTIVE


def steps(build: Build, waiting_for_agents: bool) -> list[Step]:
    """The parts of a build as a line, for people who wait for it."""
    job = build.job
    at = _STAGES.index(job.stage) if job.stage in _STAGES else 0
    ended = job.status not in ACTIVE
    succeeded = job.status is BuildStatus.SUCCEEDED
    out: list[Step] = []
    for position, (label, start) in enumerate(_SHOWN):
        after = _SHOWN[position + 1][1] if position + 1 < len(_SHOWN) else len(_STAGES)
        mark = "done" if succeeded or at >= after else ""
        if not mark and at >= start:
            mark = "failed" if ended else "now"
        out.append(Step(label, mark))
    if build.transition is Transition.START:
        out.append(Step("Connect", ("now" if waiting_for_agents else "done") if succeeded else ""))
    return out


def problems(workspace: Workspace) -> Iterator[Problem]:
    """What is wrong with the workspace, worst first."""
    yield from _build_problems(workspace.latest_build)
    if workspace.status is WorkspaceStatus.RUNNING:
        for agent in agents(workspace):
            yield from _agent_problems(agent)


def _build_problems(build: Build) -> Iterator[Problem]:
    job, what = build.job, VERBS[build.transition]
    if job.status is BuildStatus.FAILED:
        yield Problem("bad", f"The last {what} failed", job.error or "The log tells why.", "log")
    elif job.status is BuildStatus.CANCELED:
        detail = "What it had made so far is known, and the next build goes on from there."
        yield Problem("warn", f"The last {what} was canceled", detail, "log")


def _agent_problems(agent: Agent) -> Iterator[Problem]:
    state = agent_state(agent)
    if agent.status is AgentStatus.TIMEOUT:
        detail = (
            f"The agent {agent.name} did not connect within {agent.connection_timeout} seconds. "
            "Usually the machine has not started, or cannot reach the address of this deployment."
        )
        yield Problem("bad", "The workspace does not answer", detail, "help", agent.troubleshooting_url)
    elif agent.status is AgentStatus.DISCONNECTED and agent.lifecycle is not AgentLifecycle.OFF:
        detail = (
            f"The agent {agent.name} was connected before. It comes back by itself once the machine "
            "and its network do; restart the workspace if it does not."
        )
        yield Problem("warn", "The connection is lost", detail, "help", agent.troubleshooting_url)
    elif state.tone == "warn":
        detail = f"You can get in nevertheless. The log of {agent.name} tells what happened."
        yield Problem("warn", state.label, detail, "agent-log", agent.name)
    for app in agent.apps:
        if app.health is AppHealth.UNHEALTHY and not app.hidden:
            yield Problem("warn", f"{app.display_name or app.slug} does not answer its health check")
