"""Runs of Terraform in tests: a journal and a log in memory, a platform in memory, and an engine.

The platform can fail in the ways in which platforms do, see :class:`Faults`.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from stead.api import ProviderSpec
from stead.api.errors import ProviderFailure, QuotaExceeded
from stead.api.provider import (
    BlockSchema,
    BuildContext,
    Context,
    DataSource,
    Nesting,
    ObjectSchema,
    Provider,
    Resource,
    attribute,
    between,
    block,
    one_of,
)
from stead.terraform.engine import Engine, EngineOptions
from stead.terraform.results import PlanResult, StateResult
from stead.terraform.run import Run


class MemoryJournal:
    """Keeps what is written to it. ``calls`` are the method names with their keys, in order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.calls: list[tuple[str, str]] = []
        self.entries: dict[str, dict[str, str]] = {}

    def intend(self, key: str, provider: str, type_name: str, address_hint: str) -> None:
        entry = {"provider": provider, "type_name": type_name, "address_hint": address_hint}
        self._note("intend", key, {**entry, "status": "intended"})

    def created(self, key: str, identity: str, state_json: str) -> None:
        self._note("created", key, {"identity": identity, "state_json": state_json, "status": "created"})

    def failed(self, key: str) -> None:
        self._note("failed", key, {"status": "failed"})

    def deleted(self, key: str) -> None:
        self._note("deleted", key, {"status": "deleted"})

    def _note(self, call: str, key: str, values: Mapping[str, str]) -> None:
        with self._lock:
            self.calls.append((call, key))
            self.entries.setdefault(key, {}).update(values)

    def with_status(self, status: str) -> list[dict[str, str]]:
        with self._lock:
            return [entry for entry in self.entries.values() if entry["status"] == status]


@dataclass(frozen=True)
class Line:
    level: str
    stage: str
    text: str
    fields: Mapping[str, Any]


class BuildLog:
    """A build log in memory; call it as the engine's ``log``."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def __call__(self, level: str, stage: str, text: str, fields: Mapping[str, Any]) -> None:
        self.lines.append(Line(level, stage, text, dict(fields)))

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)


@dataclass
class Faults:
    """What goes wrong on the platform."""

    on_create: Exception | None = None
    after_create: Exception | None = None
    on_delete: Exception | None = None
    hang: bool = False
    stubborn: bool = False  # hangs without looking whether the build was canceled
    on_read: Exception | None = None


@dataclass
class Platform:
    """Things in memory, by identity."""

    things: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    entered: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def hang(self, context: Context) -> None:
        """Wait for the end of the build, as a slow platform makes a provider wait."""
        self.entered.set()
        if self.faults.stubborn:
            self.left.wait(60)
        while self.faults.hang:
            context.wait(0.05)


class Tag(BlockSchema):
    key: str = attribute(required=True)
    value: str = attribute(default="none")


class Point(ObjectSchema):
    x: int = attribute(required=True)
    y: int = attribute(default=7)
    name: str | None = attribute(computed=True)


class Port(ObjectSchema):
    number: int = attribute(required=True)
    protocol: str | None = attribute(optional=True)


class Thing(Resource, name="lab_thing", version=1):
    """Has an attribute or block of every kind."""

    id: str = attribute(computed=True)
    name: str = attribute(required=True, force_new=True)
    size: int = attribute(default=3, validators=[between(1, 10)])
    kind: str | None = attribute(optional=True, validators=[one_of("big", "small")])
    given: str | None = attribute(optional=True, computed=True)
    secret: str | None = attribute(optional=True, sensitive=True, conflicts_with=["kind"])
    password: str | None = attribute(optional=True, write_only=True)
    old: str | None = attribute(optional=True, deprecated="use kind")
    path: str | None = attribute(optional=True, normalize=lambda prior, new: prior.rstrip("/") == new.rstrip("/"))
    ratio: float | None = attribute(optional=True)
    flags: set[str] | None = attribute(optional=True)
    numbers: list[int] | None = attribute(optional=True)
    labels: dict[str, str] | None = attribute(optional=True)
    anything: Any = attribute(optional=True)
    point: Point | None = attribute(optional=True)
    points: list[Point] | None = attribute(optional=True)
    tags: list[Tag] = block(Tag, nesting=Nesting.SET)
    steps: list[Tag] = block(Tag, max_items=3)
    one: Tag | None = block(Tag, nesting=Nesting.SINGLE)
    named: dict[str, Tag] = block(Tag, nesting=Nesting.MAP)

    def create(self, context: Context) -> None:
        lab = _lab(context)
        lab.platform.hang(context) if lab.platform.faults.hang or lab.platform.faults.stubborn else None
        _raise(lab.platform.faults.on_create)
        if self.name in lab.platform.things:
            self.id = self.name
            context.adopt(lab.platform.things[self.name]["labels"]["stead.key"])
            self._settle()
            return
        self.id = f"thing-{next(lab.platform.numbers)}"
        lab.platform.things[self.id] = {
            "labels": context.labels,
            "password": self.password,
            "where": lab.where,
        }
        self._settle()
        context.log(f"made {self.name}")
        _raise(lab.platform.faults.after_create)

    def _settle(self) -> None:
        self.given = self.given if isinstance(self.given, str) else f"given-{self.id}"
        for point in [self.point, *(self.points or [])]:
            if point is not None:
                point.name = f"{point.x}/{point.y}"

    def read(self, context: Context) -> bool:
        _raise(_lab(context).platform.faults.on_read)
        return self.id in _lab(context).platform.things

    def update(self, context: Context, prior: Thing) -> None:
        _lab(context).platform.things[prior.id]["updated"] = True
        self._settle()

    def delete(self, context: Context) -> None:
        _raise(_lab(context).platform.faults.on_delete)
        _lab(context).platform.things.pop(self.id, None)

    @classmethod
    def import_(cls, context: Context, identity: str) -> Thing | None:
        found = identity in _lab(context).platform.things
        return cls(id=identity, name=identity, size=3, given="imported") if found else None

    @classmethod
    def upgrade(cls, version: int, state: dict[str, Any]) -> dict[str, Any]:
        return {**state, "name": state.get("title", state.get("name"))} if version == 0 else state


class Crate(Resource, name="lab_crate", virtual=True):
    """Has objects that may be written as blocks, and no ``update``."""

    id: str = attribute(computed=True)
    ports: list[Port] | None = attribute(optional=True, computed=True, as_blocks=True)

    def create(self, context: Context) -> None:
        context.check()
        self.id = "crate"
        self.ports = self.ports if isinstance(self.ports, list) else [Port(number=80)]

    def read(self, context: Context) -> bool:
        context.check()
        return True

    def delete(self, context: Context) -> None:
        context.check()


class Reading(DataSource, name="lab_reading"):
    """Says which of the provider's configurations it was asked through."""

    question: str = attribute(default="where")
    answer: str | None = attribute(computed=True)

    def read(self, context: Context) -> None:
        self.answer = f"{self.question}: {_lab(context).where} for {context.build.workspace_name}"


