"""Builds of workspaces: start, stop, delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from stead.api.errors import Conflict, Forbidden, InvalidInput, NotFound
from stead.api.policies import BuildRequest
from stead.domain import parameters as rules
from stead.domain import rbac
from stead.domain.records import Actor, Build, Job, LogLine, Page, Template, TemplateVersion, Workspace
from stead.domain.states import BuildStatus, JobKind, Role, Transition
from stead.domain.transitions import ACTIVE, ENDED, advance_build
from stead.services import live, lookup, states
from stead.services.core import Change, Core, new_id
from stead.services.policies.requests import describe, judge_request
from stead.services.users import page_bounds
from stead.store import jobs, templates
from stead.store import workspaces as store

LARGEST_LOG_PAGE = 10_000


def choose_version(template: Template, version: str | None) -> TemplateVersion:
    """Within a transaction: the named version, or the active one; imported and not archived."""
    wanted = template.active_version_id
    if version:
        named = templates.version_named(template.id, version)
        wanted = named.id if named else version
    found = templates.version(wanted) if wanted else None
    if found is None or found.template_id != template.id:
        raise NotFound(f"The template {template.name} has no version {version or ''}.".replace(" .", "."))
    if found.job.status is not BuildStatus.SUCCEEDED:
        raise Conflict(f"The version {found.name} was not imported: {found.job.status}.", field="version")
    return found


def resolve_parameters(
    version: TemplateVersion,
    given: Mapping[str, str],
    previous: Mapping[str, str] | None,
    preset: Mapping[str, str] | None = None,
) -> dict[str, str]:
    for name, value in given.items():
        if not isinstance(value, str):
            raise InvalidInput("Values of parameters are text.", field=f"parameters.{name}", remedy='Write "4", not 4.')
    return rules.resolve(version.parameters, given, previous=previous, preset=preset)


def queue(
    change: Change,
    workspace_id: str,
    number: int,
    transition: Transition,
    version_id: str,
    parameters: dict[str, str],
    *,
    owner_id: str,
    reason: str,
    orphan: bool = False,
    warnings: Sequence[str] = (),
) -> str:
    """Within a transaction: write the build and its job, and say that there is work. Returns the build's id.

    :param warnings: of policies; the build's log begins with them.
    """
    now = change.core.clock.now()
    job = Job(new_id(), JobKind.BUILD, BuildStatus.PENDING, "queued", now)
    build = store.NewBuild(
        id=new_id(),
        workspace_id=workspace_id,
        number=number,
        transition=transition,
        template_version_id=version_id,
        initiator_id=change.actor.user_id,
        reason=reason,
        job_id=job.id,
        created_at=now,
        parameters=parameters,
        orphan=orphan,
    )
    jobs.insert(job, change.actor.user_id)
    store.insert_build(build)
    if warnings:
        jobs.append_log(job.id, [jobs.NewLine(now, "warn", "queued", text) for text in warnings])
    change.announce("jobs", kind=job.kind.value)
    announce(change, workspace_id, owner_id)
    return build.id


def announce(change: Change, workspace_id: str, owner_id: str) -> None:
    """Tell who watches the workspace, and who watches the owner's list."""
    change.announce(f"workspace:{workspace_id}", id=workspace_id)
    change.announce(f"workspaces:{owner_id}", id=workspace_id)


def create(
    core: Core,
    actor: Actor,
    workspace: str,
    transition: Transition,
    parameters: Mapping[str, str] | None = None,
    version: str | None = None,
    orphan: bool = False,
    reason: str = "initiator",
) -> Build:
    """Queue a build of a workspace (id or name).

    :param version: id or name of the version to change to; ``None`` keeps the present one.
    :param orphan: with ``delete``: forget the resources instead of destroying them. Owners only.
    :raises Conflict: a build of the workspace is waiting or running.
    """
    found = lookup.workspace(core, actor, workspace)
    transition = _transition(transition)
    action = rbac.Action.DELETE if transition is Transition.DELETE else rbac.Action.BUILD
    rbac.require(actor, rbac.Resource.WORKSPACE, action, found.owner_id)
    if orphan and (transition is not Transition.DELETE or Role.OWNER not in actor.roles):
        raise Forbidden("Only an owner may delete a workspace without destroying its resources.")
    ask = _Ask(actor, found.id, transition, parameters or {}, version, reason)
    # The start that follows the stop of a restart is judged before anything stops.
    asked = (ask, replace(ask, transition=Transition.START)) if reason == RESTART else (ask,)
    judged = [judge_request(core, actor, partial(_request, one), found.id) for one in asked]
    with core.change(actor) as change:
        store.lock(found.id)
        plan = _resolve(ask)
        for one, before in zip(asked, judged, strict=True):
            before.hold(core, partial(_request, one))
        now = plan.workspace
        build_id = queue(
            change,
            now.id,
            now.latest_build.number + 1,
            transition,
            plan.version.id,
            plan.values,
            owner_id=now.owner_id,
            reason=reason,
            orphan=orphan,
            warnings=[text for one in judged for text in one.verdict.warnings],
        )
        change.record(
            {"start": "started", "stop": "stopped", "delete": "asked to delete"}[transition.value],
            "workspace",
            now.id,
            f"{now.owner}/{now.name}",
            after={"build": build_id, "version": plan.version.name, "reason": reason},
        )
    return get(core, actor, build_id)


