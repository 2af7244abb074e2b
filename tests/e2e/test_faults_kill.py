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
KILLS = 10  # that met a running build, on each of the two databases
MOST_TRIES = 30
MOST_WORKSPACES = 3
RUNNING = frozenset({"running", "canceling"})


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
        self.met: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()

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
        """How long each kind of build runs here when nobody disturbs it."""
        name = f"c{secrets.token_hex(4)}"
        for transition in ("create", "stop", "start", "delete"):
            build = self.yard.create(name) if transition == "create" else self.yard.build(name, transition)
            self._running(build)
            began = time.monotonic()
            self.yard.succeed(build)
            self.seconds[transition] = time.monotonic() - began

    def _running(self, build: str) -> None:
        """Wait until a provisioner has the build: a kill before that meets nothing but the queue."""
        taken = RUNNING | ENDED
        eventually(lambda: self.yard.job(build)["status"] in taken, 20, interval=0.02, what="a provisioner")

    def disturb(self, victim: str) -> str:
        """One build with one kill; returns what happened, for the record."""
        name, transition, build = self.begin()
        self._running(build)
        moment = self.random.uniform(0.0, self.seconds[transition] * 0.7)  # finding the victims takes time too
        time.sleep(moment)  # not a wait for something: the random moment itself
        # The victim of the round before may be on its way back.
        eventually(lambda: self.yard.victims(victim), 15, interval=0.05, what=f"a {victim} to kill")
        before = self.yard.job(build)
        self.yard.kill(victim)
        job = self.yard.finish(build)
        # It may have ended between the look and the kill: what was hit fails, or is taken up again.
        hit = before["status"] in RUNNING and (job["attempt"] > 1 or job["status"] == "failed")
        (self.met if hit else self.missed)[victim] += 1
        self.ends[job["status"]] += 1
        self.yard.wait_agreed()
        if transition == "delete" and job["status"] == "succeeded":
            self.alive.remove(name)
        return (
            f"{victim:12} {transition:7} after {moment:5.2f} s ({before['status']}, {before['stage']}): "
            f"{job['status']}, try {job['attempt']}{': ' + job['error'] if job['error'] else ''}"
        )


def test_kills_leave_nothing_unknown_stuck_or_lost(
    yard: Yard, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = os.environ.get("STEAD_TEST_SEED") or secrets.token_hex(4)
    rounds = Rounds(yard, seed)
    rounds.calibrate()
    story = [f"seed {seed}, undisturbed builds run: { {k: round(v, 2) for k, v in rounds.seconds.items()} }"]
    began = time.monotonic()
    try:
        for victim in itertools.islice(itertools.cycle(VICTIMS), MOST_TRIES):
            story.append(rounds.disturb(victim))
            if rounds.met.total() == KILLS:
                break
        assert rounds.met.total() == KILLS, "too few kills met a running build"
        _all_can_start_stop_and_go(yard, rounds.alive)
        assert yard.owned() == {}
    finally:
        story.append(
            f"kills that met a running build: {dict(rounds.met)}, that met none: {dict(rounds.missed)}; "
            f"builds {dict(rounds.ends)}; {time.monotonic() - began:.0f} s"
        )
        request.node.add_report_section("call", "kills", "\n".join(story))
        with capsys.disabled():
            print("", *story, sep="\n  ")


def _all_can_start_stop_and_go(yard: Yard, names: list[str]) -> None:
    for transition in ("start", "stop", "delete"):
        for build in [yard.build(name, transition) for name in names]:
            yard.succeed(build)
        yard.wait_agreed()
