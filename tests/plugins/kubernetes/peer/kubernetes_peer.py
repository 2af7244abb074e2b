"""A real API server with its controllers, for one run of the suite, and an account in it with Stead's own role.

``build`` beside this file makes the programs. Where they are not in the cache, what needs them is left out by name.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from stead.testing.left_out import leave_out
from stead.testing.session import Session, cache_folder
from stead.testing.waiting import eventually, find_free_port
from stead_kubernetes import policy
from stead_kubernetes.kinds import RBAC

FOLDER = "kubernetes-1.20.2"
PART = "Kubernetes API server"
READY_WITHIN = 120.0  # seconds
STEAD, ADMIN = "stead", "admin"
SAFE_AFTER = 30.0  # seconds that one request of the tests' own may take


def programs() -> Path:
    """The folder with what ``build`` has made."""
    folder = cache_folder() / FOLDER
    if not (folder / "complete").is_file():
        leave_out(PART, f"{folder} has no programs; ./test --all builds them, or tests/plugins/kubernetes/peer/build")
    return folder


@dataclass
class Server:
    """Where it is, and a client of the tests' own, which may do everything."""

    url: str
    authority: str
    tokens: dict[str, str] = field(repr=False)

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        """One request as administrator; the answer's object, or ``None`` where there is no such thing."""
        context = ssl.create_default_context(cafile=self.authority)
        handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        opener = urllib.request.build_opener(*handlers)
        headers = {"Authorization": f"Bearer {self.tokens[ADMIN]}", "Content-Type": kind, "Accept": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, content, headers, method=method)
        try:
            with opener.open(request, timeout=SAFE_AFTER) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def namespace(self, name: str) -> None:
        """Make a namespace, unless another process of this run has, and wait until pods can be made in it."""
        with contextlib.suppress(AssertionError):
            self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        eventually(lambda: (self.ask("GET", account) or {}).get("secrets"), READY_WITHIN, what=f"namespace {name}")

    def kubeconfig(self, path: Path, user: str = STEAD) -> Path:
        """A kubeconfig with a context for this server, and one that leads nowhere."""
        content = {
            "clusters": [
                {"name": "here", "cluster": {"server": self.url, "certificate-authority": self.authority}},
                {"name": "nowhere", "cluster": {"server": "https://127.0.0.1:9"}},
            ],
            "users": [{"name": name, "user": {"token": token}} for name, token in self.tokens.items()],
            "contexts": [
                {"name": "away", "context": {"cluster": "nowhere", "user": user}},
                {"name": "home", "context": {"cluster": "here", "user": user}},
            ],
            "current-context": "away",
        }
        path.write_text(json.dumps(content))
        return path


