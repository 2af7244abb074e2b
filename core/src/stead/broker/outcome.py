"""What Terraform made of a template, as the records that are stored: with ids of ours, and secrets sealed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from stead.api.errors import TemplateInvalid
from stead.domain import records
from stead.domain.states import AgentLifecycle, AgentStatus, AppHealth
from stead.services import secrets
from stead.services.core import Core, new_id
from stead.store.resources import AgentSecrets
from stead.terraform.document import AgentNode, AppNode, Document, EnvNode, ResourceNode, ScriptNode


def resources(
    core: Core, document: Document, *, agents: bool
) -> tuple[tuple[records.Resource, ...], dict[str, AgentSecrets]]:
    """Records of what was built, and the secrets of the agents by agent id.

    :param agents: false for a stop: an agent without a machine is none.
    """
    by_address: dict[str, list[AgentNode]] = {}
    for agent in document.agents if agents else ():
        by_address.setdefault(agent.resource, []).append(agent)
    made: list[records.Resource] = []
    found: dict[str, AgentSecrets] = {}
    for node in document.resources:
        if node.mode == "managed":
            made.append(_resource(core, node, by_address.pop(node.address, ()), found))
    for address, left in by_address.items():
        # An agent that nothing depends on: it may be started by hand, so it is shown by itself.
        own = ResourceNode(address or left[0].address, "coder_agent", left[0].name)
        made.append(_resource(core, own, left, found))
    return tuple(made), found


def _resource(
    core: Core, node: ResourceNode, agents: Sequence[AgentNode], found: dict[str, AgentSecrets]
) -> records.Resource:
    resource_id = new_id()
    items = tuple(records.MetadataItem(i.key, i.value, i.sensitive) for i in node.items if not i.is_null)
    return records.Resource(
        id=resource_id,
        address=node.address,
        type=node.type,
        name=node.name,
        icon=node.icon,
        hide=node.hide,
        daily_cost=node.daily_cost,
        metadata=items,
        agents=tuple(_agent(core, agent, resource_id, found) for agent in agents),
    )


def _agent(core: Core, node: AgentNode, resource_id: str, found: dict[str, AgentSecrets]) -> records.Agent:
    agent_id = new_id()
    env = json.dumps(merge_env(node)).encode()
    found[agent_id] = AgentSecrets(
        # Another agent gets a token when it has proven which machine it runs on: that of the state opens nothing.
        token_hash=secrets.digest(node.token) if node.token and node.auth == "token" else None,
        instance_id=node.instance_id or None,
        sealed=core.keyring.seal(f"agent:{agent_id}", env),
        settings={
            "resources_monitoring": dict(node.resources_monitoring),
            "devcontainers": [asdict(item) for item in node.devcontainers],
            "api_key_scope": node.api_key_scope,
            "auth": node.auth,
            "external": node.external,
        },
    )
    return records.Agent(
        id=agent_id,
        resource_id=resource_id,
        name=node.name,
        os=node.os,
        arch=node.arch,
        directory=node.directory,
        status=AgentStatus.CONNECTING,
        lifecycle=AgentLifecycle.CREATED,
        motd_file=node.motd_file,
        connection_timeout=node.connection_timeout,
        troubleshooting_url=node.troubleshooting_url,
        display_apps=node.display_apps,
        order=node.order,
        apps=tuple(_app(app, agent_id) for app in node.apps),
        scripts=tuple(_script(script) for script in node.scripts),
        metadata=tuple(
            records.AgentMetadata(m.key, m.display_name, m.script, m.interval, m.timeout, m.order)
            for m in node.metadata
        ),
    )


def merge_env(node: AgentNode) -> dict[str, str]:
    """The agent's own variables and those of ``coder_env``, by each one's merge strategy.

    :raises TemplateInvalid: two set the same variable where the strategy forbids that.
    """
    merged = dict(node.env)
    for env in sorted(node.envs, key=lambda item: item.name):
        merged[env.name] = _merged(env, merged.get(env.name), node.name)
    return merged


def _merged(env: EnvNode, before: str | None, agent: str) -> str:
    if before is None or env.merge_strategy == "replace":
        return env.value
    if env.merge_strategy == "append":
        return f"{before}:{env.value}"
    if env.merge_strategy == "prepend":
        return f"{env.value}:{before}"
    raise TemplateInvalid(
        f"The variable {env.name} of the agent {agent} is set twice.",
        remedy='Remove one of them, or give the coder_env another merge_strategy than "error".',
    )


def _app(node: AppNode, agent_id: str) -> records.App:
    check = node.healthcheck
    return records.App(
        id=new_id(),
        agent_id=agent_id,
        slug=node.slug,
        display_name=node.display_name,
        url=node.url,
        icon=node.icon,
        command=node.command,
        external=node.external,
        subdomain=node.subdomain,
        share=node.share,
        hidden=node.hidden,
        open_in=node.open_in,
        order=node.order,
        group=node.group,
        tooltip=node.tooltip,
        health=AppHealth.INITIALIZING if check else AppHealth.DISABLED,
        healthcheck=asdict(check) if check else None,
    )


def _script(node: ScriptNode) -> records.Script:
    return records.Script(
        id=new_id(),
        display_name=node.display_name,
        icon=node.icon,
        log_path=node.log_path,
        script=node.script,
        cron=node.cron,
        run_on_start=node.run_on_start,
        run_on_stop=node.run_on_stop,
        start_blocks_login=node.start_blocks_login,
        timeout=node.timeout,
    )
