"""Merges what is live about agents into stored records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from stead.domain.records import Agent, AgentMetadata, Build, Workspace
from stead.domain.states import AgentLifecycle, AgentStatus, BuildStatus, Transition
from stead.services.core import Core
from stead.services.presence import MetadataValue


def workspace(core: Core, stored: Workspace) -> Workspace:
    latest = build(core, stored.latest_build)
    return replace(stored, latest_build=latest, ready=is_ready(latest))


def is_ready(latest: Build) -> bool:
    """Whether the build started the workspace and every agent of it is connected and done starting."""
    if latest.transition is not Transition.START or latest.job.status is not BuildStatus.SUCCEEDED:
        return False
    agents = [agent for resource in latest.resources for agent in resource.agents]
    return all(a.status is AgentStatus.CONNECTED and a.lifecycle is AgentLifecycle.READY for a in agents)


def build(core: Core, stored: Build) -> Build:
    since = stored.job.finished_at
    resources = tuple(
        replace(resource, agents=tuple(agent(core, one, since) for one in resource.agents))
        for resource in stored.resources
    )
    return replace(stored, resources=resources)


def agent(core: Core, stored: Agent, since: datetime | None) -> Agent:
    """The agent as it is now.

    :param since: when its build was done, from which it has ``connection_timeout`` to appear.
    """
    live = core.presence.get(stored.id)
    if live is None:
        return replace(stored, status=_status_without_connection(core, stored, since))
    metadata = tuple(_metadata(item, live.metadata) for item in stored.metadata)
    return replace(stored, status=AgentStatus.CONNECTED, path=live.path, metadata=metadata)


def _status_without_connection(core: Core, stored: Agent, since: datetime | None) -> AgentStatus:
    if stored.first_connected_at is None:
        deadline = None if since is None else since + timedelta(seconds=stored.connection_timeout)
        late = deadline is not None and stored.connection_timeout > 0 and core.clock.now() > deadline
        return AgentStatus.TIMEOUT if late else AgentStatus.CONNECTING
    # The row may be of a server that died with the connection: who serves agents knows better.
    return AgentStatus.DISCONNECTED if core.presence.serving else stored.status


def _metadata(item: AgentMetadata, values: Mapping[str, MetadataValue]) -> AgentMetadata:
    value = values.get(item.key)
    if value is None:
        return item
    return replace(item, value=value.value, error=value.error, collected_at=value.collected_at)
