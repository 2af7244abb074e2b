"""What services return and what the REST API shows: one frozen dataclass for each thing.

The JSON form of a record has exactly these fields; enums by their value, times as ISO 8601 in UTC
(``2026-01-31T12:00:00.000Z``), ids as UUID strings. No record holds a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stead.domain.states import (
    AgentLifecycle,
    AgentStatus,
    AppHealth,
    BuildStatus,
    JobKind,
    Path,
    Role,
    Transition,
    WorkspaceStatus,
)


@dataclass(frozen=True)
class User:
    id: str
    username: str
    email: str
    name: str
    roles: tuple[Role, ...]
    status: str  # "active", "suspended", or "pending" until somebody approves
    login_type: str  # "password" or "federated"
    created_at: datetime
    last_seen_at: datetime | None = None
    provider: str = ""  # name of the identity provider, where the account is federated


@dataclass(frozen=True)
class Actor:
    """Who asks. ``token_id`` is set where an API token was used; the system itself has the id ``system``."""

    user_id: str
    username: str
    roles: tuple[Role, ...]
    token_id: str | None = None
    address: str = ""


@dataclass(frozen=True)
class Session:
    """A browser in which somebody is signed in. ``provider`` is empty where a password let them in."""

    id: str
    user_id: str
    address: str
    user_agent: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    provider: str = ""


@dataclass(frozen=True)
class Factor:
    """A further proof of an account with a password. ``kind`` is ``totp`` or ``passkey``."""

    id: str
    user_id: str
    kind: str
    name: str
    created_at: datetime
    last_used_at: datetime | None = None


@dataclass(frozen=True)
class Group:
    """``source`` is ``local``, or the identity provider that it came from."""

    id: str
    name: str
    source: str
    created_at: datetime
    members: int = 0


@dataclass(frozen=True)
class GroupMember:
    username: str
    source: str


@dataclass(frozen=True)
class SignInStep:
    """One thing that happened while somebody signed in. ``seconds`` since the attempt began."""

    title: str
    detail: str
    ok: bool
    seconds: float


@dataclass(frozen=True)
class SignInAttempt:
    """What became of one attempt to sign in.

    :param outcome: succeeded, refused (by a rule of ours), failed (by the provider), unavailable, limited.
    :param account: what was typed, or the name that the provider gave.
    """

    id: int
    at: datetime
    provider: str
    outcome: str
    user_id: str | None
    account: str
    address: str
    user_agent: str
    detail: str
    steps: tuple[SignInStep, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Token:
    id: str
    user_id: str
    name: str
    scope: str  # "all"
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = None


@dataclass(frozen=True)
class ParameterOption:
    name: str
    value: str
    description: str = ""
    icon: str = ""


@dataclass(frozen=True)
class ParameterValidation:
    min: int | None = None
    max: int | None = None
    monotonic: str | None = None
    regex: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Parameter:
    """A ``coder_parameter`` as the template declares it. Values travel as strings, lists as JSON."""

    name: str
    display_name: str = ""
    description: str = ""
    type: str = "string"
    form_type: str = "input"
    default: str | None = None
    required: bool = True
    mutable: bool = False
    ephemeral: bool = False
    icon: str = ""
    order: int = 0
    options: tuple[ParameterOption, ...] = ()
    validation: ParameterValidation | None = None
    styling: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Preset:
    name: str
    default: bool = False
    description: str = ""
    icon: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    prebuilds: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Variable:
    """A Terraform input variable of a template; given by the template's author at import."""

    name: str
    type: str
    description: str
    default: str | None
    required: bool
    sensitive: bool


@dataclass(frozen=True)
class Job:
    """The run of Terraform behind a build or a template import.

    ``error`` is the public message, ``reason`` its low-cardinality word. ``stage`` is one of queued,
    preparing, initializing, planning, applying, finishing.
    """

    id: str
    kind: JobKind
    status: BuildStatus
    stage: str
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None
    reason: str | None = None
    attempt: int = 0
    provisioner: str | None = None


@dataclass(frozen=True)
class Template:
    id: str
    name: str
    display_name: str
    description: str
    icon: str
    active_version_id: str | None
    created_by: str
    created_at: datetime
    updated_at: datetime
    deprecated: str | None = None
    workspace_count: int = 0


