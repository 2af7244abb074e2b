"""Runs Terraform for builds and template imports. It knows nothing of the database."""

from __future__ import annotations

import functools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stead.api.errors import SteadError
from stead.api.provider.context import BuildContext
from stead.api.provider.resources import Provider
from stead.api.records import ProviderSpec
from stead.terraform.children import ChildProcess, Nursery
from stead.terraform.diagnostics import Diagnostic
from stead.terraform.inspection import Inspection, full_address, inspect
from stead.terraform.journal import Journal
from stead.terraform.logs import Log
from stead.terraform.options import EngineOptions
from stead.terraform.run import Run
from stead.terraform.serving.session import Link, Session, make_provider
from stead.terraform.serving.sockets import ProviderServer
from stead.terraform.sources import Workdir

__all__ = ["Engine", "EngineOptions", "Run"]

_INSPECTION_TIMEOUT = 30.0


class Engine:
    """Serves ``providers`` to Terraform. Thread-safe; each run is used by one thread.

    :param providers: specifications with their settings. Of two for one address the first is used.
    """

    def __init__(self, options: EngineOptions, providers: Sequence[tuple[ProviderSpec, Any]]) -> None:
        self._options = options
        self._providers: dict[str, tuple[ProviderSpec, Any]] = {}
        for spec, settings in providers:
            self._providers.setdefault(spec.full_address, (spec, settings))
        self._installing = threading.Lock()
        if options.plugin_cache is not None:
            options.plugin_cache.mkdir(parents=True, exist_ok=True)
        self._nursery = Nursery(options, tuple(self._providers))

    def close(self) -> None:
        """End all processes, also those of runs that are not closed yet."""
        self._nursery.close()

    def run(
        self,
        workdir: Path,
        *,
        context: BuildContext,
        journal: Journal,
        log: Log,
        canceled: threading.Event,
        timeout: float | None = None,
        originals: frozenset[str] = frozenset(),
    ) -> Run:
        """Begin a run; use it as a context manager.

        :param workdir: a folder for this run alone; it will hold secrets, and is the caller's to remove.
        :param timeout: seconds for the whole run.
        :param originals: addresses of providers that are left to Terraform although a plugin serves them.
        """
        left = {full_address(address) for address in originals}
        served = {address: made for address, made in self._providers.items() if address not in left}
        files = Workdir(workdir)
        session = Session(
            build=replace(context, directory=files.template.absolute()),
            journal=journal,
            deadline=None if timeout is None else time.monotonic() + timeout,
        )
        child = self._nursery.take(tuple(served))
        try:
            makers: list[Callable[[], Link]] = [
                functools.partial(Link, spec, settings, session) for spec, settings in served.values()
            ]
            server = ProviderServer(child.folder, makers)
        except BaseException:
            child.close()
            raise
        return Run(
            workdir=files,
            child=child,
            server=server,
            session=session,
            options=self._options,
            log=log,
            canceled=canceled,
            installing=self._installing,
            release=self._nursery.refill,
        )

    def inspect(self, source: Path) -> Inspection:
        """Read a template's folder without running it."""
        child = self._nursery.take(tuple(self._providers))
        try:
            return inspect(source, _Classes(self._providers), _validate(child, source))
        finally:
            child.close()
            self._nursery.refill()


class _Classes(Mapping[str, type[Provider]]):
    """Provider classes by address, of the providers that can be made.

    Each is made when it is asked for: making one imports its platform's SDK, and a template uses few of them.
    """

    def __init__(self, providers: Mapping[str, tuple[ProviderSpec, Any]]) -> None:
        self._providers = providers
        self._made: dict[str, type[Provider] | None] = {}

    def __getitem__(self, address: str) -> type[Provider]:
        if address not in self._made:
            self._made[address] = self._make(address)
        made = self._made[address]
        if made is None:
            raise KeyError(address)
        return made

    def __iter__(self) -> Iterator[str]:
        return (address for address in self._providers if address in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _make(self, address: str) -> type[Provider] | None:
        if address not in self._providers:
            return None
        try:
            return type(make_provider(*self._providers[address]))
        except SteadError:
            return None


def _validate(child: ChildProcess, source: Path) -> list[Diagnostic]:
    """Terraform's own opinion of the files, without providers and modules being there."""
    limit = time.monotonic() + _INSPECTION_TIMEOUT
    outcome = child.run(
        [f"-chdir={source.resolve()}", "validate", "-json", "-no-color"],
        lambda _: None,
        lambda: "late" if time.monotonic() > limit else "",
    )
    try:
        found = json.loads(outcome.stdout).get("diagnostics", [])
    except json.JSONDecodeError:
        return []
    diagnostics = [Diagnostic.from_json(item) for item in found]
    return [item for item in diagnostics if item.severity == "error" and item.file and not _not_yet(item)]


def _not_yet(item: Diagnostic) -> bool:
    """What ``init`` will bring is no fault of the template."""
    return item.summary == "Module not installed"
