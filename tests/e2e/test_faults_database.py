"""PostgreSQL goes away and comes back in the middle of builds: they end, and nothing is orphaned."""

from __future__ import annotations

import random
import secrets
import signal
import time
from collections.abc import Iterator

import pytest

from stead.testing.faults import Yard, open_yard
from stead.testing.own_postgres import OwnPostgres, own_postgres
from stead.testing.waiting import eventually, find_free_port

pytestmark = [pytest.mark.docker, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def database() -> Iterator[OwnPostgres]:
    with own_postgres() as made:
        yield made


@pytest.fixture(scope="module")
def yard(
    docker_engine: str, busybox_image: str, database: OwnPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Yard]:
    ports, folder = (find_free_port(), find_free_port()), tmp_path_factory.mktemp("database")
    with open_yard(folder, ports, docker_engine, busybox_image, database_url=database.url) as made:
        made.import_starter()
        yield made


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
@pytest.mark.parametrize("transition", ["create", "stop"])
def test_the_database_restarts_in_the_middle_of_a_build(
    yard: Yard, database: OwnPostgres, how: signal.Signals, transition: str, capsys: pytest.CaptureFixture[str]
) -> None:
    seed, name = secrets.token_hex(4), f"w{secrets.token_hex(4)}"
    build = yard.create(name)
    if transition != "create":
        yard.succeed(build)
        build = yard.build(name, transition)
    moment = random.Random(seed).uniform(0.0, 1.2)
    time.sleep(moment)  # the random moment itself
    database.stop(how)
    database.start()
    job = yard.finish(build, 60)
    with capsys.disabled():
        print(f"\n  seed {seed}, {transition} at {moment:.2f} s: {job['status']}, try {job['attempt']}: {job['error']}")
    assert job["status"] in {"succeeded", "failed"}
    eventually(yard.deployment.is_healthy, 10)
    agreed = lambda: not yard.difference()  # noqa: E731
    eventually(agreed, 20, what="an agreement", ignoring=(Exception,))
    for after in ("start", "stop", "delete"):
        yard.succeed(yard.build(name, after))
    yard.wait_agreed()
    assert yard.owned() == {}
