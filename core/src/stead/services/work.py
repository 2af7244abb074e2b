"""What a provisioner needs to run a job, and what it hands in when the job is done."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from stead.api.errors import NotFound, Unavailable
from stead.api.provider import Owner
from stead.domain import parameters as rules
from stead.domain import statefile
from stead.domain.records import Resource, Token, User
from stead.domain.states import BuildStatus, JobKind, Transition
from stead.domain.tasks import BuildTask, ImportTask, Leftover
from stead.services import builds, jobs, secrets, states, users
from stead.services.core import SYSTEM, Change, Core, new_id
from stead.services.jobs import Claim
from stead.store import credentials, journal, resources, templates, workspaces
from stead.store import jobs as job_store
from stead.store import users as user_store
from stead.store.journal import EntryStatus
from stead.store.resources import AgentSecrets

WORKSPACE_SCOPE = "workspace"  # of the token that templates and agents get as the owner's
WORKSPACE_TOKEN_LIFETIME = timedelta(days=30)


@dataclass(frozen=True)
class ImportWork(ImportTask):
    """A claimed import."""

    claim: Claim


@dataclass(frozen=True)
class BuildWork(BuildTask):
    """A claimed build."""

    claim: Claim


@dataclass(frozen=True)
class BuildResult:
    """What a successful build made.

    :param secrets: tokens and the like of the agents in ``resources``, by agent id.
    :param parameters: the values that the template saw.
    """

    state: bytes | None = field(repr=False)
    resources: tuple[Resource, ...] = ()
    secrets: Mapping[str, AgentSecrets] = field(default_factory=dict, repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict)
    daily_cost: int = 0


def load(core: Core, claim: Claim) -> ImportWork | BuildWork:
    """Everything that the job needs.

    :raises NotFound: what the job was about is gone.
    """
    return _import_work(core, claim) if claim.job.kind is JobKind.TEMPLATE_IMPORT else _build_work(core, claim)


def _import_work(core: Core, claim: Claim) -> ImportWork:
    with core.database.read():
        version = templates.version_of_job(claim.job.id)
        source = templates.source(version.id) if version else None
        archive = templates.archive(source.archive_id) if source else None
        template = templates.by_id(source.template_id) if source and source.template_id else None
        held = job_store.get(claim.job.id)
        person = user_store.by_id(held.initiator_id) if held else None
    if source is None or archive is None:
        raise NotFound("The template version to import is gone.")
    return ImportWork(
        claim=claim,
        version_id=source.id,
        version_name=source.name,
        template_id=template.id if template else "",
        template_name=template.name if template else "",
        archive=archive,
        variables=_variables(core, source),
        owner=_owner(core, person) if person else Owner(),
    )


def _variables(core: Core, source: templates.VersionSource) -> dict[str, str]:
    if source.sealed_variables is None:
        return {}
    plain = json.loads(core.keyring.open(f"variables:{source.id}", source.sealed_variables))
    return {str(name): str(value) for name, value in plain.items()}


def _owner(core: Core, person: User, session_token: str = "") -> Owner:
    keys = users.ssh_keys(core, SYSTEM, person.id)
    return Owner(
        id=person.id,
        name=person.username,
        full_name=person.name,
        email=person.email,
        groups=("Everyone",),
        roles=tuple(role.value for role in person.roles),
        login_type=person.login_type,
        ssh_public_key=keys.public_key,
        ssh_private_key=keys.private_key,
        session_token=session_token,
    )


def _build_work(core: Core, claim: Claim) -> BuildWork:
    with core.database.read():
        build = workspaces.build_of_job(claim.job.id)
        workspace = workspaces.by_id(build.workspace_id) if build else None
        source = templates.source(build.template_version_id) if build else None
        archive = templates.archive(source.archive_id) if source else None
        person = user_store.by_id(workspace.owner_id) if workspace else None
        if build is None or workspace is None or source is None or archive is None or person is None:
            raise NotFound("What this build was about is gone.")
        newest = workspaces.newest_state(workspace.id)
        entries = journal.entries(workspace.id)
        before = workspaces.parameters_before(workspace.id, build.number)
    token = _workspace_token(core, claim, workspace.id, person.id, build.transition)
    return BuildWork(
        claim=claim,
        build_id=build.id,
        number=build.number,
        transition=build.transition,
        orphan=build.orphan,
        workspace_id=workspace.id,
        workspace_name=workspace.name,
        version_id=source.id,
        version_name=source.name,
        template_id=workspace.template_id,
        template_name=workspace.template,
        archive=archive,
        variables=_variables(core, source),
        graph=source.graph,
        lock=source.lock,
        providers=source.providers,
        parameters=build.parameters,
        previous_parameters=before or {},
        state=states.open_state(core, *newest) if newest else None,
        leftovers=tuple(_leftover(core, entry) for entry in entries if entry.status is not EntryStatus.DELETED),
        owner=_owner(core, person, token),
    )


def _leftover(core: Core, entry: journal.JournalEntry) -> Leftover:
    state = core.keyring.open(f"journal:{entry.key}", entry.sealed).decode() if entry.sealed else ""
    age = (core.clock.now() - entry.updated_at).total_seconds() if entry.updated_at else 0.0
    return Leftover(entry.key, entry.provider, entry.type_name, entry.identity or "", state, age)


def _workspace_token(core: Core, claim: Claim, workspace_id: str, owner_id: str, transition: Transition) -> str:
    """A new API token of the owner's for each start; the one of the start before ends."""
    name = f"workspace:{workspace_id}"
    now = core.clock.now()
    token = Token(new_id(), owner_id, name, WORKSPACE_SCOPE, now, now + WORKSPACE_TOKEN_LIFETIME)
    secret, digest = secrets.make(token.id)
    with core.database.write():
        jobs.hold(claim)
        old = credentials.token_named(owner_id, name)
        if old is not None:
            credentials.delete_token(old.id)
        if transition is Transition.START:
            credentials.insert_token(token, digest)
    return secret if transition is Transition.START else ""


