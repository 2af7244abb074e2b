"""What a provisioner can do that somebody has taken over: nothing beyond the job that it holds a lease of."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stead.api.errors import BuildCanceled, BuildFailure, Conflict, Forbidden, LeaseLost, TooLarge, Unavailable
from stead.api.policies import Plan
from stead.broker.session import Session
from stead.broker.settings import process_settings
from stead.domain.records import Actor, Build, Template
from stead.domain.states import BuildStatus
from stead.domain.tasks import BuildTask
from stead.protocol import messages as m
from stead.provisioner.held import HeldJob
from stead.provisioner.link import Link
from stead.services import builds, jobs, workspaces
from stead.services.clock import ManualClock
from stead.services.core import Core
from stead.store import journal as journal_store
from stead.terraform.document import AgentNode, Document
from stead.testing.waiting import eventually

WAIT = 30.0


@dataclass
class End:
    """The process's end of a connection: as it should be used, and raw."""

    raw: socket.socket
    link: Link
    session: Session

    def claim(self) -> HeldJob:
        grant = self.link.call(m.Claim()).job
        assert grant is not None
        return HeldJob(self.link, grant)

    def send(self, kind: str, body: bytes, number: int = 99) -> None:
        """A frame as no provisioner would send it."""
        header = b'{"number":%d,"kind":"%s"}' % (number, kind.encode())
        with contextlib.suppress(OSError):  # it may be refused before all of it is there
            self.raw.sendall(struct.pack("!HI", len(header), len(body)) + header + body)

    def is_refused(self) -> bool:
        return self.session.ended.wait(WAIT) and self.session.violated


@pytest.fixture
def connect(core: Core) -> Iterator[Callable[[], End]]:
    ends: list[End] = []

    def make() -> End:
        ours, theirs = socket.socketpair()
        session = Session(core, ours, f"p{len(ends)}", process_settings(core))
        session.start()
        link = Link(theirs)
        link.greet()
        link.listen(lambda _: None, lambda: None)
        ends.append(End(theirs, link, session))
        return ends[-1]

    yield make
    for end in ends:
        end.link.close()
        end.session.close()


@pytest.fixture
def build(core: Core, owner: Actor, make_template: Callable[..., Template]) -> Build:
    make_template("box")
    return workspaces.create(core, owner, "box", "dev").latest_build


def status(core: Core, owner: Actor, build: Build) -> BuildStatus:
    return builds.get(core, owner, build.id).job.status


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("Everything", b"{}"),
        ("Welcome", b"{}"),
        ("Done", b"{}"),
        ("Claim", b"{"),
        ("Claim", b'{"provisioner":"p1"}'),
        ("Claim", b"\x80\x04\x95"),
        ("Beat", b'{"leases":"all"}'),
        ("Claim", b"{}" + b" " * (1 << 20)),
        ("Load", b'{"lease":"0123456789abcdef0123456789abcdef"}'),
        ("Beat", b'{"leases":["0123456789abcdef0123456789abcdef"]}'),
        ("Swept", b'{"keys":["k"]}'),
    ],
)
def test_what_no_provisioner_says_ends_the_connection(
    core: Core,
    owner: Actor,
    build: Build,
    connect: Callable[[], End],
    caplog: pytest.LogCaptureFixture,
    kind: str,
    body: bytes,
) -> None:
    end = connect()
    end.claim()
    with caplog.at_level(logging.ERROR):
        end.send(kind, body)
        assert end.is_refused()
    assert "its connection ends" in caplog.text
    assert "0123456789" not in caplog.text
    jobs.reap_provisioner(core, "p0")
    assert status(core, owner, build) is BuildStatus.PENDING, "the job is free for another"


