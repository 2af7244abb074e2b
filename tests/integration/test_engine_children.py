"""Terraform's processes that die before anyone has used them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from stead.api.errors import BuildFailure
from stead.terraform.engine import EngineOptions
from stead.testing.faults import Process, descendants, kill
from stead.testing.terraform import Workbench, workbench
from stead.testing.waiting import eventually

THING = 'resource "lab_thing" "a" {\n name = "n"\n}'


@pytest.fixture(params=[0, 1], ids=["started", "warm"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workbench]:
    with workbench(tmp_path, EngineOptions(network=False, warm=request.param)) as made:
        yield made


def children() -> list[Process]:
    return [process for process in descendants(os.getpid()) if "-m stead.terraform.child" in process.command]


def test_a_process_that_was_killed_before_its_use_is_replaced(bench: Workbench) -> None:
    with bench.run(THING) as run:
        killed = children()
        assert kill(killed)
        for process in killed:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        run.init()
        run.plan()
        run.apply()
    assert len(bench.platform.things) == 1


def test_a_process_that_is_killed_while_terraform_loads_is_replaced(bench: Workbench) -> None:
    with bench.run(THING) as run:
        for process in children():
            os.kill(process.pid, signal.SIGKILL)  # its end is noticed when it is read from
        run.init()
        assert run.plan().has_changes


def test_nothing_is_started_for_an_engine_that_is_closed(bench: Workbench) -> None:
    with bench.run(THING) as run:
        kill(children())
        bench.engine.close()
        with pytest.raises(BuildFailure, match="could not be started"):
            run.init()
    eventually(lambda: not children(), 10, what="the end of all processes")