def complete(core: Core, work: BuildWork, result: BuildResult) -> None:
    """The build succeeded: store its state and what it made, in one transaction with its end."""
    sealed = states.seal_state(core, work.build_id, result.state) if result.state is not None else None
    with core.change(SYSTEM) as change:
        jobs.end(change, work.claim)
        now = core.clock.now()
        if sealed is not None:
            workspaces.put_state(work.build_id, sealed, now)
        jobs.settle_journal(work.workspace_id, result.state or b"{}")
        for position, resource in enumerate(result.resources):
            secrets_of = dict(result.secrets)
            resources.insert(resource, position, work.build_id, work.workspace_id, secrets_of, now)
        parameters = dict(result.parameters or work.parameters)
        workspaces.update_build(work.build_id, daily_cost=result.daily_cost, parameters=parameters)
        workspaces.update(work.workspace_id, updated_at=now)
        if work.transition is Transition.DELETE:
            _bury(change, work)
        elif work.transition is Transition.STOP:
            _start_again(change, work)


def _bury(change: Change, work: BuildWork) -> None:
    """The workspace is gone: its name is free, its states hold nothing any more."""
    now = change.core.clock.now()
    workspaces.update(work.workspace_id, deleted_at=now)
    if work.orphan:
        journal.forget([work.workspace_id], [leftover.key for leftover in work.leftovers])
    change.record(
        "forgot" if work.orphan else "deleted",
        "workspace",
        work.workspace_id,
        f"{work.owner.name}/{work.workspace_name}",
    )
    change.event("workspace.deleted", id=work.workspace_id, name=work.workspace_name)


