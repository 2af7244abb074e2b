"""Removes what dead or failed runs left on a platform: known to the journal, unknown to any state."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from stead.api.records import OwnedResource, Platform
from stead.domain import statefile
from stead.domain.tasks import Leftover
from stead.plugins import PluginRegistry
from stead.protocol.messages import Abandoned, Swept
from stead.provisioner.held import HeldJob
from stead.provisioner.workshop import Workshop
from stead.terraform.journal import JournalEntry
from stead.terraform.run import Run

log = logging.getLogger(__name__)

# A platform may still be working on the last request of who was killed: seconds until that has shown itself.
LATECOMER = 60.0

Say = Callable[[str, str], None]


@dataclass(frozen=True)
class _Owned:
    """What platforms have of this deployment by its key, in the order in which it can go; and which did not say."""

    things: Mapping[str, Sequence[tuple[Platform, OwnedResource]]]
    silent: frozenset[str]


def clean(shop: Workshop, job: HeldJob, run: Run, leftovers: Sequence[Leftover], state: bytes | None, say: Say) -> None:
    """Within a run that has planned: remove leftovers with the providers as the template configures them.

    :param say: ``(level, text)`` to the build log.
    """
    known = statefile.journal_keys(state) if state else frozenset()
    gone = [leftover.key for leftover in leftovers if leftover.key in known]
    rest = [leftover for leftover in leftovers if leftover.key not in known]
    owned = _owned(shop, [leftover for leftover in rest if not leftover.identity])
    for leftover in rest:
        if leftover.identity and run.discard(_entry(leftover)):
            say("info", f"Removed {leftover.type_name} {leftover.identity}, which an earlier run had left.")
            gone.append(leftover.key)
        elif not leftover.identity and _destroy(shop.plugins, owned, leftover, say):
            gone.append(leftover.key)
    if gone:
        job.forget(gone)


def sweep(shop: Workshop) -> int:
    """Outside of any run: remove leftovers of workspaces that no job is about to touch; returns how many."""
    # What is younger may be in a state that is still to be found in a dead run's work directory.
    leftovers = [leftover for leftover in shop.link.call(Abandoned()).items if leftover.age > LATECOMER]
    owned = _owned(shop, leftovers)
    gone = [
        leftover.key
        for leftover in leftovers
        if (leftover.key in owned.things or not leftover.identity) and _destroy(shop.plugins, owned, leftover, _to_log)
    ]
    if gone:
        shop.link.call(Swept(tuple(gone)))
    return len(gone)


def _entry(leftover: Leftover) -> JournalEntry:
    return JournalEntry(leftover.key, leftover.provider, leftover.type_name, leftover.identity, leftover.state_json)


def _to_log(level: str, text: str) -> None:
    log.log(logging.WARNING if level == "warn" else logging.INFO, "%s", text)


def _platforms_of(plugins: PluginRegistry, leftover: Leftover) -> frozenset[str]:
    """The platforms where it may be: those of the plugin that serves its provider, else all."""
    plugin = plugins.serving(leftover.provider)
    for status in plugins.status():
        if status.name == plugin:
            return frozenset(status.platforms)
    return frozenset(spec.name for spec, _ in plugins.platforms())


def _owned(shop: Workshop, leftovers: Sequence[Leftover]) -> _Owned:
    """Ask the platforms where the leftovers may be, and no others."""
    asked = frozenset().union(*(_platforms_of(shop.plugins, leftover) for leftover in leftovers))
    things: dict[str, list[tuple[Platform, OwnedResource]]] = {}
    silent: set[str] = set()
    for spec, settings in shop.plugins.platforms():
        if spec.name not in asked:
            continue
        try:
            platform = spec.factory(settings)
            for resource in platform.owned_resources(shop.deployment_id):
                things.setdefault(resource.key, []).append((platform, resource))
        except Exception:  # boundary: a platform's code
            log.warning("The platform %s does not say what it has.", spec.name, exc_info=True)
            silent.add(spec.name)
    return _Owned(things, frozenset(silent))


def _destroy(plugins: PluginRegistry, owned: _Owned, leftover: Leftover, say: Say) -> bool:
    """Whether nothing with that key is there any more, nor will be."""
    if leftover.key not in owned.things:
        return leftover.age > LATECOMER and not owned.silent & _platforms_of(plugins, leftover)
    ends = [_destroyed(leftover, platform, thing, say) for platform, thing in owned.things[leftover.key]]
    return all(ends)


def _destroyed(leftover: Leftover, platform: Platform, resource: OwnedResource, say: Say) -> bool:
    try:
        platform.destroy_owned(resource)
    except Exception as error:  # boundary: a platform's code
        log.warning("What %s had left could not be removed.", leftover.key, exc_info=True)
        say("warn", f"{resource.type_name} {resource.identity} could not be removed: {error}")
        return False
    say("info", f"Removed {resource.type_name} {resource.identity}, which an earlier run had left.")
    return True
