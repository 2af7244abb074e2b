"""Processes killed at random moments of builds: nothing unknown is left, nothing is stuck, nothing is lost."""

from __future__ import annotations

import itertools
import os
import random
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from stead.testing.faults import ENDED, Yard, open_yard
from stead.testing.waiting import eventually, find_free_port

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]

VICTIMS = ("server", "provisioner", "terraform")
KILLS = 10  # on each of the two databases
MOST_WORKSPACES = 4


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def yard(request: pytest.FixtureRequest, docker_engine: str, busybox_image: str, tmp_path: Path) -> Iterator[Yard]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    ports = (find_free_port(), find_free_port())
    with open_yard(tmp_path, ports, docker_engine, busybox_image, database_url=url) as made:
        made.import_starter()
        yield made


class Rounds:
    """Builds of a few workspaces, one of which is disturbed at a time."""

    def __init__(self, yard: Yard, seed: str) -> None:
        self.yard = yard
        self.random = random.Random(seed)
        self.alive: list[str] = []
        self.seconds: dict[str, float] = {}
        self.ends: Counter[str] = Counter()
        self.hits = 0

    def begin(self) -> tuple[str, str, str]:
        """Request a build; returns the workspace, the transition and the build's id."""
        if len(self.alive) < MOST_WORKSPACES and (not self.alive or self.random.random() < 0.6):
            build = self.yard.create()
            name = list(self.yard.workspaces)[-1]
            self.alive.append(name)
            return name, "create", build
        name = self.random.choice(self.alive)
        transition = self.random.choices(["start", "stop", "delete"], [4, 4, 2])[0]
        return name, transition, self.yard.build(name, transition)

    def calibrate(self) -> None:
        """How long each kind of build takes here when nobody disturbs it."""
        name = f"c{secrets.token_hex(4)}"
        for transition in ("create", "stop", "start", "delete"):
            began = time.monotonic()
            build = self.yard.create(name) if transition == "create" else self.yard.build(name, transition)
            self.yard.succeed(build)
            self.seconds[transition] = time.monotonic() - began

    def disturb(self, victim: str) -> str:
        """One build with one kill; returns what happened, for the record."""
        name, transition, build = self.begin()
        moment = self.random.uniform(0.0, self.seconds[transition])
        time.sleep(moment)  # not a wait for something: the random moment itself
        before = self.yard.job(build)
        self.hits += before["status"] not in ENDED
        # One that was killed in the round before may be on its way back.
        eventually(lambda: self.yard.kill(victim), 15, what=f"a {victim} to kill")
        job = self.yard.finish(build)
        self.ends[job["status"]] += 1
        self.yard.wait_agreed()
        if transition == "delete" and job["status"] == "succeeded":
            self.alive.remove(name)
        return (
            f"{victim:12} {transition:7} after {moment:5.2f} s ({before['status']}, {before['stage']}): "
            f"{job['status']}, try {job['attempt']}{': ' + job['error'] if job['error'] else ''}"
        )


def test_twenty_kills_leave_nothing_unknown_stuck_or_lost(
    yard: Yard, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = os.environ.get("STEAD_TEST_SEED") or secrets.token_hex(4)
    rounds = Rounds(yard, seed)
    rounds.calibrate()
    story = [f"seed {seed}, undisturbed builds: { {k: round(v, 2) for k, v in rounds.seconds.items()} }"]
    try:
        for victim in itertools.islice(itertools.cycle(VICTIMS), KILLS):
            story.append(rounds.disturb(victim))
        _all_can_start_stop_and_go(yard, rounds.alive)
        assert yard.owned() == {}
        assert rounds.hits >= KILLS // 2, "too few kills met a running build"
    finally:
        story.append(f"{rounds.hits} of {KILLS} kills met a running build; builds {dict(rounds.ends)}")
        request.node.add_report_section("call", "kills", "\n".join(story))
        with capsys.disabled():
            print("", *story, sep="\n  ")


def _all_can_start_stop_and_go(yard: Yard, names: list[str]) -> None:
    for transition in ("start", "stop", "delete"):
        for build in [yard.build(name, transition) for name in names]:
            yard.succeed(build)
        yard.wait_agreed()