def _start_again(change: Change, work: BuildWork) -> None:
    """A stop that was the first half of a restart is followed by the start."""
    build = workspaces.build(work.build_id)
    version = templates.version(work.version_id)
    if build is None or version is None or build.reason != builds.RESTART:
        return
    builds.queue(
        change,
        work.workspace_id,
        work.number + 1,
        Transition.START,
        work.version_id,
        rules.kept(version.parameters, build.parameters),
        owner_id=work.owner.id,
        reason=builds.RESTART,
    )


def leftovers(core: Core, workspace_id: str) -> tuple[Leftover, ...]:
    """What the journal knows of the workspace and no stored state covers."""
    with core.database.read():
        entries = journal.entries(workspace_id)
    return tuple(_leftover(core, entry) for entry in entries if entry.status is not EntryStatus.DELETED)


def forget_leftovers(core: Core, workspace_id: str, keys: Sequence[str]) -> None:
    """What the journal knew of the workspace under these keys is gone from the platform, or is in a stored state."""
    with core.database.write():
        journal.forget([workspace_id], keys)


def forget_abandoned(core: Core, keys: Sequence[str]) -> None:
    """The same for what :func:`abandoned` told of, unless a job is about to touch its workspace by now."""
    with core.database.write():
        journal.forget(journal.idle_workspaces(), keys)


def abandoned(core: Core) -> tuple[Leftover, ...]:
    """What runs that are over may have left behind, of all workspaces that no job is about to touch.

    What a workspace's newest state holds is forgotten on the way: it is not left over.
    """
    found: list[Leftover] = []
    with core.database.read():
        idle = journal.idle_workspaces()
        by_workspace = {workspace_id: journal.entries(workspace_id) for workspace_id in idle}
        newest = {workspace_id: workspaces.newest_state(workspace_id) for workspace_id in idle}
    for workspace_id, entries in by_workspace.items():
        sealed = newest[workspace_id]
        known = states.journal_keys(states.open_state(core, *sealed)) if sealed else frozenset()
        settled = [e.key for e in entries if e.key in known or e.status is EntryStatus.DELETED]
        if settled:
            forget_leftovers(core, workspace_id, settled)
        found += [_leftover(core, entry) for entry in entries if entry.key not in settled]
    return tuple(found)


def harvest(core: Core, job_id: str, state: bytes) -> bool:
    """Keep the state that a dead run left in its work directory; false where a newer one is known.

    :param state: Terraform's state file.
    """
    serial = statefile.serial(state)
    with core.database.read():
        build = workspaces.build_of_job(job_id)
        newest = workspaces.newest_state(build.workspace_id) if build else None
    if build is None or serial is None:
        return False
    known = statefile.serial(states.open_state(core, *newest)) if newest else None
    if known is not None and known >= serial:
        return False
    sealed = states.seal_state(core, build.id, state)
    with core.database.write():
        workspaces.put_state(build.id, sealed, core.clock.now())
    return True


def is_over(core: Core, job_id: str) -> bool:
    """Whether nobody runs the job now."""
    with core.database.read():
        held = job_store.get(job_id)
    return held is None or held.job.status not in (BuildStatus.RUNNING, BuildStatus.CANCELING)


def require_bundle(core: Core, os: str, arch: str) -> str:
    """The agent's bootstrap script for a platform, with this deployment's access URL.

    :raises Unavailable: no bundle was built for it.
    """
    path = core.settings.bundle_dir / "bootstrap" / f"{os}-{arch}.sh"
    try:
        return path.read_text(encoding="utf-8").replace("${ACCESS_URL}", core.settings.access_url)
    except OSError as error:
        raise Unavailable(f"There is no agent for {os}/{arch}.", remedy=_bundle_remedy(core, path)) from error


def _bundle_remedy(core: Core, path: Path) -> str:
    if core.settings.agent_bundle_dir is not None:
        return f"{path} cannot be read: build the agent bundle there, or correct the setting agent_bundle_dir."
    return "The server builds the agent bundle after its first start: wait a minute, then start the workspace again."
