"""``host_workspace`` and ``host_home``."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from stead.api.errors import OperationTimedOut, PermissionMissing, ProviderFailure, ResourceConflict
from stead.api.provider import Context, Plan, Resource, attribute, is_known, length, matches
from stead.terraform.host import launch, processes
from stead.terraform.host.folders import Account, HomeFolder, WorkspaceFolder
from stead.terraform.host.settings import own_name

if TYPE_CHECKING:
    from stead.terraform.host.provider import Host

_NAME = matches(
    r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}",
    "must be up to 128 letters, digits, dots, hyphens and underscores, and start with a letter or digit",
)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Seconds that it may take until the first process runs its command.
_LAUNCHING = 30.0


class HostWorkspace(Resource, name="host_workspace"):
    """A workspace as a process tree on the provisioner's machine. It is isolated from nothing."""

    id: str = attribute(computed=True)
    name: str = attribute(required=True, force_new=True, validators=[_NAME])
    command: list[str] = attribute(required=True, force_new=True, validators=[length(low=1)])
    env: dict[str, str] | None = attribute(optional=True, force_new=True)
    home: str = attribute(
        optional=True,
        computed=True,
        force_new=True,
        description="Working and home folder: the path of a host_home. Without it one that goes with the workspace.",
    )
    pid: int = attribute(computed=True, description="The first process, which leads a session.")
    running: bool = attribute(computed=True, description="Whether the first process is there.")

    def plan(self, context: Context, plan: Plan) -> None:
        if plan.prior is not None and plan.prior.running is False:
            self.running = True
            plan.require_replace("running")
        if plan.action == "create":
            context.warn("The workspace will not be isolated", _warning(self.name, host(context)), field="name")
        if plan.action != "none" or plan.replacing:
            require_permission(context)

    def create(self, context: Context) -> None:
        require_permission(context)
        provider = host(context)
        context.log(_warning(self.name, provider), level="warn")
        account = provider.settings.account()
        folder = WorkspaceFolder(provider.settings.host_data_dir, context.key)
        if not processes.alive(folder.first):
            self._start(context, folder, account)
        first = folder.first
        if first is None:
            raise ProviderFailure(f"The record of the workspace {self.name!r} is gone.")
        self.id, self.pid, self.running = context.key, first.pid, True

    def read(self, context: Context) -> bool:
        """Gone is what left no folder. What died is replaced, so that what it left behind is removed as well."""
        folder = self._folder(context)
        self.running = processes.alive(folder.first)
        return folder.exists

    def delete(self, context: Context) -> None:
        settings = host(context).settings
        end_workspace(self._folder(context), settings.host_grace, context)

    @classmethod
    def import_(cls, context: Context, identity: str) -> HostWorkspace | None:
        """The journal key that it was created under."""
        folder = WorkspaceFolder(host(context).settings.host_data_dir, identity)
        if not identity.isalnum() or not folder.exists:
            return None
        first = folder.first
        return cls(
            id=identity,
            name=folder.labels.get("stead.workspace.name") or identity,
            command=[],
            home=str(folder.home),
            pid=first.pid if first else 0,
            running=processes.alive(first),
        )

    def _folder(self, context: Context) -> WorkspaceFolder:
        return WorkspaceFolder(host(context).settings.host_data_dir, self.id)

    def _start(self, context: Context, folder: WorkspaceFolder, account: Account | None) -> None:
        folder.make(context.labels, account)
        if not is_known(self.home) or self.home is None:
            self.home = str(folder.home)
        try:
            launch_process(folder, self.command, self._environment(context, account), Path(self.home), account)
        except ProviderFailure:
            end_workspace(folder, 0, context)
            raise

    def _environment(self, context: Context, account: Account | None) -> dict[str, str]:
        """What the provisioner has in its own environment stays there: it may hold secrets of Stead."""
        user = account.name if account else own_name()
        fixed = {"PATH": _PATH, "HOME": self.home, "USER": user, "LOGNAME": user, "LANG": "C.UTF-8"}
        given = {name: value for name, value in (self.env or {}).items() if value is not None}
        return {**fixed, **given, processes.MARKER: context.key}


