"""Templates and their versions."""

from __future__ import annotations

import hashlib
import io
import json
import secrets as random
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stead.api.errors import Conflict, InvalidInput, NotFound, TooLarge
from stead.api.records import StarterTemplate
from stead.domain import names, rbac
from stead.domain.records import Actor, Job, Page, Template, TemplateVersion
from stead.domain.states import BuildStatus, JobKind
from stead.domain.transitions import ENDED
from stead.services import builds
from stead.services.core import Change, Core, new_id
from stead.services.users import page_bounds
from stead.store import jobs
from stead.store import templates as store


@dataclass(frozen=True)
class Starter:
    """A template that an installed platform ships; ``name`` is ``PLATFORM/TEMPLATE``."""

    name: str
    platform: str
    template: StarterTemplate


def create_version(
    core: Core,
    actor: Actor,
    archive: bytes | Path,
    name: str = "",
    message: str = "",
    variables: Mapping[str, str] | None = None,
    template: str | None = None,
) -> TemplateVersion:
    """Store an archive (tar, tar.gz, zip, or a folder) as a version and queue its import.

    :param template: the template that it is a version of; without one, :func:`create` makes one of it later.
    """
    rbac.require(actor, rbac.Resource.TEMPLATE, rbac.Action.UPDATE)
    target = get(core, actor, template) if template else None
    content = _content(archive, core.settings.max_archive_bytes)
    now = core.clock.now()
    job = Job(new_id(), JobKind.TEMPLATE_IMPORT, BuildStatus.PENDING, "queued", now)
    version_id = new_id()
    sealed = None
    if variables:
        plain = json.dumps({str(k): str(v) for k, v in variables.items()}).encode()
        sealed = core.keyring.seal(f"variables:{version_id}", plain)
    with core.change(actor) as change:
        version = store.NewVersion(
            id=version_id,
            template_id=target.id if target else None,
            archive_id=store.insert_archive(new_id(), hashlib.sha256(content).hexdigest(), content, now),
            job_id=job.id,
            name=names.check_version_name(name) if name else _version_name(core),
            message=names.check_text(message, "message", 4096),
            sealed_variables=sealed,
            created_by=actor.user_id,
            created_at=now,
        )
        _refuse_taken_version(version)
        jobs.insert(job, actor.user_id)
        store.insert_version(version)
        change.record("uploaded", "template_version", version_id, version.name)
        change.announce("jobs", kind=job.kind.value)
        change.announce("templates")
    return _version(core, version_id)


def _refuse_taken_version(version: store.NewVersion) -> None:
    if version.template_id and store.version_named(version.template_id, version.name) is not None:
        raise Conflict(f"The template has a version {version.name} already.", field="name")


def _version_name(core: Core) -> str:
    return f"{core.clock.now():%Y-%m-%d}-{random.token_hex(3)}"


def _content(archive: bytes | Path, largest: int) -> bytes:
    if isinstance(archive, Path):
        content = pack(archive) if archive.is_dir() else archive.read_bytes()
    else:
        content = bytes(archive)
    if not content:
        raise InvalidInput("The archive is empty.", field="archive")
    if len(content) > largest:
        raise TooLarge(
            f"The archive has {len(content)} bytes; at most {largest} are accepted.",
            field="archive",
            remedy="Leave out what the template does not need, or raise max_archive_bytes.",
        )
    return content


def pack(folder: Path) -> bytes:
    """A folder as a gzipped tar that depends on nothing but names, modes and content."""
    skipped = {".git", ".terraform", "__pycache__", "node_modules"}
    buffer = io.BytesIO()

    def neutral(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if skipped & set(Path(entry.name).parts) or not (entry.isfile() or entry.isdir()):
            return None
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = ""
        return entry

    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, arcname=path.name, filter=neutral)
    return buffer.getvalue()


