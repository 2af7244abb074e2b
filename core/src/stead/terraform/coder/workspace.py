"""What a template asks about its build: the workspace, its owner, the provisioner, tags."""

from __future__ import annotations

import platform
import sys
from urllib.parse import urlsplit

from stead.api.provider import Context, DataSource, ObjectSchema, attribute
from stead.terraform.coder.records import stable_id

_GO_ARCHITECTURES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv7l": "armv7",
}
_GO_SYSTEMS = {"win32": "windows"}

#: The name of workspace and owner where there is none yet. Templates make names from them and expect some.
NOBODY = "default"


class Workspace(DataSource, name="coder_workspace"):
    """The workspace that is being built."""

    id: str = attribute(computed=True)
    name: str = attribute(computed=True)
    transition: str = attribute(computed=True, description="start, stop or destroy.")
    start_count: int = attribute(
        computed=True, description="1 where the workspace starts, else 0: the count of what a stop removes."
    )
    prebuild_count: int = attribute(computed=True)
    is_prebuild: bool = attribute(computed=True)
    is_prebuild_claim: bool = attribute(computed=True)
    access_url: str = attribute(computed=True)
    access_port: int = attribute(computed=True)
    template_id: str = attribute(computed=True)
    template_name: str = attribute(computed=True)
    template_version: str = attribute(computed=True)

    def read(self, context: Context) -> None:
        build = context.build
        self.id = build.workspace_id or stable_id(build, "workspace")
        self.name = build.workspace_name or NOBODY
        self.transition = build.transition
        self.start_count = int(build.transition == "start")
        self.prebuild_count = build.prebuild_count
        self.is_prebuild = build.is_prebuild
        self.is_prebuild_claim = build.is_prebuild_claim
        self.access_url = build.access_url.rstrip("/")
        self.access_port = port_of(build.access_url)
        self.template_id = build.template_id
        self.template_name = build.template_name
        self.template_version = build.template_version


class OwnerRole(ObjectSchema):
    name: str = attribute(computed=True)
    org_id: str = attribute(computed=True)


class WorkspaceOwner(DataSource, name="coder_workspace_owner"):
    """The person whom the workspace belongs to."""

    id: str = attribute(computed=True)
    name: str = attribute(computed=True, description="The username.")
    full_name: str = attribute(computed=True)
    email: str = attribute(computed=True)
    groups: list[str] = attribute(computed=True)
    login_type: str = attribute(computed=True)
    rbac_roles: list[OwnerRole] = attribute(computed=True)
    ssh_public_key: str = attribute(computed=True)
    ssh_private_key: str = attribute(computed=True, sensitive=True)
    session_token: str = attribute(computed=True, sensitive=True, description="A new one at every start.")
    oidc_access_token: str = attribute(computed=True, sensitive=True)

    def read(self, context: Context) -> None:
        owner = context.build.owner
        self.id = owner.id or stable_id(context.build, "owner")
        self.name = owner.name or NOBODY
        self.full_name = owner.full_name
        self.email = owner.email or f"{self.name}@example.com"
        self.groups = list(owner.groups)
        self.login_type = owner.login_type
        self.rbac_roles = [OwnerRole(name=role, org_id="") for role in owner.roles]
        self.ssh_public_key = owner.ssh_public_key
        self.ssh_private_key = owner.ssh_private_key
        self.session_token = owner.session_token
        self.oidc_access_token = owner.oidc_access_token


class Provisioner(DataSource, name="coder_provisioner"):
    """The machine that runs Terraform, in Go's words."""

    id: str = attribute(computed=True)
    os: str = attribute(computed=True)
    arch: str = attribute(computed=True)

    def read(self, context: Context) -> None:
        self.id = stable_id(context.build, "provisioner")
        self.os = _GO_SYSTEMS.get(sys.platform, sys.platform)
        machine = platform.machine().lower()
        self.arch = _GO_ARCHITECTURES.get(machine, machine)


class WorkspaceTags(DataSource, name="coder_workspace_tags"):
    """Tags that choose the provisioner. The control plane reads them from the template before the build."""

    id: str = attribute(computed=True)
    tags: dict[str, str] | None = attribute(optional=True)

    def read(self, context: Context) -> None:
        self.id = stable_id(context.build, "tags")


def port_of(access_url: str) -> int:
    """The port of a URL: its own, or the one that its scheme stands for."""
    parts = urlsplit(access_url)
    return parts.port or (443 if parts.scheme == "https" else 80)
