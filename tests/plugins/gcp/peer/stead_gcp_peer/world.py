"""What Google Cloud has: places, images, machine types, and what was made in them."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ADDRESS = "https://www.googleapis.com/compute/v1/"
PROJECT = "acme-dev"
REGION, ZONES = "us-central1", ("us-central1-a", "us-central1-b")
ACCOUNT = "123456789-compute@developer.gserviceaccount.com"
STAMP = "2026-01-02T03:04:05.678-08:00"
IMAGES = {
    "debian-cloud": ("debian-12-bookworm-v20260101", "debian-12"),
    "ubuntu-os-cloud": ("ubuntu-2404-noble-amd64-v20260101", "ubuntu-2404-lts-amd64"),
}
TYPES = {
    "e2-medium": (2, 4096, True),
    "e2-standard-2": (2, 8192, False),
    "e2-standard-4": (4, 16384, False),
    "e2-standard-8": (8, 32768, False),
    "n2-standard-4": (4, 16384, False),
}
Found = dict[str, Any]


class Problem(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


def not_found(path: str) -> Problem:
    return Problem(404, "notFound", f"The resource '{path}' was not found")


def fingerprint(value: Any) -> str:
    digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()[:8]
    return base64.b64encode(digest).decode()


@dataclass
class Operation:
    """Something that takes time: ``finish`` runs at its end and may refuse."""

    body: Found
    due: float
    finish: Callable[[], None]
    refusal: tuple[int, str, str] | None = None


@dataclass
class World:
    """All projects. Not for several threads at once: the server holds the lock."""

    delay: float = 0.02
    things: dict[str, Found] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(7_000_000_001))
    lock: Any = field(default_factory=threading.RLock)
    made: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for zone in ZONES:
            self._fixed("zones", zone, f"zones/{zone}", region=f"{ADDRESS}projects/{PROJECT}/regions/{REGION}")
            for name, (cpus, memory, shared) in TYPES.items():
                more = {"guestCpus": cpus, "memoryMb": memory, "isSharedCpu": shared, "description": name, "zone": zone}
                self._fixed("machineType", name, f"zones/{zone}/machineTypes/{name}", **more)
        self._fixed("region", REGION, f"regions/{REGION}")
        self._fixed("network", "default", "global/networks/default")
        for project, (name, family) in IMAGES.items():
            path = f"projects/{project}/global/images/{name}"
            body = {"kind": "compute#image", "name": name, "family": family, "status": "READY", "diskSizeGb": "10"}
            more = {"id": str(next(self.numbers)), "selfLink": ADDRESS + path, "creationTimestamp": STAMP}
            self.things[path] = {**body, **more, "archiveSizeBytes": "1000"}

    def _fixed(self, kind: str, name: str, place: str, **more: Any) -> None:
        path = f"projects/{PROJECT}/{place}"
        common = {"name": name, "id": str(next(self.numbers)), "selfLink": ADDRESS + path, "creationTimestamp": STAMP}
        up = {"status": "UP"} if kind in ("zones", "region") else {}
        self.things[path] = {**common, **up, **more}

    def add(self, path: str, body: Found) -> None:
        """Something that is there from outside, such as an instance template."""
        self.things[path] = {
            "id": str(next(self.numbers)),
            "selfLink": ADDRESS + path,
            "creationTimestamp": STAMP,
            **body,
        }

    def path(self, link: str) -> str:
        """From ``projects/`` on."""
        head, found, rest = link.partition("/projects/")
        return f"projects/{rest}" if found else head

    def get(self, link: str) -> Found:
        path = self.path(link)
        if path not in self.things:
            raise not_found(path)
        return self.things[path]

    def all(self, kind: str) -> dict[str, Found]:
        return {path: thing for path, thing in self.things.items() if path.split("/")[-2] == kind}

    def settle(self) -> None:
        """End what is due."""
        now = time.monotonic()
        for operation in list(self.operations.values()):
            if operation.body["status"] != "DONE" and operation.due <= now:
                self._end(operation)

    def _end(self, operation: Operation) -> None:
        try:
            if operation.refusal is None:
                operation.finish()
        except Problem as problem:
            operation.refusal = (problem.status, problem.reason.upper(), problem.message)
        operation.body.update(status="DONE", progress=100, endTime=STAMP)
        if operation.refusal is not None:
            status, code, message = operation.refusal
            operation.body["error"] = {"errors": [{"code": code, "message": message}]}
            operation.body["httpErrorStatusCode"] = status
            operation.body["httpErrorMessage"] = "FAILED"

    def start(self, verb: str, target: str, place: str, request: str, finish: Callable[[], None]) -> Operation:
        """A new operation. ``place``: ``zones/z``, ``regions/r`` or ``global``."""
        number = str(next(self.numbers))
        project = target.split("/")[1]
        path = f"projects/{project}/{place}/operations/operation-{number}"
        body: Found = {
            "kind": "compute#operation",
            "id": number,
            "name": f"operation-{number}",
            "operationType": verb,
            "targetLink": ADDRESS + target,
            "status": "RUNNING",
            "progress": 0,
            "insertTime": STAMP,
            "startTime": STAMP,
            "selfLink": ADDRESS + path,
        }
        kind, _, name = place.partition("/")
        if name:
            body[kind.removesuffix("s")] = f"{ADDRESS}projects/{project}/{place}"
        operation = Operation(body, time.monotonic() + self.delay, finish)
        self.operations[path] = operation
        if request:
            self.requests[request] = path
        return operation
