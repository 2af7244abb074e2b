"""A strict stand-in for Azure's resource manager, over TLS, for the real SDK.

It checks paths, ``api-version``, tokens, permissions and every body against the models of the SDK, knows operations
that take time and fail, and what of Azure's rules matters here: nothing is deleted that is in use, disks
do not shrink, and machines exist although their creation failed.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import ssl
import threading
import urllib.parse
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import azure_rules as rules
from azure_schema import MODULES, problems

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
TENANT = "22222222-2222-2222-2222-222222222222"
CLIENT = "33333333-3333-3333-3333-333333333333"
OBJECT = "44444444-4444-4444-4444-444444444444"
SECRET = "hunter2-hunter2"
Found = dict[str, Any]
LATE = 30.0  # seconds after which a late answer is given up


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers


@dataclass
class Fault:
    """What goes wrong with the next requests that match.

    :param kind: ``refuse`` (answer with an error), ``drop`` (hang up before doing it), ``lose`` (do it and hang up),
        ``late`` (do it and say nothing), ``after`` (do it and say that it failed), ``fail`` (the operation ends badly),
        ``vanish`` (done, and gone at once), ``hang`` (the operation never ends).
    :param after: method and pattern of a request: only once Azure has carried it out.
    """

    method: str
    pattern: str
    kind: str
    times: int = 1
    status: int = 500
    code: str = "InternalServerError"
    message: str = "An error has occurred"
    headers: dict[str, str] = field(default_factory=dict)
    after: tuple[str, str] | None = None
    seen: int = 0


@dataclass
class Operation:
    path: str
    polls: int
    finish: Callable[[], None]
    error: Found | None = None
    status: str = "InProgress"


class AzurePeer:
    """One subscription."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.lock = threading.RLock()
        self.things: dict[str, Found] = {}
        self.operations: dict[str, Operation] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        self.done: list[tuple[str, str]] = []  # requests that were carried out
        self.calmed = threading.Event()
        self.complaints: list[str] = []
        self.granted: set[str] | None = None  # actions; None is everything
        self.used: set[str] = set()
        self.polls = 1  # looks that an operation takes
        self.secret = SECRET
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"peer": self}))
        self.server.daemon_threads = True
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def reset(self) -> None:
        """As new."""
        with self.lock:
            self.calm()
            for held in (self.things, self.operations, self.requests, self.complaints, self.used):
                held.clear()
            self.granted, self.polls, self.secret = None, 1, SECRET

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)

    def fault(self, method: str, pattern: str, kind: str, **options: Any) -> Fault:
        made = Fault(method, pattern, kind, **options)
        with self.lock:
            self.faults.append(made)
        return made

    def of(self, kind: str) -> list[Found]:
        """Everything of a kind, ``disks`` and the like."""
        with self.lock:
            return [item for path, item in self.things.items() if path.split("/")[-2] == kind.lower()]

    def calls(self, method: str, pattern: str) -> int:
        return sum(1 for verb, path in self.requests if verb == method and re.search(pattern, path, re.IGNORECASE))

    def take(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for item in self.faults:
                if not (item.method == method and item.times > 0 and re.search(item.pattern, path, re.IGNORECASE)):
                    continue
                if item.after is None or self.is_done(*item.after):
                    item.times -= 1
                    item.seen += 1
                    return item
        return None

    def is_done(self, method: str, pattern: str) -> bool:
        return any(verb == method and re.search(pattern, path, re.IGNORECASE) for verb, path in self.done)

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        with self.lock:
            self.faults.clear()
            self.done.clear()
            self.calmed.set()
            self.calmed = threading.Event()

    def token(self) -> str:
        claims = {"appid": CLIENT, "oid": OBJECT, "tid": TENANT, "aud": self.address}
        parts = [base64.urlsafe_b64encode(json.dumps(item).encode()).rstrip(b"=") for item in ({"alg": "none"}, claims)]
        return b".".join([*parts, b"signed"]).decode()

    # What the resource manager does

    def permit(self, action: str) -> None:
        with self.lock:
            self.used.add(action)
        if self.granted is not None and action.lower() not in {item.lower() for item in self.granted}:
            raise Refused(
                403,
                "AuthorizationFailed",
                f"The client '{CLIENT}' with object id '{OBJECT}' does not have authorization to perform action "
                f"'{action}' over scope '/subscriptions/{SUBSCRIPTION}' or the scope is invalid.",
            )

    def check_body(self, route: rules.Route, body: Any, model: str) -> None:
        found = list(problems(getattr(MODULES[route.client], model), body, "body"))
        if found:
            self.complaints += found
            raise Refused(400, "InvalidRequestContent", "; ".join(found))

    def begin(self, path: str, finish: Callable[[], None], fault: Fault | None) -> str:
        """An operation that takes some looks; returns its address."""
        name = str(uuid.uuid4())
        error = {"code": fault.code, "message": fault.message} if fault and fault.kind == "fail" else None
        polls = 10**9 if fault and fault.kind == "hang" else self.polls
        self.operations[name] = Operation(path, polls, finish, error)
        if polls == 0:
            self.look(name)
        return f"{self.address}/subscriptions/{SUBSCRIPTION}/operations/{name}?api-version=2024-01-01"

    def look(self, name: str) -> Operation:
        with self.lock:
            operation = self.operations[name]
            if operation.status == "InProgress":
                operation.polls -= 1
                if operation.polls < 0 or self.polls == 0:
                    operation.status = "Failed" if operation.error else "Succeeded"
                    thing = self.things.get(operation.path)
                    if operation.error and thing is not None and "properties" in thing:
                        thing["properties"]["provisioningState"] = "Failed"
                    if not operation.error:
                        operation.finish()
            return operation


class Handler(BaseHTTPRequestHandler):
    peer: AzurePeer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and content are two packets: each answer would take 40 ms longer

    def log_message(self, *_: object) -> None:
        """Silence."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def do_PATCH(self) -> None:
        self._serve("PATCH")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        split = urllib.parse.urlsplit(self.path)
        path, query = split.path, {k: v[0] for k, v in urllib.parse.parse_qs(split.query).items()}
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if "/oauth2/" in path or ".well-known" in path:
                self._identity(path, raw)
                return
            self.peer.requests.append((method, path))
            fault = self.peer.take(method, path)
            if fault and fault.kind == "drop":
                self.close_connection = True
                self.connection.close()
                return
            if fault and fault.kind == "refuse":
                raise Refused(fault.status, fault.code, fault.message, **fault.headers)
            self._authorized()
            status, body, headers = self._manage(method, path, query, raw, fault)
            self.peer.done.append((method, path))
            if fault and fault.kind == "late":
                self.peer.calmed.wait(LATE)
            if fault and fault.kind in ("lose", "late"):
                self.close_connection = True
                self.connection.close()
                return
            if fault and fault.kind == "after":
                raise Refused(fault.status, fault.code, fault.message, **fault.headers)
            self._answer(status, body, headers)
        except Refused as refused:
            body = {"error": {"code": refused.code, "message": refused.message}}
            self._answer(refused.status, body, refused.headers)

    def _answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name.replace("_", "-"), value)
        if body is not None:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _identity(self, path: str, raw: bytes) -> None:
        peer = self.peer
        if ".well-known" in path:
            base = f"{peer.address}/{TENANT}"
            found = {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
            }
            self._answer(200, found)
            return
        form = {name: values[0] for name, values in urllib.parse.parse_qs(raw.decode()).items()}
        good = form.get("client_secret") == peer.secret and form.get("client_id") == CLIENT
        if not good:
            text = f"AADSTS7000215: Invalid client secret provided. Trace ID: {uuid.uuid4()} Correlation ID: x"
            self._answer(401, {"error": "invalid_client", "error_description": text, "error_codes": [7000215]})
            return
        if form.get("scope") != f"{peer.address}/.default":
            self._answer(400, {"error": "invalid_scope", "error_description": "AADSTS70011: The scope is not valid."})
            return
        self._answer(200, {"token_type": "Bearer", "expires_in": 3600, "access_token": peer.token()})

    def _authorized(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {self.peer.token()}":
            raise Refused(401, "InvalidAuthenticationToken", "The access token is invalid.")

    def _manage(
        self, method: str, path: str, query: dict[str, str], raw: bytes, fault: Fault | None
    ) -> tuple[int, Any, dict[str, str]]:
        peer = self.peer
        if "api-version" not in query:
            raise Refused(400, "MissingApiVersionParameter", "The api-version query parameter is required.")
        if not re.fullmatch(r"20\d\d-\d\d-\d\d(-preview)?", query["api-version"]):
            raise Refused(400, "InvalidApiVersionParameter", "The api-version is invalid.")
        operation = re.search(r"/operations/([^/]+)$", path)
        if operation:
            return self._operation(operation[1])
        if not path.lower().startswith(f"/subscriptions/{SUBSCRIPTION}"):
            raise Refused(404, "SubscriptionNotFound", "The subscription could not be found.")
        body = json.loads(raw) if raw else None
        with peer.lock:
            return rules.serve(peer, method, path, query, body, fault)

    def _operation(self, name: str) -> tuple[int, Any, dict[str, str]]:
        if name not in self.peer.operations:
            raise Refused(404, "NotFound", "There is no such operation.")
        found = self.peer.look(name)
        body: Found = {"name": name, "status": found.status}
        if found.status == "Failed":
            body["error"] = found.error
        return 200, body, {"Retry_After": "0"}


def new_mac() -> str:
    return "-".join(f"{octet:02X}" for octet in (0x00, 0x0D, 0x3A, *secrets.token_bytes(3)))