def shout(text: str, times: int) -> str:
    """In capitals, again and again."""
    if times < 0:
        raise ValueError("times must not be negative")
    return text.upper() * times


class Lab(Provider, address="example/lab", resources=[Thing, Crate], data_sources=[Reading], functions=[shout]):
    """A provider whose platform is a dict."""

    where: str = attribute(default="here")
    platform: ClassVar[Platform]

    def configure(self, context: Context) -> None:
        context.check()
        if self.where == "nowhere":
            raise ProviderFailure("There is no such place.", field="where", remedy="Go somewhere else.")


def _lab(context: Context) -> Lab:
    if not isinstance(context.provider, Lab):
        raise TypeError("the context has no lab")
    return context.provider


def _raise(error: Exception | None) -> None:
    if error is not None:
        raise error


def out_of_quota() -> QuotaExceeded:
    return QuotaExceeded("The quota of 3 things is used up.", field="name", remedy="Delete a thing first.")


def lab_spec(platform: Platform) -> ProviderSpec:
    """The lab's provider for one platform."""
    kind = type("BoundLab", (Lab,), {"platform": platform, "__module__": __name__})
    return ProviderSpec("example/lab", "Lab", factory=lambda _: kind())


@dataclass
class Workbench:
    """An engine with the lab's provider, and what its runs left."""

    engine: Engine
    folder: Path
    platform: Platform
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    log: BuildLog = field(default_factory=BuildLog)
    canceled: threading.Event = field(default_factory=threading.Event)
    context: BuildContext = field(default_factory=lambda: BuildContext(workspace_name="dev", workspace_id="w1"))
    timeout: float = 60
    count: int = 0

    def source(self, *texts: str) -> Path:
        """A template folder; the first text is ``main.tf``, others ``more1.tf`` ..."""
        self.count += 1
        folder = self.folder / f"source{self.count}"
        folder.mkdir()
        for index, text in enumerate(texts):
            (folder / (f"more{index}.tf" if index else "main.tf")).write_text(text, encoding="utf-8")
        return folder

    @contextlib.contextmanager
    def run(self, source: Path | str, **options: Any) -> Iterator[Run]:
        """A run with the template loaded. ``options`` are those of :meth:`Run.load` and ``originals``."""
        self.count += 1
        folder = self.source(LAB + source) if isinstance(source, str) else source
        with self.engine.run(
            self.folder / f"run{self.count}",
            context=self.context,
            journal=self.journal,
            log=self.log,
            canceled=self.canceled,
            timeout=self.timeout,
            originals=options.pop("originals", frozenset()),
        ) as run:
            run.load(folder, **options)
            yield run

    def plan(self, source: Path | str, **options: Any) -> PlanResult:
        destroy = options.pop("destroy", False)
        with self.run(source, **options) as run:
            run.init()
            return run.plan(destroy=destroy)

    def apply(self, source: Path | str, **options: Any) -> StateResult:
        destroy = options.pop("destroy", False)
        with self.run(source, **options) as run:
            run.init()
            run.plan(destroy=destroy)
            return run.apply()


LAB = """terraform {
  required_providers {
    lab = {
      source = "example/lab"
    }
  }
}
"""


@contextlib.contextmanager
def workbench(
    folder: Path, options: EngineOptions | None = None, more: Sequence[tuple[ProviderSpec, Any]] = ()
) -> Iterator[Workbench]:
    """An engine for one test, closed at its end."""
    platform = Platform()
    engine = Engine(options or EngineOptions(), [(lab_spec(platform), None), *more])
    try:
        yield Workbench(engine, folder, platform)
    finally:
        platform.faults = Faults()
        platform.left.set()
        engine.close()