def test_the_lease_of_another_provisioner_opens_nothing(
    core: Core, owner: Actor, build: Build, connect: Callable[[], End]
) -> None:
    good, bad = connect(), connect()
    job = good.claim()
    job.load()
    calls: list[m.OfJob[Any]] = [
        m.Load(job.lease),
        m.Harvest(job.lease, b'{"serial": 9}'),
        m.Log(job.lease, (m.Line(datetime.now(UTC), "info", "s", "forged"),)),
        m.Complete(job.lease, b"{}", Document(), {}, 0),
        m.Fail(job.lease, m.failure_of(BuildFailure("forged")), None),
        m.Release(job.lease),
    ]
    for call in calls:
        with pytest.raises(Unavailable):
            bad.link.call(call)
        assert bad.is_refused()
        bad = connect()
    job.stage("planning")
    assert status(core, owner, build) is BuildStatus.RUNNING
    assert not [line for line in builds.logs(core, owner, build.job.id) if line.text == "forged"]


def test_a_lease_reaches_its_own_workspace_alone(
    core: Core, owner: Actor, build: Build, connect: Callable[[], End], clock: ManualClock
) -> None:
    clock.advance(1)
    other = workspaces.create(core, owner, "box", "other")
    first, second = connect(), connect()
    mine, theirs = first.claim(), second.claim()
    mine.load()
    loaded = theirs.load()
    assert isinstance(loaded, BuildTask)
    assert loaded.workspace_id == other.id
    theirs.intend("their-key", "docker", "volume", "")
    theirs.created("their-key", "their-volume", '{"a": 1}')
    with pytest.raises(Conflict):
        mine.intend("their-key", "docker", "volume", "")
    mine.created("their-key", "stolen", "{}")
    mine.failed("their-key")
    mine.deleted("their-key")
    mine.forget(["their-key"])
    assert mine.leftovers() == ()
    assert [(one.key, one.identity) for one in theirs.leftovers()] == [("their-key", "their-volume")]


def test_what_the_journal_is_told_is_there_for_others_when_the_call_returns(
    core: Core, build: Build, connect: Callable[[], End]
) -> None:
    job = connect().claim()
    loaded = job.load()
    assert isinstance(loaded, BuildTask)
    job.intend("key", "docker", "volume", "docker_volume.a")
    with core.database.read():
        entries = journal_store.entries(loaded.workspace_id)
    assert [(one.key, one.status.value) for one in entries] == [("key", "intended")]


def test_a_plan_that_nobody_judged_is_not_taken_for_done(
    core: Core, owner: Actor, build: Build, connect: Callable[[], End]
) -> None:
    job = connect().claim()
    job.load()
    with pytest.raises(Forbidden, match="policies"):
        job.complete(b'{"serial": 1}', Document(), {})
    assert status(core, owner, build) is BuildStatus.RUNNING
    job.judge(Plan())
    job.complete(b'{"serial": 1}', Document(), {})
    assert status(core, owner, build) is BuildStatus.SUCCEEDED


def test_what_belongs_to_the_job_is_over_with_its_lease(
    core: Core, owner: Actor, build: Build, connect: Callable[[], End]
) -> None:
    end = connect()
    job = end.claim()
    job.load()
    job.fail(BuildCanceled("It was canceled."), b'{"serial": 1}')
    assert status(core, owner, build) is BuildStatus.CANCELED
    for call in (
        job.leftovers,
        job.shut_down_agents,
        lambda: job.harvest(b'{"serial": 2}'),
        lambda: job.forget(["k"]),
        lambda: job.stage("planning"),
        lambda: job.judge(Plan()),
        lambda: job.release(b'{"serial": 2}'),
        lambda: job.intend("k", "docker", "volume", ""),
    ):
        with pytest.raises(LeaseLost):
            call()
    assert builds.state(core, owner, build.id) == b'{"serial": 1}'
    beaten = end.link.call(m.Beat((job.lease,)))
    assert beaten.lost == (job.lease,)


