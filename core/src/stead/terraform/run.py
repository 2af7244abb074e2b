"""One run of Terraform: load, init, plan, apply."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stead.api.errors import BuildCanceled, BuildFailure, BuildTimedOut, ResourceNotFound, SteadError
from stead.terraform import cliconfig
from stead.terraform.assembly import assemble
from stead.terraform.children import ChildProcess, Outcome
from stead.terraform.diagnostics import errors_among, failure_of
from stead.terraform.document import Document
from stead.terraform.errors import ApplyFailed, DiskFull, caused_by, full_disk_told, is_full, says_full_disk
from stead.terraform.graph import Graph
from stead.terraform.journal import JournalEntry
from stead.terraform.logs import Log, Narrator
from stead.terraform.options import EngineOptions
from stead.terraform.results import Change, PlanResult, StateResult
from stead.terraform.serving import lifecycle
from stead.terraform.serving.session import Link, Session
from stead.terraform.serving.sockets import ProviderServer
from stead.terraform.sources import Workdir
from stead.terraform.summary import summary
from stead.terraform.tfjson import instances, references

_CANCELED, _LATE = "canceled", "late"


class Run:
    """Made by :meth:`stead.terraform.engine.Engine.run`; used by one thread."""

    def __init__(
        self,
        *,
        workdir: Workdir,
        child: ChildProcess,
        server: ProviderServer,
        session: Session,
        options: EngineOptions,
        log: Log,
        canceled: threading.Event,
        installing: threading.Lock,
        release: Callable[[], None],
    ) -> None:
        self._workdir = workdir
        self._child = child
        self._server = server
        self._session = session
        self._options = options
        self._canceled = canceled
        self._installing = installing
        self._release = release
        self._narrator = Narrator(log, "initializing")
        self._graph = ""
        self._references: dict[str, dict[str, list[str]]] = {}
        self._timings: dict[str, float] = {}
        session.log = self._narrator.say

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End Terraform and the provider servers. The work directory is the caller's to remove."""
        self._session.stopping.set()
        self._server.close()
        self._child.close()
        self._workdir.plan_file.unlink(missing_ok=True)
        self._release()

    @property
    def state(self) -> bytes | None:
        """Terraform's state as far as it got."""
        return self._narrator.dumped or self._workdir.state

    @property
    def lock(self) -> bytes | None:
        """The versions of downloaded providers; pass it to :meth:`load` of later runs."""
        return self._workdir.lock

    @property
    def timings(self) -> Mapping[str, float]:
        """Seconds that each step took."""
        return dict(self._timings)

    # Steps

    def load(
        self,
        source: Path | bytes,
        state: bytes | None = None,
        variables: Mapping[str, Any] | None = None,
        lock: bytes | None = None,
    ) -> None:
        """Put the template into the work directory.

        :param source: a folder, an archive's path, or an archive.
        :param state: of the workspace; ``None`` where there is none yet.
        :param variables: values as a person gives them, or JSON-able values.
        """
        with self._step("initializing", "load"):
            for name in self._workdir.fill(source, state, variables or {}, lock):
                self._narrator.say("warn", f"The template has no variable {name}; its value is not used.")

    def init(self) -> None:
        """Get modules, and the providers that no plugin serves."""
        with self._step("initializing", "init"):
            offline = self._options.cli_config is None
            outcome = self._init(quiet=offline and self._options.network)
            if outcome.code and offline and self._options.network and not self._template_is_wrong():
                with self._installing:
                    self._child.configure(cliconfig.online(self._options))
                    outcome = self._init(quiet=False)
            if outcome.code:
                self._fail("initializing", outcome)

    def _init(self, *, quiet: bool) -> Outcome:
        """``quiet``: a failure only means that the network is asked next, so it does not go to the log."""
        narrator = Narrator(_unheard, "initializing") if quiet else self._narrator
        narrator.begin("initializing")
        outcome = self._terraform("init", "-json", "-input=false", "-no-color", narrator=narrator)
        self._narrator.diagnostics = narrator.diagnostics
        if quiet and (not outcome.code or self._template_is_wrong()):
            for item in errors_among(narrator.diagnostics):
                self._narrator.say("error", item.text)
        return outcome

    def _template_is_wrong(self) -> bool:
        return any(item.file for item in errors_among(self._narrator.diagnostics))

    def plan(self, *, destroy: bool = False, graph: str | None = None) -> PlanResult:
        """Plan the change from the state to the template.

        :param destroy: plan to remove everything.
        :param graph: :attr:`PlanResult.graph` of an earlier run of the same template version.
        """
        with self._step("planning", "plan"):
            self._session.build.recorder.clear()
            arguments = [
                "-json",
                "-input=false",
                "-lock=false",
                "-no-color",
                f"-out={self._workdir.plan_file}",
            ]
            arguments += [f"-var-file={self._workdir.variables_file}", *(["-destroy"] if destroy else [])]
            outcome = self._terraform("plan", *arguments, narrator=self._narrator)
            if outcome.code:
                self._fail("planning", outcome)
        with self._step("planning", "show"):
            shown = self._json("show", "-json", "-no-color", str(self._workdir.plan_file))
            self._graph = graph if graph is not None else self._output("graph", "-type=plan")
            self._references = references(shown.get("configuration") or {})
            return self._plan_result(shown)

    def _plan_result(self, shown: Mapping[str, Any]) -> PlanResult:
        recorder = self._session.build.recorder
        found = [Change.from_json(item) for item in shown.get("resource_changes") or ()]
        document = self._document(shown.get("planned_values"))
        return PlanResult(
            changes=tuple(change for change in found if change is not None),
            document=document,
            parameters=tuple(sorted(recorder.parameters, key=lambda item: (item.order, item.name))),
            presets=recorder.presets,
            graph=self._graph,
            path=self._workdir.plan_file,
            summary=summary(shown, document.daily_cost),
        )

    def apply(self) -> StateResult:
        """Carry out exactly the plan that was made."""
        if not self._workdir.plan_file.is_file():
            raise BuildFailure("There is no plan to apply.", remedy="Plan first.")
        with self._step("applying", "apply"):
            self._session.failures.clear()
            arguments = ("-json", "-input=false", "-lock=false", "-no-color", "-auto-approve")
            outcome = self._terraform("apply", *arguments, str(self._workdir.plan_file), narrator=self._narrator)
            self._workdir.plan_file.unlink(missing_ok=True)
            if outcome.code:
                self._fail("applying", outcome)
        with self._step("applying", "read"):
            shown = self._json("show", "-json", "-no-color")
            values = shown.get("values") or {}
            outputs = {name: item.get("value") for name, item in (values.get("outputs") or {}).items()}
            return StateResult(self.state or b"", self._document(values), outputs)

    def discard(self, entry: JournalEntry) -> bool:
        """Remove a resource that the journal knows and the state does not; after :meth:`plan`.

        The provider is used as the template configures it. True where the resource is gone.
        """
        for link in self._links(entry.provider):
            try:
                lifecycle.discard(entry, link)
            except ResourceNotFound:
                return True
            except SteadError as failure:
                self._narrator.say("warn", f"{entry.type_name} {entry.identity} could not be removed: {failure}")
                continue
            return True
        return False

    def _links(self, provider: str) -> list[Link]:
        """The provider as configured. A plan that removes everything does not configure those without state."""
        found = self._server.configured(provider)
        if not found and not self._should_stop():
            arguments = ("-json", "-input=false", "-lock=false", f"-var-file={self._workdir.variables_file}")
            self._terraform("plan", *arguments, narrator=Narrator(_unheard, ""))
            found = self._server.configured(provider)
        return found

    def _document(self, values: Mapping[str, Any] | None) -> Document:
        return assemble(instances(values), Graph(self._graph), self._references)

    # Commands

    @contextlib.contextmanager
    def _step(self, stage: str, name: str) -> Iterator[None]:
        self._raise_if_ended(self._should_stop())
        self._narrator.begin(stage)
        began = time.monotonic()
        try:
            with full_disk_told(self._workdir.folder):
                yield
        finally:
            self._timings[name] = self._timings.get(name, 0.0) + time.monotonic() - began

    def _terraform(self, *arguments: str, narrator: Narrator) -> Outcome:
        return self._child.run([f"-chdir={self._workdir.template}", *arguments], narrator.line, self._should_stop)

    def _should_stop(self) -> str:
        reason = _CANCELED if self._canceled.is_set() else _LATE if self._session.late else ""
        if reason:
            self._session.stopping.set()
        return reason

    def _output(self, *arguments: str) -> str:
        """The output of a command that only reads."""
        outcome = self._terraform(*arguments, narrator=Narrator(_unheard, ""))
        if outcome.code:
            self._raise_if_ended(outcome.stopped)
            if is_full(self._workdir.folder):  # Terraform takes half of a plan for one that it cannot read
                raise DiskFull(self._workdir.folder)
            raise BuildFailure(f"Terraform's command {arguments[0]} failed: {outcome.stderr.strip()[:500]}")
        return outcome.stdout

    def _json(self, *arguments: str) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(self._output(*arguments))
        return result

    def _fail(self, stage: str, outcome: Outcome) -> None:
        """Raise what a failed command means."""
        self._raise_if_ended(outcome.stopped)
        for line in outcome.stderr.splitlines():
            self._narrator.say("error", line)
        if outcome.code < 0 or (not self._child.alive and not self._narrator.diagnostics):
            raise BuildFailure(
                f"Terraform ended unexpectedly while {stage} (code {outcome.code}).",
                remedy="See the build log; if the machine ran out of memory, give it more or run fewer builds.",
            )
        failure = self._full_disk(outcome) or failure_of(
            self._narrator.diagnostics, stage, self._session.failures, self._child.addresses, self._options.broken
        )
        if stage != "applying":
            raise failure
        raise self._apply_failed(failure)

    def _full_disk(self, outcome: Outcome) -> DiskFull | None:
        """Terraform or a provider found no room, and it was here: not on a platform, which has disks, too."""
        said = (outcome.stderr, *(item.text for item in errors_among(self._narrator.diagnostics)))
        if any(map(says_full_disk, said)) and is_full(self._workdir.folder):
            return DiskFull(self._workdir.folder)
        return None

    def _apply_failed(self, failure: SteadError) -> ApplyFailed:
        raised = ApplyFailed(failure.message, field=failure.field, remedy=failure.remedy, state=self.state)
        raised.details = getattr(failure, "details", ())
        cause = failure if isinstance(failure, DiskFull) else failure.__cause__
        caused_by(raised, cause if isinstance(cause, SteadError) else None)
        return raised

    def _raise_if_ended(self, reason: str) -> None:
        if reason == _CANCELED:
            raise BuildCanceled("The build was canceled.")
        if reason == _LATE:
            raise BuildTimedOut("The build took longer than it may.", remedy="Try again, or raise the build timeout.")


def _unheard(level: str, stage: str, text: str, fields: Mapping[str, Any]) -> None:
    del level, stage, text, fields
