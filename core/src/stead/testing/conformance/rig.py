"""One deployment on a platform, in which the conformance tests make things, and from which they take them again."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr

from stead.api import OwnedResource, Platform, PlatformSpec, ProviderSpec
from stead.api.provider import BuildContext, Context, Owner, Plan, Provider, Resource
from stead.api.provider.resources import overrides
from stead.terraform.serving.planning import changed_fields, defaulted, forced_fields, planned

R = TypeVar("R", bound=Resource)
SHORTEST_SECRET = 4


@dataclass(frozen=True)
class Sample:
    """How to make one resource of a type, and what is special about it.

    :param make: an instance with the arguments that a template would give. What it stands on, it makes with
        :meth:`Rig.create`, under names from :meth:`Rig.unique`.
    :param change: fields, by their Python names, and their new values.
    :param labelled: the owned listing tells of it. Not so for what bears no labels and goes with what it belongs to,
        as a volume's attachment does.
    :param not_imported: names of attributes that the platform does not tell, so that an import lacks them.
    :param outlives: it stays when it is deleted, as an image in a cache or the state of a machine does.
    """

    make: Callable[[Rig], Resource]
    change: Mapping[str, Any] = field(default_factory=dict)
    labelled: bool = True
    not_imported: frozenset[str] = frozenset()
    outlives: bool = False


@dataclass
class Rig:
    """What a sample and a test work with.

    :param provider: configured, as the engine would have it.
    :param platform: ``None`` where the plugin brings none.
    :param folder: empty at the start, of this test alone.
    :param name: the deployment's id.
    """

    spec: ProviderSpec
    settings: BaseModel
    provider: Provider
    platform: Platform | None
    folder: Path
    name: str = field(default_factory=lambda: f"stead-test-{secrets.token_hex(5)}")
    log: list[tuple[str, str]] = field(default_factory=list)
    _made: list[tuple[Resource, str]] = field(default_factory=list)
    _lost: bool = False

    @property
    def build(self) -> BuildContext:
        return BuildContext(
            deployment=self.name,
            workspace_id=f"{self.name}-w",
            workspace_name="tester",
            build_id="build-1",
            owner=Owner(name="alice"),
            directory=self.folder,
        )

    @staticmethod
    def unique(prefix: str = "stead") -> str:
        """A name of lower-case letters and digits that nothing else has."""
        return f"{prefix}{secrets.token_hex(5)}"

    @staticmethod
    def key() -> str:
        """A journal key, as the engine makes them."""
        return secrets.token_hex(16)

    def context(self, key: str = "", **options: Any) -> Context:
        options = {"provider": self.provider, "build": self.build, **options}
        return Context(key=key, sink=lambda level, text: self.log.append((level, text)), **options)

    def planned(self, config: R) -> R:
        """The instance as ``create`` gets it, planned by the engine's rules."""
        result = planned(None, config)
        result.plan(self.context(), Plan("create"))
        return _with_write_only(result, config)

    def planned_change(self, prior: R, config: R) -> R | None:
        """The instance as ``update`` gets it, or ``None`` where the change replaces the resource."""
        result = planned(prior, config)
        plan = Plan("update", prior, changed_fields(prior, result))
        if forced_fields(prior, result) or not overrides(type(prior), Resource, "update"):
            return None
        result.plan(self.context(), plan)
        return None if plan.replacing else _with_write_only(result, config)

    def create(self, config: R, key: str = "") -> R:
        """Make it, and remember to take it away. ``config`` stays as it is."""
        key = key or self.key()
        made = self.planned(copy.deepcopy(config))
        self._made.append((made, key))
        try:
            made.create(self.context("" if type(made).virtual else key))
        except BaseException:
            self._lost = True
            raise
        return made

    def owned(self, key: str = "") -> list[OwnedResource]:
        """What the platform has of this deployment, of one key where one is given."""
        found = list(self.platform.owned_resources(self.name)) if self.platform is not None else []
        return [item for item in found if key in ("", item.key)]

    def destroy_owned(self, key: str = "") -> None:
        for item in self.owned(key):
            if self.platform is not None:
                self.platform.destroy_owned(item)

    @property
    def lines(self) -> str:
        return "\n".join(text for _, text in self.log)

    def clean(self) -> None:
        """Take away what was made, last first, or by the owned listing where a creation's result was lost."""
        while self._made:
            made, key = self._made.pop()
            if made.identity and not (self._lost and self.platform is not None):
                made.delete(self.context(key))
        self.destroy_owned()

    def secrets(self) -> set[str]:
        """Values that nobody may read in a log: those of the settings that are secret."""
        return secrets_of(self.settings)


def _with_write_only(result: R, config: R) -> R:
    for attribute in result.schema().attributes.values():
        if attribute.write_only:
            setattr(result, attribute.key, getattr(config, attribute.key))
    return result


def secrets_of(settings: BaseModel) -> set[str]:
    """The values of settings that are secret, but for those too short to be looked for."""
    return set(_secrets(settings))


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        if len(text) >= SHORTEST_SECRET:
            yield text
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _secrets(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _secrets(item)


def provider_of(plugin: ModuleType, address: str = "") -> ProviderSpec:
    """The provider that a plugin brings; ``address`` says which where there are several."""
    found = [spec for spec in plugin.stead_terraform_providers() if address in ("", spec.address)]
    if len(found) != 1:
        raise LookupError(f"{plugin.__name__} has {len(found)} providers: set `address` to the one to test")
    spec: ProviderSpec = found[0]
    return spec


def platform_of(plugin: ModuleType | None) -> PlatformSpec | None:
    """The first platform that a plugin brings, if any."""
    hook = getattr(plugin, "stead_platforms", None)
    found = list(hook()) if hook is not None else []
    return found[0] if found else None


def configured(spec: ProviderSpec, settings: BaseModel, arguments: Mapping[str, Any], build: BuildContext) -> Provider:
    """A provider with the arguments of its block, ready to be asked."""
    provider = spec.factory(settings)
    config = defaulted(type(provider)(**arguments))
    for key in type(provider).__stead_fields__:
        setattr(provider, key, getattr(config, key))
    provider.configure(Context(provider=provider, build=build))
    return provider


@contextmanager
def cleaned(rig: Rig) -> Iterator[Rig]:
    try:
        yield rig
    finally:
        rig.clean()