@dataclass(frozen=True)
class _Ask:
    """What somebody wants done with a workspace."""

    actor: Actor
    workspace_id: str
    transition: Transition
    given: Mapping[str, str]
    version: str | None
    reason: str


@dataclass(frozen=True)
class _Resolved:
    """What that comes down to, as things stand."""

    workspace: Workspace
    version: TemplateVersion
    values: dict[str, str]


def _request(ask: _Ask) -> BuildRequest:
    """Within a transaction: what policies are told."""
    found = _resolve(ask)
    return describe(
        transition=ask.transition,
        initiator_id=ask.actor.user_id,
        owner_id=found.workspace.owner_id,
        template=found.workspace.template,
        version=found.version,
        workspace=found.workspace.name,
        number=found.workspace.latest_build.number + 1,
        parameters=found.values,
        reason=ask.reason,
    )


def _resolve(ask: _Ask) -> _Resolved:
    """Within a transaction.

    :raises Conflict: a build of the workspace is waiting or running.
    """
    now = store.by_id(ask.workspace_id)
    if now is None:
        raise NotFound("There is no such workspace.")
    _refuse_busy(now)
    template = templates.by_id(now.template_id)
    if template is None:
        raise NotFound(f"The template of {now.name} is gone.")
    chosen = _version(template, now, ask.version)
    return _Resolved(now, chosen, _values(ask.transition, chosen, now, ask.given))


RESTART = "restart"


def restart(core: Core, actor: Actor, workspace: str) -> Build:
    """Stop a workspace and start it again: the stop is queued now, the start when the stop has succeeded."""
    return create(core, actor, workspace, Transition.STOP, reason=RESTART)


def _transition(value: Transition | str) -> Transition:
    try:
        return Transition(value)
    except ValueError:
        raise InvalidInput("The transition is start, stop or delete.", field="transition") from None


def _version(template: Template, workspace: Workspace, version: str | None) -> TemplateVersion:
    if version:
        return choose_version(template, version)
    present = templates.version(workspace.latest_build.template_version_id)
    if present is None:
        raise NotFound(f"The template version of {workspace.name} is gone.")
    return present


def _values(
    transition: Transition, version: TemplateVersion, workspace: Workspace, given: Mapping[str, str]
) -> dict[str, str]:
    if transition is Transition.START:
        previous = _previous(workspace)
        if store.ever_succeeded(workspace.id):
            return resolve_parameters(version, given, previous)
        # Where no build succeeded yet, nothing binds: a wrong value can be put right.
        declared = {parameter.name for parameter in version.parameters}
        again = {name: value for name, value in previous.items() if name in declared}
        return resolve_parameters(version, {**again, **given}, None)
    if given:
        raise InvalidInput("Parameters can be changed with a start only.", field="parameters")
    # What is running now must come down whatever a newer version thinks of its values.
    declared = {parameter.name for parameter in version.parameters}
    return {name: value for name, value in _previous(workspace).items() if name in declared}


def _previous(workspace: Workspace) -> Mapping[str, str]:
    """What the next build inherits."""
    latest = workspace.latest_build
    version = templates.version(latest.template_version_id)
    return rules.kept(version.parameters if version else (), latest.parameters)


def _refuse_busy(workspace: Workspace) -> None:
    if workspace.latest_build.job.status in ACTIVE:
        raise Conflict(
            f"A build of {workspace.name} is {workspace.latest_build.job.status} already.",
            remedy=f"Wait for it, or cancel it: `stead cancel {workspace.owner}/{workspace.name}`.",
        )
    deleted = workspace.latest_build
    if deleted.transition is Transition.DELETE and deleted.job.status is BuildStatus.SUCCEEDED:
        raise NotFound(f"The workspace {workspace.name} was deleted.")


