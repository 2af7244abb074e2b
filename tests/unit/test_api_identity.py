"""What remembers used documents, and what a platform says where it overrides nothing."""

from __future__ import annotations

import threading

import pytest

from stead.api import InstanceIdentity, MemoryReplays, Platform, Price


def test_a_key_is_good_once_until_it_may_be_forgotten() -> None:
    now = 100.0
    replays = MemoryReplays(lambda: now)
    assert [replays.once("a", 160.0), replays.once("a", 160.0), replays.once("b", None)] == [True, False, True]
    now = 160.0
    assert [replays.once("a", 200.0), replays.once("b", 200.0)] == [True, False]


def test_of_many_at_once_one_wins() -> None:
    replays, start, won = MemoryReplays(), threading.Barrier(8), []

    def race() -> None:
        start.wait(10)
        won.append(replays.once("key", None))

    racers = [threading.Thread(target=race) for _ in range(8)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(10)
    assert sorted(won) == [False] * 7 + [True]


def test_a_platform_that_knows_no_prices_has_none() -> None:
    assert Platform().price("docker_container", {}) is None
    assert Price(0.5, "2026-01-31").daily == 12.0


def test_a_verifier_must_decide() -> None:
    with pytest.raises(NotImplementedError):
        InstanceIdentity().challenge()
