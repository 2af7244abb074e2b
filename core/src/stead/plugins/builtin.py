"""What ships with Stead, registered through the same hooks as anyone's."""

from __future__ import annotations

from stead.api import LauncherSpec, PlatformSpec, PolicySpec, ProviderSpec, hookimpl
from stead.ides import builtin_launchers
from stead.policies import builtin_policies
from stead.terraform.builtin import builtin_platforms, builtin_providers


@hookimpl
def stead_terraform_providers() -> list[ProviderSpec]:
    return builtin_providers()


@hookimpl
def stead_platforms() -> list[PlatformSpec]:
    return builtin_platforms()


@hookimpl
def stead_ide_launchers() -> list[LauncherSpec]:
    return builtin_launchers()


@hookimpl
def stead_policies() -> list[PolicySpec]:
    return builtin_policies()
