"""Claimants in processes of their own, at the same time, for the last machine."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stead.api.errors import CapacityExhausted
from stead_baremetal.answers import Claim
from stead_baremetal.fleet import Fleet, Wish

pytestmark = [pytest.mark.docker, pytest.mark.openssh, pytest.mark.timeout(900, func_only=True)]
TRIES = 200 if os.environ.get("STEAD_TEST_ALL") == "1" else 20


class Claimant:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def tell(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextlib.contextmanager
def claimants(rig, machine: str, count: int) -> Iterator[list[Claimant]]:
    command = [sys.executable, str(Path(__file__).with_name("claimant.py")), rig.settings.model_dump_json(), machine]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(count)]
    try:
        found = [Claimant(process) for process in processes]
        assert [claimant.hear() for claimant in found] == ["ready"] * count
        yield found
    finally:
        for process in processes:
            process.stdin.close()
        for process in processes:
            process.wait(60)
            process.stdout.close()


def test_of_two_claimants_exactly_one_wins_each_time(make_rig) -> None:
    rig = make_rig(1)
    (box,) = rig.boxes
    rig.status(box)  # installs the program
    with claimants(rig, box.name, 2) as both:
        for number in range(TRIES):
            keys = [f"k{number}-{index}" for index in range(2)]
            order = both if number % 2 else both[::-1]
            for claimant in order:
                claimant.tell(f"claim {keys[both.index(claimant)]}")
            answers = [claimant.hear() for claimant in both]
            winner = answers.index("won")
            assert answers[1 - winner] == f"lost to {keys[winner]}", answers
            if number % 10 == 0:
                both[1 - winner].tell(f"release {keys[1 - winner]}")
                assert both[1 - winner].hear() == "not ours", "who lost cannot release"
            both[winner].tell(f"release {keys[winner]}")
            assert both[winner].hear() == "released"
    assert rig.state(box) == "free"


def test_more_claims_than_machines_leave_each_machine_with_one(make_rig) -> None:
    """Several servers, each with a fleet and an inventory of its own, that know nothing of each other."""
    rig = make_rig(2)
    for box in rig.boxes:
        rig.status(box)
    got: dict[str, str] = {}
    failures: list[str] = []

    def server(name: str) -> None:
        fleet = Fleet(rig.settings)
        try:
            got[name] = fleet.claim(rig.context(name), Wish({}), Claim(name, deployment=name)).name
        except CapacityExhausted as failure:
            failures.append(str(failure))

    threads = [threading.Thread(target=server, args=(f"key-{number}",)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(got.values()) == sorted(box.name for box in rig.boxes)
    assert len(failures) == 3
    assert all("of 2 machines 2 fit, of which 2 busy" in failure for failure in failures), failures
    for name, machine in got.items():
        (box,) = (box for box in rig.boxes if box.name == machine)
        assert rig.status(box).claim.key == name