class HostHome(Resource, name="host_home"):
    """A home folder that stays while its workspace is stopped, and goes with the workspace."""

    id: str = attribute(computed=True)
    name: str = attribute(required=True, force_new=True, validators=[_NAME])
    path: str = attribute(computed=True)

    def plan(self, context: Context, plan: Plan) -> None:
        if plan.action != "none":
            require_permission(context)

    def create(self, context: Context) -> None:
        require_permission(context)
        settings = host(context).settings
        folder = HomeFolder(settings.host_data_dir, self.name)
        if folder.exists and not _same_workspace(folder.labels, context.labels):
            raise ResourceConflict(
                f"The home {self.name!r} belongs to another workspace.",
                field="name",
                remedy="Put the workspace's id into the name.",
            )
        folder.make(context.labels, settings.account())
        self.id, self.path = self.name, str(folder.path)

    def read(self, context: Context) -> bool:
        folder = HomeFolder(host(context).settings.host_data_dir, self.name)
        self.path = str(folder.path)
        return folder.exists

    def delete(self, context: Context) -> None:
        """A home that meanwhile belongs to another key is not ours to remove."""
        folder = HomeFolder(host(context).settings.host_data_dir, self.name)
        owner = folder.labels.get("stead.key", "")
        if not context.key or not owner or owner == context.key:
            folder.remove()

    @classmethod
    def import_(cls, context: Context, identity: str) -> HostHome | None:
        """The name."""
        _NAME(identity)
        folder = HomeFolder(host(context).settings.host_data_dir, identity)
        return cls(id=identity, name=identity, path=str(folder.path)) if folder.exists else None


def host(context: Context) -> Host:
    return cast("Host", context.provider)


def require_permission(context: Context) -> None:
    if not context.build.allow_host:
        raise PermissionMissing(
            "The host platform is off: it runs workspaces on the machine of Stead itself, isolated from nothing.",
            remedy="To try Stead out alone on this machine, an administrator can set allow_host. "
            "Otherwise use another platform.",
        )
    if sys.platform != "linux":
        raise ProviderFailure("The host platform needs Linux.", remedy="Use another platform.")


def launch_process(
    folder: WorkspaceFolder, command: list[str], environment: dict[str, str], home: Path, account: Account | None
) -> None:
    """Start the first process of a workspace and return once it runs its command."""
    spec: dict[str, object] = {
        "command": command,
        "environment": environment,
        "home": str(home),
        "record": str(folder.record),
        "log": str(folder.log),
        "umask": 0o022,
    }
    if account is not None:
        spec |= {"uid": account.uid, "gid": account.gid, "groups": account.groups}
    launcher = [sys.executable, "-I", "-S", str(Path(launch.__file__))]
    try:
        done = subprocess.run(
            launcher,
            input=json.dumps(spec).encode(),
            # The marker stands in the launcher's environment already: it is found even if it dies half-way.
            env={"PATH": _PATH, processes.MARKER: folder.key},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_LAUNCHING,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OperationTimedOut(f"The workspace did not start within {_LAUNCHING:.0f} seconds.") from None
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip()[-1000:]
        raise ProviderFailure(f"The workspace did not start: {reason or 'its launcher failed'}.", field="command")


def end_workspace(folder: WorkspaceFolder, grace: float, context: Context | None = None) -> None:
    """End a workspace's processes and remove its folder. That it is gone already is success."""
    # A build that is being canceled still ends what it began to end: only its deadline counts here.
    processes.end(folder.key, folder.first, grace=_patience(grace, context))
    with contextlib.suppress(FileNotFoundError):
        folder.remove()


def _patience(grace: float, context: Context | None) -> float:
    if context is None or context.remaining is None:
        return grace
    return min(grace, context.remaining / 2)


def _same_workspace(left: dict[str, str], right: dict[str, str]) -> bool:
    return all(left.get(name) == right.get(name) for name in ("stead.deployment", "stead.workspace"))


def _warning(name: str, provider: Host) -> str:
    account = provider.settings.account()
    user = account.name if account else own_name()
    root = " That is root: it can do anything on this machine." if user == "root" else ""
    return (
        f"The workspace {name!r} runs on the provisioner's own machine as the user {user}.{root} It is isolated "
        "from nothing, so use the host platform only to try Stead out, and only with people you trust entirely."
    )
