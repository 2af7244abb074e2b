"""What goes wrong at the HTTP edge, for every resource type and every fault: no orphan, no double creation."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from azure_peer import AzurePeer

from stead.api.errors import SteadError
from stead.api.provider import Unknown
from stead.api.provider.model import Model
from stead.testing.lives import Life
from stead_azure.provider import Azure

TYPES = sorted(kind.type_name for kind in Azure.resources)
ENDLESS = 10**6
PATIENCE = 60.0  # seconds for one step, on a machine that has much else to do


@dataclass(frozen=True)
class Row:
    """A type: its sample in the conftest, the requests that make, remove and look for it, and how many things it is.

    :param within: it is a part of something else, which a plan of its own finds.
    :param busy: the code with which Azure refuses to remove it for the moment.
    """

    sample: str
    make: tuple[str, str]
    remove: tuple[str, str]
    look: str
    things: int = 1
    within: Callable[[AzurePeer], int] | None = None
    busy: str = "AnotherOperationInProgress"
    slow: bool = True


def _disks(peer: AzurePeer) -> int:
    machines = peer.of("virtualMachines")
    return sum(len(item["properties"]["storageProfile"].get("dataDisks") or ()) for item in machines)


def _guarded(peer: AzurePeer) -> int:
    return sum("networkSecurityGroup" in item["properties"] for item in peer.of("networkInterfaces"))


def _plain(sample: str, path: str, **options: Any) -> Row:
    return Row(sample, ("PUT", path), ("DELETE", path), path, **options)


ROWS = {
    "azurerm_linux_virtual_machine": _plain("machine", r"/virtualMachines/vm$", things=2),
    "azurerm_managed_disk": _plain("disk", r"/disks/home$", busy="DiskInUse"),
    "azurerm_network_interface": _plain("interface", r"/networkInterfaces/nic$", busy="NicInUse"),
    "azurerm_network_interface_security_group_association": Row(
        "association",
        ("PUT", r"/networkInterfaces/nic$"),
        ("PUT", r"/networkInterfaces/nic$"),
        r"/networkInterfaces/nic$",
        things=0,
        within=_guarded,
    ),
    "azurerm_network_security_group": _plain(
        "rules", r"/networkSecurityGroups/rules$", busy="InUseNetworkSecurityGroupCannotBeDeleted"
    ),
    "azurerm_public_ip": _plain("address", r"/publicIPAddresses/ip$", busy="PublicIPAddressCannotBeDeleted"),
    "azurerm_resource_group": _plain("group", r"/resourcegroups/g$", slow=False),
    "azurerm_subnet": _plain("subnet", r"/subnets/sub$", busy="InUseSubnetCannotBeDeleted"),
    "azurerm_virtual_machine_data_disk_attachment": Row(
        "attachment",
        ("POST", r"/attachDetachDataDisks$"),
        ("POST", r"/attachDetachDataDisks$"),
        r"/virtualMachines/vm$",
        things=0,
        within=_disks,
        busy="AttachDiskWhileBeingDetached",
    ),
    "azurerm_virtual_network": _plain("network", r"/virtualNetworks/net$"),
}


@dataclass
class Table:
    """The row of a type, with what it stands on, in a subscription that has nothing else."""

    rig: Any
    row: Row
    config: Any
    base: int = 0

    def life(self) -> Life:
        def context(key: str) -> Any:
            return self.rig.context(key, deadline=time.monotonic() + PATIENCE)

        return Life(self.config, context, self.rig.platform, self.rig.name)

    @property
    def peer(self) -> AzurePeer:
        found: AzurePeer = self.rig.peer
        return found

    def count(self) -> int:
        """How many there are: one is one, also where it brings something along."""
        if self.row.within is not None:
            assert len(self.peer.things) == self.base
            return self.row.within(self.peer)
        more = len(self.peer.things) - self.base
        return -(-more // self.row.things)

    def fail(self, kind: str, request: tuple[str, str] | None = None, **options: Any) -> Any:
        return self.peer.fault(*(request or self.row.make), kind, **options)


@pytest.fixture(scope="session")
def hasty(azure_server: AzurePeer, azure_certificate: Any, rig_of: Any) -> Iterator[Any]:
    """The SDK's clients, which wait for an answer for a second and try it five times."""
    cloud = rig_of(azure_server, azure_certificate, timeout=1.0, attempts=5, cleanup=1.0).provider.cloud
    yield cloud
    cloud.close()


@pytest.fixture
def table(rig: Any, world: Any, hasty: Any, kind: str) -> Table:
    assert kind in ROWS, f"{kind} needs a row here"
    row = ROWS[kind]
    config = _written(world(row.sample))
    rig.peer.calm()
    rig.provider._cloud = rig.platform._provider._cloud = hasty
    return Table(rig, row, config, len(rig.peer.things))


def _written(model: Any) -> Any:
    """With what a template gives alone."""
    schema = type(model).schema()
    for field in (*schema.attributes.values(), *schema.blocks.values()):
        value = getattr(model, field.key)
        if value is Unknown:
            setattr(model, field.key, None)
        for item in value if isinstance(value, list) else ():
            if isinstance(item, Model):
                _written(item)
    return model


@dataclass(frozen=True)
class Wrong:
    """A fault.

    :param arrange: sets it up; returns what must have been hit, or why the type has no such fault.
    :param survived: whether all ends well nevertheless.
    """

    arrange: Callable[[Table], Any]
    survived: bool = True


def _throttled(table: Table, request: tuple[str, str] | None = None) -> Any:
    table.fail("refuse", request, status=429, code="TooManyRequests", headers={"Retry-After": "0"})
    table.fail("refuse", request, status=503, code="ServiceUnavailable")
    return table.fail("drop", request)


