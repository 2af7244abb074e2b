"""Leases: a job has one holder, is never lost and never stuck."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from stead.api.errors import BuildCanceled, BuildFailure, Conflict, LeaseLost
from stead.domain.records import Actor, Template, Workspace
from stead.domain.states import BuildStatus, JobKind, Transition, WorkspaceStatus
from stead.services import builds, jobs, ticks, tokens, work, workspaces
from stead.services.clock import ManualClock
from stead.services.core import Core
from stead.store.jobs import NewLine
from stead.store.journal import EntryStatus, JournalEntry


def tfstate(serial: int, *keys: str) -> bytes:
    """A state file that holds resources with these journal keys."""

    def instance(key: str) -> dict[str, Any]:
        return {"attributes": {"id": key}, "private": base64.b64encode(json.dumps({"key": key}).encode()).decode()}

    resources = [{"type": "docker_volume", "name": "v", "instances": [instance(key) for key in keys]}]
    return json.dumps({"version": 4, "serial": serial, "lineage": "x", "resources": resources}).encode()


@pytest.fixture
def workspace(core: Core, owner: Actor, make_template: Callable[..., Template]) -> Workspace:
    make_template("box")
    return workspaces.create(core, owner, "box", "dev")


def claim(core: Core, who: str = "p1") -> jobs.Claim:
    found = jobs.claim(core, who)
    assert found is not None
    return found


def status(core: Core, owner: Actor) -> BuildStatus:
    return workspaces.get(core, owner, "dev").latest_build.job.status


def entry(claimed: jobs.Claim, workspace: Workspace, key: str) -> JournalEntry:
    return JournalEntry(
        key=key,
        job_id=claimed.job.id,
        workspace_id=workspace.id,
        build_id=workspace.latest_build.id,
        provider="kreuzwerker/docker",
        type_name="docker_volume",
        address="",
        status=EntryStatus.INTENDED,
    )


def test_a_job_is_claimed_once_however_many_ask(
    core: Core, owner: Actor, make_template: Callable[..., Template]
) -> None:
    make_template("box")
    made = {workspaces.create(core, owner, "box", f"w{n}").latest_build.job.id for n in range(6)}
    claimed: list[str] = []

    def take(number: int) -> None:
        while (found := jobs.claim(core, f"p{number}")) is not None:
            claimed.append(found.job.id)

    threads = [threading.Thread(target=take, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(claimed) == sorted(made)


def test_jobs_are_taken_in_order_and_by_kind(core: Core, owner: Actor, workspace: Workspace) -> None:
    assert jobs.claim(core, "p", [JobKind.TEMPLATE_IMPORT]) is None
    found = jobs.claim(core, "p", [JobKind.BUILD])
    assert found is not None
    assert (found.job.status, found.job.attempt, found.job.provisioner) == (BuildStatus.RUNNING, 1, "p")
    assert jobs.claim(core, "p") is None


def test_who_lost_the_lease_writes_nothing(core: Core, owner: Actor, workspace: Workspace, clock: ManualClock) -> None:
    dead = claim(core, "dead")
    clock.advance(core.settings.job_lease + 1)
    assert jobs.reap(core) == 1
    assert status(core, owner) is BuildStatus.PENDING
    alive = claim(core, "alive")
    assert alive.job.attempt == 2
    line = NewLine(clock.now(), "info", "planning", "from the grave")
    loaded = work.load(core, alive)
    assert isinstance(loaded, work.BuildWork)
    for write in (
        lambda: jobs.heartbeat(core, dead),
        lambda: jobs.append_logs(core, dead, [line]),
        lambda: jobs.stage(core, dead, "applying"),
        lambda: jobs.fail(core, dead, BuildFailure("x"), tfstate(9)),
        lambda: jobs.release(core, dead),
        lambda: jobs.journal_intend(core, dead, entry(dead, workspace, "k")),
        lambda: work.load(core, dead),
        lambda: work.complete(
            core, work.BuildWork(**{**vars(loaded), "claim": dead}), work.BuildResult(state=tfstate(9))
        ),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert builds.logs(core, owner, dead.job.id) == ()
    assert status(core, owner) is BuildStatus.RUNNING
    work.complete(core, loaded, work.BuildResult(state=tfstate(1)))
    assert json.loads(builds.state(core, owner, workspace.latest_build.id))["serial"] == 1


def test_a_heartbeat_keeps_the_lease(core: Core, workspace: Workspace, clock: ManualClock) -> None:
    held = claim(core)
    for _ in range(5):
        clock.advance(core.settings.job_lease * 0.9)
        assert jobs.heartbeat(core, held) is False
        ticks.reap(core)
    jobs.stage(core, held, "planning")


def test_a_job_that_kills_its_provisioners_ends(
    core: Core, owner: Actor, workspace: Workspace, clock: ManualClock
) -> None:
    for _ in range(core.settings.job_attempts):
        claim(core)
        clock.advance(core.settings.job_lease + 1)
        jobs.reap(core)
    assert jobs.claim(core, "p") is None
    latest = workspaces.get(core, owner, "dev").latest_build
    assert (latest.job.status, latest.job.reason) == (BuildStatus.FAILED, "lease_lost")
    assert "tried 3 times" in str(latest.job.error)
    # Not stuck: the next build can be asked for.
    assert builds.create(core, owner, "dev", Transition.START).number == 2


def test_a_provisioner_that_is_known_to_be_dead_is_reaped_at_once(
    core: Core, owner: Actor, workspace: Workspace
) -> None:
    claim(core, "dead")
    jobs.provisioner_seen(core, "dead")
    assert jobs.provisioners(core) == ["dead"]
    assert jobs.reap_provisioner(core, "alive") == 0
    assert jobs.reap_provisioner(core, "dead") == 1
    assert jobs.provisioners(core) == []
    assert status(core, owner) is BuildStatus.PENDING


def test_a_waiting_build_is_canceled_at_once(core: Core, owner: Actor, workspace: Workspace) -> None:
    canceled = builds.cancel(core, owner, workspace.latest_build.id)
    assert canceled.job.status is BuildStatus.CANCELED
    assert jobs.claim(core, "p") is None
    with pytest.raises(Conflict, match="over already"):
        builds.cancel(core, owner, workspace.latest_build.id)


def test_a_running_build_is_told_to_stop(core: Core, owner: Actor, workspace: Workspace) -> None:
    held = claim(core)
    told: list[str] = []
    with core.bus.subscribe("cancel:*", lambda topic, payload: told.append(topic)):
        builds.cancel(core, owner, workspace.latest_build.id)
    assert told == [f"cancel:{held.job.id}"]
    assert jobs.heartbeat(core, held) is True
    assert workspaces.get(core, owner, "dev").status is WorkspaceStatus.CANCELING
    jobs.fail(core, held, BuildCanceled("It was canceled."), tfstate(3, "k"))
    latest = workspaces.get(core, owner, "dev").latest_build
    assert (latest.job.status, latest.job.reason) == (BuildStatus.CANCELED, "canceled")
    assert json.loads(builds.state(core, owner, latest.id))["serial"] == 3


def test_a_canceled_build_whose_provisioner_dies_is_canceled(
    core: Core, owner: Actor, workspace: Workspace, clock: ManualClock
) -> None:
    claim(core)
    builds.cancel(core, owner, workspace.latest_build.id)
    clock.advance(core.settings.job_lease + 1)
    jobs.reap(core)
    assert status(core, owner) is BuildStatus.CANCELED


def test_a_canceled_build_never_succeeds_however_far_it_got(core: Core, owner: Actor, workspace: Workspace) -> None:
    held = claim(core)
    loaded = work.load(core, held)
    assert isinstance(loaded, work.BuildWork)
    builds.cancel(core, owner, workspace.latest_build.id)
    with pytest.raises(BuildCanceled) as refused:
        work.complete(core, loaded, work.BuildResult(state=tfstate(1)))
    assert status(core, owner) is BuildStatus.CANCELING
    jobs.fail(core, held, refused.value, tfstate(7))
    latest = workspaces.get(core, owner, "dev").latest_build
    assert latest.job.status is BuildStatus.CANCELED
    assert json.loads(builds.state(core, owner, latest.id))["serial"] == 7


def test_a_released_job_is_taken_up_with_its_state(core: Core, owner: Actor, workspace: Workspace) -> None:
    first = claim(core, "p1")
    jobs.release(core, first, tfstate(4, "a"))
    second = claim(core, "p2")
    loaded = work.load(core, second)
    assert isinstance(loaded, work.BuildWork)
    assert loaded.state == tfstate(4, "a")


@pytest.mark.parametrize("torn", [b"", b"{}", tfstate(9, "a")[:50]])
def test_a_torn_state_takes_no_whole_ones_place(core: Core, owner: Actor, workspace: Workspace, torn: bytes) -> None:
    jobs.release(core, claim(core, "p1"), tfstate(4, "a"))
    jobs.fail(core, claim(core, "p2"), BuildFailure("its disk was full"), torn)
    assert status(core, owner) is BuildStatus.FAILED
    assert builds.state(core, owner, workspace.latest_build.id) == tfstate(4, "a")


def test_the_log_counts_its_lines(core: Core, owner: Actor, member: Actor, workspace: Workspace) -> None:
    held = claim(core)
    now = core.clock.now()
    news: list[int] = []
    with core.bus.subscribe(f"job:{held.job.id}", lambda topic, payload: news.append(payload.get("log", 0))):
        jobs.append_logs(core, held, [NewLine(now, "info", "planning", f"line {n}\x00") for n in range(250)])
        jobs.append_logs(core, held, [NewLine(now, "error", "applying", "x" * 100_000)])
    assert news == [250, 251]
    lines = builds.logs(core, owner, held.job.id, after=240, limit=100)
    assert [line.id for line in lines] == list(range(241, 252))
    assert lines[0].text == "line 240"
    assert len(lines[-1].text) == jobs.LONGEST_LINE


def test_the_journal_outlives_the_run_and_ends_with_the_state(
    core: Core, owner: Actor, workspace: Workspace, clock: ManualClock
) -> None:
    dead = claim(core, "dead")
    for key in ("in-state", "lost", "unsure", "removed"):
        jobs.journal_intend(core, dead, entry(dead, workspace, key))
    jobs.journal_created(core, workspace.id, "in-state", "id-1", '{"password": "hunter2"}')
    jobs.journal_created(core, workspace.id, "lost", "id-2", '{"id": "id-2"}')
    jobs.journal_created(core, workspace.id, "removed", "id-3", "{}")
    jobs.journal_deleted(core, workspace.id, "removed")
    clock.advance(core.settings.job_lease + 1)
    jobs.reap(core)
    loaded = work.load(core, claim(core, "next"))
    assert isinstance(loaded, work.BuildWork)
    found = {leftover.key: leftover for leftover in loaded.leftovers}
    assert set(found) == {"in-state", "lost", "unsure"}
    assert (found["lost"].identity, found["lost"].state_json) == ("id-2", '{"id": "id-2"}')
    assert found["unsure"].identity == ""
    assert "hunter2" not in repr(loaded)
    work.forget_leftovers(core, workspace.id, ["lost"])
    work.complete(core, loaded, work.BuildResult(state=tfstate(2, "in-state")))
    assert [leftover.key for leftover in work.leftovers(core, workspace.id)] == ["unsure"]


def test_a_build_reaches_nothing_that_the_journal_has_of_other_workspaces(
    core: Core, owner: Actor, workspace: Workspace
) -> None:
    other = workspaces.create(core, owner, workspace.template, "other")
    held = claim(core)
    jobs.journal_intend(core, held, entry(held, workspace, "k"))
    jobs.journal_created(core, other.id, "k", "stolen", "{}")
    jobs.journal_deleted(core, other.id, "k")
    work.forget_leftovers(core, other.id, ["k"])
    theirs = claim(core)
    with pytest.raises(Conflict, match="another workspace"):
        jobs.journal_intend(core, theirs, entry(theirs, other, "k"))
    assert [(one.key, one.identity) for one in work.leftovers(core, workspace.id)] == [("k", "")]


def test_what_dead_runs_left_is_known_when_no_job_will_look(
    core: Core, owner: Actor, workspace: Workspace, clock: ManualClock
) -> None:
    held = claim(core)
    jobs.journal_intend(core, held, entry(held, workspace, "stored"))
    jobs.journal_created(core, workspace.id, "stored", "id-1", "{}")
    jobs.journal_intend(core, held, entry(held, workspace, "lost"))
    assert work.abandoned(core) == ()
    jobs.fail(core, held, BuildFailure("broken"), tfstate(1, "stored"))
    assert [leftover.key for leftover in work.abandoned(core)] == ["lost"]
    builds.create(core, owner, workspace.id, Transition.START)
    work.forget_abandoned(core, ["lost"])
    assert [leftover.key for leftover in work.leftovers(core, workspace.id)] == ["lost"], "a job looks after it now"


def test_a_state_found_in_a_dead_work_directory_is_kept_if_it_is_newer(
    core: Core, owner: Actor, workspace: Workspace
) -> None:
    held = claim(core)
    assert work.harvest(core, held.job.id, tfstate(5, "a"))
    assert not work.harvest(core, held.job.id, tfstate(4))
    assert not work.harvest(core, held.job.id, b'{"serial": 9, "trunc')
    assert not work.harvest(core, "no such job", tfstate(6))
    loaded = work.load(core, held)
    assert isinstance(loaded, work.BuildWork)
    assert loaded.state == tfstate(5, "a")


def test_expired_things_are_forgotten(core: Core, owner: Actor, clock: ManualClock) -> None:
    tokens.create(core, owner, "short", 60)
    tokens.create(core, owner, "long", 86400)
    clock.advance(61)
    ticks.expire(core)
    assert [token.name for token in tokens.list(core, owner)] == ["long"]
