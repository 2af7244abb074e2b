"""What must stay as it is while somebody claims a prebuild.

A claim applies the template once more with another owner and name. The agent is already running with its
token, so the token may not change, not even where the agent is replaced because its environment names the
owner: otherwise the container that carries the token would be replaced with it.

Terraform plans a replacement in two calls, one that knows the old agent and one that makes the new one, and
repeats the second one while it applies. The token travels between them by what they share: the agent's
arguments. Agents that differ in nothing at all cannot be told apart, and get new tokens.
"""

from __future__ import annotations

import json
import threading
import weakref
from collections import defaultdict
from typing import TYPE_CHECKING

from stead.api.provider import BuildContext, Context, Plan, Recorder

if TYPE_CHECKING:
    from stead.terraform.coder.agent import Agent

_COMPUTED = ("id", "token", "init_script")


class _Claims:
    """Tokens of the agents that one run replaces."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[str, set[str]] = defaultdict(set)

    def keep(self, arguments: str, token: str) -> None:
        with self._lock:
            self._tokens[arguments].add(token)

    def find(self, arguments: str) -> str | None:
        with self._lock:
            tokens = self._tokens.get(arguments, set())
            return next(iter(tokens)) if len(tokens) == 1 else None


# Plan and apply speak to two instances of the provider; what they share is the run's recorder.
_runs: weakref.WeakKeyDictionary[Recorder, _Claims] = weakref.WeakKeyDictionary()
_runs_lock = threading.Lock()


def carry_token(context: Context, agent: Agent, plan: Plan) -> None:
    """Give a planned agent the token of the one that it replaces, where there is one."""
    claims = _of(context.build)
    arguments = _arguments(agent)
    if plan.prior is not None:
        agent.token = plan.prior.token
        claims.keep(arguments, plan.prior.token)
        return
    token = claims.find(arguments) or _lone_token(context)
    if token is not None:
        agent.token = token


def _of(build: BuildContext) -> _Claims:
    with _runs_lock:
        return _runs.setdefault(build.recorder, _Claims())


def _lone_token(context: Context) -> str | None:
    """With a single running agent there is no doubt whose token it is."""
    tokens = list(context.build.agent_tokens.values())
    return tokens[0] if len(tokens) == 1 else None


def _arguments(agent: Agent) -> str:
    wire = agent.encode()
    return json.dumps({key: wire[key] for key in wire if key not in _COMPUTED}, sort_keys=True, default=repr)
