"""The fake as an HTTP server: checks every request and every answer against the published description."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from stead_gcp_peer import machines, permissions, things
from stead_gcp_peer.schema import Method, Refused, document
from stead_gcp_peer.world import ACCOUNT, ADDRESS, PROJECT, Found, Operation, Problem, World, not_found

TOKEN = "ya29.stead-test"
COLLECTIONS = {"instances": "instance", "disks": "disk", "addresses": "address", "firewalls": "firewall"}


@dataclass
class Fault:
    """What goes wrong, ``times`` times, at calls of which the method's id matches.

    :param kind: ``status`` (answers ``status`` with ``reason``), ``lost`` (does it and breaks the connection),
        ``cut`` (breaks the connection and does nothing), ``fails`` (the operation ends with the error ``reason``),
        ``half`` (as ``fails``, and what was made stays), ``vanishes`` (as if it had succeeded, and it is gone),
        ``slow`` (the operation takes ``seconds``), ``broken`` (does it and answers 500), ``torn`` (does it, and half of
        the answer comes), ``late`` (does it, and no answer comes), ``gone`` (what it is about is gone before).
    """

    method: str
    kind: str
    times: int = 1
    status: int = 503
    reason: str = "backendError"
    seconds: float = 0.0


@dataclass
class Peer:
    """A running fake. ``calls`` are the ids of the methods that were called, in order."""

    world: World = field(default_factory=World)
    faults: list[Fault] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)
    granted: set[str] | None = None
    used: set[str] = field(default_factory=set)
    page: int = 500
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)

    def fault(self, method: str, *kinds: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.kind in kinds and re.fullmatch(fault.method, method):
                fault.times -= 1
                return fault
        return None

    def names(self, kind: str) -> list[str]:
        return sorted(thing["name"] for thing in self.world.all(kind).values())

    def require(self, names: list[str], project: str) -> None:
        self.used.update(names)
        for name in names:
            if name in self.denied or (self.granted is not None and name not in self.granted):
                raise Problem(403, "forbidden", f"Required '{name}' permission for 'projects/{project}'")


class Broken(Exception):
    """The connection is to be broken."""


class Late(Exception):
    """No answer is to come."""


class Torn(Exception):
    """Half of the answer is to come."""

    def __init__(self, answer: Found) -> None:
        super().__init__()
        self.answer = answer


def _answer(peer: Peer, http: str, path: str, query: dict[str, str], body: Any) -> Found:
    if path.startswith("/v1/projects/-/serviceAccounts/"):
        peer.require(["iam.serviceAccounts.get"], PROJECT)
        email = path.rpartition("/")[2]
        account = {
            "name": f"projects/{PROJECT}/serviceAccounts/{email}",
            "email": email,
            "uniqueId": "1077",
            "displayName": "Default",
        }
        document("iam.v1").check("ServiceAccount", account)
        return account
    if path.startswith("/v3/projects/"):
        document("cloudresourcemanager.v3").check("TestIamPermissionsRequest", body)
        wanted = body["permissions"]
        if len(wanted) > 100:
            raise Problem(400, "badRequest", "more than 100 permissions")
        return {
            "permissions": [n for n in wanted if n not in peer.denied and (peer.granted is None or n in peer.granted)]
        }
    api = document("compute.v1")
    found = api.match(http, path)
    if found is None:
        raise not_found(path)
    method, places = found
    peer.calls.append(method.id)
    fault = peer.fault(method.id, "status", "cut")
    if fault is not None:
        if fault.kind == "cut":
            raise Broken
        raise Problem(fault.status, fault.reason, "injected")
    api.check_request(method, places, query, body)
    peer.require(permissions.needed(method.id, query, body or {}), places["project"])
    if peer.fault(method.id, "gone") is not None:
        _forget(peer.world, method, places)
    answer = _do(peer, method, places, query, body)
    api.check(str(method.response), answer)
    _interrupt(peer.fault(method.id, "lost", "late", "torn", "broken"), answer)
    return answer


def _forget(world: World, method: Method, places: dict[str, str]) -> None:
    """Somebody else removes what the request is about."""
    kind = method.id.split(".")[1]
    path = f"projects/{places['project']}/{_place(places)}/{kind}/{_name(kind, places)}"
    if path in world.things:
        machines.delete(world, path) if kind == "instances" else world.things.pop(path)


def _interrupt(fault: Fault | None, answer: Found) -> None:
    """What was done stays; its answer does not arrive as it should."""
    if fault is None:
        return
    if fault.kind == "broken":
        raise Problem(500, "internalError", "injected")
    if fault.kind == "torn":
        raise Torn(answer)
    raise Broken if fault.kind == "lost" else Late


def _do(peer: Peer, method: Method, places: dict[str, str], query: dict[str, str], body: Any) -> Found:
    world = peer.world
    known = world.requests.get(query.get("requestId", ""))
    if known:
        return dict(world.operations[known].body)
    _, kind, verb = method.id.split(".")
    base = f"projects/{places['project']}"
    if kind.endswith("Operations"):
        place = (
            f"{kind.removesuffix('Operations')}s/{places[kind.removesuffix('Operations')]}"
            if "global" not in kind
            else "global"
        )
        path = f"{base}/{place}/operations/{places['operation']}"
        if path not in world.operations:
            raise not_found(path)
        return dict(world.operations[path].body)
    if verb in ("get", "getFromFamily"):
        return _read(world, kind, base, places)
    if verb in ("list", "aggregatedList"):
        return _listed(peer, kind, verb, base, places, query)
    return _changed(peer, method, places, query, body)


def _read(world: World, kind: str, base: str, places: dict[str, str]) -> Found:
    if kind == "projects":
        return {"name": PROJECT, "id": "123456789", "defaultServiceAccount": ACCOUNT, "selfLink": ADDRESS + base}
    if "family" in places:
        return things.image_of(world, f"{base}/global/images/family/{places['family']}")
    return json.loads(json.dumps(world.get(f"{base}/{_place(places)}/{kind}/{_name(kind, places)}")))


def _place(places: dict[str, str]) -> str:
    return next((f"{name}s/{places[name]}" for name in ("zone", "region") if name in places), "global")


def _name(kind: str, places: dict[str, str]) -> str:
    singular = {"instanceTemplates": "instanceTemplate"}.get(kind) or COLLECTIONS.get(kind, kind[:-1])
    return places.get(singular) or places["resource"]


def _matches(text: str, thing: Found) -> bool:
    """The few filters that are understood."""
    terms = text.split(" OR ")
    for term in terms:
        inner = re.fullmatch(r"\((.*)\)", term)
        if len(terms) > 1 and not inner:
            raise Problem(400, "invalid", f"Invalid list filter expression: {text}")
        plain = inner.group(1) if inner else term
        label = re.fullmatch(r'labels\.([a-z0-9_-]+) ?= ?"([^"]*)"', plain)
        other = re.fullmatch(r'(\w+) = "?([\w-]+)"?', plain)
        if not label and not other:
            raise Problem(400, "invalid", f"Invalid list filter expression: {text}")
        if label and thing.get("labels", {}).get(label.group(1)) == label.group(2):
            return True
        if other and str(thing.get(other.group(1))).lower() == other.group(2).lower():
            return True
    return False


def _listed(peer: Peer, kind: str, verb: str, base: str, places: dict[str, str], query: dict[str, str]) -> Found:
    scope = f"{base}/" if verb == "aggregatedList" else f"{base}/{_place(places)}/{kind}/"
    scope = f"{base}/{kind}/" if kind in ("zones", "regions") else scope
    found = [thing for path, thing in sorted(peer.world.all(kind).items()) if path.startswith(scope)]
    found = [thing for thing in found if "filter" not in query or _matches(query["filter"], thing)]
    start = int(query.get("pageToken", 0))
    page, more = found[start : start + peer.page], start + peer.page < len(found)
    answer: Found = {"kind": f"compute#{kind}List", "id": base, "selfLink": ADDRESS + base}
    if more:
        answer["nextPageToken"] = str(start + peer.page)
    if verb == "list":
        return {**answer, "items": page}
    items: Found = {"zones/us-central1-b": {"warning": {"code": "NO_RESULTS_ON_PAGE", "message": "none"}}}
    for thing in page:
        place = "/".join(peer.world.path(thing["selfLink"]).split("/")[2:4])
        items.setdefault(place, {}).setdefault(kind, []).append(thing)
    return {**answer, "items": items}


def _changed(peer: Peer, method: Method, places: dict[str, str], query: dict[str, str], body: Any) -> Found:
    world = peer.world
    _, kind, verb = method.id.split(".")
    place = _place(places)
    name = body["name"] if verb == "insert" else _name(kind, places)
    path = f"projects/{places['project']}/{place}/{kind}/{name}"
    finish = _change(world, kind, verb, path, query, body)
    operation = world.start(verb, path, place, query.get("requestId", ""), finish)
    _spoil(peer, method.id, operation, path, verb)
    return dict(operation.body)


def _change(world: World, kind: str, verb: str, path: str, query: dict[str, str], body: Any) -> Callable[[], None]:
    """Begin it; what is returned ends it."""
    if verb == "insert":
        return _inserted(world, kind, path, query, body)
    thing = world.get(path)
    if verb == "delete":
        if thing.get("deletionProtection"):
            raise Problem(
                400, "invalidUsage", f"Resource cannot be deleted if it's protected against deletion: '{path}'"
            )
        if kind == "instances":
            thing["status"] = "STOPPING"
            return lambda: machines.delete(world, path)
        if kind == "disks":
            return lambda: things.delete_disk(world, path)
        return lambda: world.things.pop(path, None) and None
    if kind == "instances":
        return machines.action(world, path, verb, query, body)
    return _altered(world, kind, verb, path, body)


def _altered(world: World, kind: str, verb: str, path: str, body: Any) -> Callable[[], None]:
    thing = world.get(path)
    if verb == "setLabels":
        things.expect(thing["labelFingerprint"], body.get("labelFingerprint"), "Labels")
        return lambda: things.set_labels(world, path, body)
    if verb == "resize":
        if int(body["sizeGb"]) <= int(thing["sizeGb"]):
            raise Problem(400, "invalid", "New disk size must be larger than existing size")
        return lambda: thing.update(sizeGb=body["sizeGb"])
    if verb == "update" and kind == "firewalls":
        kept = {name: thing[name] for name in ("id", "kind", "selfLink", "creationTimestamp")}
        network = {"network": things.full(world, body["network"])}
        return lambda: world.things.update({path: things.completed({**body, **kept, **network})})
    if verb == "update" and kind == "disks":
        return lambda: thing.update({name: value for name, value in body.items() if name != "name"})
    if verb == "createSnapshot":
        snapshot = path.split("/zones/", maxsplit=1)[0] + f"/global/snapshots/{body['name']}"
        return lambda: world.add(snapshot, {"name": body["name"], "sourceDisk": ADDRESS + path})
    raise Problem(501, "notImplemented", f"{kind}.{verb}")


def _inserted(world: World, kind: str, path: str, query: dict[str, str], body: Found) -> Callable[[], None]:
    if kind == "instances":
        machines.new(world, path, body, query.get("sourceInstanceTemplate"))
        return lambda: machines.run(world, path)
    if kind == "disks":
        things.new_disk(world, path, body)
        return lambda: things.finish_disk(world, path)
    if kind == "addresses":
        things.new_address(world, path, body)
        return lambda: world.things[path].update(status="RESERVED") if path in world.things else None
    things.new_firewall(world, path, body)
    return lambda: None


def _spoil(peer: Peer, method: str, operation: Operation, path: str, verb: str) -> None:
    """Let the operation fail, or its thing vanish."""
    fault = peer.fault(method, "fails", "half", "vanishes", "slow")
    if fault is None:
        return
    if fault.kind == "slow":
        operation.due = time.monotonic() + fault.seconds
        return
    finish = operation.finish

    def spoiled() -> None:
        if fault.kind == "half":
            finish()
        elif verb == "insert":
            finish()
            machines.delete(peer.world, path) if "/instances/" in path else peer.world.things.pop(path, None)
        if fault.kind != "vanishes":
            operation.refusal = (fault.status, fault.reason, f"injected: {fault.reason}")

    operation.finish = spoiled


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and content are two packets: each answer would take 40 ms longer
    peer: Peer

    def log_message(self, *arguments: Any) -> None:
        """Nothing on standard error."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        split, late, half = urlsplit(self.path), False, False
        answer: Found = {}
        with self.peer.world.lock:
            self.peer.world.settle()
            try:
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    raise Problem(401, "authError", "Invalid Credentials")
                query = dict(parse_qsl(split.query, keep_blank_values=True))
                status, answer = (
                    200,
                    _answer(self.peer, self.command, split.path, query, json.loads(raw) if raw else None),
                )
            except (Broken, Late) as end:
                self.close_connection, late = True, isinstance(end, Late)
                status = 0
            except Torn as torn:
                status, answer, self.close_connection = 200, torn.answer, True
                half = True
            except Refused as refusal:
                self.peer.problems.append(f"{self.command} {self.path}: {refusal}")
                status, answer = 400, _error(400, "invalid", str(refusal))
            except Problem as problem:
                status, answer = problem.status, _error(problem.status, problem.reason, problem.message)
        if status:
            self._send(status, answer, half=half)
        elif late:
            self.peer.released.wait(60)

    def _send(self, status: int, answer: Found, *, half: bool) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if half else content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - named by the standard library


def _error(status: int, reason: str, message: str) -> Found:
    item = {"message": message, "domain": "global", "reason": reason}
    return {"error": {"code": status, "message": message, "errors": [item]}}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that was broken on purpose."""


class Running:
    """``with Running() as peer: …``: a fake of its own on a free port."""

    def __enter__(self) -> Peer:
        peer = self._peer = Peer()
        handler = type("Handler", (_Handler,), {"peer": peer})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        peer.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return peer

    def __exit__(self, *exception: object) -> None:
        self._peer.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
