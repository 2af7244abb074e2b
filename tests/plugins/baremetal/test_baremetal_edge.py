"""Connections that end, programs that die, machines that vanish and keys that change, in the middle of what is done."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stead.api.errors import CapacityExhausted, PlatformUnreachable
from stead.api.provider import Unknown
from stead.testing.waiting import eventually
from stead_baremetal.failures import HostKeyRefused
from stead_baremetal.host import Host

pytestmark = [pytest.mark.docker, pytest.mark.openssh, pytest.mark.timeout(300, func_only=True)]
SECONDS = 60.0
# In place of a tool that the program on the machine runs: the first time, the connection ends in the middle of it.
WRAPPER = """#!/bin/sh
if [ ! -e /cut ]; then
    touch /cut
    {dies}
    pkill -KILL -f 'sshd: root@notty'
    {dies_too}
fi
exec {real} "$@"
"""
GOES_ON, DIES, NEVER_BEGINS = "goes on", "dies with it", "dies with it before"
WAYS = {
    GOES_ON: ("", ""),
    DIES: ('{real} "$@"', "kill -KILL $PPID; exit 1"),
    NEVER_BEGINS: ("", "kill -KILL $PPID; exit 1"),
}


@contextmanager
def cut_within(box, tool: str, way: str) -> Iterator[None]:
    """:param way: what becomes of the program when the connection ends while it runs the tool."""
    real, place = box.sh(f"command -v {tool}"), f"/usr/local/sbin/{tool}"
    box.sh("rm -f /cut")
    dies, dies_too = (text.replace("{real}", real) for text in WAYS[way])
    box.write(place, WRAPPER.format(dies=dies, dies_too=dies_too, real=real), 0o755)
    try:
        yield
        assert box.sh("ls /cut") == "/cut", "nothing was cut"
    finally:
        box.sh(f"/bin/rm -f {place} /cut")


def new_host(rig) -> Host:
    host = Host(user="coder", desired_status="running", power_off=False, init_script=rig.agent, token="first")
    for attribute in Host.schema().attributes.values():
        if attribute.computed and getattr(host, attribute.key) is None:
            setattr(host, attribute.key, Unknown)
    return host


def made(rig, key: str = "key-1") -> Host:
    host = new_host(rig)
    host.create(rig.context(key))
    return host


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("tool", ["useradd", "chmod"])
def test_a_preparation_that_is_cut_in_the_middle_is_finished(make_rig, tool: str, way: str) -> None:
    rig = make_rig(1)
    (box,) = rig.boxes
    rig.status(box)
    with cut_within(box, tool, way):
        host = made(rig)
    assert rig.owned() == [box.name]
    assert (rig.status(box).claim.key, rig.status(box).phase) == ("key-1", "ready")
    assert box.sh("stat -c %U /home/coder") == "coder"
    assert box.sh("grep -c ^coder: /etc/passwd") == "1"
    before = copy.deepcopy(host)
    assert host.read(rig.context("key-1"))
    assert host == before, "a second build would change something"
    host.delete(rig.context("key-1"))
    assert (rig.state(box), rig.owned()) == ("free", [])


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("tool", ["userdel", "find", "sync"])
def test_a_wipe_that_is_cut_in_the_middle_is_finished(make_rig, tool: str, way: str) -> None:
    rig = make_rig(1)
    (box,) = rig.boxes
    host = made(rig)
    box.sh("echo secret >/home/coder/kept; echo secret >/tmp/kept; chown coder /home/coder/kept /tmp/kept")
    with cut_within(box, tool, way):
        host.delete(rig.context("key-1"))
    assert (rig.state(box), rig.owned()) == ("free", [])
    assert box.sh("ls -d /home/coder /tmp/kept 2>/dev/null; grep ^coder: /etc/passwd", check=False) == ""
    assert not host.read(rig.context("key-1"))
    again = made(rig, "key-2")
    assert rig.status(box).claim.key == "key-2"
    again.delete(rig.context("key-2"))


def test_a_machine_that_vanishes_keeps_its_claim_until_it_is_back(rig) -> None:
    box = rig.farm.make()
    spare = rig.boxes[0]
    rig.boxes[:] = [box, spare]
    rig.entries = {box.name: box.entry(price=1), spare.name: spare.entry(price=2)}
    rig.write()
    host = made(rig)
    assert host.name == box.name
    box.container.kill()
    rig.tune(connect_timeout=5, patience=3, read_patience=3)
    with pytest.raises(PlatformUnreachable):
        copy.deepcopy(host).read(rig.context("key-1"))
    with pytest.raises(PlatformUnreachable, match="cannot be released, as it cannot be wiped"):
        host.delete(rig.context("key-1"))
    rig.tune(connect_timeout=20, patience=60, read_patience=20)
    assert rig.state(spare) == "free", "no other was taken in its place"
    box.container.start()
    box.wait()
    assert [item.key for item in rig.platform.owned_resources(rig.name)] == ["key-1"]
    assert host.read(rig.context("key-1"))
    host.delete(rig.context("key-1"))
    assert {rig.state(one) for one in rig.boxes} == {"free"}
    rig.farm.remove(box)


def test_a_machine_whose_key_has_changed_is_not_asked_and_its_claim_stays(make_rig) -> None:
    rig = make_rig(2)
    box, other = rig.boxes
    rig.describe(other, drain="not for this")
    host = made(rig)
    rig.describe(box, host_keys=[other.host_key])
    for attempt in (copy.deepcopy(host).read, host.delete):
        with pytest.raises(HostKeyRefused, match="another host key than the known one"):
            attempt(rig.context("key-1"))
    with pytest.raises(CapacityExhausted, match="another host key"):
        new_host(rig).create(rig.context("key-2"))
    rig.describe(box, host_keys=[box.host_key])
    assert rig.owned() == [box.name]
    assert rig.status(box).claim.key == "key-1"
    assert host.read(rig.context("key-1"))
    host.delete(rig.context("key-1"))
    eventually(lambda: rig.state(box) == "free", SECONDS, what="a free machine")
