"""What this plugin brings. Importing it imports no SDK."""

from __future__ import annotations

from stead.api import IdentityProvider, IdentityProviderSpec, hookimpl
from stead_oidc.settings import GithubSettings, OidcSettings


def _oidc(settings: OidcSettings) -> IdentityProvider:
    from stead_oidc.provider import OidcProvider

    return OidcProvider(settings)


def _github(settings: GithubSettings) -> IdentityProvider:
    from stead_oidc.github import GithubProvider

    return GithubProvider(settings)


@hookimpl
def stead_identity_providers() -> list[IdentityProviderSpec]:
    return [
        IdentityProviderSpec("oidc", "OpenID Connect", factory=_oidc, settings=OidcSettings, icon="/icon/openid.svg"),
        IdentityProviderSpec("github", "GitHub", factory=_github, settings=GithubSettings, icon="/icon/github.svg"),
    ]
