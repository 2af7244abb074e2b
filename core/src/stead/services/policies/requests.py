"""What policies are told of a request for a build, and what they say to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from stead.api.errors import Conflict, NotFound
from stead.api.policies import BuildRequest, Who
from stead.domain.policies import Verdict
from stead.domain.records import Actor, TemplateVersion
from stead.domain.states import Transition
from stead.services.core import SYSTEM, Change, Core
from stead.store import groups, users, workspaces


def describe(
    *,
    transition: Transition,
    initiator_id: str,
    owner_id: str,
    template: str,
    version: TemplateVersion,
    workspace: str,
    number: int,
    parameters: Mapping[str, str],
    reason: str,
) -> BuildRequest:
    """Within a transaction: the request as policies see it.

    :param workspace: its name, which it may not have in the database yet.
    """
    masked = tuple(one.name for one in version.parameters if one.styling.get("mask_input"))
    defaults = {one.name: one.default for one in version.parameters if one.default is not None}
    return BuildRequest(
        transition=transition.value,
        initiator=_who(initiator_id),
        owner=_who(owner_id),
        template=template,
        version=version.name,
        workspace=workspace,
        number=number,
        other_workspaces=workspaces.count_others(owner_id, workspace),
        parameters={name: value for name, value in {**defaults, **parameters}.items() if name not in masked},
        masked=masked,
        reason=reason,
    )


def _who(user_id: str) -> Who:
    if user_id == SYSTEM.user_id:
        return Who(id=user_id, name=SYSTEM.username, roles=tuple(role.value for role in SYSTEM.roles))
    found = users.by_id(user_id)
    if found is None:
        raise NotFound("There is no such user any more.")
    roles = tuple(role.value for role in found.roles)
    return Who(id=found.id, name=found.username, roles=roles, groups=groups.names_of(found.id))


@dataclass(frozen=True)
class Judged:
    """Requests that no policy denies; ``None`` where none was asked."""

    request: BuildRequest | None = None
    verdict: Verdict = field(default_factory=Verdict)

    def hold(self, core: Core, describe: Callable[[], BuildRequest]) -> None:
        """Within the transaction that writes the build: nothing, if what was judged is what is written.

        :raises Conflict: something that policies look at has changed meanwhile.
        """
        if self.request is None:
            return
        core.database.lock(f"workspaces of {self.request.owner.id}")
        if describe() != self.request:
            raise Conflict(
                "Something changed while policies judged this: another build, another workspace or the account.",
                remedy="Try again.",
            )


def judge_request(core: Core, actor: Actor, describe: Callable[[], BuildRequest], workspace_id: str = "") -> Judged:
    """What the enabled policies say. Call it outside of any transaction: it waits for them.

    :param describe: makes the request; called within a transaction.
    :returns: what to hold on to; the warnings in it begin the build's log.
    :raises PolicyDenied: one of them denies it. That is in the audit log then.
    """
    if not core.policies.any_judges("judge_request"):
        return Judged()
    with core.database.read():
        request = describe()
    concerned = core.policies.concerned(request, "judge_request")
    verdict = core.policies.judge(concerned, lambda policy: policy.judge_request(request))
    if verdict.denials:
        with core.change(actor) as change:
            record_denial(change, request, verdict, workspace_id)
    verdict.require()
    return Judged(request if concerned else None, verdict)


def record_denial(change: Change, request: BuildRequest, verdict: Verdict, workspace_id: str, **more: str) -> None:
    """Within a transaction: the audit row of a denial."""
    change.record(
        f"was denied a {request.transition}",
        "workspace",
        workspace_id,
        f"{request.owner.name}/{request.workspace}",
        after={
            **more,
            "template": request.template,
            "version": request.version,
            "policies": sorted({ruling.policy for ruling in verdict.denials}),
            "findings": [str(ruling) for ruling in verdict.denials],
        },
    )
