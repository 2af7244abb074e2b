"""Providers for the plugin's tests. What several tests only read from is started once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "peer"))

from stead_oidc_peer.flow import oidc_settings
from stead_oidc_peer.github import GithubPeer
from stead_oidc_peer.hostile import Hostile
from stead_oidc_peer.npm import room
from stead_oidc_peer.openid import OpenidPeer, client

from stead_oidc.provider import OidcProvider

_FOLDER = Path(__file__).parent
_SECONDS = 600  # the first of these tests on a machine waits for npm


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_FOLDER):
            item.add_marker(pytest.mark.timeout(_SECONDS))


@pytest.fixture(scope="session")
def npm_peers() -> Path:
    """What comes from npm; where it cannot be had, whatever needs it is left out, after one try."""
    return room()


@pytest.fixture(scope="session")
def openid(npm_peers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenidPeer]:
    """A real provider that all tests share. What they do there must not disturb each other."""
    posting = client("stead-post", token_endpoint_auth_method="client_secret_post")
    other = client("another-client")
    with OpenidPeer(tmp_path_factory.mktemp("openid"), [client("stead"), posting, other]) as peer:
        yield peer


@pytest.fixture
def oidc(openid: OpenidPeer) -> Iterator[Callable[..., OidcProvider]]:
    """Makes providers of the plugin at the shared peer, with more settings."""
    made: list[OidcProvider] = []

    def make(**more: Any) -> OidcProvider:
        made.append(OidcProvider(oidc_settings(openid.issuer, **more)))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    with Hostile() as peer:
        yield peer


@pytest.fixture
def github_peer(npm_peers: Path) -> Iterator[GithubPeer]:
    with GithubPeer() as peer:
        yield peer
