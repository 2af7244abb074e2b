"""The records that plugins register.

A record is cheap: importing the module that makes it imports no SDK. Whatever costs time or needs
settings stands behind ``factory``, which alone receives the plugin's settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from stead.api.errors import ProviderFailure

if TYPE_CHECKING:
    from stead.api.identity import InstanceIdentity, Replays
    from stead.api.provider import Provider


class NoSettings(BaseModel, extra="forbid"):
    """The settings class of a plugin that has none."""


@dataclass(frozen=True)
class ProviderSpec:
    """A Terraform provider written in Python.

    :param address: source address as templates name it, ``namespace/type`` or ``host/namespace/type``
        (``kreuzwerker/docker``; the host defaults to ``registry.terraform.io``).
    :param title: shown to administrators.
    :param factory: called once per build with an instance of ``settings``; returns an unconfigured provider.
    :param settings: pydantic model of the plugin's section in ``stead.toml``.
    """

    address: str
    title: str
    factory: Callable[[Any], Provider]
    settings: type[BaseModel] = NoSettings

    @property
    def full_address(self) -> str:
        """The address with its host, as Terraform keys providers."""
        return self.address if self.address.count("/") == 2 else f"registry.terraform.io/{self.address}"


@dataclass(frozen=True)
class StarterTemplate:
    """A template that a platform ships to start from.

    :param name: slug, unique among the platform's templates.
    :param path: folder that holds the Terraform files and a ``README.md``.
    """

    name: str
    title: str
    description: str
    path: Path
    icon: str = ""


@dataclass(frozen=True)
class CredentialsReport:
    """What a platform's credentials check found. ``remedies`` has one line for each thing to do."""

    ok: bool
    summary: str
    remedies: tuple[str, ...] = ()


@dataclass(frozen=True)
class OwnedResource:
    """A thing on the platform that carries a Stead key label.

    :param key: value of the ``stead.key`` label, the journal key under which it was created.
    :param type_name: Terraform resource type.
    :param identity: what ``Resource.import_`` of that type takes.
    :param deployment: value of the ``stead.deployment`` label.
    """

    key: str
    type_name: str
    identity: str
    deployment: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """How to try a platform on this very machine, right now.

    :param template: name of the starter template to use.
    :param parameters: values that fit what is here (an image that is present, say).
    :param listen: addresses of this machine at which such workspaces reach a server that runs here,
        besides loopback.
    """

    template: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    listen: tuple[str, ...] = ()


@dataclass(frozen=True)
class Price:
    """What a resource costs, from a price table of a known date.

    :param hourly: per hour while it exists and runs.
    :param as_of: date of the table, ``2026-01-31``.
    """

    hourly: float
    as_of: str
    currency: str = "USD"

    @property
    def daily(self) -> float:
        return self.hourly * 24


class Platform:
    """What a :class:`PlatformSpec`'s factory returns. Override what the platform can do."""

    def check_credentials(self) -> CredentialsReport:
        """Ask the platform whether the configured credentials work."""
        return CredentialsReport(ok=True, summary="Nothing to check.")

    def trial(self) -> Trial:
        """Prepare a first workspace on this machine, without asking anything.

        :raises ProviderFailure: the platform cannot be tried here; the message says why.
        """
        raise ProviderFailure("This platform needs to be configured first.")

    def owned_resources(self, deployment: str) -> Sequence[OwnedResource]:
        """List everything on the platform that carries this deployment's label."""
        del deployment
        return ()

    def destroy_owned(self, resource: OwnedResource) -> None:
        """Remove one of :meth:`owned_resources`. Missing is success."""
        del resource

    def price(self, type_name: str, attributes: Mapping[str, Any]) -> Price | None:
        """What a resource with these attributes of a plan or state costs; ``None`` where that is not known."""
        del type_name, attributes
        return None


@dataclass(frozen=True)
class PlatformSpec:
    """A place where workspaces run.

    :param name: slug (``docker``).
    :param factory: called with an instance of ``settings``.
    :param identity: called with an instance of ``settings`` and what remembers used documents, where agents can
        prove which machine of this platform they run on.
    """

    name: str
    title: str
    factory: Callable[[Any], Platform]
    templates: tuple[StarterTemplate, ...] = ()
    settings: type[BaseModel] = NoSettings
    icon: str = ""
    identity: Callable[[Any, Replays], InstanceIdentity] | None = None


@dataclass(frozen=True)
class Event:
    """Something that was committed: ``workspace.build.succeeded`` and the like.

    :param name: dotted, past tense.
    :param at: seconds since the epoch.
    :param data: JSON-able, without secrets.
    """

    name: str
    at: float
    data: Mapping[str, Any]
