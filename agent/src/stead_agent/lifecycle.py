"""How far the agent is, and who hears of it."""

from __future__ import annotations

from enum import StrEnum

from stead_agent.clock import timestamp
from stead_agent.outbox import Outbox


class Lifecycle(StrEnum):
    CREATED = "created"
    STARTING = "starting"
    START_TIMEOUT = "start_timeout"
    START_ERROR = "start_error"
    READY = "ready"
    SHUTTING_DOWN = "shutting_down"
    SHUTDOWN_TIMEOUT = "shutdown_timeout"
    SHUTDOWN_ERROR = "shutdown_error"
    OFF = "off"


class LifecycleReporter:
    """Tells the control plane each change, in order; says the present state again to one that may not know it."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.state = Lifecycle.CREATED

    def enter(self, state: Lifecycle) -> None:
        if state is not self.state:
            self.state = state
            self._outbox.event("lifecycle", {"state": state.value, "at": timestamp()})
