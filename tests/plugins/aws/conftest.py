"""AWS: a moto server, and before it a small proxy that fails in the ways in which AWS does."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.client
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stead.api.provider import BuildContext, Context, Owner, Resource, Unknown
from stead.testing.left_out import leave_out
from stead_aws.settings import AwsSettings

REGION = "us-east-1"
ENVIRONMENT = {
    "MOTO_ENABLE_AMI_VALIDATION": "1",
    "MOTO_ENABLE_KEYPAIR_VALIDATION": "1",
    "MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION": "1",
}

# moto fails where AWS says that there is nothing to undo any more.
GONE_TWICE = {
    "CancelSpotInstanceRequests": "InvalidSpotInstanceRequestID.NotFound",
    "RemoveRoleFromInstanceProfile": "NoSuchEntity",
}

Answer = tuple[int, Any, bytes]  # status, headers, body
LATE = 30.0  # seconds after which a late answer is given up


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def moto_server(**environment: str) -> Iterator[str]:
    """A moto server of its own; its address."""
    try:
        import moto.server  # noqa: F401
    except ImportError:
        leave_out("AWS peer (moto)", "pip install 'stead-aws[test]'")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(
        command,
        env={**os.environ, **ENVIRONMENT, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            _wait_for(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    pytest.fail("moto did not come up")


@dataclass
class Fault:
    """What happens to calls of one operation.

    :param kind: ``throttle``, ``error`` and any code: answered so without asking AWS; ``drop``: hangs up; ``lost``: AWS
        does it, and the answer never comes; ``late``: the same, and the line stays open; ``after``: AWS does it and
        says that it failed; ``vanish``: AWS does it, and then somebody else undoes it (``undo``); ``empty``: a listing
        knows nothing yet; ``rewrite``: the answer says something else.
    :param times: how often, then it is over.
    :param after: only once AWS has done this operation.
    :param rewrite: what the answer says, and what it is to say.
    """

    operation: str
    kind: str
    times: int = 1
    code: str = ""
    status: int = 503
    undo: Callable[[str], None] | None = None
    after: str = ""
    rewrite: tuple[bytes, bytes] = (b"", b"")
    seen: int = 0


@dataclass
class Edge:
    """The proxy: where faults are set, and what was called."""

    address: str = ""
    account: str = field(default_factory=lambda: "".join(secrets.choice("123456789") for _ in range(12)))
    faults: list[Fault] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)  # what has reached AWS
    tokens: dict[str, Answer] = field(default_factory=dict)
    calmed: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def renew(self) -> None:
        """Another account, in which nothing has happened."""
        with self.lock:
            self.account = "".join(secrets.choice("123456789") for _ in range(12))
            self.faults, self.calls, self.done, self.tokens = [], [], [], {}

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        with self.lock:
            self.faults, self.calls, self.done = [], [], []
            self.calmed.set()
            self.calmed = threading.Event()

    def fail(self, operation: str, kind: str = "throttle", **options: Any) -> Fault:
        made = Fault(operation, kind, **options)
        with self.lock:
            self.faults.append(made)
        return made

    def take(self, operation: str) -> Fault | None:
        with self.lock:
            self.calls.append(operation)
            for fault in self.faults:
                if fault.times > 0 and re.fullmatch(fault.operation, operation) and self._is_due(fault):
                    fault.times -= 1
                    fault.seen += 1
                    return fault
        return None

    def _is_due(self, fault: Fault) -> bool:
        return not fault.after or any(re.fullmatch(fault.after, name) for name in self.done)

    def once(self, token: str, call: Callable[[], Answer]) -> Answer:
        """AWS takes two calls with the same client token for one call; moto does not."""
        with self.lock:
            known = self.tokens.get(token) if token else None
        if known is not None:
            return known
        answer = call()
        if token and answer[0] == 200:
            with self.lock:
                self.tokens[token] = answer
        return answer

    def count(self, operation: str) -> int:
        with self.lock:
            return self.calls.count(operation)


def _suited(body: bytes) -> bytes:
    """moto takes the user data of a change one decoding too early."""
    fields = urllib.parse.parse_qsl(body.decode("latin-1"), keep_blank_values=True)
    if not any(name == "UserData.Value" for name, _ in fields):
        return body
    again = {"UserData.Value": lambda text: base64.b64encode(text.encode()).decode()}
    return urllib.parse.urlencode([(name, again.get(name, str)(value)) for name, value in fields]).encode()


def _handler(edge: Edge, port: int) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - one branch for each kind
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # headers and body in one packet: else each answer waits for an acknowledgement

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fields = urllib.parse.parse_qs(body.decode("latin-1"))
            operation = fields.get("Action", [""])[0]
            fault = edge.take(operation)
            kind = fault.kind if fault else ""
            if fault is not None and kind in ("throttle", "error"):
                self._refuse(fault)
                return
            if kind == "drop":
                self._hang_up()
                return
            token = fields.get("ClientToken", [""])[0]
            status, headers, answer = edge.once(token, lambda: self._forward(body))
            with edge.lock:
                edge.done.append(operation)
            if status == 500 and operation in GONE_TWICE:
                fault = Fault(operation, "error", code=GONE_TWICE[operation], status=400)
                self._refuse(fault)
                return
            if kind == "late":
                edge.calmed.wait(LATE)
            if kind in ("lost", "late"):
                self._hang_up()
                return
            if fault is not None and kind == "after":
                self._refuse(fault)
                return
            if fault is not None and fault.undo is not None:
                fault.undo(answer.decode())
            if fault is not None and kind == "rewrite":
                answer = re.sub(*fault.rewrite, answer)
            if kind == "empty":
                answer = re.sub(rb"(?s)<(\w+)>\s*<item>.*</item>\s*</\1>", rb"<\1/>", answer)
            self._send(status, headers.get("Content-Type", "text/xml"), answer)

        def _hang_up(self) -> None:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def _forward(self, body: bytes) -> Answer:
            inner = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                body = _suited(body)
                headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                headers["Content-Length"] = str(len(body))
                headers["x-moto-account-id"] = edge.account
                inner.request("POST", self.path, body, headers)
                response = inner.getresponse()
                return response.status, response.headers, response.read()
            finally:
                inner.close()

        def _refuse(self, fault: Fault) -> None:
            code = fault.code or "RequestLimitExceeded"
            error = f"<Code>{code}</Code><Message>Injected {code}.</Message>"
            iam = b"iam" in (self.headers.get("Authorization") or "").encode()
            text = (
                f"<ErrorResponse><Error>{error}</Error><RequestId>1</RequestId></ErrorResponse>"
                if iam
                else f"<Response><Errors><Error>{error}</Error></Errors><RequestID>1</RequestID></Response>"
            )
            self._send(fault.status, "text/xml", text.encode())

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Nobody reads it."""

    return Handler


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    with moto_server() as address:
        yield address


