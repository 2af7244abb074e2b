"""A provisioner: takes jobs off the queue and runs some of them at a time, each in a thread."""

from __future__ import annotations

import fnmatch
import logging
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable

from stead.api.errors import LeaseLost, SteadError
from stead.provisioner import recovery, workdirs
from stead.provisioner.runner import JobRun
from stead.services import jobs
from stead.services.core import Core
from stead.terraform.engine import Engine, EngineOptions

log = logging.getLogger(__name__)

HEARTBEATS_PER_LEASE = 4
TICK = 5.0  # seconds between looks for dead provisioners on this machine


class Provisioner:
    """Runs jobs until :meth:`stop`. ``run`` blocks; everything else may be called from any thread."""

    def __init__(self, core: Core, engine: Engine | None = None) -> None:
        self._core = core
        self.id = f"{platform.node()[:80]}-{os.getpid()}-{secrets.token_hex(3)}"
        self._engine = engine or make_engine(core)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._finished = threading.Event()
        self._lock = threading.Lock()
        self._running: dict[str, JobRun] = {}
        self._threads: set[threading.Thread] = set()

    def stop(self) -> None:
        """Take no more jobs; running ones get the grace period to finish."""
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """Work until stopped."""
        with workdirs.alive(self._core, self.id):
            jobs.provisioner_seen(self._core, self.id)
            subscriptions = [
                self._core.bus.subscribe("jobs", lambda *_: self._wake.set()),
                self._core.bus.subscribe("cancel:*", self._cancel),
            ]
            helpers = [
                self._helper("heartbeat", self._core.settings.job_lease / HEARTBEATS_PER_LEASE, self._beat),
                self._helper("recovery", TICK, self._recover),
                self._helper("sweep", self._core.settings.sweep_interval, self._sweep),
            ]
            try:
                self._take_until_stopped()
                self._drain()
            finally:
                for subscription in subscriptions:
                    subscription.close()
                self._finished.set()
                for helper in helpers:
                    helper.join(timeout=10)
                self._engine.close()
                jobs.provisioner_gone(self._core, self.id)

    @property
    def busy(self) -> int:
        """Number of jobs that run now."""
        with self._lock:
            return len(self._running)

    def _take_until_stopped(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                while self._room() and not self._stopping.is_set() and self._take():
                    pass
            except SteadError as error:
                log.warning("The queue cannot be read: %s", error)
            self._wake.wait(self._core.settings.provisioner_poll)

    def _room(self) -> bool:
        return self.busy < self._core.settings.provisioner_concurrency

    def _take(self) -> bool:
        claim = jobs.claim(self._core, self.id)
        if claim is None:
            return False
        job = JobRun(self._core, self._engine, claim)
        with self._lock:
            self._running[claim.job.id] = job
            thread = threading.Thread(target=self._work, args=(job,), name=f"stead-job-{claim.job.id[:8]}")
            self._threads.add(thread)
        thread.start()
        return True

    def _work(self, job: JobRun) -> None:
        try:
            job.run()
        finally:
            with self._lock:
                self._running.pop(job.claim.job.id, None)
                self._threads.discard(threading.current_thread())
            self._wake.set()

    def _drain(self) -> None:
        """Let running jobs finish; those that do not in time are given back."""
        deadline = time.monotonic() + self._core.settings.provisioner_grace
        self._join_until(deadline)
        for job in self._snapshot():
            job.stop()
        self._join_until(time.monotonic() + self._core.settings.provisioner_grace)

    def _join_until(self, deadline: float) -> None:
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))

    def _snapshot(self) -> list[JobRun]:
        with self._lock:
            return list(self._running.values())

    def _cancel(self, topic: str, payload: object) -> None:
        del payload
        with self._lock:
            job = self._running.get(topic.removeprefix("cancel:"))
        if job is not None:
            job.cancel()

    def _helper(self, name: str, interval: float, action: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=self._repeat, args=(interval, action), name=f"stead-{name}", daemon=True)
        thread.start()
        return thread

    def _repeat(self, interval: float, action: Callable[[], None]) -> None:
        while True:
            try:
                action()
            except Exception:  # boundary: one look that fails must not end the next
                log.warning("A look of the provisioner failed; it goes on.", exc_info=True)
            if self._finished.wait(interval):
                return

    def _beat(self) -> None:
        jobs.provisioner_seen(self._core, self.id)
        for job in self._snapshot():
            try:
                if jobs.heartbeat(self._core, job.claim):
                    job.cancel()
            except LeaseLost:
                job.lose()

    def _recover(self) -> None:
        if workdirs.reap_dead(self._core):
            self._wake.set()
        workdirs.harvest_all(self._core)

    def _sweep(self) -> None:
        removed = recovery.sweep(self._core)
        if removed:
            log.info("Removed %d things that dead builds had left.", removed)


def make_engine(core: Core) -> Engine:
    """The engine with the plugins' providers, as the settings say."""
    settings = core.settings
    options = EngineOptions(
        binary=settings.terraform_binary,
        plugin_cache=settings.plugin_cache,
        mirror=settings.terraform_mirror,
        network=settings.terraform_network,
        cli_config=settings.terraform_cli_config,
        warm=settings.terraform_warm,
        environment=_environment(settings.terraform_environment),
    )
    return Engine(options, providers=core.plugins.providers())


def _environment(patterns: list[str]) -> dict[str, str]:
    """Those of this process's variables that Terraform may see."""
    return {
        name: value
        for name, value in os.environ.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    }
