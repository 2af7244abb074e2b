"""The audit log."""

from __future__ import annotations

from pydantic import AwareDatetime

from stead.domain.records import Page
from stead.services import audit
from stead.services.audit import Verification
from stead.store.audit import AuditEntry, AuditFilter
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.rest.common import Paging, Ref
from stead.web.rest.routing import Api, PageOf

api = Api("audit")


class AuditQuery(Paging):
    """Times are half open: ``since`` ≤ at < ``until``."""

    actor: Ref | None = None
    action: Ref | None = None
    target_type: Ref | None = None
    target_id: Ref | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


@api.get("/audit", "List what was done, newest first", query=AuditQuery, returns=PageOf(AuditEntry))
def list_audit(query: AuditQuery) -> Page:
    wanted = AuditFilter(
        actor_id=query.actor,
        action=query.action,
        target_type=query.target_type,
        target_id=query.target_id,
        since=query.since,
        until=query.until,
    )
    return audit.list(current_core(), current_actor(), wanted, limit=query.limit, offset=query.offset)


@api.get("/audit/verify", "Check that no audit entry was altered or removed", returns=Verification)
def verify_audit() -> Verification:
    return audit.verify(current_core(), current_actor())