def get(core: Core, actor: Actor, build_id: str) -> Build:
    with core.database.read():
        build = store.build(build_id)
        owner_id = store.owner_of(build.workspace_id) if build else None
    if build is None or not rbac.allows(actor, rbac.Resource.WORKSPACE, rbac.Action.READ, owner_id):
        raise NotFound(f"There is no build {build_id}.")
    return live.build(core, build)


def list(core: Core, actor: Actor, workspace: str, limit: int = 50, offset: int = 0) -> Page:  # noqa: A001
    """Builds of a workspace, newest first."""
    found = lookup.workspace(core, actor, workspace)
    limit, offset = page_bounds(limit, offset)
    with core.database.read():
        items, total = store.builds(found.id, limit, offset)
    return Page(items=tuple(live.build(core, build) for build in items), total=total)


def cancel(core: Core, actor: Actor, build_id: str) -> Build:
    """Ask a build to stop: at once while it waits, else its provisioner is told.

    The id of a template version's import job is accepted too (``templates.cancel`` calls this with a job).
    """
    build = get(core, actor, build_id)
    with core.database.read():
        owner_id = store.owner_of(build.workspace_id)
    rbac.require(actor, rbac.Resource.WORKSPACE, rbac.Action.BUILD, owner_id)
    with core.change(actor) as change:
        cancel_job(change, build.job.id)
        change.record("canceled build", "workspace", build.workspace_id, after={"build": build.id})
        announce(change, build.workspace_id, owner_id or "")
    return get(core, actor, build_id)


def cancel_job(change: Change, job_id: str) -> None:
    """Within a transaction: cancel a waiting job, ask a running one to stop."""
    held = jobs.get(job_id, lock=True)
    if held is None:
        raise NotFound(f"There is no job {job_id}.")
    now = change.core.clock.now()
    status = held.job.status
    if status in ENDED:
        raise Conflict(f"It is over already: {status}.")
    if status is BuildStatus.PENDING:
        jobs.update(
            job_id,
            status=advance_build(status, BuildStatus.CANCELED).value,
            finished_at=now,
            error="It was canceled before it ran.",
            reason="canceled",
        )
    elif status is BuildStatus.RUNNING:
        jobs.update(job_id, status=advance_build(status, BuildStatus.CANCELING).value, cancel_requested_at=now)
        change.announce(f"cancel:{job_id}")
    change.announce(f"job:{job_id}", status=True)


def logs(core: Core, actor: Actor, job_id: str, after: int = 0, limit: int = 1000) -> tuple[LogLine, ...]:
    """Lines of a job's log with an id greater than ``after``."""
    require_job(core, actor, job_id)
    with core.database.read():
        return tuple(jobs.log(job_id, after, max(1, min(limit, LARGEST_LOG_PAGE))))


def job(core: Core, actor: Actor, job_id: str) -> Job:
    """A job by its id: of a build, or of a template import."""
    require_job(core, actor, job_id)
    with core.database.read():
        held = jobs.get(job_id)
    if held is None:
        raise NotFound(f"There is no job {job_id}.")
    return held.job


def require_job(core: Core, actor: Actor, job_id: str) -> None:
    """Nothing, if the actor may see the job.

    :raises NotFound: they may not, or there is none.
    """
    with core.database.read():
        source = store.build_of_job(job_id)
        owner_id = store.owner_of(source.workspace_id) if source else None
        version = None if source else templates.version_of_job(job_id)
    if source is not None and rbac.allows(actor, rbac.Resource.WORKSPACE, rbac.Action.READ, owner_id):
        return
    if version is not None and rbac.allows(actor, rbac.Resource.TEMPLATE, rbac.Action.READ):
        return
    raise NotFound(f"There is no job {job_id}.")


def state(core: Core, actor: Actor, build_id: str) -> bytes:
    """The Terraform state that a build left behind. It holds secrets: owners only."""
    rbac.require(actor, rbac.Resource.WORKSPACE, rbac.Action.STATE)
    build = get(core, actor, build_id)
    with core.change(actor) as change:
        sealed = store.state(build.id)
        change.record("read state", "workspace", build.workspace_id, after={"build": build.id})
    if sealed is None:
        raise NotFound(f"The build {build_id} left no state.")
    return states.open_state(core, build.id, sealed)
