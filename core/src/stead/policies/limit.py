"""``workspace-limit``: how many workspaces a person may have."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, Field

from stead.api.policies import BuildRequest, Finding, Policy, deny


class WorkspaceLimitSettings(BaseModel, extra="forbid"):
    """Stopped workspaces count; deleted ones do not. Workspaces that are there may be started whatever their number."""

    most: int = Field(ge=0, description="Workspaces of one owner.")
    exempt_groups: list[str] = Field(default_factory=list, description="Groups whose members may have any number.")


class WorkspaceLimit(Policy):
    def __init__(self, settings: WorkspaceLimitSettings) -> None:
        self._most = settings.most
        self._exempt = set(settings.exempt_groups)

    def judge_request(self, request: BuildRequest) -> Iterator[Finding]:
        owner = request.owner
        if request.number > 1 or self._exempt & set(owner.groups) or request.other_workspaces < self._most:
            return
        yield deny(
            f"{owner.name} has {request.other_workspaces} workspaces, and {self._most} are allowed.",
            remedy="Delete one that is not needed any more.",
        )
