"""Settings of the host platform, and the user that it runs workspaces as."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from pydantic import BaseModel, Field, field_validator

from stead.api.errors import InvalidInput
from stead.terraform.host.folders import Account


def default_folder() -> Path:
    return Path.home() / ".local" / "share" / "stead" / "host"


class HostSettings(BaseModel, extra="forbid"):
    """Section of the host platform in ``stead.toml``."""

    host_data_dir: Path = Field(
        default_factory=default_folder, description="Folder for the homes and records of host workspaces."
    )
    host_user: str = Field(
        default="",
        description="Run workspaces as this user. The provisioner must be root, and the user must be able to"
        " reach host_data_dir. Empty: the provisioner's own user.",
    )
    host_grace: float = Field(
        default=20.0,
        ge=0,
        description="Seconds that a workspace may take to end by itself before its processes are killed.",
    )

    @field_validator("host_data_dir", mode="after")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    def account(self) -> Account | None:
        """The user to change to, or ``None`` for the provisioner's own."""
        if not self.host_user or self.host_user == own_name():
            return None
        try:
            entry = pwd.getpwnam(self.host_user)
        except KeyError:
            raise InvalidInput(f"There is no user {self.host_user!r} on this machine.", field="host_user") from None
        if os.geteuid() != 0:
            raise InvalidInput("Only root can run workspaces as another user.", field="host_user")
        groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, groups)


def own_name() -> str:
    """The provisioner's own user, by number where it has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