def _keys(folder: Path) -> Path:
    """The key that signs tokens of service accounts."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path = folder / "accounts.pem"
    form = serialization.PrivateFormat.TraditionalOpenSSL
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return path


def _etcd(session: Session, binaries: Path, folder: Path) -> str:
    client, peer = (f"http://127.0.0.1:{find_free_port()}" for _ in range(2))
    session.spawn(
        f"{folder.name}-etcd",
        [str(binaries / "etcd"), "--data-dir", str(folder / "etcd"), "--unsafe-no-fsync", "--log-level=error",
         f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}",
         f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}"],
    )  # fmt: skip
    return client


def start(
    session: Session, binaries: Path, name: str = "kubernetes", bind: str = "127.0.0.1", more: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Start etcd, the API server and the controllers. Gives what a :class:`Server` is made of."""
    folder = session.folder / name
    folder.mkdir()
    tokens = {name: secrets.token_hex(16) for name in (ADMIN, STEAD, "reader")}
    lines = [
        f'{tokens[ADMIN]},{ADMIN},1,"system:masters"',
        f"{tokens[STEAD]},{STEAD},2",
        f"{tokens['reader']},reader,3",
    ]
    (folder / "tokens").write_text("\n".join(lines) + "\n")
    key, port, etcd = _keys(folder), find_free_port(), _etcd(session, binaries, folder)
    session.spawn(
        f"{folder.name}-apiserver",
        [str(binaries / "kube-apiserver"), f"--etcd-servers={etcd}", f"--bind-address={bind}",
         f"--secure-port={port}", "--insecure-port=0", f"--cert-dir={folder / 'certificates'}",
         f"--token-auth-file={folder / 'tokens'}", "--authorization-mode=RBAC", "--anonymous-auth=false",
         f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
         "--service-account-issuer=https://stead.test", "--service-cluster-ip-range=10.96.0.0/16",
         "--enable-aggregator-routing=false", "--profiling=false", *more],
    )  # fmt: skip
    authority = folder / "certificates" / "apiserver.crt"
    server = Server(f"https://{bind}:{port}", str(authority), tokens)
    eventually(authority.is_file, READY_WITHIN, what="the API server's certificate")
    errors = (OSError, AssertionError, json.JSONDecodeError)
    eventually(
        lambda: server.ask("GET", "/api/v1/namespaces/default"), READY_WITHIN, ignoring=errors, what="the API server"
    )
    config = server.kubeconfig(folder / "controllers.json", ADMIN)
    content = json.loads(config.read_text())
    config.write_text(json.dumps({**content, "current-context": "home"}))
    session.spawn(
        f"{folder.name}-controllers",
        [str(binaries / "kube-controller-manager"), f"--kubeconfig={config}", "--leader-elect=false", "--port=0",
         "--secure-port=0", f"--service-account-private-key-file={key}", "--concurrent-namespace-syncs=10",
         f"--root-ca-file={authority}", "--pvclaimbinder-sync-period=1s"],
    )  # fmt: skip
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    eventually(lambda: (server.ask("GET", account) or {}).get("secrets"), READY_WITHIN, what="the controllers")
    _grant(server)
    return {"url": server.url, "authority": server.authority, "tokens": tokens, "config": str(config)}


def _grant(server: Server) -> None:
    """The role that the policy command prints, for the user who the plugin is in the tests."""
    server.ask("POST", f"/apis/{RBAC}/v1/clusterroles", policy.role())
    binding = policy.binding("default:nobody")
    binding["subjects"] = [{"kind": "User", "name": STEAD, "apiGroup": RBAC}]
    server.ask("POST", f"/apis/{RBAC}/v1/clusterrolebindings", binding)


def shared(session: Session) -> Server:
    """The server of this run."""
    binaries = programs()
    found = session.shared("kubernetes", lambda: start(session, binaries))
    return Server(found["url"], found["authority"], found["tokens"])


@contextmanager
def node(server: Server, namespace: str) -> Iterator[Node]:
    """Does for a namespace what a node does: its pods run as soon as they are there."""
    hand = Node(server, namespace)
    thread = threading.Thread(target=hand.run, daemon=True)
    thread.start()
    try:
        yield hand
    finally:
        hand.ended.set()
        thread.join(60)


class Node:
    """:ivar statuses: what to say of pods whose image is named there, in place of that they run."""

    def __init__(self, server: Server, namespace: str) -> None:
        self.server, self.namespace = server, namespace
        self.ended = threading.Event()
        self.statuses: dict[str, dict[str, Any]] = {}

    def run(self) -> None:
        while not self.ended.wait(0.1):
            # A pod that is gone meanwhile, or a server that is slow: it is looked at again.
            with contextlib.suppress(AssertionError, OSError, ValueError):
                self._look()

    def _look(self) -> None:
        listed = self.server.ask("GET", f"/api/v1/namespaces/{self.namespace}/pods")
        for pod in (listed or {}).get("items", ()):
            if pod["status"].get("phase") != "Running" and not pod["metadata"].get("deletionTimestamp"):
                self._tell(pod)

    def _tell(self, pod: dict[str, Any]) -> None:
        container = pod["spec"]["containers"][0]
        status = self.statuses.get(container["image"]) or _running(container)
        if all(pod["status"].get(name) == value for name, value in status.items()):
            return
        path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/status"
        body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status}
        self.server.ask("PATCH", path, body, "application/merge-patch+json")


def _running(container: dict[str, Any]) -> dict[str, Any]:
    now = "2026-01-01T00:00:00Z"
    started = {"running": {"startedAt": now}}
    return {
        "phase": "Running",
        "conditions": [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Ready", "ContainersReady")],
        "containerStatuses": [
            {"name": container["name"], "ready": True, "restartCount": 0, "image": container["image"],
             "imageID": "x", "state": started, "started": True}
        ],
    }  # fmt: skip