def create(
    core: Core,
    actor: Actor,
    name: str,
    version_id: str,
    display_name: str = "",
    description: str = "",
    icon: str = "",
) -> Template:
    """Make a template of an imported version, which becomes its active one."""
    rbac.require(actor, rbac.Resource.TEMPLATE, rbac.Action.CREATE)
    now = core.clock.now()
    template = Template(
        id=new_id(),
        name=names.check_template_name(name).lower(),
        display_name=names.check_text(display_name, "display_name", 64),
        description=names.check_text(description, "description", 1024),
        icon=names.check_text(icon, "icon", 256),
        active_version_id=version_id,
        created_by=actor.username,
        created_at=now,
        updated_at=now,
    )
    with core.change(actor) as change:
        version = _importable(version_id)
        if version.template_id is not None:
            raise Conflict("This version belongs to a template already.", field="version_id")
        if store.by_ref(template.name) is not None:
            raise Conflict(
                f"There is a template named {template.name} already.", field="name", remedy="Choose another name."
            )
        store.insert(template, actor.user_id)
        store.update_version(version_id, template_id=template.id)
        change.record("created", "template", template.id, template.name, after={"version": version.name})
        change.announce("templates", id=template.id)
        change.event("template.created", id=template.id, name=template.name)
    return template


def _importable(version_id: str) -> TemplateVersion:
    version = store.version(version_id)
    if version is None:
        raise NotFound(f"There is no template version {version_id}.")
    if version.job.status is not BuildStatus.SUCCEEDED:
        over = version.job.status in ENDED
        raise Conflict(
            f"The version {version.name} cannot be used: its import is {version.job.status}.",
            field="version_id",
            remedy=version.job.error or ("Upload it again." if over else "Wait for the import."),
        )
    if version.archived:
        raise Conflict(f"The version {version.name} is archived.", field="version_id")
    return version


def promote(core: Core, actor: Actor, template: str, version: str) -> Template:
    """Make a version (id or name) the active one: new workspaces use it, others are outdated."""
    found = get(core, actor, template)
    rbac.require(actor, rbac.Resource.TEMPLATE, rbac.Action.UPDATE)
    with core.change(actor) as change:
        named = store.version_named(found.id, version)
        wanted = _importable(named.id if named else version)
        if wanted.template_id != found.id:
            raise InvalidInput(f"This is not a version of {found.name}.", field="version")
        _promote(change, found, wanted)
    return get(core, actor, found.id)


def _promote(change: Change, template: Template, version: TemplateVersion) -> None:
    store.update(template.id, active_version_id=version.id, updated_at=change.core.clock.now())
    change.record(
        "promoted version",
        "template",
        template.id,
        template.name,
        before={"version_id": template.active_version_id},
        after={"version_id": version.id},
    )
    change.announce("templates", id=template.id)


def get(core: Core, actor: Actor, ref: str) -> Template:
    """A template by id or name."""
    rbac.require(actor, rbac.Resource.TEMPLATE, rbac.Action.READ)
    with core.database.read():
        template = store.by_ref(ref)
    if template is None:
        raise NotFound(f"There is no template {ref}.", remedy="`stead templates list` shows all.")
    return template


def list(core: Core, actor: Actor, search: str = "", limit: int = 50, offset: int = 0) -> Page:  # noqa: A001
    rbac.require(actor, rbac.Resource.TEMPLATE, rbac.Action.READ)
    limit, offset = page_bounds(limit, offset)
    with core.database.read():
        found, total = store.page(search, limit, offset)
    return Page(items=tuple(found), total=total)


def versions(core: Core, actor: Actor, template: str, limit: int = 50, offset: int = 0) -> Page:
    """Versions of a template, newest first."""
    found = get(core, actor, template)
    limit, offset = page_bounds(limit, offset)
    with core.database.read():
        items, total = store.versions(found.id, limit, offset)
    return Page(items=tuple(items), total=total)


