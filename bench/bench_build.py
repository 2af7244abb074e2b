"""Builds on Docker: one after another, ten at once, and the process-per-step way beside them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from figures import Figures, percentile
from process_per_step import ProcessPerStep
from processes import cpu_seconds
from stead_server import Bench, Timing, running

SEQUENTIAL = 30
AT_ONCE = 10
PEER_RUNS = 5


def measure(say: Callable[[str], None]) -> Figures:
    """Time from request to applied and to ready, CPU per build, and the ratio to a process per step."""
    figures = Figures()
    with running("docker", say) as bench:
        template = bench.template()["id"]
        say("warming up")
        bench.create("warm", template)
        bench.remove("warm")
        applied = _sequential(bench, template, figures, say)
        _at_once(bench, template, figures, say)
        peer = _peer(bench, figures, say)
    figures.add("time_of_process_per_step", applied / peer, "ratio", at_most=1 / 3)
    return figures


def _sequential(bench: Bench, template: str, figures: Figures, say: Callable[[str], None]) -> float:
    timings: list[Timing] = []
    cpu = 0.0
    for number in range(SEQUENTIAL):
        before = cpu_seconds(bench.pid)
        timings.append(bench.create(f"w{number}", template))
        cpu += cpu_seconds(bench.pid) - before
        bench.remove(f"w{number}")
        say(f"build {number + 1} of {SEQUENTIAL}: applied {timings[-1].applied:.2f} s, ready {timings[-1].ready:.2f} s")
    applied = [timing.applied for timing in timings]
    figures.add_percentiles("applied", applied, "s", p50_at_most=1.2)
    figures.add_percentiles("ready", [timing.ready for timing in timings], "s", p50_at_most=3)
    figures.add("cpu_per_build", cpu / SEQUENTIAL, "s")
    return percentile(applied, 50)


def _at_once(bench: Bench, template: str, figures: Figures, say: Callable[[str], None]) -> None:
    say(f"{AT_ONCE} builds at once")
    names = [f"p{number}" for number in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        timings = list(pool.map(lambda name: bench.create(name, template), names))
        list(pool.map(bench.remove, names))
    figures.add_percentiles(f"applied_{AT_ONCE}_at_once", [timing.applied for timing in timings], "s")
    figures.add_percentiles(f"ready_{AT_ONCE}_at_once", [timing.ready for timing in timings], "s")


def _peer(bench: Bench, figures: Figures, say: Callable[[str], None]) -> float:
    runs: list[float] = []
    with ProcessPerStep(bench.choice.trial) as peer:
        for number in range(PEER_RUNS):
            runs.append(peer.build(f"peer-{number}"))
            say(f"process per step {number + 1} of {PEER_RUNS}: {runs[-1]:.2f} s")
    figures.add_percentiles("process_per_step", runs, "s")
    return percentile(runs, 50)
