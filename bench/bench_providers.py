"""Plan and apply of each platform's starter template against its peer, and the memory that a build takes."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from figures import Figures
from processes import memory_mb
from provider_peers import PEERS, Missing, Place

BUILDS = 5
STEPS = ("plan", "apply", "second_plan", "destroy")
SAMPLE_SECONDS = 0.05


def measure(say: Callable[[str], None]) -> Figures:
    """Medians of seconds by step, and megabytes, for each platform whose peer is here."""
    figures = Figures()
    for name, peer in PEERS.items():
        try:
            with peer() as place:
                _platform(name, place, figures, say)
        except Missing as reason:
            say(f"{name} is left out: {reason}")
    return figures


def _platform(name: str, place: Place, figures: Figures, say: Callable[[str], None]) -> None:
    command = [sys.executable, str(Path(__file__).with_name("provider_builds.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        _tell(child, json.dumps({"place": dataclasses.asdict(place), "count": BUILDS + 1}))
        _hear(child)
        idle = memory_mb(child.pid)
        with Peak(child.pid) as peak:
            _tell(child, "go")
            builds = [_hear(child) for _ in range(BUILDS + 1)][1:]  # the first one imports the SDK
    for step in STEPS:
        figures.add_percentiles(f"{name}_{step}", [float(build[step]) for build in builds], "s")
    figures.add(f"{name}_memory_idle", idle, "MB")
    figures.add(f"{name}_memory_of_a_build", peak.value - idle, "MB")
    say(f"{name}: {BUILDS} builds, at most {peak.value:.0f} MB")


class Peak:
    """The most memory that a process and its children have, while this is open."""

    def __init__(self, pid: int) -> None:
        self.value = 0.0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self.value = max(self.value, memory_mb(self._pid))


def _tell(child: subprocess.Popen[str], line: str) -> None:
    if child.stdin is not None:
        child.stdin.write(line + "\n")
        child.stdin.flush()


def _hear(child: subprocess.Popen[str]) -> dict[str, float | str]:
    line = child.stdout.readline() if child.stdout is not None else ""
    if not line:
        raise RuntimeError("the process that builds has ended; what it wrote is above")
    found: dict[str, float | str] = json.loads(line)
    return found
