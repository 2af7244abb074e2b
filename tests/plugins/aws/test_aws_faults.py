"""Throttling, lost answers, half-made and vanished things, at the HTTP edge, for every resource type."""

from __future__ import annotations

import time
from typing import Any

import pytest
from aws_rows import CASES, Case

from stead.api.errors import (
    BuildCanceled,
    CapacityExhausted,
    OperationTimedOut,
    PermissionMissing,
    ProviderFailure,
    QuotaExceeded,
    Throttled,
)
from stead_aws.instance import Instance
from stead_aws.volume import Volume

ALL = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def delete(rig, thing: Any) -> None:
    thing.delete(rig.context("key"))


def test_every_type_has_a_case(rig) -> None:
    assert set(CASES) == {kind.type_name for kind in type(rig.provider).resources}


@ALL
def test_imported_is_as_it_was(rig, case: Case) -> None:
    made = rig.create(case.make(rig), "key")
    assert made.read(rig.context("key"))
    found = type(made).import_(rig.context("key"), made.identity)
    assert found is not None
    free = {"root_block_device", "spot_type", "force_detach", "skip_destroy", "wait_for_fulfillment", "name_prefix"}
    free |= {"egress", "ingress", "volume_tags", "source_dest_check", "stop_instance_before_detaching", "create_date"}
    for name in type(made).schema().attributes.keys() - free:
        one, other = getattr(made, name, None), getattr(found, name, None)
        assert (one or None) == (other or None), name
    unknown = {"aws_iam_role_policy": "a:b", "aws_iam_role_policy_attachment": "a/arn:aws:iam::1:policy/b"}
    nowhere = unknown.get(type(made).type_name, made.identity[:4] + "0" * 13)
    assert type(made).import_(rig.context("key"), nowhere) is None


@ALL
def test_a_refusal_is_said_at_once(rig, case: Case) -> None:
    thing = case.make(rig)
    rig.edge.fail(case.create, "error", code="UnauthorizedOperation", status=403, times=99)
    before = case.count(rig)
    with pytest.raises(PermissionMissing, match=r"lack \w+:\w+"):
        rig.create(thing, "key")
    assert case.count(rig) in (before, 1 if case.create.count("|") else before)


@pytest.mark.parametrize(
    ("code", "status", "failure"),
    [
        ("InsufficientInstanceCapacity", 500, CapacityExhausted),
        ("VcpuLimitExceeded", 400, QuotaExceeded),
        ("RequestLimitExceeded", 503, Throttled),
    ],
)
def test_why_there_is_no_machine(rig, code: str, status: int, failure: type[ProviderFailure]) -> None:
    rig.edge.fail("RunInstances", "error", code=code, status=status, times=99)
    with pytest.raises(failure) as caught:
        rig.create(Instance(ami=rig.image, instance_type="t3.micro"))
    assert caught.value.remedy
    calls = rig.settings.attempts if failure is Throttled else 1
    assert rig.edge.count("RunInstances") == calls


def test_a_canceled_build_and_a_deadline_end_the_tries(rig) -> None:
    rig.edge.fail("CreateVolume", times=10**6)
    rig.provider.cloud.settings = rig.settings.model_copy(update={"attempts": 50, "pause": 0.2})
    context = rig.context(deadline=time.monotonic() + 0.5)
    volume = Volume(availability_zone="us-east-1a", size=1)
    with pytest.raises(OperationTimedOut):
        volume.create(context)
    canceled = rig.context()
    canceled.canceled.set()
    with pytest.raises(BuildCanceled):
        volume.create(canceled)
    assert rig.edge.count("CreateVolume") < 10


def test_a_machine_that_never_comes_up_is_ended_by_its_timeout(rig, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Instance(ami=rig.image, instance_type="t3.micro", timeouts=_timeouts("500ms"))
    rig.edge.fail("DescribeInstances", "error", code="InvalidInstanceID.NotFound", status=400, times=10**6)
    rig.provider.cloud.settings = rig.settings.model_copy(update={"settle": 60})
    with pytest.raises((OperationTimedOut, ProviderFailure)):
        rig.create(machine)


def _timeouts(create: str) -> Any:
    from stead_aws.base import AllTimeouts

    return AllTimeouts(create=create)
