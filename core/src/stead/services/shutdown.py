"""Agents get to run their shutdown scripts before the build that ends them touches anything.

The build asks after its plan, for an agent that is done ends its process, and a plan that is made then would
see a machine that has stopped.
"""

from __future__ import annotations

from stead.domain.records import Agent
from stead.domain.states import AgentLifecycle
from stead.services.core import Core
from stead.store import workspaces as store

TOPIC = "shutdown"
ENDED = frozenset({AgentLifecycle.OFF, AgentLifecycle.SHUTDOWN_ERROR, AgentLifecycle.SHUTDOWN_TIMEOUT})


def request(core: Core, workspace_id: str) -> None:
    """Tell the agents of a workspace, through whichever server they are connected to."""
    core.bus.publish(f"{TOPIC}:{workspace_id}", {"id": workspace_id})


def outstanding(core: Core, workspace_id: str) -> tuple[Agent, ...]:
    """The connected agents of the workspace that still have shutdown scripts to run."""
    with core.database.read():
        running = store.running_build(workspace_id)
        build = store.build(running) if running else None
    if build is None:
        return ()
    agents = (agent for resource in build.resources for agent in resource.agents)
    return tuple(agent for agent in agents if _has_to_end(agent))


def _has_to_end(agent: Agent) -> bool:
    return agent.lifecycle not in ENDED and _is_connected(agent) and any(s.run_on_stop for s in agent.scripts)


def _is_connected(agent: Agent) -> bool:
    if agent.last_connected_at is None:
        return False
    return agent.disconnected_at is None or agent.disconnected_at < agent.last_connected_at
