"""Signing in with identity providers: its time beside the peer's own, rate with 50 at once, memory afterwards."""

from __future__ import annotations

import importlib
import os
import queue
import socket
import ssl
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
from auth_kind import Kind
from figures import Figures
from processes import memory_mb

from stead.testing.deployment import Deployment

#: Modules ``auth_NAME`` of the kinds to measure, by the name of their figures.
KINDS = {"oidc": "auth_openid", "github": "auth_github", "ldap": "auth_ldap"}
ALONE = 50
AT_ONCE = 50
SECONDS_AT_ONCE = 20.0
SIGN_INS = int(os.environ.get("STEAD_BENCH_SIGN_INS", "10000"))

_TLS = ssl.create_default_context()  # making one for each client would take longer than a sign-in


def measure(say: Callable[[str], None]) -> Figures:
    """Time of one sign-in, sign-ins per second with 50 people at once, memory of the server after 10,000."""
    figures = Figures()
    for name, module in KINDS.items():
        with tempfile.TemporaryDirectory(prefix="stead-bench-") as folder:
            kinds = importlib.import_module(module)
            with kinds.kind(Path(folder)) as kind, _server(kind, Path(folder)) as stead:
                _measure(name, kind, stead, figures, say)
        say(figures.as_table("so far"))
    return figures


def _measure(name: str, kind: Kind, stead: Deployment, figures: Figures, say: Callable[[str], None]) -> None:
    assert stead.process is not None
    with _browser() as client:
        kind.prepare(client, stead.url)
        say(f"{name}: {ALONE} sign-ins, one after the other")
        whole = [_timed(lambda: kind.sign_in(client, stead.url)) for _ in range(ALONE)]
        peer = [_timed(lambda: kind.alone(client)) for _ in range(ALONE)]
    figures.add_percentiles(f"{name}_sign_in", whole, "ms")
    figures.add_percentiles(f"{name}_peer_alone", peer, "ms")
    before = memory_mb(stead.process.pid)
    with _crowd(kind, stead) as sign_in, ThreadPoolExecutor(AT_ONCE) as pool:
        say(f"{name}: {AT_ONCE} at once for {SECONDS_AT_ONCE:.0f} s")
        rate, done = _rate(pool, sign_in)
        figures.add(f"{name}_sign_ins_per_second", rate, "1/s")
        left = max(0, SIGN_INS - done)
        say(f"{name}: {left} more, to look at memory")
        list(pool.map(lambda _: sign_in(), range(left)))
    figures.add(f"{name}_memory_before", before, "MB")
    figures.add(f"{name}_memory_after_{max(SIGN_INS, done)}", memory_mb(stead.process.pid), "MB")


def _rate(pool: ThreadPoolExecutor, sign_in: Callable[[], None]) -> tuple[float, int]:
    end = time.perf_counter() + SECONDS_AT_ONCE
    began = time.perf_counter()

    def until_the_end(_: int) -> int:
        count = 0
        while time.perf_counter() < end:
            sign_in()
            count += 1
        return count

    done = sum(pool.map(until_the_end, range(AT_ONCE)))
    return done / (time.perf_counter() - began), done


@contextmanager
def _crowd(kind: Kind, stead: Deployment) -> Iterator[Callable[[], None]]:
    """Browsers of so many people; a call is a sign-in in the one that is free."""
    free: queue.Queue[httpx.Client] = queue.Queue()
    clients = [_browser() for _ in range(AT_ONCE)]
    for client in clients:
        kind.prepare(client, stead.url)
        free.put(client)

    def sign_in() -> None:
        client = free.get()
        try:
            kind.sign_in(client, stead.url)
        finally:
            free.put(client)

    yield sign_in
    for client in clients:
        client.close()


@contextmanager
def _server(kind: Kind, folder: Path) -> Iterator[Deployment]:
    ports = _free_ports()
    stead = Deployment(folder / "data", ports[0], ports[1])
    settings = folder / "stead.toml"
    settings.write_text(textwrap.dedent(kind.settings(stead.url)))
    stead.environment = {"STEAD_PROVISIONERS": "0", "STEAD_CONFIG": str(settings)}
    with stead:
        stead.create_owner()
        yield stead


def _free_ports() -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _browser() -> httpx.Client:
    # Servers close what was idle for five seconds, maybe at the moment in which it is used again.
    return httpx.Client(verify=_TLS, timeout=60, limits=httpx.Limits(keepalive_expiry=2))


def _timed(call: Callable[[], None]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000
