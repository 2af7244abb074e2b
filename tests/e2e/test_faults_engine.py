"""The Docker engine goes away in the middle of a build: a message, a retry that works, nothing orphaned."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Iterator

import pytest

from stead.testing.engine_proxy import EngineProxy
from stead.testing.faults import Yard, open_yard
from stead.testing.waiting import eventually, find_free_port

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(240)]

ENVIRONMENT = {"STEAD_PLUGINS_DOCKER_TIMEOUT": "3"}
SWEPT_SECONDS = 100.0  # what is left is given a minute to show itself, then the sweep takes it


@pytest.fixture(scope="module")
def proxy(docker_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProxy]:
    with EngineProxy(tmp_path_factory.mktemp("p") / "d.sock", docker_engine) as made:
        yield made


@pytest.fixture(scope="module")
def module_yard(
    docker_engine: str, proxy: EngineProxy, busybox_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Yard]:
    ports = (find_free_port(), find_free_port())
    environment = {**ENVIRONMENT, "DOCKER_HOST": proxy.url}
    folder = tmp_path_factory.mktemp("engine")
    with open_yard(folder, ports, docker_engine, busybox_image, environment=environment) as made:
        made.import_starter()
        yield made


@pytest.fixture
def yard(module_yard: Yard, proxy: EngineProxy) -> Iterator[Yard]:
    proxy.open()
    yield module_yard
    proxy.open()


def new_name() -> str:
    return f"w{secrets.token_hex(4)}"


def remove(yard: Yard, name: str) -> None:
    yard.succeed(yard.build(name, "delete"))
    yard.wait_agreed()
    assert yard.owned() == {}


@pytest.mark.parametrize("request_line", ["/volumes/create", "/containers/create", "/start HTTP"])
def test_the_answer_to_a_creation_is_lost(yard: Yard, proxy: EngineProxy, request_line: str) -> None:
    name = new_name()
    proxy.cut_at(request_line.encode())
    build = yard.create(name)
    assert proxy.sprung.wait(30), f"nobody asked for {request_line}"
    job = yard.finish(build)
    assert job["status"] == "failed"
    assert "could not be" in job["error"] or "does not answer" in job["error"]
    assert job["error"].rstrip().endswith(".")
    proxy.open()
    yard.wait_agreed()
    yard.succeed(yard.build(name, "start"))
    yard.wait_agreed()
    remove(yard, name)


def test_what_a_lost_answer_left_is_swept_without_another_build(yard: Yard, proxy: EngineProxy) -> None:
    name = new_name()
    proxy.cut_at(b"/containers/create")
    assert yard.finish(yard.create(name))["status"] == "failed"
    proxy.open()
    kinds = lambda: sorted(what.partition(" ")[0] for what in yard.owned().values())  # noqa: E731
    eventually(lambda: kinds() == ["volume"], SWEPT_SECONDS, what="the sweep")
    remove(yard, name)


def test_the_answer_to_a_removal_is_lost(yard: Yard, proxy: EngineProxy) -> None:
    name = new_name()
    yard.succeed(yard.create(name))
    proxy.cut_at(b"DELETE /")
    build = yard.build(name, "delete")
    assert proxy.sprung.wait(30)
    job = yard.finish(build)
    assert job["status"] == "failed"
    assert yard.deployment.get(f"/workspaces/{yard.workspaces[name]}")["name"] == name
    proxy.open()
    remove(yard, name)


def test_the_engine_falls_silent_at_a_random_moment(
    yard: Yard, proxy: EngineProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = secrets.token_hex(4)
    chosen, story = random.Random(seed), [f"seed {seed}"]
    for transition in ("create", "stop", "delete"):
        name = new_name()
        began = time.monotonic()
        build = yard.create(name)
        if transition != "create":
            yard.succeed(build)
            began = time.monotonic()
            build = yard.build(name, transition)
        time.sleep(chosen.uniform(0.1, 0.8))  # the random moment itself
        proxy.be_silent()
        job = yard.finish(build, 60)
        story.append(f"{transition}: {job['status']} after {time.monotonic() - began:.1f} s: {job['error']}")
        proxy.cut()
        proxy.open()
        assert job["status"] in {"failed", "succeeded"}
        yard.wait_agreed()
        if not (transition == "delete" and job["status"] == "succeeded"):
            yard.succeed(yard.build(name, "start"))
            remove(yard, name)
    with capsys.disabled():
        print("", *story, sep="\n  ")


def test_an_engine_that_is_away_for_a_moment_is_asked_again(yard: Yard, proxy: EngineProxy) -> None:
    name = new_name()
    yard.succeed(yard.create(name))
    proxy.cut()
    build = yard.build(name, "stop")
    job = yard.finish(build)
    assert job["status"] == "failed"
    assert "does not answer" in job["error"]
    proxy.open()
    yard.succeed(yard.build(name, "stop"))
    remove(yard, name)
