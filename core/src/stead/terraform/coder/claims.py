"""What must stay as it is while somebody claims a prebuild.

A claim applies the template once more with another owner and name. The agent is already running with its
token, so the token may not change, not even where the agent is replaced because its environment names the
owner: otherwise the container that carries the token would be replaced with it.

Terraform plans a replacement in two calls, one that knows the old agent and one that makes the new one. The
token travels from the first to the second by what the two calls share: the agent's arguments.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from typing import TYPE_CHECKING

from stead.api.provider import Context, Plan

if TYPE_CHECKING:
    from stead.terraform.coder.agent import Agent

_COMPUTED = ("id", "token", "init_script")


class Claims:
    """Tokens of the agents that this run's plan replaces."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[str, list[str]] = defaultdict(list)

    def keep(self, arguments: str, token: str) -> None:
        with self._lock:
            self._tokens[arguments].append(token)

    def take(self, arguments: str) -> str | None:
        with self._lock:
            tokens = self._tokens.get(arguments)
            return tokens.pop(0) if tokens else None


def carry_token(claims: Claims, context: Context, agent: Agent, plan: Plan) -> None:
    """Give a planned agent the token of the one that it replaces, where there is one."""
    arguments = _arguments(agent)
    if plan.prior is not None:
        agent.token = plan.prior.token
        claims.keep(arguments, plan.prior.token)
        return
    token = claims.take(arguments) or _lone_token(context)
    if token is not None:
        agent.token = token


def _lone_token(context: Context) -> str | None:
    """With a single running agent there is no doubt whose token it is."""
    tokens = list(context.build.agent_tokens.values())
    return tokens[0] if len(tokens) == 1 else None


def _arguments(agent: Agent) -> str:
    wire = agent.encode()
    return json.dumps({key: wire[key] for key in wire if key not in _COMPUTED}, sort_keys=True, default=repr)
