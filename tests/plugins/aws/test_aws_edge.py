"""What goes wrong at the HTTP edge, for every resource type and every fault: no orphan, no double creation."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from aws_rows import CASES, Case

from stead.api.errors import PermissionMissing, SteadError
from stead.testing.lives import Life
from stead_aws.instance import Instance
from stead_aws.instance_blocks import RootBlockDevice
from stead_aws.provider import Aws

TYPES = sorted(kind.type_name for kind in Aws.resources)
ENDLESS = 10**6
PATIENCE = 60.0  # seconds for one step, on a machine that has much else to do


@dataclass
class Table:
    """One account for a type, with what the type's row stands on."""

    rig: Any
    row: Case
    config: Any
    base: int = 0

    def life(self) -> Life:
        def context(key: str) -> Any:
            return self.rig.context(key, deadline=time.monotonic() + PATIENCE)

        return Life(self.config, context, self.rig.platform, self.rig.name)

    def calm(self) -> None:
        self.rig.edge.calm()

    def count(self) -> int:
        return self.row.count(self.rig) - self.base

    def fail(self, operation: str, kind: str = "error", **options: Any) -> Any:
        return self.rig.edge.fail(operation, kind, **options)


@pytest.fixture(scope="session")
def accounts() -> dict[str, tuple[str, Table]]:
    return {}


@pytest.fixture
def table(request: pytest.FixtureRequest, session_edge: Any, accounts: dict[str, tuple[str, Table]], rig_of) -> Any:
    """The account of a type; another one where a test has left something in it."""
    kind = request.node.callspec.params["kind"]
    session_edge.renew()
    if kind not in accounts:
        rig = rig_of(session_edge)
        assert kind in CASES, f"{kind} needs a row in aws_rows.py"
        rig.ec2.describe_instances(), rig.iam.list_roles()  # moto's first answers in an account take their time
        made = Table(rig, CASES[kind], CASES[kind].make(rig))
        accounts[kind] = (session_edge.account, made)
    account, made = accounts.pop(kind)
    session_edge.account = account
    if made.row.stays:
        made.row.vanish(made.rig)
    made.base = made.row.count(made.rig)
    session_edge.calm()
    yield made
    session_edge.calm()
    if request.node.stash.get(CLEAN, False):
        accounts[kind] = (account, made)


CLEAN = pytest.StashKey[bool]()


@dataclass(frozen=True)
class Wrong:
    """A fault of a creation.

    :param arrange: sets it up; returns what must have been hit, or why the type has no such fault.
    :param survived: whether the creation ends well nevertheless.
    """

    arrange: Callable[[Table], Any]
    survived: bool = True


def _moments(table: Table, operation: str = "") -> Any:
    """Everything that AWS says before it has done anything, one after the other."""
    table.fail("Describe.*|Get.*|List.*", "throttle")
    operation = operation or table.row.create
    table.fail(operation, "throttle")
    table.fail(operation, code="Throttling", status=400)
    table.fail(operation, "drop")
    return table.fail(operation, code="InternalError", status=500)


def _unseen(table: Table) -> Any:
    question, code = table.row.unseen
    return table.fail(
        question, code=code, status=404 if code == "NoSuchEntity" else 400, times=2, after=table.row.create
    )


def _lost_and_unseen(table: Table) -> Any:
    """The answer is lost, and the listing that looks for what was made does not know of it yet."""
    lost = table.fail(table.row.create, "lost")
    question, code = table.row.unseen
    if not table.row.tagged or code == "NoSuchEntity":  # asked for by name, not by a filter
        _unseen(table)
    else:
        table.fail(question, "empty", times=2, after=table.row.create)
    return lost


def _later(table: Table) -> Any:
    arrange = table.row.fails_later
    if isinstance(arrange, str):
        return arrange
    return arrange(table.rig) or table.rig.edge.faults[-1]


def _conflict(table: Table) -> Any:
    if isinstance(table.row.conflict, str):
        return table.row.conflict
    operation, code = table.row.conflict
    return table.fail(operation, code=code, status=409 if "Concurrent" in code else 400, times=2)


def _dies(table: Table) -> Any:
    """The creation reaches AWS; then nothing answers any more."""
    lost = table.fail(table.row.create, "lost")
    table.fail(".*", "drop", times=ENDLESS, after=table.row.create)
    return lost


