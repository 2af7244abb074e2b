"""What goes wrong at the HTTP edge, for every resource type: no orphan, no double creation."""

from __future__ import annotations

import copy
import threading
import time

import pytest

from stead.api.errors import (
    BuildCanceled,
    CapacityExhausted,
    OperationTimedOut,
    PlatformUnreachable,
    ProviderFailure,
    QuotaExceeded,
    ResourceConflict,
    ResourceNotFound,
    SteadError,
    Throttled,
)
from stead_azure.group import ResourceGroup

# The request that makes each of them.
PUTS = {
    "group": ("PUT", r"/resourcegroups/g$"),
    "network": ("PUT", r"/virtualNetworks/net$"),
    "subnet": ("PUT", r"/subnets/sub$"),
    "rules": ("PUT", r"/networkSecurityGroups/rules$"),
    "address": ("PUT", r"/publicIPAddresses/ip$"),
    "disk": ("PUT", r"/disks/home$"),
    "interface": ("PUT", r"/networkInterfaces/nic$"),
    "association": ("PUT", r"/networkInterfaces/nic$"),
    "machine": ("PUT", r"/virtualMachines/vm$"),
    "attachment": ("POST", r"/attachDetachDataDisks$"),
}
WHOLE = [name for name in PUTS if name not in ("association", "attachment")]
EVERY = pytest.mark.parametrize("name", PUTS)
OWN = pytest.mark.parametrize("name", WHOLE)
SLOW = pytest.mark.parametrize("name", [name for name in WHOLE if name != "group"])  # groups are made at once


def bare(peer) -> dict:
    """What is there, without what changes by itself."""
    return copy.deepcopy(peer.things)


@EVERY
def test_throttled_dropped_and_lost_calls_make_one_thing(rig, world, name: str) -> None:
    resource, peer = world(name), rig.peer
    count = len(peer.things)
    throttled = peer.fault(*PUTS[name], "refuse", status=429, code="TooManyRequests", headers={"Retry-After": "0"})
    dropped = peer.fault(*PUTS[name], "drop")
    lost = peer.fault(*PUTS[name], "lose")
    resource.create(rig.context("k1"))
    assert (throttled.seen, dropped.seen, lost.seen) == (1, 1, 1)
    expected = {"association": 0, "attachment": 0, "machine": 2}.get(name, 1)
    assert len(peer.things) - count == expected
    assert resource.read(rig.context("k1")) is True
    deleted = peer.fault("DELETE", "/", "refuse", status=503, code="ServiceUnavailable")
    resource.delete(rig.context("k1"))
    assert deleted.seen == (0 if expected == 0 else 1)
    assert len(peer.things) == count
    resource.delete(rig.context("k1"))
    assert resource.read(rig.context("k1")) is False


@SLOW
def test_an_operation_that_fails_leaves_nothing(rig, world, name: str) -> None:
    resource, peer = world(name), rig.peer
    before = bare(peer)
    peer.fault(*PUTS[name], "fail", code="OperationNotAllowed", message="exceeding approved Total Cores quota")
    with pytest.raises(QuotaExceeded, match="quota"):
        resource.create(rig.context("k1"))
    assert bare(peer) == before


@EVERY
def test_a_refusal_for_good_leaves_nothing_and_says_why(rig, world, name: str) -> None:
    resource, peer = world(name), rig.peer
    before = bare(peer)
    for _ in range(rig.settings.attempts):
        peer.fault(*PUTS[name], "refuse", status=429, code="TooManyRequests")
    with pytest.raises(Throttled, match="could not be"):
        resource.create(rig.context("k1"))
    assert bare(peer) == before
    fault = peer.fault(*PUTS[name], "refuse", status=409, code="AllocationFailed", message="no room", times=5)
    with pytest.raises(CapacityExhausted, match="no room"):
        resource.create(rig.context("k1"))
    assert fault.seen == 1
    assert bare(peer) == before


@SLOW
def test_an_operation_that_never_ends_is_given_up_and_taken_back(rig, world, name: str) -> None:
    resource, peer = world(name), rig.peer
    before = bare(peer)
    peer.fault(*PUTS[name], "hang")
    began = time.monotonic()
    with pytest.raises(OperationTimedOut):
        resource.create(rig.context("k1", deadline=time.monotonic() + 0.5))
    assert time.monotonic() - began < 5
    assert bare(peer) == before


