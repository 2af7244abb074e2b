"""A provisioner: asks for jobs and runs some of them at a time, each in a thread."""

from __future__ import annotations

import fnmatch
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from stead.api.errors import SteadError
from stead.plugins import PluginRegistry, StatusKind
from stead.protocol.frames import LinkLost
from stead.protocol.messages import Beat, Cancel, Claim, Message, ProcessSettings, Wake, Welcome
from stead.provisioner import recovery
from stead.provisioner.held import HeldJob
from stead.provisioner.link import Link
from stead.provisioner.runner import JobRun
from stead.provisioner.workshop import Workshop
from stead.terraform.engine import Engine, EngineOptions

log = logging.getLogger(__name__)

HEARTBEATS_PER_LEASE = 4


class Provisioner:
    """Runs jobs until :meth:`stop`. ``run`` blocks; everything else may be called from any thread."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop
        self._settings = shop.settings
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._finished = threading.Event()
        self._lock = threading.Lock()
        self._running: dict[str, JobRun] = {}  # by lease
        self._threads: set[threading.Thread] = set()

    @property
    def id(self) -> str:
        return self.shop.provisioner_id

    def stop(self) -> None:
        """Take no more jobs; running ones get the grace period to finish."""
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """Work until stopped, or until the control plane is gone."""
        self.shop.link.listen(self._hear, self._lose_control)
        helpers = [
            self._helper("heartbeat", self._settings.job_lease / HEARTBEATS_PER_LEASE, self._beat),
            self._helper("sweep", self._settings.sweep_interval, self._sweep),
        ]
        try:
            self._take_until_stopped()
            self._drain()
        finally:
            self._finished.set()
            for helper in helpers:
                helper.join(timeout=10)
            self.shop.engine.close()
            self.shop.link.close()

    @property
    def busy(self) -> int:
        """Number of jobs that run now."""
        with self._lock:
            return len(self._running)

    def _hear(self, notice: Message) -> None:
        if isinstance(notice, Wake):
            self._wake.set()
        elif isinstance(notice, Cancel):
            with self._lock:
                job = self._running.get(notice.lease)
            if job is not None:
                job.cancel()

    def _lose_control(self) -> None:
        """Nothing can be journalled or stored any more: all ends at once, and what is in the folders stays there."""
        self.stop()
        for job in self._snapshot():
            job.stop()

    def _take_until_stopped(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                while self._room() and not self._stopping.is_set() and self._take():
                    pass
            except LinkLost:
                return
            except SteadError as error:
                log.warning("The queue cannot be read: %s", error)
            self._wake.wait(self._settings.poll)

    def _room(self) -> bool:
        return self.busy < self._settings.concurrency

    def _take(self) -> bool:
        grant = self.shop.link.call(Claim()).job
        if grant is None:
            return False
        job = JobRun(self.shop, HeldJob(self.shop.link, grant))
        thread = threading.Thread(target=self._work, args=(job,), name=f"stead-job-{grant.job_id[:8]}")
        with self._lock:
            self._running[grant.lease] = job
            self._threads.add(thread)
        thread.start()
        return True

    def _work(self, job: JobRun) -> None:
        try:
            job.run()
        finally:
            with self._lock:
                self._running.pop(job.job.lease, None)
                self._threads.discard(threading.current_thread())
            self._wake.set()

    def _drain(self) -> None:
        """Let running jobs finish; those that do not in time are given back."""
        deadline = time.monotonic() + self._settings.grace
        self._join_until(deadline)
        for job in self._snapshot():
            job.stop()
        self._join_until(time.monotonic() + self._settings.grace)

    def _join_until(self, deadline: float) -> None:
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))

    def _snapshot(self) -> list[JobRun]:
        with self._lock:
            return list(self._running.values())

    def _helper(self, name: str, interval: float, action: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=self._repeat, args=(interval, action), name=f"stead-{name}", daemon=True)
        thread.start()
        return thread

    def _repeat(self, interval: float, action: Callable[[], None]) -> None:
        while True:
            try:
                action()
            except LinkLost:
                return
            except Exception:  # boundary: one look that fails must not end the next
                log.warning("A look of the provisioner failed; it goes on.", exc_info=True)
            if self._finished.wait(interval):
                return

    def _beat(self) -> None:
        with self._lock:
            running = dict(self._running)
        found = self.shop.link.call(Beat(tuple(running)))
        for lease in found.canceled:
            if lease in running:
                running[lease].cancel()
        for lease in found.lost:
            if lease in running:
                running[lease].lose()

    def _sweep(self) -> None:
        removed = recovery.sweep(self.shop)
        if removed:
            log.info("Removed %d things that dead builds had left.", removed)


def open_workshop(link: Link, welcome: Welcome, plugins: PluginRegistry) -> Workshop:
    """The engine with the plugins' providers, as the settings say."""
    settings = welcome.settings
    broken = tuple(status.name for status in plugins.status() if status.status is StatusKind.FAILED)
    engine = Engine(replace(_options(settings), broken=broken), providers=plugins.providers())
    return Workshop(welcome.provisioner_id, welcome.deployment_id, settings, link, plugins, engine)


def _options(settings: ProcessSettings) -> EngineOptions:
    return EngineOptions(
        binary=settings.terraform_binary,
        plugin_cache=settings.plugin_cache,
        mirror=settings.terraform_mirror,
        network=settings.terraform_network,
        cli_config=settings.terraform_cli_config,
        warm=settings.terraform_warm,
        environment=_environment(settings.terraform_environment),
    )


def _environment(patterns: tuple[str, ...]) -> dict[str, str]:
    """Those of this process's variables that Terraform may see."""
    return {
        name: value
        for name, value in os.environ.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    }
