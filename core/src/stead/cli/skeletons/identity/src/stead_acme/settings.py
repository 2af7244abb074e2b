"""What ``[identity.NAME]`` holds for the kind ``acme``, beside what the core reads."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field


class AcmeSettings(BaseModel, extra="forbid"):
    """Where the people are."""

    file: Path = Field(description="File with the people, as JSON.")
