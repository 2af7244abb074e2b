"""What the plugin registers, and what importing it costs."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from stead.api import MemoryReplays
from stead.api.errors import ProviderFailure
from stead.api.provider import Context
from stead_gcp import plugin
from stead_gcp.data_sources import ClientConfig
from stead_gcp.identity import GoogleIdentity
from stead_gcp.platform import GcpPlatform
from stead_gcp.provider import Google
from stead_gcp.settings import GcpSettings

MEASURE = """
import json, sys, time
import stead.api, stead.api.provider
before = time.perf_counter()
import stead_gcp.plugin as plugin
specs = plugin.stead_terraform_providers() + plugin.stead_platforms()
seconds = time.perf_counter() - before
print(json.dumps({"seconds": seconds, "sdk": sorted({"google.cloud", "google.auth", "requests"} & sys.modules.keys())}))
"""
KEY = '{"type": "authorized_user", "client_id": "c", "client_secret": "s3cret", "refresh_token": "r3fresh"}'


def test_importing_the_plugin_imports_no_sdk_and_takes_no_time() -> None:
    ran = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, timeout=60, check=True)
    measured = json.loads(ran.stdout)
    assert measured["sdk"] == []
    assert measured["seconds"] < 0.3


def test_provider_platform_and_identity_are_made_behind_their_factories() -> None:
    (spec,) = plugin.stead_terraform_providers()
    assert spec.full_address == "registry.terraform.io/hashicorp/google"
    assert isinstance(spec.factory(GcpSettings()), Google)
    (platform,) = plugin.stead_platforms()
    assert isinstance(platform.factory(GcpSettings()), GcpPlatform)
    assert platform.identity is not None
    assert isinstance(platform.identity(GcpSettings(), MemoryReplays()), GoogleIdentity)


def test_every_type_and_argument_is_described() -> None:
    for model in (*Google.resources, *Google.data_sources):
        schema = model.schema()
        assert schema.description, model.type_name
        for field in schema.attributes.values():
            assert field.description or field.computed, f"{model.type_name}.{field.name}"


@pytest.mark.parametrize("starter", plugin.STARTERS, ids=lambda starter: starter.name)
def test_starters_are_complete(starter) -> None:
    readme = (starter.path / "README.md").read_text()
    assert readme.startswith("# ")
    template = (starter.path / "main.tf").read_text()
    for name in re.findall(r'display_name = "([^"]+)"\n  description', template):
        assert name in readme


def test_places_come_of_block_then_settings_then_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOOGLE_ZONE", "GCLOUD_ZONE", "CLOUDSDK_COMPUTE_ZONE", "GOOGLE_REGION", "GCLOUD_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOOGLE_PROJECT", "environment")
    settings = GcpSettings(project="settings", zone="europe-west4-a")
    assert Google(settings=settings, project="block").places == ("block", "europe-west4", "europe-west4-a")
    assert Google(settings=settings).places[0] == "settings"
    assert Google(settings=GcpSettings()).places == ("environment", None, None)
    with pytest.raises(ProviderFailure, match="No zone is set") as caught:
        Google(settings=GcpSettings()).need_zone()
    assert caught.value.field == "zone"


def test_credentials_are_taken_as_text_or_file_and_never_shown(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key.json"
    file.write_text(KEY)
    for provider in (
        Google(settings=GcpSettings(), credentials=KEY),
        Google(settings=GcpSettings(), credentials=str(file)),
        Google(settings=GcpSettings(credentials=file)),
    ):
        assert provider.cloud.credentials.refresh_token == "r3fresh"
        assert "r3fresh" not in repr(provider)
    with pytest.raises(ProviderFailure) as caught:
        _ = Google(settings=GcpSettings(), credentials='{"s3cret": ').cloud.credentials
    assert "s3cret" not in f"{caught.value}{caught.value.__cause__!r}"
    monkeypatch.setenv("GOOGLE_CREDENTIALS", KEY)
    assert Google(settings=GcpSettings()).cloud.credentials.refresh_token == "r3fresh"


def test_the_block_counts_before_the_settings(rig) -> None:
    provider = Google(settings=rig.settings, access_token="of-the-block")
    data = ClientConfig()
    data.read(Context(provider=provider))
    assert data.access_token == "of-the-block"
