"""The plugin's section in ``stead.toml``: ``[plugins.baremetal]``."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr


class BaremetalSettings(BaseModel, extra="forbid"):
    """Which machines there are, how to reach them, and how long to wait for them."""

    inventory: Path | None = Field(default=None, description="File that lists the machines: .toml or .json.")
    inventory_command: list[str] = Field(
        default_factory=list, description="Program with arguments that prints the inventory as JSON."
    )
    inventory_url: str | None = Field(default=None, description="HTTP address that answers the inventory as JSON.")
    inventory_token: SecretStr | None = Field(default=None, description="Bearer token for inventory_url.")
    user: str = Field(default="stead", description="Account to sign in with where a machine names none.")
    key_file: Path | None = Field(
        default=None, description="Private key to sign in with; without it the usual ones in ~/.ssh."
    )
    known_hosts: Path | None = Field(
        default=None,
        description="File with the machines' host keys; without it ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts. "
        "Keys in the inventory count as well. A machine whose key is in none of them is not used.",
    )
    connect_timeout: float = Field(default=10.0, gt=0, description="Seconds until a machine must answer.")
    answer_timeout: float = Field(default=120.0, gt=0, description="Seconds that one command on a machine may take.")
    release_timeout: float = Field(default=900.0, gt=0, description="Seconds that wiping a machine may take.")
    patience: float = Field(
        default=180.0,
        ge=0,
        description="Seconds to wait for a claimed machine that does not answer, such as one that boots.",
    )
    read_patience: float = Field(default=15.0, ge=0, description="The same where a plan only looks at the machine.")
    parallel: int = Field(default=16, ge=1, le=128, description="How many machines are asked at the same time.")
    stop_grace: int = Field(default=20, ge=0, description="Seconds that an agent may take to end by itself.")
