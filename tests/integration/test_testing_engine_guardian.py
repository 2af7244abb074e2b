"""What a test made on the engine goes when the test run is killed."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator

import pytest

from stead.testing.docker_api import DockerApi
from stead.testing.engine_guardian import guarded, remove_labelled
from stead.testing.waiting import eventually

pytestmark = [pytest.mark.docker, pytest.mark.timeout(60)]

RUN = """
import sys, time
from stead.testing.engine_guardian import guarded
with guarded(*sys.argv[1:]):
    print("guarded", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def api(docker_engine: str) -> Iterator[DockerApi]:
    with DockerApi(docker_engine) as made:
        yield made


@pytest.fixture
def label(api: DockerApi) -> Iterator[str]:
    made = f"stead.test={secrets.token_hex(4)}"
    yield made
    remove_labelled(api, made)


def make(api: DockerApi, label: str, image: str) -> None:
    labels = dict([label.split("=")])
    api.call("POST", "/containers/create", json={"Image": image, "Cmd": ["true"], "Labels": labels})
    api.call("POST", "/volumes/create", json={"Labels": labels})


def count(api: DockerApi, label: str) -> int:
    filters = json.dumps({"label": [label]})
    containers = api.call("GET", "/containers/json", params={"all": "1", "filters": filters}).json()
    return len(containers) + len(api.call("GET", "/volumes", params={"filters": filters}).json()["Volumes"] or ())


def test_what_a_killed_run_made_is_removed(api: DockerApi, label: str, docker_engine: str, busybox_image: str) -> None:
    run = subprocess.Popen([sys.executable, "-c", RUN, docker_engine, label], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    assert run.stdout.readline() == "guarded\n"
    make(api, label, busybox_image)
    assert count(api, label) == 2
    run.kill()
    run.communicate()
    eventually(lambda: count(api, label) == 0, 20, what="that nothing is left")


def test_a_run_that_ends_by_itself_is_left_alone(
    api: DockerApi, label: str, docker_engine: str, busybox_image: str
) -> None:
    with guarded(docker_engine, label):
        make(api, label, busybox_image)
    assert count(api, label) == 2
