"""What is installed, what state each plugin is in, and the records that the loaded ones registered."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ValidationError

from stead.api.errors import PluginFailure, SteadError
from stead.api.launchers import LauncherSpec
from stead.api.policies import POLICY_CORE_SETTINGS, PolicySpec
from stead.api.records import Event, NoSettings, PlatformSpec, ProviderSpec
from stead.api.signin import CORE_SETTINGS, IdentityProviderSpec
from stead.plugins import discovery
from stead.plugins.manager import HookManager

log = logging.getLogger(__name__)


class StatusKind(StrEnum):
    LOADED = "loaded"
    FAILED = "failed"
    DISABLED = "disabled"


@dataclass(frozen=True)
class PluginStatus:
    """How one plugin stands. ``error`` says what is wrong and what to do, for administrators.

    :param load_ms: time that its import and its hooks took, milliseconds.
    :param failures: exceptions that its ``stead_event`` raised since the start.
    """

    name: str
    status: StatusKind
    distribution: str = ""
    version: str = ""
    target: str = ""
    builtin: bool = False
    error: str = ""
    providers: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    identity: tuple[str, ...] = ()
    launchers: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    load_ms: float = 0.0
    failures: int = 0


@dataclass
class _Loaded:
    providers: list[tuple[ProviderSpec, BaseModel]] = field(default_factory=list)
    platforms: list[tuple[PlatformSpec, BaseModel]] = field(default_factory=list)
    identity: list[IdentityProviderSpec] = field(default_factory=list)
    launchers: list[LauncherSpec] = field(default_factory=list)
    policies: list[PolicySpec] = field(default_factory=list)


class PluginRegistry:
    """The plugins of this process.

    :param sections: settings by plugin name, as they stand in ``stead.toml`` under ``[plugins.NAME]``.
    :param disabled: names of plugins that are not to be imported.
    :param builtins: plugins that ship with Stead, by name; they go through the same hooks.
    :param trace: receives a line for each hook call, for finding out what a plugin does.
    """

    def __init__(
        self,
        sections: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        disabled: Iterable[str] = (),
        builtins: Mapping[str, object] | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self._sections = dict(sections or {})
        self._disabled = frozenset(disabled)
        self._builtins = dict(builtins or {})
        self._hooks = HookManager()
        self._states: dict[str, PluginStatus] = {}
        self._loaded: dict[str, _Loaded] = {}
        if trace is not None:
            self._hooks.trace(trace)

    def load(self) -> None:
        """Import and register every plugin, one at a time. A plugin that fails stops no other."""
        for name, module in self._builtins.items():
            self._load_one(PluginStatus(name, StatusKind.LOADED, "stead", builtin=True), lambda module=module: module)
        for found in discovery.installed():
            status = PluginStatus(found.name, StatusKind.LOADED, found.distribution, found.version, found.target)
            if found.name in self._states:
                self._keep_duplicate(status)
            else:
                self._load_one(status, lambda found=found: discovery.load(found))
        self._report_sections_without_plugin()

    def status(self) -> list[PluginStatus]:
        """Every plugin by name: loaded, failed and disabled."""
        return [self._states[name] for name in sorted(self._states)]

    def providers(self) -> list[tuple[ProviderSpec, BaseModel]]:
        """Terraform providers of all loaded plugins, each with its settings."""
        return [pair for loaded in self._loaded.values() for pair in loaded.providers]

    def platforms(self) -> list[tuple[PlatformSpec, BaseModel]]:
        """Platforms of all loaded plugins, each with its settings."""
        return [pair for loaded in self._loaded.values() for pair in loaded.platforms]

    def launchers(self) -> list[LauncherSpec]:
        """Launchers of all loaded plugins."""
        return [spec for loaded in self._loaded.values() for spec in loaded.launchers]

    def identity_kinds(self) -> dict[str, IdentityProviderSpec]:
        """Kinds of identity providers of all loaded plugins, by their word in ``kind``."""
        return {spec.kind: spec for loaded in self._loaded.values() for spec in loaded.identity}

    def policies(self) -> dict[str, PolicySpec]:
        """Policies of all loaded plugins, by name."""
        return {spec.name: spec for loaded in self._loaded.values() for spec in loaded.policies}

    def serving(self, address: str) -> str | None:
        """Name of the plugin that serves the provider at this full address, or ``None``."""
        for name, loaded in self._loaded.items():
            if any(spec.full_address == address for spec, _ in loaded.providers):
                return name
        return None

    def emit(self, event: Event) -> None:
        """Tell every plugin of ``event``. What one of them raises is counted and kept from the others."""
        for name in self._loaded:
            try:
                self._hooks.call(name, "stead_event", event=event)
            except Exception:
                status = self._states[name]
                self._states[name] = replace(status, failures=status.failures + 1)
                log.warning("The plugin %s failed on the event %s.", name, event.name, exc_info=True)

    def extend_cli(self, group: Any) -> None:
        """Let plugins add commands; one that fails is absent, with a warning."""
        for name in self._loaded:
            try:
                self._hooks.call(name, "stead_cli_commands", group=group)
            except Exception as error:  # noqa: BLE001 - boundary: a plugin call
                log.warning("Commands of the plugin %s are absent: %s", name, _short(error))

    def blueprints(self, context: object) -> dict[str, list[Any]]:
        """Flask blueprints by plugin name; a plugin that fails brings none, with a warning."""
        found: dict[str, list[Any]] = {}
        for name in self._loaded:
            try:
                found[name] = list(self._hooks.call(name, "stead_blueprints", context=context) or ())
            except Exception as error:  # noqa: BLE001 - boundary: a plugin call
                log.warning("Pages of the plugin %s are absent: %s", name, _short(error))
        return found

    def _load_one(self, status: PluginStatus, importer: Callable[[], object]) -> None:
        name = status.name
        if name in self._disabled:
            self._states[name] = replace(status, status=StatusKind.DISABLED)
            return
        started = time.perf_counter()
        try:
            self._hooks.register(name, importer())
            loaded = self._collect(name)
        except Exception as error:
            self._hooks.unregister(name)
            log.warning("The plugin %s failed to load.", name, exc_info=True)
            self._states[name] = replace(status, status=StatusKind.FAILED, error=_short(error))
            return
        self._loaded[name] = loaded
        self._states[name] = replace(
            status,
            providers=tuple(spec.full_address for spec, _ in loaded.providers),
            platforms=tuple(spec.name for spec, _ in loaded.platforms),
            identity=tuple(spec.kind for spec in loaded.identity),
            launchers=tuple(spec.name for spec in loaded.launchers),
            policies=tuple(spec.name for spec in loaded.policies),
            load_ms=round((time.perf_counter() - started) * 1000, 1),
        )

    def _collect(self, name: str) -> _Loaded:
        providers = _checked(name, "stead_terraform_providers", ProviderSpec, self._hooks)
        platforms = _checked(name, "stead_platforms", PlatformSpec, self._hooks)
        identity = _checked(name, "stead_identity_providers", IdentityProviderSpec, self._hooks)
        launchers = _checked(name, "stead_ide_launchers", LauncherSpec, self._hooks)
        policies = _checked(name, "stead_policies", PolicySpec, self._hooks)
        self._refuse_taken(providers, platforms)
        self._refuse_identity(identity)
        self._refuse_launchers(launchers)
        self._refuse_policies(policies)
        section = self._sections.get(name, {})
        classes = {spec.settings for spec in (*providers, *platforms)} - {NoSettings}
        if section and not classes:
            raise PluginFailure(f"[plugins.{name}] is set, but this plugin has no settings.", field=f"plugins.{name}")
        made = {cls: _settings(name, cls, section) for cls in classes} | {NoSettings: NoSettings()}
        return _Loaded(
            providers=[(spec, made[spec.settings]) for spec in providers],
            platforms=[(spec, made[spec.settings]) for spec in platforms],
            identity=identity,
            launchers=launchers,
            policies=policies,
        )

    def _refuse_launchers(self, specs: list[LauncherSpec]) -> None:
        taken = {spec.name for spec in self.launchers()}
        for spec in specs:
            if spec.name in taken:
                raise PluginFailure(
                    f"The launcher {spec.name!r} is brought by another plugin already.",
                    remedy="Disable one of the two in [plugins] disabled.",
                )

    def _refuse_policies(self, specs: list[PolicySpec]) -> None:
        for spec in specs:
            if spec.name in self.policies():
                raise PluginFailure(
                    f"The policy {spec.name!r} is brought by another plugin already.",
                    remedy="Disable one of the two in [plugins] disabled.",
                )
            _refuse_core_settings(f"policy {spec.name!r}", spec.settings, POLICY_CORE_SETTINGS)

    def _refuse_identity(self, specs: list[IdentityProviderSpec]) -> None:
        for spec in specs:
            if spec.kind in self.identity_kinds():
                raise PluginFailure(
                    f"The kind of identity provider {spec.kind!r} is brought by another plugin already.",
                    remedy="Disable one of the two in [plugins] disabled.",
                )
            _refuse_core_settings(f"identity provider {spec.kind!r}", spec.settings, CORE_SETTINGS)

    def _refuse_taken(self, providers: list[ProviderSpec], platforms: list[PlatformSpec]) -> None:
        for spec in providers:
            if other := self.serving(spec.full_address):
                raise PluginFailure(
                    f"The provider {spec.full_address} is served by the plugin {other!r} already.",
                    remedy="Disable one of the two in [plugins] disabled.",
                )
        taken = {spec.name for spec, _ in self.platforms()}
        for platform in platforms:
            if platform.name in taken:
                raise PluginFailure(
                    f"The platform {platform.name!r} is brought by another plugin already.",
                    remedy="Disable one of the two in [plugins] disabled.",
                )

    def _keep_duplicate(self, status: PluginStatus) -> None:
        key = f"{status.name} ({status.distribution or status.target})"
        error = f"The name {status.name!r} belongs to another plugin. Uninstall one of the two."
        self._states[key] = replace(status, name=key, status=StatusKind.FAILED, error=error)

    def _report_sections_without_plugin(self) -> None:
        for name in sorted(set(self._sections) - set(self._states)):
            log.warning("[plugins.%s] is set, but no plugin of that name is installed.", name)


def _checked(name: str, hook: str, record: type[Any], hooks: HookManager) -> list[Any]:
    returned = hooks.call(name, hook)
    if returned is None:
        return []
    if not isinstance(returned, (list, tuple)) or not all(isinstance(item, record) for item in returned):
        raise PluginFailure(f"{hook} of the plugin {name!r} must return a list of {record.__name__}.")
    return list(returned)


def _refuse_core_settings(whose: str, settings: type[BaseModel], core: frozenset[str]) -> None:
    if ours := core & set(settings.model_fields):
        raise PluginFailure(f"The settings of the {whose} have {', '.join(sorted(ours))}, which Stead reads itself.")


def _settings(name: str, cls: type[BaseModel], section: Mapping[str, Any]) -> BaseModel:
    try:
        return cls.model_validate(dict(section))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(["plugins", name, *(str(part) for part in first["loc"])])
        raise PluginFailure(f"{where}: {first['msg']}.", field=where) from None


def _short(error: BaseException) -> str:
    if isinstance(error, SteadError):
        return str(error)
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:300]}" if text else type(error).__name__
