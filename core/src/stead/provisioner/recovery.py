"""Removes what dead or failed runs left on a platform: known to the journal, unknown to any state."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from stead.api.records import OwnedResource, Platform
from stead.services import states, work
from stead.services.core import Core
from stead.services.work import Leftover
from stead.terraform.journal import JournalEntry
from stead.terraform.run import Run

log = logging.getLogger(__name__)

# A platform may still be working on the last request of who was killed: seconds until that has shown itself.
LATECOMER = 60.0

Say = Callable[[str, str], None]


def clean(core: Core, run: Run, leftovers: Sequence[Leftover], state: bytes | None, say: Say) -> None:
    """Within a run that has planned: remove leftovers with the providers as the template configures them.

    :param say: ``(level, text)`` to the build log.
    """
    known = states.journal_keys(state) if state else frozenset()
    gone = [leftover.key for leftover in leftovers if leftover.key in known]
    rest = [leftover for leftover in leftovers if leftover.key not in known]
    owned = _owned_by_key(core) if rest else None
    for leftover in rest:
        if leftover.identity and run.discard(_entry(leftover)):
            say("info", f"Removed {leftover.type_name} {leftover.identity}, which an earlier run had left.")
            gone.append(leftover.key)
        elif not leftover.identity and _destroy(owned, leftover, say):
            gone.append(leftover.key)
    if gone:
        work.forget_leftovers(core, gone)


def sweep(core: Core) -> int:
    """Outside of any run: remove leftovers of workspaces that no job is about to touch; returns how many."""
    # What is younger may be in a state that is still to be found in a dead run's work directory.
    leftovers = [leftover for leftover in work.abandoned(core) if leftover.age > LATECOMER]
    if not leftovers:
        return 0
    owned = _owned_by_key(core)
    if owned is None:
        return 0
    gone = [
        leftover.key
        for leftover in leftovers
        if (leftover.key in owned or not leftover.identity) and _destroy(owned, leftover, _to_log)
    ]
    if gone:
        work.forget_leftovers(core, gone)
    return len(gone)


def _entry(leftover: Leftover) -> JournalEntry:
    return JournalEntry(
        leftover.key, leftover.provider, leftover.type_name, leftover.identity, leftover.state_json
    )


def _to_log(level: str, text: str) -> None:
    log.log(logging.WARNING if level == "warn" else logging.INFO, "%s", text)


Owned = Mapping[str, tuple[Platform, OwnedResource]]


def _owned_by_key(core: Core) -> Owned | None:
    """What the platforms have of this deployment; ``None`` where one did not say, so that nothing is taken for gone."""
    found: dict[str, tuple[Platform, OwnedResource]] = {}
    for spec, settings in core.plugins.platforms():
        try:
            platform = spec.factory(settings)
            for resource in platform.owned_resources(core.deployment_id):
                found[resource.key] = (platform, resource)
        except Exception:  # boundary: a platform's code
            log.warning("The platform %s does not say what it has.", spec.name, exc_info=True)
            return None
    return found


def _destroy(owned: Owned | None, leftover: Leftover, say: Say) -> bool:
    """Whether nothing with that key is there any more, nor will be."""
    if owned is None:
        return False
    if leftover.key not in owned:
        return leftover.age > LATECOMER
    platform, resource = owned[leftover.key]
    try:
        platform.destroy_owned(resource)
    except Exception as error:  # boundary: a platform's code
        log.warning("What %s had left could not be removed.", leftover.key, exc_info=True)
        say("warn", f"{resource.type_name} {resource.identity} could not be removed: {error}")
        return False
    say("info", f"Removed {resource.type_name} {resource.identity}, which an earlier run had left.")
    return True