CREATIONS = {
    "throttled, hung up, and a server error": Wrong(_moments),
    "answer lost": Wrong(lambda table: table.fail(table.row.create, "lost")),
    "answer late": Wrong(lambda table: table.fail(table.row.create, "late")),
    "server error after": Wrong(lambda table: table.fail(table.row.create, "after", code="InternalError", status=500)),
    "not known yet": Wrong(_unseen),
    "answer lost and not known yet": Wrong(_lost_and_unseen),
    "something else is changing": Wrong(_conflict),
    "taken and failed later": Wrong(_later, survived=False),
    "vanished at once": Wrong(
        lambda table: table.fail(table.row.create, "vanish", undo=lambda _: table.row.vanish(table.rig)), survived=False
    ),
    "everything dies": Wrong(_dies, survived=False),
}


@pytest.mark.parametrize("wrong", CREATIONS)
@pytest.mark.parametrize("kind", TYPES)
def test_a_creation(request: pytest.FixtureRequest, table: Table, kind: str, wrong: str) -> None:
    """There is one or none, known to the state or to the owned listing; the next apply ends well."""
    fault, life = CREATIONS[wrong], table.life()
    hit = fault.arrange(table)
    if isinstance(hit, str):
        request.node.stash[CLEAN] = True
        pytest.skip(hit)
    with nullcontext() if fault.survived else suppress(SteadError):
        life.apply()
    asked_nothing = wrong == "not known yet"
    assert hit.seen or asked_nothing, "the fault did not come to pass"
    table.calm()

    assert table.count() in (0, 1), "made twice"
    if table.count() and not table.row.stays:
        assert life.state is not None or life.owned(), "an orphan"
    life.sweep()
    life.apply()
    assert table.count() == 1, "the next apply does not lead to one"
    assert life.differences() == set(), "a second plan is not empty"
    _end(table, life)
    request.node.stash[CLEAN] = True


def _end(table: Table, life: Life) -> None:
    last = life.state
    life.destroy()
    if not table.row.stays:
        assert table.count() == 0
        assert last is not None
        last.delete(table.rig.context(life.key))
        assert table.rig.owned() == {}, "something is left"


def test_a_disk_that_stays_without_its_machine_is_found_with_it(rig: Any) -> None:
    """One key, one entry in the owned listing: the provisioner asks for one removal, and nothing may be left then."""
    disk = RootBlockDevice(volume_size=9, delete_on_termination=False)
    rig.create(Instance(ami=rig.image, instance_type="t3.micro", root_block_device=[disk]), "k1")
    (owned,) = rig.platform.owned_resources(rig.name)
    assert owned.type_name == "aws_instance"
    rig.platform.destroy_owned(owned)
    assert rig.machines() == []
    assert rig.ec2.describe_volumes()["Volumes"] == []
    assert rig.owned() == {}


def _busy(table: Table) -> Any:
    if table.row.busy is None:
        return "nothing holds it"
    return table.fail(table.row.delete, code=table.row.busy, status=409, times=2)


def _vanished(table: Table) -> Any:
    table.row.vanish(table.rig)
    return None


def _refused(table: Table) -> Any:
    return table.fail(table.row.delete, code="UnauthorizedOperation", status=403, times=ENDLESS)


ENDS = {
    "throttled, hung up, and a server error": Wrong(lambda table: _moments(table, table.row.delete)),
    "answer lost": Wrong(lambda table: table.fail(table.row.delete, "lost")),
    "server error after": Wrong(lambda table: table.fail(table.row.delete, "after", code="InternalError", status=500)),
    "in use for a moment": Wrong(_busy),
    "vanished before": Wrong(_vanished),
    "refused": Wrong(_refused, survived=False),
}


@pytest.mark.parametrize("wrong", ENDS)
@pytest.mark.parametrize("kind", [kind for kind in TYPES if not CASES[kind].stays])
def test_an_end(request: pytest.FixtureRequest, table: Table, kind: str, wrong: str) -> None:
    """What was not removed stays in the state, and goes the next time."""
    fault, life = ENDS[wrong], table.life()
    life.apply()
    hit = fault.arrange(table)
    if not isinstance(hit, str):
        with nullcontext() if fault.survived else pytest.raises(PermissionMissing):
            life.destroy()
        assert hit is None or hit.seen, "the fault did not come to pass"
    table.calm()
    assert table.count() == (0 if life.state is None else 1)
    if life.state is not None:
        _end(table, life)
    assert table.rig.owned() == {}
    request.node.stash[CLEAN] = True
    if isinstance(hit, str):
        pytest.skip(hit)


@pytest.mark.parametrize("kind", TYPES)
def test_what_vanishes_between_creation_and_reading_is_made_again(
    request: pytest.FixtureRequest, table: Table, kind: str
) -> None:
    life = table.life()
    life.apply()
    table.row.vanish(table.rig)
    assert table.count() == 0
    assert life.differences() != set(), "a plan does not see it"
    life.apply()
    assert table.count() == 1
    _end(table, life)
    request.node.stash[CLEAN] = True
