"""What answers in place of Google Cloud is told as that, and is no account without anything in it."""

from __future__ import annotations

import pytest

from stead.api.errors import PlatformUnreachable
from stead.testing.strangers import SAID, STRANGE, stranger
from stead_gcp.platform import GcpPlatform
from stead_gcp.settings import GcpSettings


def platform_at(address: str) -> GcpPlatform:
    return GcpPlatform(
        GcpSettings(
            project="acme-dev",
            zone="us-central1-a",
            access_token="secret",
            compute_endpoint=address,
            iam_endpoint=address,
            resource_manager_endpoint=address,
            attempts=2,
            pause=0.01,
        )
    )


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
