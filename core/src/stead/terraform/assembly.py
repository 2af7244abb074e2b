"""Makes a document of resource instances and the graph, by the rules of the template contract."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stead.api.errors import TemplateInvalid
from stead.terraform.document import (
    AGENT_DISPLAY_APPS,
    AgentMetadataNode,
    AgentNode,
    AppNode,
    DevcontainerNode,
    Document,
    EnvNode,
    HealthCheck,
    MetadataItem,
    ResourceNode,
    ScriptNode,
)
from stead.terraform.graph import Graph, configuration_address
from stead.terraform.tfjson import Instance

_SLUG = re.compile(r"[a-z0-9](?:-?[a-z0-9])*")
_INSTANCE_IDS = {
    "aws_instance": "id",
    "aws_spot_instance_request": "spot_instance_id",
    "google_compute_instance": "instance_id",
    "google_compute_instance_from_template": "instance_id",
    "azurerm_linux_virtual_machine": "virtual_machine_id",
    "azurerm_windows_virtual_machine": "virtual_machine_id",
}
_PARTS = {
    "coder_agent",
    "coder_agent_instance",
    "coder_app",
    "coder_devcontainer",
    "coder_env",
    "coder_external_agent",
    "coder_metadata",
    "coder_script",
    "coder_ai_task",
}
_REMEDY = "Correct the template and import it again."
References = Mapping[str, Mapping[str, Sequence[str]]]


def assemble(instances: Sequence[Instance], graph: Graph, references: References | None = None) -> Document:
    """The document. :class:`TemplateInvalid` where the template breaks a rule.

    :param references: of the plan's configuration; used where a plan does not know ids yet.
    """
    managed = [instance for instance in instances if instance.mode == "managed"]
    assembly = _Assembly(managed, graph, references or {})
    agents = assembly.agents()
    _check(agents)
    return Document(assembly.resources(agents), tuple(agents))


@dataclass
class _Shown:
    icon: str = ""
    hide: bool = False
    daily_cost: int = 0
    items: tuple[MetadataItem, ...] = ()


class _Assembly:
    def __init__(self, managed: Sequence[Instance], graph: Graph, references: References) -> None:
        self._graph = graph
        self._references = references
        self._all = managed
        self._things = [instance for instance in managed if instance.type not in _PARTS]
        self._agents = self.of_type("coder_agent")

    def of_type(self, kind: str) -> list[Instance]:
        return [instance for instance in self._all if instance.type == kind]

    # Agents

    def agents(self) -> list[AgentNode]:
        attached = {kind: self._attached(kind) for kind in sorted(_PARTS - {"coder_agent", "coder_metadata"})}
        return [self._agent(agent, attached) for agent in self._agents]

    def _agent(self, agent: Instance, attached: Mapping[str, Mapping[str, list[Instance]]]) -> AgentNode:
        def parts(kind: str) -> list[Instance]:
            return attached[kind].get(agent.address, [])

        home = self._home(agent)
        return AgentNode(
            name=agent.name,
            address=agent.address,
            resource=home.address if home else "",
            id=agent.text("id"),
            token=agent.text("token"),
            instance_id=_instance_id(agent, home, parts("coder_agent_instance")),
            auth=agent.text("auth", "token"),
            os=agent.text("os"),
            arch=agent.text("arch"),
            directory=agent.text("dir"),
            env=dict(agent.values.get("env") or {}),
            motd_file=agent.text("motd_file"),
            connection_timeout=agent.number("connection_timeout", 120),
            troubleshooting_url=agent.text("troubleshooting_url"),
            display_apps=_display_apps(agent),
            order=agent.number("order"),
            api_key_scope=agent.text("api_key_scope", "all"),
            apps=tuple(sorted(map(_app, parts("coder_app")), key=lambda app: (app.order, app.slug))),
            scripts=(*_own_scripts(agent), *map(_script, parts("coder_script"))),
            envs=tuple(map(_env, parts("coder_env"))),
            metadata=tuple(map(_agent_metadata, agent.blocks("metadata"))),
            devcontainers=tuple(map(_devcontainer, parts("coder_devcontainer"))),
            resources_monitoring=_monitoring(agent),
            external=bool(parts("coder_external_agent")),
        )

    def _home(self, agent: Instance) -> Instance | None:
        """The nearest resource that needs the agent."""
        labels = {thing.label for thing in self._things}
        nearest = self._graph.nearest_dependents(agent.label, labels.__contains__)
        return _best(agent, [thing for thing in self._things if thing.label in nearest])

    def _attached(self, kind: str) -> dict[str, list[Instance]]:
        """Instances of a part by the address of their agent."""
        found: dict[str, list[Instance]] = {}
        for part in self.of_type(kind):
            agent = self._target(part, "agent_id", self._agents)
            if agent is not None:
                found.setdefault(agent.address, []).append(part)
        return found

    def _target(self, part: Instance, argument: str, candidates: Sequence[Instance]) -> Instance | None:
        """What an argument that holds an id points at: by the id, by reference, or by the graph."""
        identity = part.values.get(argument)
        if identity:
            same = [item for item in candidates if item.values.get("id") == identity]
            if len(same) == 1:
                return same[0]
        labels = {item.label for item in candidates}
        referred = {_resource_of(item) for item in self._references.get(part.label, {}).get(argument, ())}
        chosen = labels & referred
        if not chosen:
            chosen = set(self._graph.nearest_dependencies(part.label, labels.__contains__))
        return _best(part, [item for item in candidates if item.label in chosen])

    # Resources

    def resources(self, agents: Sequence[AgentNode]) -> tuple[ResourceNode, ...]:
        shown = self._metadata()
        names: dict[str, list[str]] = {}
        for agent in agents:
            names.setdefault(agent.resource, []).append(agent.name)
        return tuple(
            ResourceNode(
                address=thing.address,
                type=thing.type,
                name=thing.name,
                mode=thing.mode,
                agents=tuple(names.get(thing.address, ())),
                **vars(shown.get(thing.address, _Shown())),
            )
            for thing in self._things
        )

    def _metadata(self) -> dict[str, _Shown]:
        found: dict[str, _Shown] = {}
        for part in self.of_type("coder_metadata"):
            target = self._target(part, "resource_id", self._things)
            if target is None:
                continue
            if target.address in found:
                raise TemplateInvalid(
                    f"{target.address} has more than one coder_metadata; one of them is {part.address}.",
                    remedy=_REMEDY,
                )
            found[target.address] = _Shown(
                part.text("icon"), part.flag("hide"), part.number("daily_cost"), _items(part)
            )
        return found


def _resource_of(reference: str) -> str:
    """``module.m.coder_agent.main[0].id`` refers to ``module.m.coder_agent.main``."""
    parts = configuration_address(reference).split(".")
    size = 2
    while parts[size - 2 : size - 1] == ["module"]:
        size += 2
    return ".".join(parts[: size + 1] if parts[size - 2 : size - 1] == ["data"] else parts[:size])


def _best(one: Instance, candidates: Sequence[Instance]) -> Instance | None:
    """``agent[0]`` goes with ``container[0]``; otherwise the first by address."""
    paired = [item for item in candidates if one.keys and item.keys == one.keys]
    return min(paired or candidates, key=lambda item: item.address, default=None)


def _instance_id(agent: Instance, home: Instance | None, said: Sequence[Instance]) -> str:
    if said:
        return said[0].text("instance_id")
    if home is None or agent.text("auth", "token") == "token":
        return ""
    return home.text(_INSTANCE_IDS.get(home.type, ""))


def _display_apps(agent: Instance) -> tuple[str, ...]:
    blocks = agent.blocks("display_apps")
    chosen = blocks[0] if blocks else {}
    defaults = {"vscode_insiders": False}
    return tuple(
        name for name in AGENT_DISPLAY_APPS if (defaults.get(name, True) if chosen.get(name) is None else chosen[name])
    )


def _own_scripts(agent: Instance) -> list[ScriptNode]:
    scripts = []
    if agent.text("startup_script"):
        scripts.append(
            ScriptNode(
                "Startup Script",
                agent.text("startup_script"),
                log_path="coder-startup-script.log",
                run_on_start=True,
                start_blocks_login=agent.text("startup_script_behavior") == "blocking",
            )
        )
    if agent.text("shutdown_script"):
        scripts.append(
            ScriptNode(
                "Shutdown Script",
                agent.text("shutdown_script"),
                log_path="coder-shutdown-script.log",
                run_on_stop=True,
            )
        )
    return scripts


def _app(part: Instance) -> AppNode:
    check = next(iter(part.blocks("healthcheck")), None)
    return AppNode(
        slug=part.text("slug"),
        id=part.text("id"),
        address=part.address,
        display_name=part.text("display_name") or part.text("slug"),
        url=part.values.get("url"),
        icon=part.text("icon"),
        command=part.values.get("command"),
        external=part.flag("external"),
        subdomain=part.flag("subdomain"),
        share=part.text("share", "owner"),
        hidden=part.flag("hidden"),
        open_in=part.text("open_in", "slim-window"),
        order=part.number("order"),
        group=part.text("group"),
        tooltip=part.text("tooltip"),
        healthcheck=HealthCheck(
            str(check.get("url") or ""), int(check.get("interval") or 0), int(check.get("threshold") or 0)
        )
        if check
        else None,
    )


def _script(part: Instance) -> ScriptNode:
    return ScriptNode(
        display_name=part.text("display_name"),
        script=part.text("script"),
        id=part.text("id"),
        address=part.address,
        icon=part.text("icon"),
        log_path=part.text("log_path"),
        cron=part.text("cron"),
        run_on_start=part.flag("run_on_start"),
        run_on_stop=part.flag("run_on_stop"),
        start_blocks_login=part.flag("start_blocks_login"),
        timeout=part.number("timeout"),
    )


def _env(part: Instance) -> EnvNode:
    return EnvNode(part.text("name"), part.text("value"), part.text("merge_strategy", "replace"))


def _devcontainer(part: Instance) -> DevcontainerNode:
    return DevcontainerNode(
        part.text("workspace_folder"),
        part.text("id"),
        part.address,
        part.text("config_path"),
        part.text("subagent_id"),
    )


def _agent_metadata(block: Mapping[str, Any]) -> AgentMetadataNode:
    return AgentMetadataNode(
        key=str(block.get("key") or ""),
        script=str(block.get("script") or ""),
        interval=int(block.get("interval") or 0),
        timeout=int(block.get("timeout") or 0),
        display_name=str(block.get("display_name") or ""),
        order=int(block.get("order") or 0),
    )


def _monitoring(agent: Instance) -> dict[str, Any]:
    """``{"memory": {"enabled", "threshold"}, "volumes": [{"path", "enabled", "threshold"}]}``, or empty."""
    blocks = agent.blocks("resources_monitoring")
    if not blocks:
        return {}
    memory = list(blocks[0].get("memory") or ())
    return {
        "memory": dict(memory[0]) if memory else None,
        "volumes": [dict(volume) for volume in blocks[0].get("volume") or ()],
    }


def _items(part: Instance) -> tuple[MetadataItem, ...]:
    items = tuple(
        MetadataItem(
            key=str(block.get("key") or ""),
            value=str(block.get("value") or ""),
            sensitive=bool(block.get("sensitive")),
            is_null=bool(block.get("is_null")),
        )
        for block in part.blocks("item")
    )
    _unique((item.key for item in items), lambda key: f"{part.address} has the key {key!r} twice.")
    return items


def _check(agents: Sequence[AgentNode]) -> None:
    _unique(
        (agent.name for agent in agents),
        lambda name: f"There are two agents called {name}: the name of the coder_agent resource must be unique.",
    )
    apps = [app for agent in agents for app in agent.apps if app.slug]  # a plan may not know it yet
    for app in apps:
        if not _SLUG.fullmatch(app.slug):
            raise TemplateInvalid(
                f"{app.address}: the slug {app.slug!r} may only have lower-case letters, digits and single "
                "hyphens between them.",
                remedy=_REMEDY,
            )
    _unique((app.slug for app in apps), lambda slug: f"There are two coder_apps with the slug {slug!r}.")
    for agent in agents:
        _unique(
            (item.key for item in agent.metadata),
            lambda key, agent=agent: f"{agent.address} has two metadata blocks with the key {key!r}.",  # type: ignore[misc]
        )


def _unique(values: Any, message: Callable[[str], str]) -> None:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise TemplateInvalid(message(twice[0]), remedy=_REMEDY)
