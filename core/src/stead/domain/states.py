"""The words for where a build, a workspace, an agent stands."""

from __future__ import annotations

from enum import StrEnum


class Transition(StrEnum):
    START = "start"
    STOP = "stop"
    DELETE = "delete"


class BuildStatus(StrEnum):
    """PENDING waits in the queue; RUNNING has a lease; CANCELING was asked to stop; the rest are ends."""

    PENDING = "pending"
    RUNNING = "running"
    CANCELING = "canceling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class JobKind(StrEnum):
    """What a provisioner runs: a workspace build, or the import of a template version."""

    BUILD = "build"
    TEMPLATE_IMPORT = "template_import"


class WorkspaceStatus(StrEnum):
    """Derived from the latest build, never stored."""

    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DELETING = "deleting"
    DELETED = "deleted"
    CANCELING = "canceling"
    CANCELED = "canceled"
    FAILED = "failed"


class AgentStatus(StrEnum):
    """Whether the agent has a live connection to the control plane."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    TIMEOUT = "timeout"


class AgentLifecycle(StrEnum):
    """How far the agent's scripts are. ``READY`` is what a workspace waits for."""

    CREATED = "created"
    STARTING = "starting"
    START_TIMEOUT = "start_timeout"
    START_ERROR = "start_error"
    READY = "ready"
    SHUTTING_DOWN = "shutting_down"
    SHUTDOWN_TIMEOUT = "shutdown_timeout"
    SHUTDOWN_ERROR = "shutdown_error"
    OFF = "off"


class AppHealth(StrEnum):
    DISABLED = "disabled"
    INITIALIZING = "initializing"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class Path(StrEnum):
    """How streams of an agent travel right now."""

    DIRECT = "direct"
    RELAYED = "relayed"
    WEBSOCKET = "websocket"


class Role(StrEnum):
    OWNER = "owner"
    TEMPLATE_ADMIN = "template-admin"
    USER_ADMIN = "user-admin"
    AUDITOR = "auditor"
    MEMBER = "member"