@dataclass(frozen=True)
class ProviderChoice:
    """Who serves a provider that a template names: a plugin's name, or ``terraform`` itself."""

    address: str
    served_by: str
    why: str = ""


@dataclass(frozen=True)
class TemplateVersion:
    id: str
    template_id: str | None
    name: str
    message: str
    readme: str
    job: Job
    created_by: str
    created_at: datetime
    parameters: tuple[Parameter, ...] = ()
    presets: tuple[Preset, ...] = ()
    variables: tuple[Variable, ...] = ()
    providers: tuple[ProviderChoice, ...] = ()
    archived: bool = False


@dataclass(frozen=True)
class MetadataItem:
    key: str
    value: str
    sensitive: bool = False


@dataclass(frozen=True)
class App:
    id: str
    agent_id: str
    slug: str
    display_name: str
    url: str | None
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
    health: AppHealth = AppHealth.DISABLED
    healthcheck: Mapping[str, Any] | None = None  # url, interval (seconds), threshold


@dataclass(frozen=True)
class Script:
    id: str
    display_name: str
    icon: str
    log_path: str
    script: str
    cron: str
    run_on_start: bool
    run_on_stop: bool
    start_blocks_login: bool
    timeout: int  # seconds, 0 is none


@dataclass(frozen=True)
class AgentMetadata:
    """One value that the agent collects again and again; ``value`` and ``error`` are live."""

    key: str
    display_name: str
    script: str
    interval: int  # seconds
    timeout: int  # seconds
    order: int = 0
    value: str = ""
    error: str = ""
    collected_at: datetime | None = None


@dataclass(frozen=True)
class Agent:
    id: str
    resource_id: str
    name: str
    os: str
    arch: str
    directory: str
    status: AgentStatus
    lifecycle: AgentLifecycle
    path: Path | None = None
    version: str = ""
    motd_file: str = ""
    connection_timeout: int = 120  # seconds
    troubleshooting_url: str = ""
    display_apps: tuple[str, ...] = ()
    order: int = 0
    apps: tuple[App, ...] = ()
    scripts: tuple[Script, ...] = ()
    metadata: tuple[AgentMetadata, ...] = ()
    first_connected_at: datetime | None = None
    last_connected_at: datetime | None = None
    disconnected_at: datetime | None = None
    started_at: datetime | None = None
    ready_at: datetime | None = None


@dataclass(frozen=True)
class Resource:
    id: str
    address: str  # docker_container.workspace[0]
    type: str
    name: str
    icon: str = ""
    hide: bool = False
    daily_cost: int = 0
    metadata: tuple[MetadataItem, ...] = ()
    agents: tuple[Agent, ...] = ()


@dataclass(frozen=True)
class Build:
    id: str
    workspace_id: str
    number: int
    transition: Transition
    template_version_id: str
    template_version_name: str
    initiator: str  # username
    reason: str  # "initiator", "autostart", "autostop", ...
    job: Job
    created_at: datetime
    deadline: datetime | None = None
    daily_cost: int = 0
    parameters: Mapping[str, str] = field(default_factory=dict)
    resources: tuple[Resource, ...] = ()


@dataclass(frozen=True)
class Workspace:
    """``ready`` is true when the latest build started it and every agent is connected and READY."""

    id: str
    name: str
    owner_id: str
    owner: str  # username
    template_id: str
    template: str  # name
    status: WorkspaceStatus
    ready: bool
    outdated: bool
    latest_build: Build
    created_at: datetime
    updated_at: datetime
    last_used_at: datetime | None = None


@dataclass(frozen=True)
class LogLine:
    """A line of a build log or an agent log.

    :param id: grows by one within its log; a reader continues with ``after=id``.
    :param level: debug, info, warn, error.
    :param source: for builds the stage, for agents the script's display name.
    """

    id: int
    at: datetime
    level: str
    source: str
    text: str


@dataclass(frozen=True)
class Page:
    """One page of a listing, with the number of all that match."""

    items: tuple[Any, ...]
    total: int
