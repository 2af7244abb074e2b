"""Workspaces: make, find, list, rename."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from stead.api.errors import Conflict, InvalidInput, NotFound
from stead.api.policies import BuildRequest
from stead.domain import names, rbac
from stead.domain.records import Actor, Agent, Page, TemplateVersion, Workspace
from stead.domain.states import BuildStatus, Transition, WorkspaceStatus
from stead.services import builds, live, lookup, templates, users
from stead.services.core import Core, new_id
from stead.services.policies.requests import describe, judge_request
from stead.services.users import page_bounds
from stead.store import templates as template_store
from stead.store import workspaces as store


def create(
    core: Core,
    actor: Actor,
    template: str,
    name: str,
    parameters: Mapping[str, str] | None = None,
    preset: str | None = None,
    owner: str | None = None,
    version: str | None = None,
) -> Workspace:
    """Make a workspace and queue its first build, a start.

    :param preset: name of one of the version's presets; given parameters win over it.
    :param owner: somebody else, where the actor may make workspaces for others.
    :param version: id or name of a version other than the active one.
    """
    found = templates.get(core, actor, template)
    rbac.require(actor, rbac.Resource.TEMPLATE, rbac.Action.USE)
    if found.deprecated:
        raise Conflict(f"The template {found.name} is deprecated: {found.deprecated}", field="template")
    person = users.resolve(core, actor, owner) if owner else users.resolve(core, actor, "me")
    if not rbac.allows(actor, rbac.Resource.WORKSPACE, rbac.Action.CREATE, person.id):
        raise NotFound(f"There is no user {owner}.")
    now = core.clock.now()
    new = store.NewWorkspace(new_id(), names.check_workspace_name(name), person.id, found.id, now)

    def first() -> _First:
        """Within a transaction: what the first build comes down to, as things stand."""
        if store.name_taken(person.id, new.name):
            raise Conflict(
                f"{person.username} has a workspace named {new.name} already.",
                field="name",
                remedy="Choose another name.",
            )
        chosen = builds.choose_version(found, version)
        values = builds.resolve_parameters(chosen, parameters or {}, None, _preset(chosen, preset))
        return _First(actor, found.name, new, chosen, values)

    judged = judge_request(core, actor, lambda: first().request, new.id)
    with core.change(actor) as change:
        core.database.lock(f"template:{found.id}")
        if template_store.by_ref(found.id) is None:
            raise NotFound(f"There is no template {template}.")
        made = first()
        judged.hold(core, lambda: made.request)
        store.insert(new)
        build = builds.queue(
            change,
            new.id,
            1,
            Transition.START,
            made.version.id,
            made.values,
            owner_id=person.id,
            reason="initiator",
            warnings=judged.verdict.warnings,
        )
        change.record(
            "created",
            "workspace",
            new.id,
            f"{person.username}/{new.name}",
            after={"template": found.name, "version": made.version.name, "build": build},
        )
        change.event("workspace.created", id=new.id, name=new.name, owner=person.username)
    return get(core, actor, new.id)


@dataclass(frozen=True)
class _First:
    """The build that makes a workspace."""

    actor: Actor
    template: str
    workspace: store.NewWorkspace
    version: TemplateVersion
    values: dict[str, str]

    @property
    def request(self) -> BuildRequest:
        return describe(
            transition=Transition.START,
            initiator_id=self.actor.user_id,
            owner_id=self.workspace.owner_id,
            template=self.template,
            version=self.version,
            workspace=self.workspace.name,
            number=1,
            parameters=self.values,
            reason="initiator",
        )


def _preset(version: TemplateVersion, name: str | None) -> Mapping[str, str]:
    if not name:
        return {}
    for preset in version.presets:
        if preset.name == name:
            return preset.parameters
    known = ", ".join(preset.name for preset in version.presets)
    raise InvalidInput(f"The template has no preset {name}.", field="preset", remedy=f"It has: {known or 'none'}.")


def get(core: Core, actor: Actor, ref: str) -> Workspace:
    """A workspace by id, ``NAME`` (the actor's own) or ``OWNER/NAME``, with what is live about its agents."""
    return lookup.workspace(core, actor, ref)


def list(  # noqa: A001
    core: Core,
    actor: Actor,
    search: str = "",
    owner: str | None = None,
    template: str | None = None,
    status: WorkspaceStatus | None = None,
    limit: int = 50,
    offset: int = 0,
) -> Page:
    """Workspaces by name: all that the actor may see, or those of ``owner`` (``me``)."""
    wanted = store.WorkspaceFilter(search=search, status=WorkspaceStatus(status) if status else None)
    if template:
        wanted = replace(wanted, template_id=templates.get(core, actor, template).id)
    if not rbac.allows(actor, rbac.Resource.WORKSPACE, rbac.Action.READ):
        if owner and users.resolve(core, actor, owner).id != actor.user_id:
            return Page(items=(), total=0)
        wanted = replace(wanted, owner_id=actor.user_id)
    elif owner:
        wanted = replace(wanted, owner_id=users.resolve(core, actor, owner).id)
    limit, offset = page_bounds(limit, offset)
    with core.database.read():
        found, total = store.page(wanted, limit, offset)
    return Page(items=tuple(live.workspace(core, stored) for stored in found), total=total)


def update(core: Core, actor: Actor, ref: str, name: str | None = None) -> Workspace:
    """Rename. Templates may use the name: running workspaces have to be stopped first."""
    workspace = get(core, actor, ref)
    rbac.require(actor, rbac.Resource.WORKSPACE, rbac.Action.UPDATE, workspace.owner_id)
    if name is None or name == workspace.name:
        return workspace
    checked = names.check_workspace_name(name)
    with core.change(actor) as change:
        store.lock(workspace.id)
        now = store.by_id(workspace.id)
        if now is None or now.status is not WorkspaceStatus.STOPPED:
            raise Conflict("Only a stopped workspace can be renamed.", field="name", remedy="Stop the workspace first.")
        same = checked.lower() == workspace.name.lower()
        if not same and store.name_taken(workspace.owner_id, checked):
            raise Conflict(f"There is a workspace named {checked} already.", field="name")
        store.update(workspace.id, name=checked, updated_at=core.clock.now())
        change.record(
            "renamed",
            "workspace",
            workspace.id,
            f"{workspace.owner}/{checked}",
            before={"name": workspace.name},
            after={"name": checked},
        )
        builds.announce(change, workspace.id, workspace.owner_id)
    return get(core, actor, workspace.id)


def agent(core: Core, actor: Actor, ref: str, name: str | None = None) -> Agent:
    """An agent of a workspace that the actor may connect to: the named one, or the only (first) one.

    ``ref`` may also be ``WORKSPACE.AGENT``.
    """
    if name is None and "." in ref:
        ref, _, name = ref.rpartition(".")
    workspace = get(core, actor, ref)
    rbac.require(actor, rbac.Resource.WORKSPACE, rbac.Action.CONNECT, workspace.owner_id)
    latest = workspace.latest_build
    agents = [a for resource in latest.resources for a in resource.agents]
    if not agents:
        raise _no_agent(workspace)
    for found in agents:
        if name is None or found.name == name:
            return found
    known = ", ".join(a.name for a in agents)
    raise NotFound(f"The workspace {workspace.name} has no agent {name}.", remedy=f"It has: {known}.")


def _no_agent(workspace: Workspace) -> Conflict:
    latest = workspace.latest_build
    if latest.transition is Transition.START and latest.job.status is BuildStatus.SUCCEEDED:
        return Conflict(
            f"{workspace.name} runs, but its template has no agent: there is no way in.",
            remedy="Add a coder_agent to the template, and start the workspace again with the new version.",
        )
    return Conflict(
        f"The workspace {workspace.name} is {workspace.status}.",
        remedy=f"`stead start {workspace.owner}/{workspace.name}` starts it.",
    )
