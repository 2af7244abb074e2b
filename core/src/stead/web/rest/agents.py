"""Agents: their logs, and certificates for the way to them."""

from __future__ import annotations

from stead.services import agents
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.rest.common import LogLines, LogQuery
from stead.web.rest.routing import Api

api = Api("agents")


@api.get("/agents/<ref:ref>/logs", "Read an agent's log", query=LogQuery, returns=LogLines)
def agent_logs(ref: str, query: LogQuery) -> LogLines:
    lines = agents.logs(current_core(), current_actor(), ref, after=query.after, limit=query.limit)
    return LogLines(items=tuple(lines))
