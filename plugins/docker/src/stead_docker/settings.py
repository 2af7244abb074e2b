"""The plugin's section in ``stead.toml``: ``[plugins.docker]``."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field


class DockerSettings(BaseModel, extra="forbid"):
    """Which engine to use where a template does not say, and how long to wait for it."""

    host: str | None = Field(
        default=None,
        description="Engine to use where the provider block names none: unix:///path, tcp://host:port or "
        "ssh://user@host. Without it DOCKER_HOST counts, then the local socket.",
    )
    cert_path: Path | None = Field(
        default=None, description="Folder with ca.pem, cert.pem and key.pem for an engine behind TLS."
    )
    trial_image: str = Field(
        default="buildpack-deps:bookworm-scm",
        description="Image for a first workspace where the engine has none that fits.",
    )
    timeout: float = Field(default=60.0, gt=0, description="Seconds that one answer of the engine may take.")
    silence: float = Field(
        default=300.0,
        gt=0,
        description="Seconds that a pull or a build may go without a sign of life.",
    )
    settle: float = Field(
        default=0.05, ge=0, description="Seconds that a new container must run before its start counts as one."
    )
    attempts: int = Field(default=3, ge=1, le=10, description="How often a question to the engine is tried.")
