"""What is remembered of proofs, how often one may try, and plugins that are missing or broken: on both databases."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stead.api import ExpectedInstance, Identity, InstanceIdentity, Platform, PlatformSpec, hookimpl
from stead.api.errors import InvalidInput, RateLimited, Unavailable
from stead.api.identity import IdentityRejected
from stead.broker import outcome
from stead.config import Settings
from stead.gateway.identity import Meter
from stead.models import ChallengeRow, ReplayRow
from stead.plugins import PluginRegistry
from stead.services import instance_identity, ticks
from stead.services.clock import ManualClock
from stead.services.core import Core, close_core, open_core
from stead.services.instance_identity import DatabaseReplays, Verifiers
from stead.terraform.document import AgentNode, Document, ResourceNode

SECRET = b"a document with a secret in it"


class Fake(InstanceIdentity):
    """Believes everybody; ``failure`` is raised in place of an answer."""

    failure: Exception | None = None

    def challenge(self) -> str:
        return "prove it"

    def claimed_instance(self, document: bytes) -> str:
        if self.failure is not None:
            raise self.failure
        return document.decode()

    def expected(self, type_name: str, attributes: Mapping[str, Any]) -> ExpectedInstance:
        raise IdentityRejected(f"{type_name} is no machine.")

    def verify(self, document: bytes, challenge: str, expected: ExpectedInstance) -> Identity:
        raise AssertionError("nothing was provisioned")


class Plugin:
    def __init__(self, identity: Callable[..., InstanceIdentity] | None) -> None:
        self._identity = identity

    @hookimpl
    def stead_platforms(self) -> list[PlatformSpec]:
        return [PlatformSpec(name="gcp", title="Fake", factory=lambda settings: Platform(), identity=self._identity)]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 5, 1, 12, tzinfo=UTC))


@pytest.fixture
def open_with(database_url: str, tmp_path: Path, clock: ManualClock) -> Iterator[Callable[..., Core]]:
    """Opens the same database, as another server would."""
    opened: list[Core] = []
    values: dict[str, Any] = {"data_dir": tmp_path / "data", "proof_attempts": 3}
    if database_url.startswith("postgresql"):
        values["pg_connection_url"] = database_url

    def make(identity: Callable[..., InstanceIdentity] | None = lambda settings, replays: Fake()) -> Core:
        registry = PluginRegistry(builtins={"fake": Plugin(identity)}, disabled=("aws", "gcp", "azure", "docker"))
        registry.load()
        opened.append(open_core(Settings(**values), clock=clock, plugins=registry))
        return opened[-1]

    yield make
    for core in opened:
        close_core(core)


def test_what_was_used_is_known_to_every_server(open_with: Any, clock: ManualClock) -> None:
    replays, elsewhere = DatabaseReplays(open_with()), DatabaseReplays(open_with())
    until = clock.now().timestamp() + 60
    assert replays.once("aws:request:1", until)
    assert not elsewhere.once("aws:request:1", until)
    assert replays.once("aws:request:2", None)
    assert replays.once("x" * 4000, until)
    assert not elsewhere.once("x" * 4000, until)
    assert replays.once("x" * 4001, until)
    clock.advance(61)
    assert elsewhere.once("aws:request:1", until + 120)
    assert not replays.once("aws:request:1", until + 120)
    clock.advance(10**9)
    assert not replays.once("aws:request:2", None)


def test_of_many_that_use_one_thing_at_once_one_succeeds(open_with: Any) -> None:
    servers = [DatabaseReplays(open_with()) for _ in range(2)]
    for number in range(5):
        start, won = threading.Barrier(8), []

        def race(index: int, number: int = number, start: Any = start, won: list[bool] = won) -> None:
            start.wait(30)
            won.append(servers[index % 2].once(f"race:{number}", None))

        racers = [threading.Thread(target=race, args=(index,)) for index in range(8)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join(60)
        assert sorted(won) == [False] * 7 + [True]


def test_an_address_may_begin_so_often_in_a_minute(open_with: Any, clock: ManualClock) -> None:
    core, other = open_with(), open_with()
    verifiers = Verifiers(core)

    def begin(address: str, core: Core = core) -> str:
        return instance_identity.challenge(core, verifiers, "google-instance-identity", address).challenge

    assert [begin("192.0.2.1"), begin("192.0.2.1", other), begin("192.0.2.1")] == ["prove it"] * 3
    with pytest.raises(RateLimited):
        begin("192.0.2.1", other)
    assert begin("192.0.2.2")
    for last in "123":
        begin(f"2001:db8:0:1::{last}")
    with pytest.raises(RateLimited):
        begin("2001:db8:0:1:ffff::9")
    assert begin("2001:db8:0:2::1")
    clock.advance(61)
    assert begin("192.0.2.1")


def test_what_is_over_is_forgotten(open_with: Any, clock: ManualClock) -> None:
    core = open_with()
    instance_identity.challenge(core, Verifiers(core), "google-instance-identity", "192.0.2.1")
    DatabaseReplays(core).once("short", clock.now().timestamp() + 10)
    DatabaseReplays(core).once("for ever", None)
    ticks.expire(core)
    assert counts(core) == (1, 2)
    clock.advance(3600)
    ticks.expire(core)
    assert counts(core) == (0, 1)


def counts(core: Core) -> tuple[int, int]:
    with core.database.read():
        return ChallengeRow.select().count(), ReplayRow.select().count()


def test_a_missing_or_broken_plugin_is_said_without_what_was_sent(
    open_with: Any, caplog: pytest.LogCaptureFixture
) -> None:
    core = open_with()
    with pytest.raises(InvalidInput, match="auth is one of"):
        Verifiers(core).get("token")
    with pytest.raises(Unavailable, match="Install the plugin stead-aws"):
        Verifiers(core).get("aws-instance-identity")
    with pytest.raises(Unavailable, match="Install the plugin stead-gcp"):
        Verifiers(open_with(None)).get("google-instance-identity")

    def broken(settings: Any, replays: Any) -> InstanceIdentity:
        raise OSError("no such file")

    with pytest.raises(Unavailable, match="Its log says why"):
        Verifiers(open_with(broken)).get("google-instance-identity")
    verifiers = Verifiers(core)
    held = instance_identity.challenge(core, verifiers, "google-instance-identity", "192.0.2.1")
    verifiers.get("google-instance-identity").failure = ValueError(SECRET.decode())  # type: ignore[attr-defined]
    with caplog.at_level(logging.DEBUG), pytest.raises(Unavailable) as caught:
        instance_identity.prove(core, verifiers, held.id, SECRET, "192.0.2.1")
    assert SECRET.decode() not in caplog.text + str(caught.value)
    assert "ValueError" in caplog.text
    assert "prove it" not in repr(held)


def test_only_an_agent_with_a_token_has_the_one_of_the_state(open_with: Any) -> None:
    core = open_with()
    nodes = [
        AgentNode("a", "coder_agent.a", "test_machine.m", token="secret", auth="token"),
        AgentNode("b", "coder_agent.b", "test_machine.m", token="secret", auth="azure-instance-identity"),
    ]
    document = Document((ResourceNode("test_machine.m", "test_machine", "m"),), tuple(nodes))
    (resource,), found = outcome.resources(core, document, agents=True)
    hashes = {agent.name: found[agent.id].token_hash for agent in resource.agents}
    assert hashes["a"] is not None
    assert hashes["b"] is None


def test_requests_come_back_evenly_over_a_minute() -> None:
    now = [0.0]
    meter = Meter(6, lambda: now[0], kept=2)
    for _ in range(6):
        meter.take("a")
    with pytest.raises(RateLimited):
        meter.take("a")
    now[0] += 11
    meter.take("a")
    with pytest.raises(RateLimited):
        meter.take("a")
    meter.take("b")
    meter.take("c")
    assert len(meter._left) == 2