@pytest.fixture(scope="session")
def session_edge(moto: str) -> Iterator[Edge]:
    """The proxy before moto that all tests with an account of their own go through, one after the other."""
    with open_edge(moto) as made:
        yield made


@pytest.fixture
def edge(session_edge: Edge) -> Edge:
    """The proxy, with an account that nobody has used."""
    session_edge.renew()
    return session_edge


@pytest.fixture(scope="module")
def shared_edge(moto: str) -> Iterator[Edge]:
    """A proxy before moto, for tests that share an account."""
    with open_edge(moto) as made:
        yield made


@dataclass
class Clients:
    """The SDK's clients of one address: making them takes most of a second, so that tests share them."""

    ec2: Any
    iam: Any
    cloud: Any


@functools.cache
def clients(settings_json: str) -> Clients:
    """Clients for settings in JSON, secrets and all."""
    from stead_aws.provider import Aws

    settings = AwsSettings.model_validate_json(settings_json)
    cloud = Aws(settings=settings).cloud
    made = [cloud.session.client(name, endpoint_url=settings.endpoints[name]) for name in ("ec2", "iam")]
    return Clients(*made, cloud)


def share(provider: Any, cloud: Any) -> None:
    """Let a provider use the clients of ``cloud``; what it knows of the account stays its own."""
    provider.cloud._session, provider.cloud._clients = cloud.session, cloud._clients


