"""The run of a template import: what does the template need and ask for?"""

from __future__ import annotations

import re
import threading
import uuid
from pathlib import Path

from stead.api.errors import BuildFailure, ProviderUnavailable, TemplateInvalid
from stead.domain import records
from stead.domain.tasks import ImportTask
from stead.plugins import PluginRegistry
from stead.protocol.messages import Found
from stead.provisioner import readings
from stead.provisioner.context import import_context
from stead.provisioner.held import HeldJob
from stead.provisioner.logs import JobLog
from stead.provisioner.workshop import Workshop
from stead.terraform import archive
from stead.terraform.diagnostics import Diagnostic
from stead.terraform.inspection import Inspection
from stead.terraform.journal import NoJournal

LONGEST_README = 256 * 1024
_PLACE = re.compile(r"[^\s(]+:\d+")


def run_import(
    shop: Workshop, job: HeldJob, task: ImportTask, folder: Path, log: JobLog, canceled: threading.Event
) -> None:
    """Inspect the template, plan it once, and store what it declares."""
    source = folder / "source"
    archive.unpack(task.archive, source)
    inspection = shop.engine.inspect(source)
    inspection.raise_if_invalid()
    choices = provider_choices(shop.plugins, inspection)
    for choice in choices:
        log.say("info", "preparing", f"Provider {choice.address}: {_by(choice)}{_because(choice)}")
    context = import_context(shop, job, task, str(uuid.uuid4()))
    with shop.engine.run(
        folder / "run",
        context=context,
        journal=NoJournal(),
        log=log,
        canceled=canceled,
        timeout=shop.settings.build_timeout,
        originals=originals(choices),
    ) as run:
        run.load(source, None, dict(task.variables))
        try:
            run.init()
        except ProviderUnavailable as error:
            raise _explain(error, inspection) from error
        plan = run.plan()
    found = Found(
        readme=_readme(source),
        parameters=tuple(readings.parameter(reading) for reading in plan.parameters),
        presets=tuple(readings.preset(reading) for reading in plan.presets),
        variables=tuple(
            records.Variable(v.name, v.type, v.description, None if v.sensitive else v.default, v.required, v.sensitive)
            for v in inspection.variables
        ),
        providers=choices,
        graph=plan.graph,
        lock=run.lock,
    )
    log.flush()
    job.complete_import(found)


def provider_choices(plugins: PluginRegistry, inspection: Inspection) -> tuple[records.ProviderChoice, ...]:
    """Who serves each provider: a plugin where it covers what the template uses, else Terraform."""
    choices = []
    for need in inspection.providers:
        plugin = plugins.serving(need.address) if need.served else None
        if plugin is None:
            choices.append(records.ProviderChoice(need.address, "terraform", "no plugin brings it"))
        elif need.uncovered:
            why = f"the plugin {plugin} lacks {', '.join(need.uncovered)}"
            choices.append(records.ProviderChoice(need.address, "terraform", why))
        else:
            choices.append(records.ProviderChoice(need.address, plugin))
    return tuple(choices)


def _explain(error: ProviderUnavailable, inspection: Inspection) -> BuildFailure:
    """Where a plugin serves the provider, what it lacks is more likely misspelt than meant for the original."""
    said = " ".join(item.text for item in error.details if isinstance(item, Diagnostic))
    short = {need: need.address.removeprefix("registry.terraform.io/") for need in inspection.providers}
    lacking = [what for need, name in short.items() if need.served and name in said for what in need.uncovered]
    if not lacking:
        return error
    place = _PLACE.search(lacking[0])
    return TemplateInvalid(
        f"The template uses what no installed plugin has: {', '.join(lacking)}. {error.message}",
        field=place.group() if place else None,
        remedy=f"Check the spelling. {error.remedy or ''}".strip(),
    )


def originals(choices: tuple[records.ProviderChoice, ...]) -> frozenset[str]:
    """Addresses of the providers that are left to Terraform."""
    return frozenset(choice.address for choice in choices if choice.served_by == "terraform")


def _by(choice: records.ProviderChoice) -> str:
    return "installed by Terraform" if choice.served_by == "terraform" else f"served by {choice.served_by}"


def _because(choice: records.ProviderChoice) -> str:
    return f", since {choice.why}." if choice.why else "."


def _readme(source: Path) -> str:
    for name in ("README.md", "readme.md", "Readme.md"):
        path = source / name
        if path.is_file():
            return path.read_bytes()[:LONGEST_README].decode(errors="replace").replace("\x00", "")
    return ""
