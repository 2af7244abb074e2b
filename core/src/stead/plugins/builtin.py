"""The providers and platforms that ship with Stead, registered through the same hooks as anyone's."""

from __future__ import annotations

from stead.api import PlatformSpec, ProviderSpec, hookimpl
from stead.terraform.builtin import builtin_platforms, builtin_providers


@hookimpl
def stead_terraform_providers() -> list[ProviderSpec]:
    return builtin_providers()


@hookimpl
def stead_platforms() -> list[PlatformSpec]:
    return builtin_platforms()
