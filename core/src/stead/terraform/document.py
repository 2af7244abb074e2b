"""What a plan or a state means for a workspace: its resources and agents, as plain records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

AGENT_DISPLAY_APPS = ("vscode", "vscode_insiders", "web_terminal", "port_forwarding_helper", "ssh_helper")


@dataclass(frozen=True)
class MetadataItem:
    """A row that a template shows beside a resource. ``value`` is empty where ``is_null``."""

    key: str
    value: str = field(default="", repr=False)
    sensitive: bool = False
    is_null: bool = False


@dataclass(frozen=True)
class HealthCheck:
    url: str
    interval: int  # seconds
    threshold: int


@dataclass(frozen=True)
class AppNode:
    """A ``coder_app``. ``id`` is empty in a plan that has not been applied."""

    slug: str
    id: str = ""
    address: str = ""
    display_name: str = ""
    url: str | None = None
    icon: str = ""
    command: str | None = None
    external: bool = False
    subdomain: bool = False
    share: str = "owner"
    hidden: bool = False
    open_in: str = "slim-window"
    order: int = 0
    group: str = ""
    tooltip: str = ""
    healthcheck: HealthCheck | None = None


@dataclass(frozen=True)
class ScriptNode:
    """A ``coder_script``, or the startup or shutdown script of an agent (then without address)."""

    display_name: str
    script: str = field(repr=False)
    id: str = ""
    address: str = ""
    icon: str = ""
    log_path: str = ""
    cron: str = ""
    run_on_start: bool = False
    run_on_stop: bool = False
    start_blocks_login: bool = False
    timeout: int = 0  # seconds, 0 is none


@dataclass(frozen=True)
class EnvNode:
    name: str
    value: str = field(repr=False)
    merge_strategy: str = "replace"


@dataclass(frozen=True)
class AgentMetadataNode:
    """A value that the agent collects again and again."""

    key: str
    script: str
    interval: int  # seconds
    timeout: int = 0  # seconds
    display_name: str = ""
    order: int = 0


@dataclass(frozen=True)
class DevcontainerNode:
    workspace_folder: str
    id: str = ""
    address: str = ""
    config_path: str = ""
    subagent_id: str = ""


@dataclass(frozen=True)
class AgentNode:
    """A ``coder_agent`` with what is attached to it.

    :param resource: address of the resource that it belongs to, "" where there is none.
    :param instance_id: what the platform calls the machine, for agents that prove their identity with it.
    :param external: started by somebody outside of Stead (``coder_external_agent``).
    """

    name: str
    address: str
    resource: str = ""
    id: str = ""
    token: str = field(default="", repr=False)
    instance_id: str = ""
    auth: str = "token"
    os: str = ""
    arch: str = ""
    directory: str = ""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    motd_file: str = ""
    connection_timeout: int = 120  # seconds
    troubleshooting_url: str = ""
    display_apps: tuple[str, ...] = ()
    order: int = 0
    api_key_scope: str = "all"
    apps: tuple[AppNode, ...] = ()
    scripts: tuple[ScriptNode, ...] = ()
    envs: tuple[EnvNode, ...] = ()
    metadata: tuple[AgentMetadataNode, ...] = ()
    devcontainers: tuple[DevcontainerNode, ...] = ()
    resources_monitoring: Mapping[str, Any] = field(default_factory=dict)
    external: bool = False


@dataclass(frozen=True)
class ResourceNode:
    """A resource as a person sees it: agents, apps and the like are parts of others, not resources."""

    address: str
    type: str
    name: str
    mode: str = "managed"
    icon: str = ""
    hide: bool = False
    daily_cost: int = 0
    items: tuple[MetadataItem, ...] = ()
    agents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Document:
    resources: tuple[ResourceNode, ...] = ()
    agents: tuple[AgentNode, ...] = ()

    @property
    def daily_cost(self) -> int:
        return sum(resource.daily_cost for resource in self.resources)

    def agent(self, name: str) -> AgentNode | None:
        return next((agent for agent in self.agents if agent.name == name), None)
