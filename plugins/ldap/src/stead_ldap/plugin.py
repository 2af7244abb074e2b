"""What this plugin brings. Importing it imports no LDAP library."""

from __future__ import annotations

from stead.api import hookimpl
from stead.api.signin import IdentityProvider, IdentityProviderSpec
from stead_ldap.settings import LdapSettings


def _provider(settings: LdapSettings) -> IdentityProvider:
    from stead_ldap.provider import LdapProvider

    return LdapProvider(settings)


@hookimpl
def stead_identity_providers() -> list[IdentityProviderSpec]:
    return [IdentityProviderSpec(kind="ldap", title="LDAP", factory=_provider, settings=LdapSettings, form="Username")]
