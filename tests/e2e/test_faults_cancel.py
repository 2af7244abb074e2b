"""Builds that are canceled at random moments, and two provisioners of which one is killed."""

from __future__ import annotations

import os
import random
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from stead.testing.faults import Process, Yard, kill, open_yard
from stead.testing.waiting import eventually, find_free_port

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]

CANCELS = 6


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def yard(request: pytest.FixtureRequest, docker_engine: str, busybox_image: str, tmp_path: Path) -> Iterator[Yard]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    ports = (find_free_port(), find_free_port())
    environment = {"STEAD_PROVISIONERS": "2", "STEAD_PROVISIONER_CONCURRENCY": "2"}
    with open_yard(tmp_path, ports, docker_engine, busybox_image, database_url=url, environment=environment) as made:
        made.import_starter()
        yield made


def cancel(yard: Yard, build: str) -> int:
    with yard.deployment.client() as client:
        return client.post(f"/builds/{build}/cancel").status_code


def test_builds_canceled_at_random_moments(yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
    seed = os.environ.get("STEAD_TEST_SEED") or secrets.token_hex(4)
    chosen, ends, name = random.Random(seed), Counter[str](), f"w{secrets.token_hex(4)}"
    began = time.monotonic()
    yard.succeed(yard.create(name))
    usual = time.monotonic() - began
    for number in range(CANCELS):
        transition = ("stop", "start", "delete")[number % 3]
        build = yard.build(name, transition)
        time.sleep(chosen.uniform(0.0, usual * 0.8))  # the random moment itself
        answer = cancel(yard, build)
        asked = time.monotonic()
        job = yard.finish(build, 30)
        assert time.monotonic() - asked < 15, "a canceled build ended late"
        assert answer in {200, 201, 202, 204, 409}
        assert answer != 409 or job["status"] == "succeeded"
        assert job["status"] in {"canceled", "succeeded"}, job
        ends[job["status"]] += 1
        yard.wait_agreed()
        if transition == "delete" and job["status"] == "succeeded":
            yard.succeed(yard.create(name := f"w{secrets.token_hex(4)}"))
    with capsys.disabled():
        print(f"\n  seed {seed}: {dict(ends)}")
    for transition in ("start", "stop", "delete"):
        yard.succeed(yard.build(name, transition))
    yard.wait_agreed()
    assert yard.owned() == {}


def test_one_of_two_provisioners_is_killed_and_the_other_goes_on(yard: Yard) -> None:
    provisioners = eventually(lambda: _two(yard), 20, what="two provisioners")
    names = [f"w{secrets.token_hex(4)}" for _ in range(4)]
    builds = [yard.create(name) for name in names]
    eventually(lambda: any(yard.job(build)["status"] == "running" for build in builds), 20)
    kill([provisioners[0]])
    for build in builds:
        yard.succeed(build)
    yard.wait_agreed()
    assert len(yard.owned()) == 2 * len(names)
    for build in [yard.build(name, "delete") for name in names]:
        yard.succeed(build)
    yard.wait_agreed()
    assert yard.owned() == {}


def _two(yard: Yard) -> list[Process]:
    found = yard.victims("provisioner")
    return found if len(found) == 2 else []