def version(core: Core, actor: Actor, version_id: str) -> TemplateVersion:
    rbac.require(actor, rbac.Resource.TEMPLATE, rbac.Action.READ)
    return _version(core, version_id)


def _version(core: Core, version_id: str) -> TemplateVersion:
    with core.database.read():
        found = store.version(version_id)
    if found is None:
        raise NotFound(f"There is no template version {version_id}.")
    return found


def cancel(core: Core, actor: Actor, version_id: str) -> TemplateVersion:
    """Stop the import of a version."""
    rbac.require(actor, rbac.Resource.TEMPLATE, rbac.Action.UPDATE)
    found = version(core, actor, version_id)
    with core.change(actor) as change:
        builds.cancel_job(change, found.job.id)
        change.record("canceled import", "template_version", found.id, found.name)
        change.announce("templates")
    return version(core, actor, version_id)


def update(
    core: Core,
    actor: Actor,
    ref: str,
    name: str | None = None,
    display_name: str | None = None,
    description: str | None = None,
    icon: str | None = None,
    deprecated: str | None = None,
) -> Template:
    """Change what is given; an empty ``deprecated`` ends the deprecation."""
    rbac.require(actor, rbac.Resource.TEMPLATE, rbac.Action.UPDATE)
    template = get(core, actor, ref)
    values: dict[str, str | None] = {}
    if name is not None:
        values["name"] = names.check_template_name(name).lower()
    bounds = {"display_name": 64, "description": 1024, "icon": 256, "deprecated": 1024}
    given = {"display_name": display_name, "description": description, "icon": icon, "deprecated": deprecated}
    for field, value in given.items():
        if value is not None:
            values[field] = names.check_text(value, field, bounds[field])
    if values.get("deprecated") == "":
        values["deprecated"] = None
    with core.change(actor) as change:
        taken = store.by_ref(str(values["name"])) if "name" in values else None
        if taken is not None and taken.id != template.id:
            raise Conflict(f"There is a template named {taken.name} already.", field="name")
        store.update(template.id, **values, updated_at=core.clock.now())
        before = {field: getattr(template, field) for field in values}
        change.record("updated", "template", template.id, template.name, before=before, after=values)
        change.announce("templates", id=template.id)
    return get(core, actor, template.id)


def delete(core: Core, actor: Actor, ref: str) -> None:
    """Remove a template that no workspace uses."""
    rbac.require(actor, rbac.Resource.TEMPLATE, rbac.Action.DELETE)
    template = get(core, actor, ref)
    with core.change(actor) as change:
        core.database.lock(f"template:{template.id}")
        if count := store.live_workspaces(template.id):
            raise Conflict(
                f"{count} workspace{'s use' if count > 1 else ' uses'} the template {template.name}.",
                remedy="Delete them first.",
            )
        store.update(template.id, deleted_at=core.clock.now())
        change.record("deleted", "template", template.id, template.name)
        change.announce("templates", id=template.id)


def archive(core: Core, actor: Actor, version_id: str) -> bytes:
    """The archive of a version as it was uploaded."""
    rbac.require(actor, rbac.Resource.TEMPLATE, rbac.Action.UPDATE)
    with core.database.read():
        source = store.source(version_id)
        content = store.archive(source.archive_id) if source else None
    if content is None:
        raise NotFound(f"There is no template version {version_id}.")
    return content


def starters(core: Core, actor: Actor | None = None) -> tuple[Starter, ...]:
    """The starter templates of all loaded platforms; everybody may see them."""
    del actor
    return tuple(
        Starter(f"{platform.name}/{template.name}", platform.name, template)
        for platform, _ in core.plugins.platforms()
        for template in platform.templates
    )


def starter(core: Core, name: str) -> Starter:
    """The starter template ``PLATFORM/TEMPLATE``."""
    known = starters(core)
    for found in known:
        if found.name == name:
            return found
    raise NotFound(
        f"There is no starter template {name}.", remedy=f"Known: {', '.join(s.name for s in known) or 'none'}."
    )
