"""Runs templates through the real engine, for tests of providers.

As a pytest plugin (``pytest_plugins = ["stead.testing.templates"]``) it has the fixtures ``builtin_engine`` and
``template_runner``. The state goes from one run to the next, as with the builds of a workspace::

    runner = TemplateRunner(engine, tmp_path, BuildContext(workspace_name="dev"))
    runner.apply(TEMPLATE)
    assert not runner.plan(TEMPLATE).has_changes
    runner.destroy(TEMPLATE)
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from stead.api.provider import BuildContext, Recorder
from stead.terraform.builtin import builtin_providers
from stead.terraform.engine import Engine, EngineOptions
from stead.terraform.journal import Journal, NoJournal
from stead.terraform.results import PlanResult, StateResult
from stead.terraform.run import Run


@pytest.fixture(scope="session")
def builtin_engine() -> Iterator[Engine]:
    """The engine with the providers that Stead brings, and without a network."""
    engine = Engine(EngineOptions(network=False), [(spec, spec.settings()) for spec in builtin_providers()])
    yield engine
    engine.close()


@pytest.fixture
def template_runner(builtin_engine: Engine, tmp_path: Path) -> TemplateRunner:
    """A workspace's worth of runs with :func:`builtin_engine`."""
    return TemplateRunner(builtin_engine, tmp_path)


@dataclass
class TemplateRunner:
    """One workspace's worth of runs.

    :param folder: an empty folder; every run gets a work directory of its own in it.
    :param context: of all runs; the methods take changes to it.
    """

    engine: Engine
    folder: Path
    context: BuildContext = field(default_factory=BuildContext)
    journal: Journal = field(default_factory=NoJournal)
    timeout: float = 120.0
    state: bytes | None = None
    lines: list[tuple[str, str, str, dict[str, Any]]] = field(default_factory=list)
    runs: int = 0

    @property
    def log(self) -> str:
        """Everything that the runs wrote to their build logs."""
        return "\n".join(text for _, _, text, _ in self.lines)

    def plan(self, template: str | Mapping[str, str], *, destroy: bool = False, **changes: Any) -> PlanResult:
        """Plan, and change nothing."""
        with self._run(template, changes) as run:
            return run.plan(destroy=destroy)

    def apply(self, template: str | Mapping[str, str], *, destroy: bool = False, **changes: Any) -> StateResult:
        """Plan and apply. What came to be is kept even where it fails."""
        with self._run(template, changes) as run:
            run.plan(destroy=destroy)
            try:
                return run.apply()
            finally:
                self.state = run.state

    def destroy(self, template: str | Mapping[str, str], **changes: Any) -> StateResult:
        """Remove everything."""
        return self.apply(template, destroy=True, **{"transition": "destroy", **changes})

    def attributes(self, address: str) -> dict[str, Any]:
        """Attributes of one resource or data source of the state, by its address without ``[0]`` and the like."""
        kind, _, rest = address.partition(".") if address.startswith("data.") else ("", "", address)
        type_name, _, name = rest.partition(".")
        mode = "data" if kind else "managed"
        for resource in json.loads(self.state or b"{}").get("resources", ()):
            if (resource["mode"], resource["type"], resource["name"]) == (mode, type_name, name):
                found: dict[str, Any] = resource["instances"][0]["attributes"]
                return found
        raise KeyError(address)

    @contextmanager
    def _run(self, template: str | Mapping[str, str], changes: Mapping[str, Any]) -> Iterator[Run]:
        self.runs += 1
        source = self.folder / f"source-{self.runs}"
        source.mkdir()
        files = {"main.tf": template} if isinstance(template, str) else template
        for name, content in files.items():
            (source / name).write_text(content)
        with self.engine.run(
            self.folder / f"work-{self.runs}",
            context=replace(self.context, **{"recorder": Recorder(), **changes}),
            journal=self.journal,
            log=self._hear,
            canceled=threading.Event(),
            timeout=self.timeout,
        ) as run:
            run.load(source, state=self.state)
            run.init()
            yield run

    def _hear(self, level: str, stage: str, text: str, fields: Mapping[str, Any]) -> None:
        self.lines.append((level, stage, text, dict(fields)))
