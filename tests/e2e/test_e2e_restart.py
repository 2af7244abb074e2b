"""What runs in a workspace lives on while the control plane is away, and the agent is back soon after."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from stead.testing.waiting import eventually, find_free_port
from stead.testing.worlds import World

pytestmark = [pytest.mark.docker, pytest.mark.openssh, pytest.mark.slow, pytest.mark.timeout(240)]

BACK_WITHIN = 5.0


@pytest.fixture(scope="module", params=["direct", "websocket"])
def world(request: pytest.FixtureRequest, make_world: Callable[..., AbstractContextManager[World]]) -> Iterator[World]:
    with make_world(request.param, (find_free_port(), find_free_port())) as made:
        yield made


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_processes_live_on_and_the_agent_is_back_within_five_seconds(world: World, end: str) -> None:
    person = world.person
    counter = "/tmp/counter-" + end
    script = f"nohup sh -c 'while :; do date +%s.%N >> {counter}; sleep 0.2; done' >/dev/null 2>&1 & echo $!"
    pid = person.sh(script).strip()
    path = world.agent_record()["path"]

    getattr(world.deployment, end)()
    time.sleep(2)
    world.deployment.start()
    healthy = time.monotonic()
    eventually(lambda: world.agent_record()["status"] == "connected", BACK_WITHIN, what="the agent's return")
    assert person.ssh(person.host, "true", timeout=BACK_WITHIN).returncode == 0
    assert time.monotonic() - healthy < BACK_WITHIN

    stamps = [float(line) for line in person.sh(f"kill -0 {pid} && cat {counter}").split()]
    assert max(b - a for a, b in itertools.pairwise(stamps)) < 2.0
    eventually(lambda: world.agent_record()["path"] == path, 20, what=f"the path {path} again")
    assert world.agent_record()["lifecycle"] == "ready"


def test_a_session_that_was_open_ends_with_the_server_and_not_never(world: World) -> None:
    person = world.person
    with person.background("ssh", "-F", str(person.config), person.host, "sleep 600") as session:
        eventually(lambda: "sleep 600" in person.sh("ps ax -o args"), 20)
        world.deployment.stop()
        assert session.wait(30) == 255
        world.deployment.start()
    eventually(lambda: person.ssh(person.host, "true").returncode == 0, 10)
