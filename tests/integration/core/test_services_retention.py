"""Old states and logs go; what a workspace needs stays, however old."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from stead.domain.records import Actor, Agent, Resource, Template
from stead.domain.states import AgentLifecycle, AgentStatus, Transition
from stead.models import AgentLogRow, AuditRow, BuildRow, JobLogRow, StateRow
from stead.services import audit, builds, jobs, retention, secrets, ticks, work, workspaces
from stead.services.clock import ManualClock
from stead.services.core import Core, new_id
from stead.store import resources
from stead.store.jobs import NewLine
from stead.store.resources import AgentSecrets

Run = Callable[[], str]


@pytest.fixture
def run(core: Core) -> Run:
    """Does the next build as a provisioner would: it logs, leaves a state, and a start makes an agent that logs."""

    def go() -> str:
        claim = jobs.claim(core, "p")
        assert claim is not None
        loaded = work.load(core, claim)
        assert isinstance(loaded, work.BuildWork)
        now = core.clock.now()
        jobs.append_logs(core, claim, [NewLine(now, "info", "terraform", f"line {n}") for n in range(3)])
        resource_id, agent_id = new_id(), new_id()
        agent = Agent(
            agent_id, resource_id, "main", "linux", "amd64", "/", AgentStatus.CONNECTING, AgentLifecycle.CREATED
        )
        resource = Resource(resource_id, "docker_container.w[0]", "docker_container", "w", agents=(agent,))
        starts = loaded.transition is Transition.START
        work.complete(
            core,
            loaded,
            work.BuildResult(
                state=b'{"serial": 1}',
                resources=(resource,) if starts else (),
                secrets={agent_id: AgentSecrets(secrets.digest(agent_id), None, None)},
                parameters=dict(loaded.parameters),
            ),
        )
        if starts:
            with core.database.write():
                resources.append_log(agent_id, [NewLine(now, "info", "agent", "here")])
        return loaded.claim.job.id

    return go


def logs_of(core: Core, job_id: str) -> list[str]:
    with core.database.read():
        rows = JobLogRow.select(JobLogRow.text).where(JobLogRow.job_id == job_id).order_by(JobLogRow.number)
        return [row[0] for row in rows.tuples()]


def states(core: Core) -> set[str]:
    """Jobs of the builds whose states are there."""
    with core.database.read():
        rows = BuildRow.select(BuildRow.job_id).join(StateRow, on=(StateRow.build_id == BuildRow.id))
        return {row[0] for row in rows.tuples()}


def agent_logs(core: Core) -> int:
    with core.database.read():
        return int(AgentLogRow.select().count())


def test_what_newer_builds_replaced_goes_when_it_is_old_and_the_rest_stays(
    core: Core, owner: Actor, make_template: Callable[..., Template], clock: ManualClock, run: Run
) -> None:
    template = make_template("box")
    workspaces.create(core, owner, "box", "dev")
    first = run()
    builds.create(core, owner, "dev", Transition.STOP)
    second = run()
    builds.create(core, owner, "dev", Transition.START)
    third = run()
    workspaces.create(core, owner, "box", "alone")
    alone = run()
    kept = core.settings.state_retention
    clock.advance(kept - 10)
    assert retention.purge(core) == {"states": 0, "build logs": 0, "agent logs": 0}

    clock.advance(20)
    assert retention.purge(core) == {"states": 2, "build logs": 0, "agent logs": 0}
    assert states(core) == {third, alone}

    clock.advance(core.settings.log_retention)
    with core.database.read():
        audited = AuditRow.select().count()
    ticks.purge(core)
    assert states(core) == {third, alone}
    assert len(logs_of(core, third)) == len(logs_of(core, alone)) == 3
    for job_id in (first, second):
        (line,) = logs_of(core, job_id)
        assert line == f"This log was removed on {clock.now():%Y-%m-%d}: logs are kept for 90 days."
    assert [line.text for line in builds.logs(core, owner, first)] == [line]
    assert agent_logs(core) == 2
    assert retention.purge(core) == {"states": 0, "build logs": 0, "agent logs": 0}
    with core.database.read():
        assert AuditRow.select().count() == audited
    assert audit.verify(core, owner).ok
    assert len(workspaces.get(core, owner, "dev").latest_build.resources) == 1
    assert template.active_version_id


def test_a_state_stays_for_its_time_after_it_was_replaced_and_a_deleted_workspace_for_its_own(
    core: Core, owner: Actor, make_template: Callable[..., Template], clock: ManualClock, run: Run
) -> None:
    make_template("box")
    workspaces.create(core, owner, "box", "dev")
    first = run()
    clock.advance(core.settings.state_retention * 2)
    builds.create(core, owner, "dev", Transition.DELETE)
    last = run()
    assert retention.purge(core)["states"] == 0
    assert states(core) == {first, last}
    clock.advance(core.settings.state_retention + 1)
    assert retention.purge(core)["states"] == 2
    clock.advance(core.settings.log_retention)
    assert retention.purge(core) == {"states": 0, "build logs": 1, "agent logs": 1}
    assert len(logs_of(core, first)) == len(logs_of(core, last)) == 1


def test_many_go_in_rounds(
    core: Core,
    owner: Actor,
    make_template: Callable[..., Template],
    clock: ManualClock,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    make_template("box")
    workspaces.create(core, owner, "box", "dev")
    run()
    for _ in range(4):
        builds.create(core, owner, "dev", Transition.START)
        run()
    clock.advance(core.settings.log_retention + 1)
    assert retention.purge(core) == {"states": 4, "build logs": 4, "agent logs": 4}


def test_a_build_that_ran_for_long_is_not_old(
    core: Core, owner: Actor, make_template: Callable[..., Template], clock: ManualClock, run: Run
) -> None:
    make_template("box")
    workspaces.create(core, owner, "box", "dev")
    first = run()
    builds.create(core, owner, "dev", Transition.STOP)
    clock.advance(core.settings.log_retention + timedelta(days=1).total_seconds())
    # The stop has not run yet, so the start's state and agents are what there is.
    assert retention.purge(core) == {"states": 0, "build logs": 1, "agent logs": 0}
    assert states(core) == {first}
    run()
    assert retention.purge(core)["states"] == 0
