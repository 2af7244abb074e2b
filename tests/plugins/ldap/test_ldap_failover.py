"""Servers that die, come back, hang and crawl, while people sign in."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from ldap_people import GROUPS, PEOPLE, Make
from ldap_strange import dripping, hanging, strange_server

from stead.api.errors import Unavailable
from stead.api.signin import Credentials, Person
from stead.testing.authority import Authority
from stead.testing.slapd import Slapd, own_slapd
from stead.testing.waiting import eventually
from stead_ldap.pool import Role
from stead_ldap.provider import LdapProvider
from stead_ldap.transport import Deadline


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Slapd, Slapd]]:
    """Two servers with the same people, as replicas are."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    with (
        own_slapd(*PEOPLE, *GROUPS, authority=authority) as first,
        own_slapd(*PEOPLE, *GROUPS, authority=authority) as second,
    ):
        yield first, second


def sign_in(provider: LdapProvider) -> Person | None:
    return provider.verify(Credentials("alice", "alice-secret"))


def served_by(provider: LdapProvider) -> str:
    credentials = Credentials("alice", "alice-secret")
    assert provider.verify(credentials) is not None
    return next(step.detail for step in credentials.trace.steps if step.title == "Server")


def is_used(provider: LdapProvider, server: Slapd) -> bool:
    return str(server.tls_port) in served_by(provider)


def test_no_sign_in_fails_while_the_first_server_dies(pair: tuple[Slapd, Slapd], provider_for: Make) -> None:
    first, second = pair
    provider = provider_for(first, second, retry_after=0.5)
    assert is_used(provider, first)
    done = threading.Semaphore(0)
    killed = threading.Event()

    def attempt(number: int) -> str:
        if number >= 100:  # half of them begin after the death at the latest
            killed.wait(60)
        used = served_by(provider)
        done.release()
        return used

    with ThreadPoolExecutor(20) as people:
        attempts = [people.submit(attempt, number) for number in range(200)]
        for _ in range(50):
            assert done.acquire(timeout=60)
        first.kill()
        killed.set()
        used = [item.result(120) for item in attempts]
    assert len(used) == 200
    assert sum(str(second.tls_port) in server for server in used) >= 100
    first.start()
    eventually(lambda: is_used(provider, first), 60, what="the first server is used again")


def test_the_pool_survives_a_restart(pair: tuple[Slapd, Slapd], provider_for: Make) -> None:
    only, _ = pair
    provider = provider_for(only)
    with ThreadPoolExecutor(8) as people:
        assert all(people.map(lambda _: sign_in(provider), range(40)))
        only.kill()
        only.start()
        # Every kept connection is dead now. No one sees that.
        assert all(people.map(lambda _: sign_in(provider), range(40)))


def test_a_kept_connection_that_dies_unseen_is_tried_anew(
    pair: tuple[Slapd, Slapd], provider_for: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    only, _ = pair
    provider = provider_for(only)
    assert sign_in(provider) is not None
    # As when a firewall forgets a connection: nothing can be seen on it before it is used.
    monkeypatch.setattr("stead_ldap.wire.Connection.stale", lambda self: False)
    only.kill()
    only.start()
    assert sign_in(provider) is not None


def test_a_hanging_server_costs_one_time_out_and_is_left_alone(pair: tuple[Slapd, Slapd], provider_for: Make) -> None:
    first, second = pair
    provider = provider_for(first, second, timeout=5, connect_timeout=5, retry_after=3600)
    assert is_used(provider, first)
    first.signal(signal.SIGSTOP)
    with ThreadPoolExecutor(8) as people:
        assert all(people.map(lambda _: sign_in(provider), range(24)))
    assert is_used(provider, second)
    assert provider.directory.servers.all[0].down_at is not None
    first.signal(signal.SIGCONT)


def test_a_server_that_hangs_from_the_beginning_is_given_up(slapd: Slapd, provider_for: Make) -> None:
    over = threading.Event()
    with strange_server(hanging(over)) as url:
        provider = provider_for(slapd, servers=[url, slapd.tls_url], connect_timeout=3)
        assert sign_in(provider) is not None
        alone = provider_for(slapd, servers=[url], connect_timeout=3)
        with pytest.raises(Unavailable, match="did not answer in time"):
            sign_in(alone)
        over.set()


def test_a_server_that_drips_has_no_more_time_than_others(slapd: Slapd, provider_for: Make) -> None:
    over = threading.Event()
    with strange_server(dripping(slapd.port, over, 0.3)) as url:
        slow = provider_for(slapd, servers=[url], start_tls=False, timeout=4)
        began = time.monotonic()
        with pytest.raises(Unavailable, match="did not answer in time"):
            # A search's answer of some hundred bytes would take more than a minute.
            sign_in(slow)
        assert time.monotonic() - began < 40
        helped = provider_for(slapd, servers=[url, slapd.url], start_tls=False, timeout=4)
        assert sign_in(helped) is not None
        over.set()


def test_all_servers_down_says_so_and_they_are_tried_each_time(pair: tuple[Slapd, Slapd], provider_for: Make) -> None:
    first, second = pair
    provider = provider_for(first, second, retry_after=3600)
    first.kill()
    second.kill()
    with pytest.raises(Unavailable) as caught:
        sign_in(provider)
    assert str(first.tls_port) in str(caught.value)
    assert str(second.tls_port) in str(caught.value)
    second.start()
    assert is_used(provider, second)


def test_a_long_question_is_no_fault_of_the_server(slapd: Slapd, provider_for: Make) -> None:
    provider = provider_for(slapd)
    assert sign_in(provider) is not None

    def dawdle(connection: object) -> None:
        raise TimeoutError

    with pytest.raises(Unavailable):
        provider.directory.servers.run(Role.READER, dawdle, Deadline(0.0))
    assert provider.directory.servers.all[0].down_at is None


def test_connections_are_bounded_and_shared(slapd: Slapd, provider_for: Make) -> None:
    provider = provider_for(slapd, pool_size=3)
    opened = []
    original = provider.directory._open

    def counting(address: object, deadline: Deadline) -> object:
        opened.append(address)
        return original(address, deadline)  # type: ignore[arg-type]

    provider.directory.__dict__["_open"] = counting
    for server in provider.directory.servers.all:
        for role, pool in server._pools.items():
            if role is Role.VERIFIER:
                pool._open = lambda deadline: counting(server.address, deadline)  # type: ignore[assignment,return-value]  # noqa: B023
    with ThreadPoolExecutor(20) as people:
        assert all(people.map(lambda _: sign_in(provider), range(100)))
    assert 1 <= len(opened) <= 6  # three of each kind
    assert all(len(pool._kept) <= 3 for server in provider.directory.servers.all for pool in server._pools.values())


def test_a_full_pool_is_no_fault_of_the_server(slapd: Slapd, provider_for: Make) -> None:
    provider = provider_for(slapd, pool_size=1)
    for waiting in provider.directory.servers.all[0]._pools.values():
        waiting._patience = 0.2
    inside, leave = threading.Event(), threading.Event()

    def stay(connection: object) -> None:
        inside.set()
        leave.wait(60)

    with ThreadPoolExecutor(1) as pool:
        staying = pool.submit(provider.directory.servers.run, Role.READER, stay, Deadline(60))
        assert inside.wait(60)
        with pytest.raises(Unavailable, match="busy"):
            sign_in(provider)
        assert provider.directory.servers.all[0].down_at is None
        leave.set()
        staying.result(60)
    assert sign_in(provider) is not None
