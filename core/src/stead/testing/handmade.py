"""Workspaces without Terraform: what a provisioner would have written, written by hand.

For tests of what comes after a build. Works on a :class:`Core` that is open beside a running server.
"""

from __future__ import annotations

import io
import json
import secrets as random
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stead.domain.records import Actor, Agent, AgentMetadata, App, Resource, Script, Workspace
from stead.domain.states import AgentLifecycle, AgentStatus, JobKind, Transition
from stead.services import builds, jobs, secrets, templates, work, workspaces
from stead.services.core import Core, new_id
from stead.store.resources import AgentSecrets
from stead.store.templates import Imported

PROVISIONER = "by-hand"


@dataclass(frozen=True)
class HandmadeAgent:
    """What to make of an agent.

    :param settings: of the agent that the manifest carries beside its fields.
    :param instance_id: of the machine that it runs on; with ``auth`` in ``settings`` it has no token, but proves it.
    """

    name: str = "main"
    directory: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    scripts: Sequence[Script] = ()
    apps: Sequence[App] = ()
    metadata: Sequence[AgentMetadata] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    instance_id: str | None = None
    token: str = field(default_factory=lambda: random.token_hex(16), repr=False)


@dataclass(frozen=True)
class HandmadeWorkspace:
    """``tokens`` are those of its agents, by name."""

    workspace: Workspace
    tokens: Mapping[str, str] = field(repr=False)

    @property
    def agent_id(self) -> str:
        """The id of its only agent."""
        return self.workspace.latest_build.resources[0].agents[0].id


def import_template(core: Core, actor: Actor, name: str) -> str:
    """A template whose version counts as imported; returns its id."""
    version = templates.create_version(core, actor, _archive())
    claim = jobs.claim(core, PROVISIONER, [JobKind.TEMPLATE_IMPORT])
    if claim is None or claim.job.id != version.job.id:
        raise AssertionError("another provisioner works on this database")
    jobs.complete_import(core, claim, Imported(readme="", parameters=(), presets=(), variables=(), providers=()))
    return templates.create(core, actor, name, version.id).id


def start_workspace(
    core: Core,
    actor: Actor,
    template: str,
    name: str,
    agents: Sequence[HandmadeAgent] = (HandmadeAgent(),),
    state: bytes = b"{}",
) -> HandmadeWorkspace:
    """A workspace whose first build has succeeded, with agents that have not connected yet."""
    created = workspaces.create(core, actor, template, name)
    _finish(core, [_resource(agents)], agents, state)
    return HandmadeWorkspace(workspaces.get(core, actor, created.id), {agent.name: agent.token for agent in agents})


def start_again(
    core: Core, actor: Actor, workspace: str, agents: Sequence[HandmadeAgent], state: bytes = b"{}"
) -> HandmadeWorkspace:
    """One more start of a workspace, that succeeds at once and makes new agents."""
    builds.create(core, actor, workspace, Transition.START)
    _finish(core, [_resource(agents)], agents, state)
    return HandmadeWorkspace(workspaces.get(core, actor, workspace), {agent.name: agent.token for agent in agents})


def end_workspace(core: Core, actor: Actor, workspace: str, transition: str) -> None:
    """Stop or delete a workspace, as a build that succeeds at once."""
    builds.create(core, actor, workspace, Transition(transition))
    _finish(core, [], [])


def _finish(core: Core, resources: Sequence[Resource], agents: Sequence[HandmadeAgent], state: bytes = b"{}") -> None:
    claim = jobs.claim(core, PROVISIONER, [JobKind.BUILD])
    if claim is None:
        raise AssertionError("there is no build to finish")
    loaded = work.load(core, claim)
    if not isinstance(loaded, work.BuildWork):
        raise AssertionError("the job is no build")
    ids = [agent.id for resource in resources for agent in resource.agents]
    kept = {
        agent_id: AgentSecrets(
            token_hash=secrets.digest(agent.token) if agent.settings.get("auth", "token") == "token" else None,
            instance_id=agent.instance_id,
            sealed=core.keyring.seal(f"agent:{agent_id}", json.dumps(dict(agent.env)).encode()),
            settings=dict(agent.settings),
        )
        for agent_id, agent in zip(ids, agents, strict=True)
    }
    work.complete(core, loaded, work.BuildResult(state=state, resources=tuple(resources), secrets=kept))


def _resource(agents: Sequence[HandmadeAgent]) -> Resource:
    resource_id = new_id()
    return Resource(
        id=resource_id,
        address="test_machine.main",
        type="test_machine",
        name="main",
        agents=tuple(_agent(resource_id, agent) for agent in agents),
    )


def _agent(resource_id: str, agent: HandmadeAgent) -> Agent:
    agent_id = new_id()
    return Agent(
        id=agent_id,
        resource_id=resource_id,
        name=agent.name,
        os="linux",
        arch="amd64",
        directory=agent.directory,
        status=AgentStatus.CONNECTING,
        lifecycle=AgentLifecycle.CREATED,
        scripts=tuple(agent.scripts),
        apps=tuple(replace(app, agent_id=agent_id) for app in agent.apps),
        metadata=tuple(agent.metadata),
    )


def _archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        content = b"# made by hand\n"
        entry = tarfile.TarInfo("main.tf")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
