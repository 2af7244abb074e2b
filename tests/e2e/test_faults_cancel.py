"""Builds that are canceled at every stage and at random moments, and two provisioners of which one is killed."""

from __future__ import annotations

import io
import os
import random
import secrets
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from stead.testing.faults import Process, Yard, kill, open_yard
from stead.testing.waiting import eventually, find_free_port

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]

CANCELS = 6
PLACES = 4  # builds that run at once: two provisioners with two each
LONGEST = 15.0  # seconds from the cancel to the end, with a grace of five
SLOW = """
terraform {
  required_providers {
    coder  = { source = "coder/coder" }
    docker = { source = "kreuzwerker/docker" }
  }
}
data "coder_workspace" "me" {}
data "coder_parameter" "slow" {
  name    = "slow"
  default = "none"
}
data "coder_parameter" "image" {
  name    = "image"
  default = "none"
}
data "external" "wait" {
  count   = data.coder_parameter.slow.value == "plan" ? 1 : 0
  program = ["sleep", "120"]
}
resource "docker_volume" "data" {
  name = "stead-test-${data.coder_workspace.me.id}"
}
resource "time_sleep" "wait" {
  count           = data.coder_parameter.slow.value == "apply" ? 1 : 0
  create_duration = "120s"
  depends_on      = [docker_volume.data]
}
resource "docker_volume" "late" {
  name       = "stead-test-${data.coder_workspace.me.id}-late"
  depends_on = [time_sleep.wait]
}
resource "time_sleep" "farewell" {
  count            = data.coder_parameter.slow.value == "delete" ? 1 : 0
  destroy_duration = "10s"
  depends_on       = [docker_volume.late]
}
"""


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


def archive_of(text: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("main.tf")
        entry.size = len(text.encode())
        archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def create_slow(yard: Yard, stage: str) -> tuple[str, str]:
    """A workspace that waits at ``stage``: its name and its build."""
    name = f"w{secrets.token_hex(4)}"
    return name, yard.create(name, "slow", slow=stage)


def at(yard: Yard, build: str, words: str) -> None:
    """Wait until the log of a running build says so."""
    eventually(lambda: words in yard.text(build), 60, interval=0.1, what=f"the words {words!r} in the build's log")


def assert_canceled(yard: Yard, build: str) -> None:
    asked = time.monotonic()
    assert cancel(yard, build) == 200
    job = yard.finish(build, 30)
    assert (job["status"], job["reason"]) == ("canceled", "canceled"), job
    assert time.monotonic() - asked < LONGEST, "a canceled build ended late"
    assert cancel(yard, build) == 409


def assert_nothing_after_delete(yard: Yard, name: str) -> None:
    yard.wait_agreed()
    yard.succeed(yard.build(name, "delete"))
    yard.wait_agreed()
    assert yard.owned() == {}


def import_slow(yard: Yard) -> None:
    with yard.deployment.client() as client:
        made = client.post("/template-versions", files={"archive": ("t.tar.gz", archive_of(SLOW))}).json()
    path = f"/template-versions/{made['id']}"
    job = yard.wait(lambda: yard.deployment.get(path)["job"], 60)
    assert job["status"] == "succeeded", job
    yard.deployment.post("/templates", {"name": "slow", "version_id": made["id"]})


def test_a_build_is_canceled_in_the_queue_in_its_plan_and_in_its_apply(yard: Yard) -> None:
    import_slow(yard)
    running = [create_slow(yard, "apply") for _ in range(PLACES)]
    for _, build in running:
        at(yard, build, "time_sleep.wait[0]: Creating")
    assert len(yard.owned()) == PLACES, "a volume of each should be there before the cancel"

    waiting, queued = create_slow(yard, "none")
    assert yard.job(queued)["status"] == "pending"
    assert_canceled(yard, queued)
    for _, build in running:
        assert yard.job(build)["stage"] == "applying"
        assert_canceled(yard, build)
    assert len(yard.owned()) == PLACES, "what was made before the cancel is in the state"
    for name in (waiting, *(name for name, _ in running)):
        yard.succeed(yard.build(name, "delete"))
    yard.wait_agreed()
    assert yard.owned() == {}

    name, build = create_slow(yard, "plan")
    at(yard, build, "data.external.wait[0]: Re")
    assert yard.job(build)["stage"] == "planning"
    assert_canceled(yard, build)
    assert yard.owned() == {}
    assert_nothing_after_delete(yard, name)


def test_a_delete_that_is_canceled_can_be_asked_for_again(yard: Yard) -> None:
    import_slow(yard)
    name, build = create_slow(yard, "delete")
    yard.succeed(build)
    build = yard.build(name, "delete")
    at(yard, build, "time_sleep.farewell[0]: Destroying")
    assert_canceled(yard, build)
    yard.wait_agreed()
    yard.succeed(yard.build(name, "delete"))
    yard.wait_agreed()
    assert yard.owned() == {}


def test_builds_canceled_at_random_moments(yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
    """A cancel that was accepted ends the build as canceled, at whatever moment; a refused one changes nothing."""
    seed = os.environ.get("STEAD_TEST_SEED") or secrets.token_hex(4)
    chosen, ends, name = random.Random(seed), Counter[str](), f"w{secrets.token_hex(4)}"
    began = time.monotonic()
    yard.succeed(yard.create(name))
    usual = time.monotonic() - began
    for number in range(CANCELS):
        build = yard.build(name, ("stop", "start")[number % 2])
        time.sleep(chosen.uniform(0.0, usual * 0.8))  # the random moment itself
        answer = cancel(yard, build)
        assert answer in {200, 409}
        job = yard.finish(build, 30)
        assert job["status"] == ("canceled" if answer == 200 else "succeeded"), job
        ends[job["status"]] += 1
        yard.wait_agreed()
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
