"""What answers in place of Azure is told as that, and is no account without anything in it."""

from __future__ import annotations

import pytest
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.mgmt.resource.resources import ResourceManagementClient

from stead.api.errors import CredentialsRejected, PlatformUnreachable
from stead.testing.strangers import SAID, STRANGE, stranger
from stead_azure.cloud import Cloud
from stead_azure.platform import AzurePlatform
from stead_azure.settings import AzureSettings

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"


class PlainAccount:
    """Without TLS, over which the SDK tells nobody who it is."""

    subscription = SUBSCRIPTION

    def __init__(self, address: str) -> None:
        self.address = address

    def client(self, name: str) -> ResourceManagementClient:
        assert name == "resource", "the first question is after the groups"
        return ResourceManagementClient(
            object(),
            SUBSCRIPTION,
            base_url=self.address,
            credential_scopes=["scope"],
            authentication_policy=SansIOHTTPPolicy(),
            retry_total=0,
        )

    def close(self) -> None:
        pass


def platform_at(address: str) -> AzurePlatform:
    platform = AzurePlatform(AzureSettings(attempts=2, pause=0.01))
    platform._provider._cloud = Cloud(lambda: PlainAccount(address), platform._settings)
    return platform


@pytest.mark.parametrize("answer", STRANGE.values(), ids=STRANGE)
def test_what_answers_in_its_place_is_told(answer: tuple[int, str, bytes]) -> None:
    with stranger(answer) as address:
        platform = platform_at(address)
        report = platform.check_credentials()
        assert not report.ok
        assert report.remedies
        with pytest.raises(PlatformUnreachable) as failure:
            list(platform.owned_resources("deployment"))
    assert SAID not in f"{failure.value} {report}", "what a stranger says is not repeated"
    assert len(str(failure.value)) < 1500


@pytest.mark.parametrize(
    "wrong", [{"tenant_id": "our tenant!"}, {"authority": "http://login.example"}], ids=["tenant", "authority"]
)
def test_settings_of_a_wrong_form_are_told(wrong: dict[str, str]) -> None:
    known = {"subscription_id": SUBSCRIPTION, "tenant_id": SUBSCRIPTION, "client_id": SUBSCRIPTION}
    platform = AzurePlatform(AzureSettings.model_validate({**known, "client_secret": "hunter2", **wrong}))
    report = platform.check_credentials()
    assert not report.ok
    assert "hunter2" not in f"{report}"
    with pytest.raises(CredentialsRejected, match="The account cannot be used"):
        platform.owned_resources("deployment")
