"""What stands in for each platform: the peers of the plugins' own tests. Docker's engine is a real one."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests" / "plugins"
START_SECONDS = 60.0
ENGINE = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
# The peers answer at once, so that what is measured is ours: nothing waits between two looks.
QUICK = {"pause": 0.01, "poll": 0.01}


@dataclass(frozen=True)
class Place:
    """Where a platform's builds go.

    :param plugin: module with the hooks.
    :param settings: of the plugin, as JSON.
    """

    plugin: str
    starter: str
    settings: dict[str, Any]
    parameters: dict[str, str] = field(default_factory=dict)


class Missing(Exception):
    """A peer that is not on this machine. The message says what it takes."""


@contextlib.contextmanager
def docker() -> Iterator[Place]:
    from stead_docker.platform import DockerPlatform
    from stead_docker.settings import DockerSettings

    trial = DockerPlatform(DockerSettings()).trial()
    yield Place("stead_docker.plugin", trial.template, {}, dict(trial.parameters))


@contextlib.contextmanager
def aws() -> Iterator[Place]:
    if importlib.util.find_spec("moto") is None:
        raise Missing("pip install 'stead-aws[test]'")
    port = _free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait(port, server)
            endpoints = dict.fromkeys(("ec2", "iam", "sts"), f"http://127.0.0.1:{port}")
            keys = {"access_key": "test", "secret_key": secrets.token_hex(8)}
            settings = {"region": "us-east-1", "endpoints": endpoints, "settle": 0.5, **keys, **QUICK}
            yield Place("stead_aws.plugin", "aws-linux", settings)
        finally:
            server.terminate()


@contextlib.contextmanager
def gcp() -> Iterator[Place]:
    sys.path.insert(0, str(TESTS / "gcp" / "peer"))
    if importlib.util.find_spec("googleapiclient") is None:
        raise Missing("pip install 'stead-gcp[test]'")
    from stead_gcp_peer.server import TOKEN, Running
    from stead_gcp_peer.world import PROJECT

    with Running() as peer:
        endpoints = dict.fromkeys(("compute_endpoint", "iam_endpoint", "resource_manager_endpoint"), peer.url)
        place = {"project": PROJECT, "zone": "us-central1-a", "access_token": TOKEN}
        yield Place("stead_gcp.plugin", "gcp", {**place, **endpoints, **QUICK})


@contextlib.contextmanager
def azure() -> Iterator[Place]:
    sys.path.insert(0, str(TESTS / "azure"))
    from azure_peer import CLIENT, SUBSCRIPTION, TENANT, AzurePeer

    from stead.testing.certificates import self_signed

    with tempfile.TemporaryDirectory() as folder:
        signed = self_signed(Path(folder), "127.0.0.1")
        peer = AzurePeer(signed.certificate, signed.key)
        try:
            account = {"subscription_id": SUBSCRIPTION, "tenant_id": TENANT, "client_id": CLIENT}
            way = {"endpoint": peer.address, "authority": peer.address, "ca_bundle": str(signed.certificate)}
            settings = {**account, **way, "client_secret": peer.secret, **QUICK}
            yield Place("stead_azure.plugin", "azure-linux", settings)
        finally:
            peer.close()


@contextlib.contextmanager
def kubernetes() -> Iterator[Place]:
    """A real API server with its controllers; pods run as soon as they are there."""
    sys.path.insert(0, str(TESTS / "kubernetes" / "peer"))
    from kubernetes_peer import FOLDER, STEAD, Server, node, start

    from stead.testing.session import Session, cache_folder

    binaries = cache_folder() / FOLDER
    if not (binaries / "complete").is_file():
        raise Missing("tests/plugins/kubernetes/peer/build makes the API server")
    session, namespace = Session.create(), "bench"
    try:
        found = start(session, binaries)
        server = Server(found["url"], found["authority"], found["tokens"])
        server.namespace(namespace)
        where = {"host": server.url, "ca_file": server.authority, "token": server.tokens[STEAD]}
        with node(server, namespace):
            yield Place("stead_kubernetes.plugin", "kubernetes", {**where, "namespace": namespace, **QUICK})
    finally:
        session.close()


@contextlib.contextmanager
def baremetal() -> Iterator[Place]:
    """A container with OpenSSH's server and a Debian."""
    sys.path.insert(0, str(TESTS / "baremetal" / "peer"))
    from baremetal_farm import LABEL, Farm, machine_image

    from stead.testing.debian import DebianUnavailable
    from stead.testing.docker_api import DockerApi
    from stead.testing.engine_guardian import guarded

    with DockerApi(ENGINE) as engine:
        if not engine.answers():
            raise Missing(f"no Docker engine answers at {ENGINE}")
    try:
        image = machine_image(ENGINE)
    except DebianUnavailable as error:
        raise Missing(str(error)) from error
    with tempfile.TemporaryDirectory() as folder, guarded(ENGINE, LABEL):
        farm, inventory = Farm(ENGINE, image, Path(folder)), Path(folder, "machines.json")
        try:
            machines = [box.entry() for box in farm.take(1)]
            inventory.write_text(json.dumps({"as_of": "2026-01-31", "currency": "EUR", "machines": machines}))
            settings = {"inventory": str(inventory), "key_file": str(farm.key_file), "stop_grace": 1}
            yield Place("stead_baremetal.plugin", "baremetal", settings)
        finally:
            farm.close()


PEERS = {"docker": docker, "aws": aws, "gcp": gcp, "azure": azure, "kubernetes": kubernetes, "baremetal": baremetal}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise Missing("moto did not come up")
