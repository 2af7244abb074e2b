"""The run of a workspace build: plan, clean up, apply exactly that plan, hand in what came of it."""

from __future__ import annotations

import functools
import logging
import threading
from pathlib import Path

from stead.api.errors import BuildFailure, LeaseLost, SteadError
from stead.api.policies import Plan
from stead.domain.states import Transition
from stead.domain.tasks import BuildTask
from stead.protocol.frames import LinkLost
from stead.provisioner import readings, recovery
from stead.provisioner.context import build_context
from stead.provisioner.farewell import wait_for_shutdown_scripts
from stead.provisioner.held import HeldJob
from stead.provisioner.importing import originals
from stead.provisioner.logs import JobLog
from stead.provisioner.workshop import Workshop
from stead.terraform.document import Document
from stead.terraform.run import Run

log = logging.getLogger(__name__)


class BuildStopped(Exception):
    """A build that did not reach its end: ``error`` says why, ``state`` is how far Terraform got."""

    def __init__(self, error: SteadError, state: bytes | None) -> None:
        super().__init__(str(error))
        self.error = error
        self.state = state


def run_build(
    shop: Workshop, job: HeldJob, task: BuildTask, folder: Path, lines: JobLog, canceled: threading.Event
) -> None:
    """Bring the workspace to where the build's transition says.

    :raises BuildStopped: with the state as far as it got.
    """
    if task.needs_no_run:
        job.complete(None, Document(), task.parameters)
        return
    with shop.engine.run(
        folder / "run",
        context=build_context(shop, job, task),
        journal=job,
        log=lines,
        canceled=canceled,
        timeout=shop.settings.build_timeout,
        originals=originals(task.providers),
    ) as run:
        try:
            _steps(shop, job, run, task, lines, canceled)
        except (LeaseLost, LinkLost):  # another provisioner goes on, from what the journal says
            raise
        except SteadError as error:
            lines.say("error", "applying" if isinstance(error, BuildFailure) else "planning", str(error))
            _clean_after_failure(shop, job, run, task, lines)
            raise BuildStopped(error, run.state) from error


def _steps(shop: Workshop, job: HeldJob, run: Run, task: BuildTask, lines: JobLog, canceled: threading.Event) -> None:
    run.load(task.archive, task.state, dict(task.variables), task.lock)
    run.init()
    plan = run.plan(destroy=task.transition is Transition.DELETE, graph=task.graph)
    _ask_policies(job, plan.summary, lines)
    if task.leftovers:
        say = functools.partial(_say, lines, "planning")
        recovery.clean(shop, job, run, task.leftovers, task.state, say)
    wait_for_shutdown_scripts(job, task, lines, canceled, shop.settings.shutdown_timeout)
    applied = run.apply()
    lines.flush()
    job.complete(applied.state, applied.document, readings.values(plan.parameters) or task.parameters, plan.daily_cost)


def _say(lines: JobLog, stage: str, level: str, text: str) -> None:
    lines.say(level, stage, text)


def _ask_policies(job: HeldJob, plan: Plan, lines: JobLog) -> None:
    """
    :raises PolicyDenied: one of them denies it; nothing is applied then.
    """
    verdict = job.judge(plan)
    for text in verdict.warnings:
        lines.say("warn", "planning", text)
    verdict.require()


def _clean_after_failure(shop: Workshop, job: HeldJob, run: Run, task: BuildTask, lines: JobLog) -> None:
    """What this run created without Terraform hearing of it goes now, rather than with the next run."""
    try:
        left = job.leftovers()
        if left:
            recovery.clean(shop, job, run, left, run.state, functools.partial(_say, lines, "applying"))
    except SteadError as error:
        log.warning("What the failed build %s left is cleaned up by the next one: %s", task.build_id, error)
