"""Which change of state follows which, as tables. Nothing else decides that."""

from __future__ import annotations

from collections.abc import Mapping

from stead.api.errors import Conflict
from stead.domain.states import AgentLifecycle, BuildStatus, Transition, WorkspaceStatus

BUILD: Mapping[BuildStatus, frozenset[BuildStatus]] = {
    # A pending job fails without having run when it was tried too often.
    BuildStatus.PENDING: frozenset({BuildStatus.RUNNING, BuildStatus.CANCELED, BuildStatus.FAILED}),
    # Back to pending: its provisioner died, or is shutting down.
    BuildStatus.RUNNING: frozenset(
        {
            BuildStatus.PENDING,
            BuildStatus.CANCELING,
            BuildStatus.SUCCEEDED,
            BuildStatus.FAILED,
            BuildStatus.CANCELED,
        }
    ),
    # Who canceled was told that the build stops: it never succeeds after that, however far it got.
    BuildStatus.CANCELING: frozenset({BuildStatus.CANCELED, BuildStatus.FAILED}),
    BuildStatus.SUCCEEDED: frozenset(),
    BuildStatus.FAILED: frozenset(),
    BuildStatus.CANCELED: frozenset(),
}

ENDED = frozenset(status for status, following in BUILD.items() if not following)
ACTIVE = frozenset(BUILD) - ENDED

_STARTED = frozenset({AgentLifecycle.READY, AgentLifecycle.START_TIMEOUT, AgentLifecycle.START_ERROR})
_ENDING = frozenset(
    {
        AgentLifecycle.SHUTTING_DOWN,
        AgentLifecycle.SHUTDOWN_TIMEOUT,
        AgentLifecycle.SHUTDOWN_ERROR,
        AgentLifecycle.OFF,
    }
)
# The machine may be rebooted at any time: then the agent starts anew, whatever it was.
_AGAIN = frozenset({AgentLifecycle.STARTING})

AGENT: Mapping[AgentLifecycle, frozenset[AgentLifecycle]] = {
    AgentLifecycle.CREATED: _AGAIN | _STARTED | _ENDING,
    AgentLifecycle.STARTING: _STARTED | _ENDING,
    AgentLifecycle.START_TIMEOUT: (_STARTED - {AgentLifecycle.START_TIMEOUT}) | _ENDING | _AGAIN,
    AgentLifecycle.START_ERROR: _ENDING | _AGAIN,
    AgentLifecycle.READY: _ENDING | _AGAIN,
    AgentLifecycle.SHUTTING_DOWN: (_ENDING - {AgentLifecycle.SHUTTING_DOWN}) | _AGAIN,
    AgentLifecycle.SHUTDOWN_TIMEOUT: frozenset({AgentLifecycle.SHUTDOWN_ERROR, AgentLifecycle.OFF}) | _AGAIN,
    AgentLifecycle.SHUTDOWN_ERROR: frozenset({AgentLifecycle.OFF}) | _AGAIN,
    AgentLifecycle.OFF: _AGAIN,
}


def advance_build(now: BuildStatus, then: BuildStatus) -> BuildStatus:
    """``then``, if the table has it.

    :raises Conflict: the change is not in the table.
    """
    if then not in BUILD[now]:
        raise Conflict(f"A build that is {now} cannot become {then}.")
    return then


def agent_may_become(now: AgentLifecycle, then: AgentLifecycle) -> bool:
    """Whether an agent's report follows from where it was. Repeated and late reports do not."""
    return then in AGENT[now]


_RUNNING = {
    Transition.START: WorkspaceStatus.STARTING,
    Transition.STOP: WorkspaceStatus.STOPPING,
    Transition.DELETE: WorkspaceStatus.DELETING,
}
_SUCCEEDED = {
    Transition.START: WorkspaceStatus.RUNNING,
    Transition.STOP: WorkspaceStatus.STOPPED,
    Transition.DELETE: WorkspaceStatus.DELETED,
}
_OTHERWISE = {
    BuildStatus.PENDING: WorkspaceStatus.PENDING,
    BuildStatus.CANCELING: WorkspaceStatus.CANCELING,
    BuildStatus.CANCELED: WorkspaceStatus.CANCELED,
    BuildStatus.FAILED: WorkspaceStatus.FAILED,
}


def workspace_status(transition: Transition, status: BuildStatus) -> WorkspaceStatus:
    """Where a workspace stands, from its latest build."""
    if status is BuildStatus.RUNNING:
        return _RUNNING[transition]
    if status is BuildStatus.SUCCEEDED:
        return _SUCCEEDED[transition]
    return _OTHERWISE[status]


def builds_with_status(wanted: WorkspaceStatus) -> list[tuple[Transition, BuildStatus]]:
    """The inverse of :func:`workspace_status`, for queries."""
    return [(t, s) for t in Transition for s in BuildStatus if workspace_status(t, s) is wanted]
