"""The run of a workspace build: plan, clean up, apply exactly that plan, store what came of it."""

from __future__ import annotations

import functools
import logging
import threading
from pathlib import Path

from stead.api.errors import BuildFailure, LeaseLost, SteadError
from stead.api.policies import Plan
from stead.domain.states import Transition
from stead.provisioner import outcome, recovery
from stead.provisioner.context import build_context
from stead.provisioner.farewell import wait_for_shutdown_scripts
from stead.provisioner.importing import originals
from stead.provisioner.journal import DatabaseJournal
from stead.provisioner.logs import JobLog
from stead.services import work as works
from stead.services.core import Core
from stead.services.policies.plans import judge_plan
from stead.services.work import BuildResult, BuildWork
from stead.terraform.engine import Engine
from stead.terraform.run import Run

log = logging.getLogger(__name__)


class BuildStopped(Exception):
    """A build that did not reach its end: ``error`` says why, ``state`` is how far Terraform got."""

    def __init__(self, error: SteadError, state: bytes | None) -> None:
        super().__init__(str(error))
        self.error = error
        self.state = state


def run_build(
    core: Core, engine: Engine, work: BuildWork, folder: Path, lines: JobLog, canceled: threading.Event
) -> None:
    """Bring the workspace to where the build's transition says.

    :raises BuildStopped: with the state as far as it got.
    """
    if _nothing_to_do(work):
        works.complete(core, work, BuildResult(state=None))
        return
    with engine.run(
        folder / "run",
        context=build_context(core, work),
        journal=DatabaseJournal(core, work),
        log=lines,
        canceled=canceled,
        timeout=core.settings.build_timeout,
        originals=originals(work.providers),
    ) as run:
        try:
            result = _steps(core, run, work, lines, canceled)
            lines.flush()
            works.complete(core, work, result)
        except LeaseLost:  # another provisioner goes on, from what the journal says
            raise
        except SteadError as error:
            lines.say("error", "applying" if isinstance(error, BuildFailure) else "planning", str(error))
            _clean_after_failure(core, run, work, lines)
            raise BuildStopped(error, run.state) from error


def _nothing_to_do(work: BuildWork) -> bool:
    """A delete that forgets everything, or of a workspace that never came to be."""
    never = work.state is None and not work.leftovers
    return work.transition is Transition.DELETE and (work.orphan or never)


def _steps(core: Core, run: Run, work: BuildWork, lines: JobLog, canceled: threading.Event) -> BuildResult:
    run.load(work.archive, work.state, dict(work.variables), work.lock)
    run.init()
    plan = run.plan(destroy=work.transition is Transition.DELETE, graph=work.graph)
    _ask_policies(core, work, plan.summary, lines)
    if work.leftovers:
        say = functools.partial(_say, lines, "planning")
        recovery.clean(core, run, work.workspace_id, work.leftovers, work.state, say)
    wait_for_shutdown_scripts(core, work, lines, canceled)
    applied = run.apply()
    made, secrets = outcome.resources(core, applied.document, agents=work.transition is Transition.START)
    return BuildResult(
        state=applied.state,
        resources=made,
        secrets=secrets,
        parameters=outcome.values(plan.parameters) or work.parameters,
        daily_cost=plan.daily_cost,
    )


def _say(lines: JobLog, stage: str, level: str, text: str) -> None:
    lines.say(level, stage, text)


def _ask_policies(core: Core, work: BuildWork, plan: Plan, lines: JobLog) -> None:
    """
    :raises PolicyDenied: one of them denies it; nothing is applied then.
    """
    verdict = judge_plan(core, work.claim, plan)
    for text in verdict.warnings:
        lines.say("warn", "planning", text)
    verdict.require()


def _clean_after_failure(core: Core, run: Run, work: BuildWork, lines: JobLog) -> None:
    """What this run created without Terraform hearing of it goes now, rather than with the next run."""
    try:
        left = works.leftovers(core, work.workspace_id)
        if left:
            recovery.clean(core, run, work.workspace_id, left, run.state, functools.partial(_say, lines, "applying"))
    except SteadError as error:
        log.warning("What the failed build %s left is cleaned up by the next one: %s", work.build_id, error)