@contextlib.contextmanager
def open_edge(moto: str) -> Iterator[Edge]:
    made = Edge()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made, int(moto.rpartition(":")[2])))
    server.daemon_threads = True
    made.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join(10)


@dataclass
class Rig:
    """An account of its own on the server, with a deployment and a workspace in it."""

    edge: Edge
    given: AwsSettings | None = None
    name: str = field(default_factory=lambda: f"stead-test-{secrets.token_hex(5)}")
    log: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        from stead_aws.platform import AwsPlatform
        from stead_aws.provider import Aws

        endpoints = dict.fromkeys(("ec2", "iam", "sts"), self.edge.address)
        self.settings = self.given or AwsSettings(
            region=REGION,
            access_key="test",
            secret_key="secret",
            endpoints=endpoints,
            pause=0.01,
            poll=0.02,
            settle=0.5,
            timeout=10,
        )
        self.provider = Aws(settings=self.settings)
        self.platform = AwsPlatform(self.settings)
        secret = self.settings.secret_key.get_secret_value() if self.settings.secret_key else None
        made = clients(json.dumps({**self.settings.model_dump(mode="json"), "secret_key": secret}))
        share(self.provider, made.cloud)
        share(self.platform._provider, made.cloud)
        self.ec2, self.iam = made.ec2, made.iam

    @property
    def build(self) -> BuildContext:
        return BuildContext(
            deployment=self.name,
            workspace_id=f"{self.name}-workspace",
            workspace_name="tester",
            build_id="build-1",
            owner=Owner(name="alice"),
        )

    def context(self, key: str = "", **options: Any) -> Context:
        def sink(level: str, text: str) -> None:
            self.log.append((level, text))

        options = {"provider": self.provider, "build": self.build, **options}
        return Context(key=key or secrets.token_hex(8), sink=sink, **options)

    def create(self, resource: Resource, key: str = "") -> Any:
        """Create it as the engine would: what is computed and not given is unknown before."""
        for attribute in type(resource).schema().attributes.values():
            value = getattr(resource, attribute.key)
            if value is None and attribute.has_default:
                setattr(resource, attribute.key, attribute.default)
            elif value is None and attribute.computed:
                setattr(resource, attribute.key, Unknown)
        context = self.context(key)
        if hasattr(resource, "tags_all"):
            resource.tags_all = resource.tags or {}
        resource.create(context)
        return resource

    @property
    def image(self) -> str:
        images = self.ec2.describe_images(Owners=["099720109477"])["Images"]
        return str(next(item["ImageId"] for item in images if item["Architecture"] == "x86_64"))

    def machines(self) -> list[dict[str, Any]]:
        groups = self.ec2.describe_instances()["Reservations"]
        found = [item for group in groups for item in group["Instances"]]
        return [item for item in found if item["State"]["Name"] not in ("terminated", "shutting-down")]

    def owned(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for item in self.platform.owned_resources(self.name):
            found.setdefault(item.type_name, []).append(item.identity)
        return found


@pytest.fixture
def rig(edge: Edge) -> Rig:
    return Rig(edge)


@pytest.fixture(scope="session")
def rig_of() -> Callable[[Edge], Rig]:
    """A rig behind an edge, which gives up early."""

    def make(edge: Edge) -> Rig:
        endpoints = dict.fromkeys(("ec2", "iam", "sts"), edge.address)
        login: Any = {"region": REGION, "access_key": "test", "secret_key": "secret", "endpoints": endpoints}
        return Rig(edge, AwsSettings(**login, pause=0.005, poll=0.01, settle=1.5, timeout=2, attempts=8))

    return make


@pytest.fixture
def make_rig() -> Callable[[AwsSettings], Rig]:
    """A rig with credentials of one's own."""
    return lambda settings: Rig(Edge(settings.endpoints["ec2"]), settings)


@pytest.fixture(scope="session")
def moto_factory() -> Callable[..., Any]:
    """Starts further servers, with other settings."""
    return moto_server


@pytest.fixture
def forget_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's real credentials."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)


def moto_post(address: str, path: str, body: Any) -> None:
    inner = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
    inner.request("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode())
    inner.getresponse().read()
    inner.close()