def _questions(table: Table) -> Any:
    """How it stands can be asked only the third time."""
    if not table.row.slow:
        return "made at once: there is nothing to ask"
    asking = ("GET", "/operations/")
    table.fail("drop", asking)
    return table.fail("refuse", asking, status=429, code="TooManyRequests", headers={"Retry-After": "0"})


def _later(table: Table) -> Any:
    if not table.row.slow:
        return "made at once, or not at all"
    return table.fail("fail", code="AllocationFailed", message="no room")


def _vanished(table: Table) -> Any:
    if table.row.within is not None:
        return "goes with what it is a part of"
    return table.fail("vanish")


def _unseen(table: Table) -> Any:
    """Azure has made it, and another of its servers does not know of it yet."""
    look, made = ("GET", table.row.look), table.row.make
    return table.fail("refuse", look, status=404, code="ResourceNotFound", times=2, after=made)


def _dies(table: Table) -> Any:
    """The request reaches Azure; then nothing answers any more."""
    lost = table.fail("lose")
    for method in ("GET", "PUT", "PATCH", "POST", "DELETE"):
        table.fail("drop", (method, "/"), times=ENDLESS, after=table.row.make)
    return lost


CREATIONS = {
    "throttled, unavailable, and hung up": Wrong(_throttled),
    "questions throttled and dropped": Wrong(_questions),
    "answer lost": Wrong(lambda table: table.fail("lose")),
    "answer late": Wrong(lambda table: table.fail("late")),
    "server error after": Wrong(lambda table: table.fail("after", status=500)),
    "not known yet": Wrong(_unseen),
    "something else is changing": Wrong(
        lambda table: table.fail("refuse", status=409, code="AnotherOperationInProgress", times=2)
    ),
    "taken and failed later": Wrong(_later, survived=False),
    "vanished at once": Wrong(_vanished, survived=False),
    "everything dies": Wrong(_dies, survived=False),
}


@pytest.mark.parametrize("wrong", CREATIONS)
@pytest.mark.parametrize("kind", TYPES)
def test_a_creation(table: Table, kind: str, wrong: str) -> None:
    """There is one or none, known to the state or to the owned listing; the next apply ends well."""
    fault, life = CREATIONS[wrong], table.life()
    hit = fault.arrange(table)
    if isinstance(hit, str):
        pytest.skip(hit)
    with nullcontext() if fault.survived else suppress(SteadError):
        life.apply()
    assert hit.seen or wrong == "not known yet", "the fault did not come to pass"
    table.peer.calm()

    assert table.count() in (0, 1), "made twice"
    if table.count():
        assert life.state is not None or life.owned(), "an orphan"
    life.sweep()
    life.apply()
    assert table.count() == 1, "the next apply does not lead to one"
    assert life.differences() == set(), "a second plan is not empty"
    _end(table, life)


def _end(table: Table, life: Life) -> None:
    last = copy.deepcopy(life.state)
    life.destroy()
    assert table.count() == 0
    assert last is not None
    last.delete(table.rig.context(life.key))
    keys = {item.key for item in table.rig.platform.owned_resources(table.rig.name)}
    assert not keys & {life.key, *life.failed}, "something is left"


def _refused(table: Table) -> Any:
    return table.fail("refuse", table.row.remove, status=403, code="AuthorizationFailed", times=ENDLESS)


def _end_fails(table: Table) -> Any:
    return table.fail("fail", table.row.remove, code="InternalServerError", message="it went wrong")


def _gone(table: Table) -> Any:
    """Somebody else removes it."""
    if table.row.within is not None:
        return "goes with what it is a part of"
    life = table.life()
    made = life.config.made_id(table.rig.context()).lower()
    for path in [path for path in table.peer.things if path.startswith(made) or "_osdisk_" in path]:
        table.peer.things.pop(path)
    return None


ENDS = {
    "throttled, unavailable, and hung up": Wrong(lambda table: _throttled(table, table.row.remove)),
    "answer lost": Wrong(lambda table: table.fail("lose", table.row.remove)),
    "server error after": Wrong(lambda table: table.fail("after", table.row.remove, status=500)),
    "in use for a moment": Wrong(
        lambda table: table.fail("refuse", table.row.remove, status=409, code=table.row.busy, times=2)
    ),
    "taken and failed later": Wrong(_end_fails, survived=False),
    "vanished before": Wrong(_gone),
    "refused": Wrong(_refused, survived=False),
}


@pytest.mark.parametrize("wrong", ENDS)
@pytest.mark.parametrize("kind", TYPES)
def test_an_end(table: Table, kind: str, wrong: str) -> None:
    """What was not removed stays in the state, and goes the next time."""
    fault, life = ENDS[wrong], table.life()
    life.apply()
    hit = fault.arrange(table)
    if isinstance(hit, str):
        pytest.skip(hit)
    with nullcontext() if fault.survived else suppress(SteadError):
        life.destroy()
    assert hit is None or hit.seen, "the fault did not come to pass"
    assert wrong != "refused" or life.state is not None
    table.peer.calm()
    assert table.count() == 0 or life.state is not None, "what is still there is forgotten"
    if life.state is not None:
        _end(table, life)
    assert table.count() == 0


@pytest.mark.parametrize("kind", TYPES)
def test_what_vanishes_between_creation_and_reading_is_made_again(table: Table, kind: str) -> None:
    life = table.life()
    life.apply()
    if isinstance(hit := _gone(table), str):
        pytest.skip(hit)
    assert table.count() == 0
    assert life.differences() != set(), "a plan does not see it"
    life.apply()
    assert table.count() == 1
    _end(table, life)


def test_every_type_has_a_row() -> None:
    assert set(ROWS) == set(TYPES)
