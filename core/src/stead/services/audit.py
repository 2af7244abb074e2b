"""The audit trail for people, and the proof that nobody changed it."""

from __future__ import annotations

from dataclasses import dataclass

from stead.domain import rbac
from stead.domain.records import Actor, Page
from stead.services.core import Core
from stead.services.users import page_bounds
from stead.store import audit as store
from stead.store.audit import AuditFilter


@dataclass(frozen=True)
class Verification:
    """``broken_at`` is the number of the first row that does not fit; ``None`` where all do."""

    ok: bool
    rows: int
    broken_at: int | None = None
    why: str = ""


def list(  # noqa: A001
    core: Core,
    actor: Actor,
    filter: AuditFilter | None = None,  # noqa: A002
    limit: int = 50,
    offset: int = 0,
) -> Page:
    rbac.require(actor, rbac.Resource.AUDIT, rbac.Action.READ)
    limit, offset = page_bounds(limit, offset)
    with core.database.read():
        found, total = store.page(filter or AuditFilter(), limit, offset)
    return Page(items=tuple(found), total=total)


def verify(core: Core, actor: Actor) -> Verification:
    """Walk the whole chain: every row must hash to its digest, name the one before it, and none may be missing.

    Rows cut off at the end cannot be told from rows that never were: keep the last digest elsewhere to see that.
    """
    rbac.require(actor, rbac.Resource.AUDIT, rbac.Action.READ)
    previous, number = store.GENESIS, 0
    with core.database.read():
        for entry, names_before in store.chain():
            if entry.number != number + 1:
                return Verification(False, number, number + 1, "A row is missing.")
            if names_before != previous:
                return Verification(False, number, entry.number, "It does not follow the row before it.")
            if store.digest_of(entry.number, entry, previous) != entry.digest:
                return Verification(False, number, entry.number, "The row was altered.")
            previous, number = entry.digest, entry.number
    return Verification(True, number)
