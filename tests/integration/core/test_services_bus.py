"""The bus between processes, and the keyring."""

from __future__ import annotations

import json
import queue
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stead.api.errors import Unavailable
from stead.config import Settings
from stead.plugins import PluginRegistry
from stead.services.bus import Bus
from stead.services.core import Core, close_core, open_core
from stead.services.hub import SocketCarrier
from stead.services.keyring import Keyring, SealBroken
from stead.testing.waiting import eventually


@pytest.fixture
def open_another(make_settings: Callable[..., Settings]) -> Iterator[Callable[[], Core]]:
    opened: list[Core] = []

    def another() -> Core:
        opened.append(open_core(make_settings(), plugins=PluginRegistry()))
        return opened[-1]

    yield another
    for core in opened:
        close_core(core)


def heard_by(bus: Bus, pattern: str) -> queue.Queue[tuple[str, dict[str, object]]]:
    heard: queue.Queue[tuple[str, dict[str, object]]] = queue.Queue()
    bus.subscribe(pattern, lambda topic, payload: heard.put((topic, dict(payload))))
    return heard


def test_servers_of_one_deployment_hear_each_other(open_another: Callable[[], Core]) -> None:
    first, second, third = (open_another() for _ in range(3))
    assert first.deployment_id == second.deployment_id
    heard = [heard_by(core.bus, "job:*") for core in (first, second, third)]
    second.bus.publish("other", {})
    second.bus.publish("job:1", {"log": 7})
    for one in heard:
        assert one.get(timeout=10) == ("job:1", {"log": 7})
        assert one.empty()


def test_a_subscription_ends_and_a_failing_one_harms_nobody() -> None:
    bus = Bus()
    heard: list[str] = []

    def fail(topic: str, payload: object) -> None:
        raise ValueError(topic)

    bus.subscribe("a", fail)
    with bus.subscribe("a", lambda topic, payload: heard.append(topic)):
        bus.publish("a")
    bus.publish("a")
    exact = bus.subscribe("b", lambda topic, payload: heard.append(topic))
    prefix = bus.subscribe("*", lambda topic, payload: heard.append("any " + topic))
    bus.publish("b")
    exact.close()
    exact.close()
    prefix.close()
    bus.publish("b")
    assert heard == ["a", "b", "any b"]


def test_another_process_takes_the_hub_over(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 40) / "run"  # a path that no socket address has room for
    first = Bus(SocketCarrier(folder))
    others = [Bus(SocketCarrier(folder)) for _ in range(2)]
    heard = heard_by(others[1], "t")

    def arrives() -> bool:
        others[0].publish("t", {})
        return not heard.empty()

    eventually(arrives, 10, what="an announcement through the first hub")
    first.close()
    while not heard.empty():
        heard.get()
    eventually(arrives, 10, what="an announcement through the second hub")
    for bus in others:
        bus.close()


def test_a_client_that_does_not_read_is_dropped_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    first, second = (Bus(SocketCarrier(tmp_path)) for _ in range(2))
    release = threading.Event()
    first.subscribe("flood", lambda topic, payload: release.wait(30))
    began = time.monotonic()
    for _ in range(3000):
        second.publish("flood", {"x": "y" * 1000})
    assert time.monotonic() - began < 20
    release.set()
    for bus in (first, second):
        bus.close()


def test_announcements_are_quick(open_another: Callable[[], Core]) -> None:
    first, second = open_another(), open_another()
    heard = heard_by(second.bus, "t")
    delays = []
    for number in range(20):
        began = time.monotonic()
        first.bus.publish("t", {"n": number})
        heard.get(timeout=10)
        delays.append(time.monotonic() - began)
    assert sorted(delays)[10] < 0.1


def test_a_seal_opens_for_its_purpose_alone(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keys" / "keyring.json")
    sealed = keyring.seal("state:1", b"hunter2")
    assert b"hunter2" not in sealed
    assert keyring.open("state:1", sealed) == b"hunter2"
    assert keyring.seal("state:1", b"hunter2") != sealed
    damaged = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for purpose, value in (("state:2", sealed), ("state:1", damaged), ("state:1", b""), ("state:1", b"STD1" * 20)):
        with pytest.raises(SealBroken):
            keyring.open(purpose, value)
    assert stat.S_IMODE((tmp_path / "keys" / "keyring.json").stat().st_mode) == 0o600


def test_old_seals_open_after_a_rotation_in_every_process(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    first, second = Keyring(path), Keyring(path)
    old = first.seal("p", b"old")
    first.rotate()
    new = first.seal("p", b"new")
    assert (first.is_current(old), first.is_current(new)) == (False, True)
    assert second.open("p", new) == b"new"
    assert second.open("p", old) == b"old"
    assert len(json.loads(path.read_text())["keys"]) == 2


def test_servers_that_start_together_have_one_keyring(tmp_path: Path) -> None:
    rings: list[Keyring] = []
    threads = [threading.Thread(target=lambda: rings.append(Keyring(tmp_path / "k.json"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    sealed = rings[0].seal("p", b"x")
    assert all(ring.open("p", sealed) == b"x" for ring in rings)
    assert [path.name for path in tmp_path.iterdir()] == ["k.json"]


@pytest.mark.parametrize(("content", "mode"), [("{", 0o600), ("{}", 0o600), (None, 0o644)])
def test_a_keyring_that_cannot_be_used_says_why(tmp_path: Path, content: str | None, mode: int) -> None:
    path = tmp_path / "k.json"
    Keyring(path)
    if content is not None:
        path.write_text(content)
    path.chmod(mode)
    with pytest.raises(Unavailable, match=r"k\.json"):
        Keyring(path)
