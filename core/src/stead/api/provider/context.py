"""What the methods of providers, resources and data sources receive."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stead.api.errors import BuildCanceled, OperationTimedOut

if TYPE_CHECKING:
    from stead.api.provider.resources import Provider


@dataclass(frozen=True)
class Owner:
    """Whom a workspace belongs to. What is secret stays out of ``repr``."""

    id: str = ""
    name: str = ""
    full_name: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    login_type: str = "password"
    ssh_public_key: str = ""
    ssh_private_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    oidc_access_token: str = field(default="", repr=False)


@dataclass(frozen=True)
class ParameterOption:
    name: str
    value: str
    description: str = ""
    icon: str = ""


@dataclass(frozen=True)
class ParameterReading:
    """A template parameter as its data source read it. Values are strings, lists as JSON.

    :param value: what the template sees: given, or the default; ``None`` where there is neither.
    :param validation: ``min``, ``max``, ``monotonic``, ``regex``, ``error`` as far as the template sets them.
    """

    name: str
    value: str | None = None
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
    validation: Mapping[str, Any] | None = None
    styling: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PresetReading:
    """A workspace preset as its data source read it. ``prebuilds`` is the block as plain values."""

    name: str
    default: bool = False
    description: str = ""
    icon: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    prebuilds: Mapping[str, Any] | None = None


class Recorder:
    """Collects what data sources read during one run, in the order in which they read it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parameters: list[ParameterReading] = []
        self._presets: list[PresetReading] = []

    def parameter(self, reading: ParameterReading) -> None:
        with self._lock:
            self._parameters.append(reading)

    def preset(self, reading: PresetReading) -> None:
        with self._lock:
            self._presets.append(reading)

    def clear(self) -> None:
        """Forget everything: the same data sources are about to be read again."""
        with self._lock:
            self._parameters.clear()
            self._presets.clear()

    @property
    def parameters(self) -> tuple[ParameterReading, ...]:
        with self._lock:
            return tuple(self._parameters)

    @property
    def presets(self) -> tuple[PresetReading, ...]:
        with self._lock:
            return tuple(self._presets)


def _no_init_script(os: str, arch: str) -> str:
    del os, arch
    return ""


@dataclass(frozen=True)
class BuildContext:
    """What a provider may know about the run that it serves.

    :param deployment: id of this Stead installation.
    :param transition: ``start``, ``stop`` or ``destroy``.
    :param importing: a template is imported: nothing is built.
    :param access_url: without a trailing slash.
    :param parameters: values by name, lists as JSON. ``previous_parameters``: of the build before.
    :param agent_tokens: tokens to keep, by Terraform address of the agent.
    :param init_scripts: ``(os, arch)`` to the agent's bootstrap script.
    :param allow_host: the host platform may be used.
    :param directory: folder of the run that holds the template's files; the engine sets it.
    """

    deployment: str = ""
    transition: str = "start"
    importing: bool = False
    workspace_id: str = ""
    workspace_name: str = ""
    build_id: str = ""
    build_number: int = 1
    owner: Owner = Owner()
    template_id: str = ""
    template_name: str = ""
    template_version: str = ""
    access_url: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    previous_parameters: Mapping[str, str] = field(default_factory=dict)
    is_prebuild: bool = False
    is_prebuild_claim: bool = False
    prebuild_count: int = 0
    agent_tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    agent_url: str = ""
    init_scripts: Callable[[str, str], str] = _no_init_script
    tags: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    external_auth: Mapping[str, str] = field(default_factory=dict, repr=False)
    allow_host: bool = False
    recorder: Recorder = field(default_factory=Recorder, repr=False)
    directory: Path = Path()

    def resolve(self, path: str) -> Path:
        """A path as a template writes it: ``~`` is home, relative ones start at the template's files.

        Providers run in a process with a working directory of its own, so they resolve every path by this.
        """
        return self.directory / Path(path).expanduser()

    def labels(self, key: str) -> dict[str, str]:
        """The labels that a thing created under the journal key ``key`` must carry."""
        return {
            "stead.deployment": self.deployment,
            "stead.workspace": self.workspace_id,
            "stead.workspace.name": self.workspace_name,
            "stead.owner": self.owner.name,
            "stead.build": self.build_id,
            "stead.key": key,
        }


@dataclass(frozen=True)
class Message:
    """A warning or an error that a provider gave; ``field`` is a path such as ``labels[0].value``."""

    summary: str
    detail: str = ""
    field: str | None = None


def _no_log(level: str, text: str) -> None:
    del level, text


@dataclass
class Context:
    """What one call of a provider's method may use. Everything has a default, so that tests can make one.

    :param provider: the configured provider instance.
    :param key: the journal key of the resource at hand; empty for data sources.
    :param deadline: ``time.monotonic()`` at which the call must have ended, or ``None``.
    :param canceled: set when the build is being canceled.
    """

    provider: Provider | None = None
    build: BuildContext = field(default_factory=BuildContext)
    key: str = ""
    deadline: float | None = None
    canceled: threading.Event = field(default_factory=threading.Event)
    sink: Callable[[str, str], None] = field(default=_no_log, repr=False)
    warnings: list[Message] = field(default_factory=list)
    errors: list[Message] = field(default_factory=list)

    @property
    def labels(self) -> dict[str, str]:
        """The labels that what is created must carry."""
        return self.build.labels(self.key)

    def adopt(self, key: str) -> None:
        """In ``create``, where the workspace has the thing already: it goes on under ``key``, which it carries.

        Else the sweep would take it for what an earlier run has left, and remove it.
        """
        self.key = key

    def log(self, text: str, level: str = "info") -> None:
        """Write a line to the build log. ``level``: debug, info, warn or error."""
        self.sink(level, text)

    def warn(self, summary: str, detail: str = "", field: str | None = None) -> None:
        """Show a warning at ``field``; the run goes on."""
        self.warnings.append(Message(summary, detail, field))

    def error(self, summary: str, detail: str = "", field: str | None = None) -> None:
        """Add an error at ``field`` and go on, to report several at once. The call fails at its end."""
        self.errors.append(Message(summary, detail, field))

    @property
    def remaining(self) -> float | None:
        """Seconds until the deadline, at least 0, or ``None`` where there is none."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def check(self) -> None:
        """Raise where the build was canceled or the deadline has passed. Call it in every waiting loop."""
        if self.canceled.is_set():
            raise BuildCanceled("The build was canceled.")
        if self.remaining == 0.0:
            raise OperationTimedOut("The build's deadline has passed.", remedy="Raise the build timeout or try again.")

    def wait(self, seconds: float) -> None:
        """Pause between two looks at something, for less where the run ends earlier, then :meth:`check`."""
        limit = self.remaining
        self.canceled.wait(seconds if limit is None else min(seconds, limit))
        self.check()


@dataclass
class Plan:
    """The change that Terraform is about to plan for a resource.

    :param action: ``create``, ``update``, ``replace`` or ``delete``.
    :param prior: the instance in the state, or ``None`` for create.
    :param changed: Terraform names of the fields that differ from the state.
    """

    action: str
    prior: Any = None
    changed: frozenset[str] = frozenset()
    replacing: set[str] = field(default_factory=set)
    in_place: set[str] = field(default_factory=set)

    def require_replace(self, name: str) -> None:
        """The change of this field cannot be made in place."""
        self.replacing.add(name)

    def allow_in_place(self, name: str) -> None:
        """This time the change of this field replaces nothing, although the field says ``force_new``."""
        self.in_place.add(name)
