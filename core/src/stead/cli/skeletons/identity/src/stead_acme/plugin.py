"""What this plugin brings. What costs time to import stands behind the factory."""

from __future__ import annotations

from stead.api import IdentityProvider, IdentityProviderSpec, hookimpl
from stead_acme.settings import AcmeSettings


def _provider(settings: AcmeSettings) -> IdentityProvider:
    from stead_acme.provider import AcmeProvider

    return AcmeProvider(settings)


@hookimpl
def stead_identity_providers() -> list[IdentityProviderSpec]:
    return [IdentityProviderSpec("acme", "Acme", _provider, AcmeSettings)]
