"""Both kinds pass the suite that every identity provider passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from stead_oidc_peer.flow import oidc_settings
from stead_oidc_peer.github import CLIENT_ID, SECRET, GithubPeer
from stead_oidc_peer.openid import CALLBACK, Browser, OpenidPeer

import stead_oidc.plugin
from stead.testing.conformance import RedirectConformance
from stead_oidc.settings import GithubSettings, OidcSettings

NOWHERE = "http://127.0.0.1:9"


class TestOidcConforms(RedirectConformance):
    plugin = stead_oidc.plugin
    kind = "oidc"
    sdk_modules = ("authlib", "joserfc", "httpx", "httpcore", "cryptography")
    redirect_uri = CALLBACK

    @pytest.fixture
    def settings(self, openid: OpenidPeer) -> OidcSettings:
        more = {"scopes": ("email", "groups", "offline_access"), "groups_claim": "groups"}
        return oidc_settings(openid.issuer, extra_parameters={"prompt": "login consent"}, **more)

    @pytest.fixture
    def unreachable_settings(self) -> OidcSettings:
        return oidc_settings(NOWHERE)

    def walk(self, url: str) -> Mapping[str, str]:
        with Browser() as browser:
            return browser.sign_in(url, login="ada", password="x")


class TestGithubConforms(RedirectConformance):
    plugin = stead_oidc.plugin
    kind = "github"
    sdk_modules = TestOidcConforms.sdk_modules
    redirect_uri = CALLBACK

    @pytest.fixture
    def settings(self, github_peer: GithubPeer) -> Iterator[GithubSettings]:
        given = {"client_id": CLIENT_ID, "client_secret": SECRET, "timeout": 60}
        yield GithubSettings.model_validate({**given, "url": github_peer.url})
        assert github_peer.problems == []

    @pytest.fixture
    def unreachable_settings(self) -> GithubSettings:
        return GithubSettings.model_validate({"client_id": CLIENT_ID, "client_secret": SECRET, "url": NOWHERE})

    def walk(self, url: str) -> Mapping[str, str]:
        with Browser() as browser:
            return browser.sign_in(url, login="octocat")
