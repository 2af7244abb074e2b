"""A second real provider: canaille, where people have real passwords and are asked for their consent."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import stead_oidc_peer
from stead_oidc_peer.flow import Flow, oidc_settings
from stead_oidc_peer.openid import CALLBACK

from stead.testing.left_out import leave_out
from stead.testing.waiting import eventually, find_free_port
from stead_oidc.provider import OidcProvider

PASSWORD = "correct horse battery staple"
SECRET = "the-secret-of-the-client"


@pytest.fixture(scope="module")
def canaille(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if importlib.util.find_spec("canaille") is None:
        leave_out("OpenID provider (canaille)", "pip install 'stead-oidc[test]'")
    port = find_free_port()
    log = tmp_path_factory.mktemp("canaille") / "log"
    script = Path(stead_oidc_peer.__file__).parent / "canaille_server.py"
    with log.open("wb") as output:
        server = subprocess.Popen([sys.executable, str(script), str(port), CALLBACK], stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert server.poll() is None, log.read_text()[-3000:]
        try:
            return httpx.get(f"{url}/.well-known/openid-configuration", timeout=10).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    try:
        eventually(answers, 120, what="canaille")
        yield url
    finally:
        server.terminate()
        server.wait(20)


def test_signing_in_at_canaille(canaille: str) -> None:
    more = {"client_secret": SECRET, "scopes": ("profile", "email", "groups"), "groups_claim": "groups"}
    provider = OidcProvider(oidc_settings(canaille, **more))
    flow = Flow(provider)
    person = flow.sign_in(login="ada", password=PASSWORD, answer="accept")
    assert (person.issuer, person.subject, person.username) == (canaille, "ada", "ada")
    assert (person.email, person.name) == ("ada@example.com", "Ada Lovelace")
    assert sorted(person.groups or ()) == ["engineering", "everyone"]
    assert provider.check().ok
    provider.close()
