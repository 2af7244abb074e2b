"""What policies say to the plan of a build, before it is applied."""

from __future__ import annotations

from dataclasses import replace

from stead.api.errors import NotFound
from stead.api.policies import BuildRequest, Plan
from stead.domain.policies import Verdict
from stead.services import jobs
from stead.services.core import SYSTEM, Core
from stead.services.jobs import Claim
from stead.services.policies.requests import describe, record_denial
from stead.store import templates, workspaces


def judge_plan(core: Core, claim: Claim, plan: Plan) -> Verdict:
    """What the enabled policies say to the plan of the claimed build.

    Plan and verdict are plain: both cross a process as JSON. A denial is in the audit log when this returns.

    :param plan: without prices; what it says of them is not believed.
    :raises LeaseLost: the job is somebody else's.
    """
    request, workspace_id = _request(core, claim.job.id)
    concerned = core.policies.concerned(request, "judge_plan")
    if not concerned:
        return Verdict()
    priced = core.policies.prices.price(plan)
    verdict = core.policies.judge(concerned, lambda policy: policy.judge_plan(request, priced))
    if verdict.denials:
        who = replace(SYSTEM, user_id=request.initiator.id, username=request.initiator.name, roles=())
        with core.change(who) as change:
            jobs.hold(claim)
            record_denial(change, request, verdict, workspace_id, job=claim.job.id)
    return verdict


def _request(core: Core, job_id: str) -> tuple[BuildRequest, str]:
    with core.database.read():
        source = workspaces.build_of_job(job_id)
        build = workspaces.build(source.id) if source else None
        workspace = workspaces.by_id(source.workspace_id) if source else None
        version = templates.version(source.template_version_id) if source else None
        if source is None or build is None or workspace is None or version is None:
            raise NotFound("What this build was about is gone.")
        request = describe(
            transition=source.transition,
            initiator_id=source.initiator_id,
            owner_id=workspace.owner_id,
            template=workspace.template,
            version=version,
            workspace=workspace.name,
            number=source.number,
            parameters=source.parameters,
            reason=build.reason,
        )
    return request, workspace.id
