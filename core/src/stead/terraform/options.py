"""How the engine is set up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class EngineOptions:
    """Settings of an :class:`~stead.terraform.engine.Engine`.

    :param binary: a ``terraform`` or ``tofu`` to use in place of the embedded Terraform.
    :param plugin_cache: folder where Terraform keeps providers that it downloads.
    :param mirror: folder of provider packages (a Terraform filesystem mirror), asked before the network.
    :param network: whether Terraform may ask registries for providers.
    :param cli_config: an administrator's Terraform CLI configuration, used as it is in place of ours.
    :param warm: number of processes kept ready.
    :param grace: seconds between asking Terraform to stop and ending it.
    :param broken: names of plugins that did not load, and may bring a provider that is missing then.
    :param environment: variables that Terraform and original providers see (``AWS_PROFILE`` ...).
    """

    binary: Path | None = None
    plugin_cache: Path | None = None
    mirror: Path | None = None
    network: bool = True
    cli_config: Path | None = None
    warm: int = 1
    grace: float = 20.0
    broken: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
