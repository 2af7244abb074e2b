"""The audit log."""

from __future__ import annotations

from stead.services import audit
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.rest.common import SearchPaging
from stead.web.rest.routing import Api, PageOf

api = Api("audit")


@api.get("/audit", "List what was done, newest first", query=SearchPaging, returns=None)
def list_audit(query: SearchPaging) -> object:
    return audit.list(current_core(), current_actor(), query.q, limit=query.limit, offset=query.offset)
