"""Builds a starter template again and again, in a process of its own, and tells how long each step took.

Reads a place (``provider_peers.Place``) and a number as JSON from stdin; writes a line of JSON for each build.
"""

from __future__ import annotations

import importlib
import json
import secrets
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from stead.api.provider import BuildContext, Owner
from stead.terraform.builtin import builtin_providers
from stead.terraform.engine import Engine, EngineOptions
from stead.terraform.journal import NoJournal

SECONDS = 300.0


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    place, count = asked["place"], asked["count"]
    plugin = importlib.import_module(place["plugin"])
    (spec,), (platform,) = plugin.stead_terraform_providers(), plugin.stead_platforms()
    settings = spec.settings.model_validate(place["settings"])
    (source,) = (item.path for item in platform.templates if item.name == place["starter"])
    builtin = [(item, item.settings()) for item in builtin_providers()]
    engine = Engine(EngineOptions(network=False), [*builtin, (spec, settings)])
    try:
        tell("idle", {})
        sys.stdin.readline()  # until the memory of a process that waits was measured
        for _ in range(count):
            tell("build", build(engine, source, place["parameters"]))
    finally:
        engine.close()


def build(engine: Engine, source: Path, parameters: dict[str, str]) -> dict[str, float]:
    """Create everything, plan again, destroy everything; seconds by step."""
    context = BuildContext(
        deployment=f"bench-{secrets.token_hex(4)}",
        workspace_id=secrets.token_hex(8),
        workspace_name=f"bench{secrets.token_hex(3)}",
        owner=Owner(name="alice"),
        parameters=parameters,
        init_scripts=_script,
    )
    with tempfile.TemporaryDirectory() as folder:
        seconds, state = step(engine, Path(folder, "up"), source, context)
        again, _ = step(engine, Path(folder, "again"), source, context, state, apply=False)
        down, _ = step(engine, Path(folder, "down"), source, context, state, destroy=True)
    return {**seconds, "second_plan": again["plan"], "destroy": down["apply"]}


def step(
    engine: Engine,
    folder: Path,
    source: Path,
    context: BuildContext,
    state: bytes | None = None,
    *,
    destroy: bool = False,
    apply: bool = True,
) -> tuple[dict[str, float], bytes | None]:
    """One run: init, plan, apply."""
    seconds: dict[str, float] = {}
    with engine.run(
        folder,
        context=context,
        journal=NoJournal(),
        log=_quiet,
        canceled=threading.Event(),
        timeout=SECONDS,
    ) as run:
        run.load(source, state=state)
        steps: list[tuple[str, Any]] = [("init", run.init), ("plan", lambda: run.plan(destroy=destroy))]
        for name, call in [*steps, *([("apply", run.apply)] if apply else [])]:
            began = time.perf_counter()
            call()
            seconds[name] = time.perf_counter() - began
        return seconds, run.state


def _script(os: str, arch: str) -> str:
    """In place of an agent's: machines of the peers run nothing."""
    return f"# {os} {arch}\nsleep 86400"


def _quiet(level: str, stage: str, text: str, fields: Any) -> None:
    del level, stage, text, fields


def tell(kind: str, value: dict[str, float]) -> None:
    print(json.dumps({"kind": kind, **value}), flush=True)


if __name__ == "__main__":
    main()