def test_a_canceled_build_takes_its_machine_back(rig, world) -> None:
    resource, peer = world("machine"), rig.peer
    before = bare(peer)
    peer.fault(*PUTS["machine"], "hang")
    context = rig.context("k1")
    timer = threading.Timer(0.3, context.canceled.set)
    timer.start()
    with pytest.raises(BuildCanceled):
        resource.create(context)
    timer.join()
    assert bare(peer) == before


@OWN
def test_what_an_earlier_try_has_half_made_is_finished(rig, world, name: str) -> None:
    resource, peer = world(name), rig.peer
    again = copy.deepcopy(resource)
    resource.create(rig.context("k1"))
    count = len(peer.things)
    again.create(rig.context("k1"))
    assert len(peer.things) == count
    assert again.id == resource.id


@OWN
def test_what_others_have_made_is_left_alone(rig, world, name: str) -> None:
    resource, peer = world(name), rig.peer
    other = copy.deepcopy(resource)
    other.create(rig.context("somebody"))
    before = bare(peer)
    with pytest.raises(ResourceConflict, match="exists already"):
        resource.create(rig.context("k1"))
    assert bare(peer) == before


@OWN
def test_what_vanishes_is_gone_for_reading_and_deleting(rig, world, name: str) -> None:
    resource, peer = world(name), rig.peer
    resource.create(rig.context("k1"))
    for path in [path for path in peer.things if path.startswith(resource.id.lower())]:
        peer.things.pop(path)
    assert resource.read(rig.context("k1")) is False
    with pytest.raises(ResourceNotFound):
        resource.update(rig.context("k1"), copy.deepcopy(resource))
    resource.delete(rig.context("k1"))


@EVERY
def test_imported_it_is_the_same(rig, world, name: str) -> None:
    resource = world(name)
    resource.create(rig.context("k1"))
    resource.read(rig.context("k1"))
    identity = resource.identity
    found = type(resource).import_(rig.context(), identity)
    assert found is not None
    told = {"custom_data", "admin_password", "timeouts", "vm_agent_platform_updates_enabled"}
    for field in type(resource).schema().attributes.values():
        if field.key not in told and field.name != "hyper_v_generation":
            mine, other = getattr(resource, field.key), getattr(found, field.key)
            assert (mine or None) == (other or None) or field.has_default, field.name
    resource.delete(rig.context("k1"))
    assert type(resource).import_(rig.context(), identity) is None


def test_questions_survive_a_bad_moment_and_then_say_so(rig, world) -> None:
    resource, peer = world("disk"), rig.peer
    resource.create(rig.context("k1"))
    peer.fault("GET", "/operations/", "refuse", status=503, code="ServerBusy")
    peer.fault("GET", "/operations/", "drop")
    resource.update(rig.context("k1"), copy.deepcopy(resource))
    peer.fault("GET", "/disks/home", "drop", times=99)
    with pytest.raises(PlatformUnreachable):
        resource.read(rig.context("k1"))


def test_an_address_in_use_is_waited_for(rig, world) -> None:
    resource, peer = world("subnet"), rig.peer
    resource.create(rig.context("k1"))
    fault = peer.fault("DELETE", "/subnets/sub", "refuse", status=400, code="InUseSubnetCannotBeDeleted", times=3)
    resource.delete(rig.context("k1"))
    assert fault.seen == 3
    assert peer.of("subnets") == []
    assert peer.of("virtualNetworks")[0]["tags"].get("stead.subnet.sub") is None


def test_a_group_that_holds_something_is_not_deleted(rig, world) -> None:
    world("subnet")
    (group,) = [item for path, item in rig.peer.things.items() if path.endswith("/resourcegroups/g")]
    found = ResourceGroup.import_(rig.context(), group["id"])
    assert found is not None
    with pytest.raises(ResourceConflict, match="still holds net"):
        found.delete(rig.context())


def test_no_secret_is_said(rig, world) -> None:
    resource, peer = world("machine"), rig.peer
    resource.admin_password, resource.disable_password_authentication = "s3cret-Password", False
    peer.fault(*PUTS["machine"], "fail", code="AllocationFailed", message="no room")
    with pytest.raises(ProviderFailure) as caught:
        resource.create(rig.context("k1"))
    assert "s3cret" not in str(caught.value) + str(rig.log)
    assert rig.peer.secret not in repr(rig.settings) + repr(rig.provider.cloud.account)


def test_a_wrong_secret_is_named(rig, world) -> None:
    rig.peer.secret = "another"
    with pytest.raises(SteadError, match="AADSTS7000215") as caught:
        rig.platform.owned_resources(rig.name)
    assert caught.value.reason == "credentials_rejected"
    assert "hunter2" not in str(caught.value)
    report = rig.platform.check_credentials()
    assert not report.ok
