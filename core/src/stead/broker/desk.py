"""Answers the calls of one provisioner process. What it may touch is what it holds a lease of.

A job, its build and its workspace are known from the lease alone: no message names them.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from stead.api.errors import BuildCanceled, BuildFailure, Forbidden, LeaseLost, SteadError, Unavailable
from stead.broker import outcome
from stead.domain.states import Transition
from stead.domain.tasks import BuildTask, ImportTask
from stead.protocol import messages as m
from stead.protocol.frames import Violation
from stead.services import jobs, shutdown, work
from stead.services.core import Core
from stead.services.jobs import Claim
from stead.services.policies.plans import judge_plan
from stead.services.work import BuildResult, BuildWork
from stead.store.jobs import NewLine
from stead.store.journal import EntryStatus, JournalEntry
from stead.store.templates import Imported

log = logging.getLogger(__name__)

REMEMBERED = 1000  # leases; a job's last lines may come after its end
_PLATFORM = re.compile(r"[a-z0-9_]{1,32}")


@dataclass
class Leased:
    """A job that the process was given.

    :param work: what it was told of it, without what is large.
    :param approved: whether no policy denied the plan that it has shown.
    """

    claim: Claim
    work: BuildWork | None = None
    approved: bool = False


class Desk:
    """Thread-safe: every lease is used by the threads of one job, and the rest locks."""

    def __init__(self, core: Core, provisioner_id: str) -> None:
        self._core = core
        self.provisioner_id = provisioner_id
        self._lock = threading.Lock()
        self._leases: OrderedDict[str, Leased] = OrderedDict()
        self._abandoned: frozenset[str] = frozenset()

    def answer(self, call: m.Call[Any]) -> m.Message:
        """
        :raises SteadError: what the process is to be told.
        :raises Violation: it says what it must not.
        """
        return _ANSWERS[type(call)](self, call)

    def lease_of(self, job_id: str) -> str | None:
        """The newest lease of a job that this process was given."""
        with self._lock:
            found = [token for token, leased in self._leases.items() if leased.claim.job.id == job_id]
        return found[-1] if found else None

    def _leased(self, call: m.OfJob[Any]) -> Leased:
        with self._lock:
            leased = self._leases.get(call.lease)
        if leased is None:
            raise Violation(f"a call {type(call).__name__} for a job that it was not given")
        return leased

    def _build(self, call: m.OfJob[Any]) -> BuildWork:
        work_ = self._leased(call).work
        if work_ is None:
            raise Violation(f"a call {type(call).__name__} for what is no build, or before it was loaded")
        return work_

    # The queue and the lease

    def _claim(self, call: m.Claim) -> m.Granted:
        del call
        claim = jobs.claim(self._core, self.provisioner_id)
        if claim is None:
            return m.Granted()
        with self._lock:
            self._leases[claim.lease.token] = Leased(claim)
            while len(self._leases) > REMEMBERED:
                self._leases.popitem(last=False)
        return m.Granted(m.Grant(claim.lease.token, claim.job.id, claim.job.kind))

    def _beat(self, call: m.Beat) -> m.Beaten:
        jobs.provisioner_seen(self._core, self.provisioner_id)
        canceled, lost = [], []
        for token in call.leases:
            with self._lock:
                leased = self._leases.get(token)
            if leased is None:
                raise Violation("a heartbeat for a job that it was not given")
            try:
                if jobs.heartbeat(self._core, leased.claim):
                    canceled.append(token)
            except LeaseLost:
                lost.append(token)
        return m.Beaten(tuple(canceled), tuple(lost))

    def _load(self, call: m.Load) -> m.Loaded:
        leased = self._leased(call)
        loaded = work.load(self._core, leased.claim)
        if not isinstance(loaded, BuildWork):
            return m.Loaded(imported=_as(ImportTask, loaded))
        leased.work = replace(loaded, archive=b"", variables={}, graph=None, lock=None)
        return m.Loaded(build=_as(BuildTask, loaded))

    def _harvest(self, call: m.Harvest) -> m.Done:
        claim = self._leased(call).claim
        jobs.require(self._core, claim)
        if work.harvest(self._core, claim.job.id, call.state):
            log.info("Kept the state that a dead run of job %s had written.", claim.job.id)
        return m.Done()

    # What goes on

    def _stage(self, call: m.Stage) -> m.Done:
        jobs.stage(self._core, self._leased(call).claim, call.stage)
        return m.Done()

    def _log(self, call: m.Log) -> m.Done:
        lines = [NewLine(line.at, line.level, line.source, line.text) for line in call.lines]
        jobs.append_logs(self._core, self._leased(call).claim, lines)
        return m.Done()

    def _intend(self, call: m.Intend) -> m.Done:
        build = self._build(call)
        entry = JournalEntry(
            key=call.key,
            job_id=build.claim.job.id,
            workspace_id=build.workspace_id,
            build_id=build.build_id,
            provider=call.provider,
            type_name=call.type_name,
            address=call.address,
            status=EntryStatus.INTENDED,
        )
        jobs.journal_intend(self._core, build.claim, entry)
        return m.Done()

    def _created(self, call: m.Created) -> m.Done:
        jobs.journal_created(self._core, self._build(call).workspace_id, call.key, call.identity, call.state_json)
        return m.Done()

    def _not_created(self, call: m.NotCreated) -> m.Done:
        jobs.journal_failed(self._core, self._build(call).workspace_id, call.key)
        return m.Done()

    def _deleted(self, call: m.Deleted) -> m.Done:
        jobs.journal_deleted(self._core, self._build(call).workspace_id, call.key)
        return m.Done()

    def _left_over(self, call: m.LeftOver) -> m.Leftovers:
        build = self._build(call)
        jobs.require(self._core, build.claim)
        return m.Leftovers(work.leftovers(self._core, build.workspace_id))

    def _forget(self, call: m.Forget) -> m.Done:
        build = self._build(call)
        jobs.require(self._core, build.claim)
        work.forget_leftovers(self._core, build.workspace_id, call.keys)
        return m.Done()

    def _judge(self, call: m.Judge) -> m.Judged:
        build = self._build(call)
        jobs.require(self._core, build.claim)
        verdict = judge_plan(self._core, build.claim, call.plan)
        self._leased(call).approved = not verdict.denials
        return m.Judged(verdict)

    def _shut_down(self, call: m.ShutDown) -> m.Done:
        build = self._build(call)
        jobs.require(self._core, build.claim)
        shutdown.request(self._core, build.workspace_id)
        return m.Done()

    def _outstanding(self, call: m.Outstanding) -> m.Names:
        build = self._build(call)
        return m.Names(tuple(agent.name for agent in shutdown.outstanding(self._core, build.workspace_id)))

    def _init_script(self, call: m.InitScript) -> m.Script:
        self._build(call)
        if not (_PLATFORM.fullmatch(call.os) and _PLATFORM.fullmatch(call.arch)):
            raise Unavailable("There is no agent for such a platform.", remedy="Correct os and arch of the agent.")
        return m.Script(work.require_bundle(self._core, call.os, call.arch))

    # The end

    def _complete(self, call: m.Complete) -> m.Done:
        build = self._build(call)
        if not (self._leased(call).approved or build.needs_no_run):
            raise Forbidden("The policies were not asked about this plan, or denied it.")
        start = build.transition is Transition.START
        made, secrets = outcome.resources(self._core, call.document, agents=start)
        result = BuildResult(call.state, made, secrets, call.parameters, call.daily_cost)
        work.complete(self._core, build, result)
        return m.Done()

    def _complete_import(self, call: m.CompleteImport) -> m.Done:
        jobs.complete_import(self._core, self._leased(call).claim, Imported(**vars(call.found)))
        return m.Done()

    def _fail(self, call: m.Fail) -> m.Done:
        jobs.fail(self._core, self._leased(call).claim, _error_of(call.failure), call.state)
        return m.Done()

    def _release(self, call: m.Release) -> m.Done:
        jobs.release(self._core, self._leased(call).claim, call.state)
        return m.Done()

    # What nobody holds

    def _give_abandoned(self, call: m.Abandoned) -> m.Leftovers:
        del call
        found = work.abandoned(self._core)
        self._abandoned = frozenset(leftover.key for leftover in found)
        return m.Leftovers(tuple(replace(leftover, state_json="") for leftover in found))

    def _swept(self, call: m.Swept) -> m.Done:
        if not self._abandoned.issuperset(call.keys):
            raise Violation("things swept away that were not abandoned")
        work.forget_abandoned(self._core, call.keys)
        return m.Done()


_ANSWERS: Mapping[type[m.Call[Any]], Callable[[Desk, Any], m.Message]] = {
    m.Claim: Desk._claim,
    m.Beat: Desk._beat,
    m.Load: Desk._load,
    m.Harvest: Desk._harvest,
    m.Stage: Desk._stage,
    m.Log: Desk._log,
    m.Intend: Desk._intend,
    m.Created: Desk._created,
    m.NotCreated: Desk._not_created,
    m.Deleted: Desk._deleted,
    m.LeftOver: Desk._left_over,
    m.Forget: Desk._forget,
    m.Judge: Desk._judge,
    m.ShutDown: Desk._shut_down,
    m.Outstanding: Desk._outstanding,
    m.InitScript: Desk._init_script,
    m.Complete: Desk._complete,
    m.CompleteImport: Desk._complete_import,
    m.Fail: Desk._fail,
    m.Release: Desk._release,
    m.Abandoned: Desk._give_abandoned,
    m.Swept: Desk._swept,
}


def _as(kind: type[Any], loaded: object) -> Any:
    """The part of a claimed work that is told: everything but the claim."""
    return kind(**{name: getattr(loaded, name) for name in kind.__dataclass_fields__})


def _error_of(failure: m.Failure) -> SteadError:
    """How the job ended: canceled, or failed for the reason that is said."""
    if failure.reason == BuildCanceled.reason:
        return BuildCanceled(failure.message, field=failure.field, remedy=failure.remedy)
    error = BuildFailure(failure.message, field=failure.field, remedy=failure.remedy)
    error.reason = failure.reason  # type: ignore[misc]  # of this one error, not of its class
    return error