def test_scripts_come_from_their_folder_alone(core: Core, build: Build, connect: Callable[[], End]) -> None:
    folder = core.settings.bundle_dir / "bootstrap"
    folder.mkdir(parents=True)
    (folder / "linux-amd64.sh").write_text("start ${ACCESS_URL}")
    (Path(core.settings.data_dir) / "x-y.sh").write_text("secret")
    job = connect().claim()
    job.load()
    assert job.init_script("linux", "amd64") == f"start {core.settings.access_url}"
    for os, arch in (("../../x", "y"), ("linux", "riscv"), ("", ""), ("linux-amd64", "x/../.."), ("Linux", "amd64")):
        with pytest.raises(Unavailable, match="no agent"):
            job.init_script(os, arch)


def test_ids_and_seals_are_the_control_planes(
    core: Core, owner: Actor, build: Build, connect: Callable[[], End]
) -> None:
    job = connect().claim()
    job.load()
    job.judge(Plan())
    agent = AgentNode("main", "coder_agent.main", id="forged", token="hunter2", env={"A": "hunter2"})
    job.complete(b"{}", Document(agents=(agent,)), {})
    [made] = [agent for resource in builds.get(core, owner, build.id).resources for agent in resource.agents]
    assert made.id != "forged"
    files = list(core.settings.data_dir.glob("stead.db*"))
    assert files or core.database.is_postgresql
    assert not [file for file in files if b"hunter2" in file.read_bytes()]


def test_a_state_has_its_bound(core: Core, owner: Actor, build: Build, connect: Callable[[], End]) -> None:
    object.__setattr__(core.settings, "max_state_bytes", 1024)
    end = connect()
    job = end.claim()
    job.load()
    job.judge(Plan())
    with pytest.raises(TooLarge):
        job.complete(b"x" * (100 << 20), Document(), {})
    assert status(core, owner, build) is BuildStatus.RUNNING
    end.raw.sendall(struct.pack("!HI", 30, 200 << 20) + b'{"number":1,"kind":"Complete"}')
    assert end.is_refused()


def test_a_beat_tells_of_cancellations_and_prolongs_the_rest(
    core: Core, owner: Actor, build: Build, connect: Callable[[], End], clock: ManualClock
) -> None:
    clock.advance(1)
    workspaces.create(core, owner, "box", "other")
    end = connect()
    first, second = end.claim(), end.claim()
    clock.advance(core.settings.job_lease - 1)
    builds.cancel(core, owner, build.id)
    assert end.link.call(m.Beat((first.lease, second.lease))) == m.Beaten((first.lease,), ())
    clock.advance(core.settings.job_lease - 1)
    assert jobs.reap(core) == 0


def test_somebody_cancels_and_the_process_is_told(core: Core, owner: Actor, build: Build) -> None:
    told: list[m.Message] = []
    ours, theirs = socket.socketpair()
    session = Session(core, ours, "p", process_settings(core))
    session.start()
    link = Link(theirs)
    link.greet()
    link.listen(told.append, lambda: None)
    grant = link.call(m.Claim()).job
    assert grant is not None
    builds.cancel(core, owner, build.id)
    eventually(lambda: m.Cancel(grant.lease) in told, WAIT, what="the notice")
    workspaces.create(core, owner, "box", "other")
    eventually(lambda: m.Wake() in told, WAIT, what="word of a job")
    link.close()
    session.close()


def test_who_waits_for_an_answer_hears_of_the_end(core: Core, connect: Callable[[], End]) -> None:
    end = connect()
    end.session.close()
    with pytest.raises(Unavailable, match="gone"):
        end.link.call(m.Claim())


def test_the_settings_are_those_that_are_needed(core: Core) -> None:
    told = process_settings(core)
    assert told.work_dir == core.settings.data_dir / "work"
    assert not {"pg_connection_url", "keyring_file", "identity", "policies", "tls_key_file"} & set(vars(told))
    assert set(told.sections) <= {status.name for status in core.plugins.status()}
