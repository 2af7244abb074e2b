"""Connections that end after the machine has done what it was asked, and before anybody hears of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stead.api.errors import CapacityExhausted, PlatformUnreachable
from stead.api.provider import Unknown
from stead.testing.waiting import eventually
from stead_baremetal.host import Host
from stead_baremetal.program import PROGRAM, Word

pytestmark = [pytest.mark.docker, pytest.mark.openssh, pytest.mark.timeout(300, func_only=True)]
SECONDS = 60.0
WRAPPER = """#!/bin/sh
/real "$@"
code=$?
if [ "$1" = {word} ] && [ ! -e /cut ]; then touch /cut; {cut}; sleep 600; fi
exit $code
"""
CONNECTION = "pkill -KILL -f 'sshd: root@notty'"
MACHINE = "pkill -KILL sshd"  # the container's first process ends with it


@contextmanager
def cut_after(box, word: Word, cut: str = CONNECTION) -> Iterator[None]:
    box.sh(f"mv {PROGRAM} /real; rm -f /cut")
    box.write(PROGRAM, WRAPPER.format(word=word, cut=cut), 0o755)
    try:
        yield
        assert box.sh("ls /cut") == "/cut", "nothing was cut"
    finally:
        box.sh(f"mv /real {PROGRAM}; rm -f /cut")


def new_host(rig) -> Host:
    host = Host(user="coder", desired_status="running", power_off=False, init_script=rig.agent, token="first")
    for attribute in Host.schema().attributes.values():
        if attribute.computed and getattr(host, attribute.key) is None:
            setattr(host, attribute.key, Unknown)
    return host


@pytest.mark.parametrize("word", [Word.CLAIM, Word.PREPARE, Word.START, Word.RELEASE])
def test_an_answer_that_is_lost_is_asked_for_again_and_nothing_is_done_twice(make_rig, word: Word) -> None:
    rig = make_rig(1)
    (box,) = rig.boxes
    rig.status(box)
    with cut_after(box, word):
        host = new_host(rig)
        host.create(rig.context("key-1"))
        assert rig.owned() == [box.name]
        assert rig.status(box).claim.key == "key-1"
        stopped = Host(**{a.key: getattr(host, a.key) for a in Host.schema().attributes.values()})
        stopped.desired_status = "stopped"
        stopped.update(rig.context("key-1"), host)
        stopped.delete(rig.context("key-1"))
        assert rig.state(box) == "free"
    rig.describe(box, drain="done")
    with pytest.raises(CapacityExhausted):
        new_host(rig).create(rig.context("key-2"))


def test_a_machine_that_dies_with_its_answer_may_be_claimed_and_no_other_is_taken(rig) -> None:
    box = rig.farm.make()
    spare = rig.boxes[0]
    rig.boxes[:] = [box, spare]
    rig.entries = {box.name: box.entry(price=1), spare.name: spare.entry(price=2)}
    rig.tune(connect_timeout=10, patience=5)
    for one in rig.boxes:
        rig.status(one)
    box.sh(f"mv {PROGRAM} /real")
    box.write(PROGRAM, WRAPPER.format(word=Word.CLAIM, cut=MACHINE), 0o755)
    host = new_host(rig)
    with pytest.raises(PlatformUnreachable, match="It may have been claimed"):
        host.create(rig.context("key-1"))
    assert (host.identity, host.claim) == (box.name, "key-1")
    assert rig.state(spare) == "free"

    def stands() -> bool:
        box.container.reload()
        return box.container.status == "exited"

    eventually(stands, SECONDS, what="the machine's end")
    box.container.start()
    box.wait()
    assert [item.key for item in rig.platform.owned_resources(rig.name)] == ["key-1"]
    host.delete(rig.context("key-1"))
    assert {rig.state(one) for one in rig.boxes} == {"free"}
    rig.farm.remove(box)
