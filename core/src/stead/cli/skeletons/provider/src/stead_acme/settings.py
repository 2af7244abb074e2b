"""The plugin's section in ``stead.toml``: ``[plugins.acme]``."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr


class AcmeSettings(BaseModel, extra="forbid"):
    """Where Acme is, and what opens it."""

    folder: Path = Field(default=Path("/var/lib/acme"), description="Folder in which machines are files.")
    token: SecretStr | None = Field(default=None, description="What opens it.")
