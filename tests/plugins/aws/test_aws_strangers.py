"""What answers in place of AWS is told as that, and is no account without anything in it."""

from __future__ import annotations

import pytest

from stead.api.errors import PlatformUnreachable
from stead.testing.strangers import SAID, STRANGE, stranger
from stead_aws.platform import AwsPlatform
from stead_aws.settings import AwsSettings


def platform_at(address: str) -> AwsPlatform:
    return AwsPlatform(
        AwsSettings(
            region="us-east-1",
            access_key="test",
            secret_key="secret",
            endpoints=dict.fromkeys(("ec2", "iam", "sts"), address),
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
