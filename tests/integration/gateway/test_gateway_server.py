"""The server process: starts fast, ends clean, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from stead.server.process import WEB_THREADS
from stead.testing.certificates import self_signed
from stead.testing.deployment import Deployment
from stead.testing.waiting import eventually

START_WITHIN = 3.0


def children(pid: int) -> set[int]:
    """All descendants of a process."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found |= {int(child)} | children(int(child))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def tunnel_is_up(deployment: Deployment) -> bool:
    return httpx.get(f"{deployment.url}/healthz").json()["tunnel"] == "up"


def memory_of(pids: set[int]) -> int:
    """Proportional set size of all, in bytes: shared pages count once."""
    total = 0
    for pid in pids:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) * 1024
    return total


@pytest.fixture
def deployment(make_deployment: Callable[..., Deployment]) -> Iterator[Deployment]:
    made = make_deployment()
    yield made
    made.kill()


def test_it_is_healthy_soon_and_again(deployment: Deployment) -> None:
    cpu = []
    for _ in range(2):
        deployment.start()
        assert deployment.process is not None
        stat = Path(f"/proc/{deployment.process.pid}/stat").read_text().rpartition(")")[2].split()
        cpu.append((int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"))
        assert deployment.stop() == 0
    # Processor time, since this machine has more to do than this test.
    assert min(cpu) < START_WITHIN


@pytest.mark.parametrize("provisioners", ["0", "1"])
def test_sigterm_ends_it_with_all_its_children(make_deployment: Callable[..., Deployment], provisioners: str) -> None:
    deployment = make_deployment(STEAD_PROVISIONERS=provisioners).start()
    try:
        assert deployment.process is not None
        pid = deployment.process.pid
        eventually(lambda: tunnel_is_up(deployment), 10)
        family = eventually(lambda: children(pid), 10)
        assert deployment.stop() == 0
        assert not [one for one in family if alive(one)]
        assert "Traceback" not in deployment.log
    finally:
        deployment.kill()


def test_sigkill_leaves_no_child(deployment: Deployment) -> None:
    deployment.start()
    assert deployment.process is not None
    eventually(lambda: tunnel_is_up(deployment), 10)
    family = children(deployment.process.pid)
    assert family
    deployment.kill()
    eventually(lambda: not [one for one in family if alive(one)], 10, what="the end of the children")


def test_it_ends_while_people_watch(make_deployment: Callable[..., Deployment]) -> None:
    deployment = make_deployment().start()
    deployment.create_owner()
    try:
        with deployment.client() as client, client.stream("GET", "/watch") as answer:
            assert answer.status_code == 200
            began = time.monotonic()
            assert deployment.stop() == 0
            assert time.monotonic() - began < 10
    finally:
        deployment.kill()


def test_a_taken_port_is_told(deployment: Deployment, make_deployment: Callable[..., Deployment]) -> None:
    deployment.start()
    other = make_deployment()
    other.port = deployment.port
    # What answers at once is the server that has the port; the second one ends by itself.
    other.start()
    assert other.process is not None
    assert other.process.wait(10) == 1
    assert f"can't listen on 127.0.0.1:{deployment.port}" in other.log
    assert not (other.data_dir / "tunnel").exists()


def test_a_taken_stun_port_costs_the_stun_server_only(
    deployment: Deployment, make_deployment: Callable[..., Deployment]
) -> None:
    deployment.start()
    other = make_deployment()
    other.stun_port = deployment.stun_port
    with other:
        eventually(lambda: tunnel_is_up(other), 10)
        [node] = httpx.get(f"{other.url}/derp/map.json").json()["Regions"]["900"]["Nodes"]
        assert node["STUNPort"] == -1
        assert "no STUN" in other.log


def test_without_a_tunnel_agents_are_offered_none(make_deployment: Callable[..., Deployment]) -> None:
    with make_deployment(STEAD_TUNNEL="false") as deployment:
        assert httpx.get(f"{deployment.url}/healthz").json()["tunnel"] == "off"
        assert deployment.process is not None
        assert not children(deployment.process.pid)


def test_unknown_paths_go_to_the_web_application(deployment: Deployment) -> None:
    deployment.start()
    with deployment.client("") as client:
        answer = client.get("/no/such/thing")
        assert (answer.status_code, answer.json()["error"]["reason"]) == (404, "not_found")
    assert "text/html" in httpx.get(f"{deployment.url}/nothing").headers["content-type"]


def test_it_is_small(deployment: Deployment) -> None:
    deployment.start()
    assert deployment.process is not None
    eventually(lambda: tunnel_is_up(deployment), 10)
    assert memory_of({deployment.process.pid} | children(deployment.process.pid)) < 200 * 1024 * 1024


def test_over_tls_the_map_pins_the_certificate(make_deployment: Callable[..., Deployment], tmp_path: Path) -> None:
    made = self_signed(tmp_path, "127.0.0.1")
    deployment = make_deployment(
        STEAD_TLS_CERT_FILE=str(made.certificate), STEAD_TLS_KEY_FILE=str(made.key), STEAD_ACCESS_URL=""
    )
    deployment.scheme = "https"
    deployment.verify = ssl.create_default_context(cafile=str(made.certificate))
    with deployment:
        document = httpx.get(f"{deployment.url}/derp/map.json", verify=deployment.verify).json()
        [node] = document["Regions"]["900"]["Nodes"]
        assert node["CertName"] == f"sha256-raw:{made.digest}"
        eventually(lambda: "the tunnel is up" in deployment.log, 10)


def test_who_sends_slowly_keeps_nobody_from_being_served(deployment: Deployment) -> None:
    deployment.start()
    begun = (
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: 1000\r\n\r\nlogin=a"
    )
    address = httpx.URL(deployment.url)
    with contextlib.ExitStack() as stack:
        for _ in range(WEB_THREADS * 2):
            slow = stack.enter_context(socket.create_connection((address.host, address.port or 80)))
            slow.sendall(begun)
        for _ in range(WEB_THREADS):
            assert httpx.get(f"{deployment.url}/api/v2/buildinfo", timeout=10).status_code == 200


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /",
        b"GET /healthz HTTP/1.1\r\nX-Long: ",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X-Many: many\r\n" * 1000,
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Late: ",
    ],
    ids=["address", "header", "headers", "trailer"],
)
def test_the_head_of_a_request_is_bounded(deployment: Deployment, begun: bytes) -> None:
    deployment.start()
    address = httpx.URL(deployment.url)
    with socket.create_connection((address.host, address.port or 80), timeout=20) as client:
        client.sendall(begun)
        more = b"X-Many: many\r\n" * 4096 if begun.endswith(b"\n") else b"a" * 65536
        with pytest.raises(ConnectionError):
            client.sendall(more * 256)
    assert httpx.get(f"{deployment.url}/healthz").status_code == 200


def test_a_long_body_and_many_requests_are_no_head(deployment: Deployment) -> None:
    deployment.start()
    with httpx.Client(base_url=deployment.url) as client:
        for _ in range(20):
            answer = client.post("/api/v2/login", json={"login": "x" * 100_000, "password": "p"})
            assert (answer.status_code, answer.json()["error"]["field"]) == (400, "login")
        assert client.get("/healthz", headers={"X-Long": "a" * 60_000}).status_code == 200
