"""A whole cluster of one node on this machine: scheduler and kubelet beside the API server, pods as containers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes_peer import Server, programs, start

from stead.testing.docker_api import DockerApi, tar_of
from stead.testing.images import _busybox_root, _static_busybox
from stead.testing.left_out import leave_out
from stead.testing.session import Session
from stead.testing.waiting import eventually, find_free_port

PART = "whole Kubernetes cluster"
TOOLS = ("dockerd", "ip", "conntrack", "socat", "ebtables", "ethtool", "runc")
PAUSE, BUSYBOX = "stead-test/pause:1", "stead-test/busybox:1"
NODE = "stead-node"
READY_WITHIN = 90.0  # seconds
BRIDGE, ADDRESS, RANGE = "stead-k8s", "172.31.253.1", "172.31.253.1/24"
# Where this process may not lower anybody's score for the killer of processes, neither may what it starts.
RUNTIME = """#!/bin/sh
previous=""
for word in "$@"; do
    [ "$previous" = --bundle ] && sed -i 's/"oomScoreAdj":-[0-9]*/"oomScoreAdj":0/' "$word/config.json"
    previous=$word
done
exec RUNC "$@"
"""


@dataclass
class Whole:
    """:ivar address: at which pods reach this machine."""

    server: Server
    engine: str
    address: str = ADDRESS

    def nodes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.server.ask("GET", "/api/v1/nodes")["items"]
        return found

    def is_ready(self) -> bool:
        conditions = [item for node in self.nodes() for item in node["status"].get("conditions", ())]
        return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def _engine(session: Session, folder: Path) -> str:
    """An engine of the cluster's own: the shared one is left as it is."""
    runtime = folder / "runtime"
    runtime.write_text(RUNTIME.replace("RUNC", shutil.which("runc") or "runc"))
    runtime.chmod(0o755)
    url = f"unix://{folder / 'docker.sock'}"
    session.spawn(
        f"{folder.name}-dockerd",
        ["dockerd", f"--host={url}", f"--data-root={folder / 'docker'}", f"--exec-root={folder / 'exec'}",
         f"--pidfile={folder / 'docker.pid'}", f"--bridge={BRIDGE}", "--iptables=false", "--ip-masq=false",
         "--exec-opt=native.cgroupdriver=cgroupfs", f"--add-runtime=stead={runtime}", "--default-runtime=stead"],
    )  # fmt: skip

    def answers() -> bool:
        with DockerApi(url) as api:
            return api.answers()

    eventually(answers, READY_WITHIN, what="the cluster's engine")
    return url


def _images(url: str, binaries: Path) -> None:
    with DockerApi(url) as api:
        pause = tar_of({"pause": (binaries / "pause").read_bytes()}, mode=0o755)
        api.import_image(PAUSE, [pause], ['ENTRYPOINT ["/pause"]'])
        api.import_image(BUSYBOX, [_busybox_root(_static_busybox())], ["ENV PATH=/bin", 'CMD ["/bin/sh"]'])


def _kubelet(session: Session, binaries: Path, folder: Path, config: str, engine: str) -> None:
    settings = {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "address": ADDRESS,
        "port": find_free_port(),
        "healthzPort": 0,
        "readOnlyPort": 0,
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "evictionHard": {},
        "makeIPTablesUtilChains": False,
        "imageGCHighThresholdPercent": 100,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
    }
    (folder / "kubelet.json").write_text(json.dumps(settings))
    session.spawn(
        f"{folder.name}-kubelet",
        [str(binaries / "kubelet"), f"--config={folder / 'kubelet.json'}", f"--kubeconfig={config}",
         "--container-runtime=docker", f"--docker-endpoint={engine}", f"--pod-infra-container-image={PAUSE}",
         "--network-plugin=", f"--hostname-override={NODE}", f"--node-ip={ADDRESS}",
         f"--root-dir={folder / 'kubelet'}", f"--cert-dir={folder / 'kubelet-certificates'}"],
    )  # fmt: skip


def _link(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=30, capture_output=True)


@contextmanager
def whole_cluster(session: Session) -> Iterator[Whole]:
    """The cluster, ready to take pods; left out where this machine cannot have one."""
    binaries = programs()
    missing = [name for name in TOOLS if shutil.which(name) is None]
    if os.geteuid() != 0 or missing or not (binaries / "kubelet").is_file():
        leave_out(PART, f"it needs root, and {', '.join(missing) or 'a kubelet'}")
    subprocess.run(["ip", "link", "delete", BRIDGE], check=False, capture_output=True, timeout=30)
    _link("link", "add", BRIDGE, "type", "bridge")
    try:
        _link("address", "add", RANGE, "dev", BRIDGE)
        _link("link", "set", BRIDGE, "up")
        yield _started(session, binaries)
    finally:
        subprocess.run(["ip", "link", "delete", BRIDGE], check=False, capture_output=True, timeout=30)


def _started(session: Session, binaries: Path) -> Whole:
    more = ("--kubelet-preferred-address-types=InternalIP",)
    found = start(session, binaries, "cluster", ADDRESS, more)
    folder = session.folder / "cluster"
    engine = _engine(session, folder)
    _images(engine, binaries)
    session.spawn(
        "cluster-scheduler",
        [str(binaries / "kube-scheduler"), f"--kubeconfig={found['config']}", "--leader-elect=false",
         "--port=0", "--secure-port=0"],
    )  # fmt: skip
    _kubelet(session, binaries, folder, found["config"], engine)
    whole = Whole(Server(found["url"], found["authority"], found["tokens"]), engine)
    try:
        eventually(whole.is_ready, READY_WITHIN, what="a node that is ready")
    except AssertionError as error:
        log = (session.folder / "cluster-kubelet.log").read_text(errors="replace")
        raise AssertionError(f"{error}\n{log[-3000:]}") from error
    return whole
