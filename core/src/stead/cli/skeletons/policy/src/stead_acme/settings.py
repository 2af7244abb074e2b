"""What ``[policies.acme]`` holds, beside what the core reads."""

from __future__ import annotations

from pydantic import BaseModel, Field


class AcmeSettings(BaseModel, extra="forbid"):
    """What has to be tagged, and how."""

    tag: str = Field(default="team", description="Name of the tag.")
    types: list[str] = Field(default=["*_instance"], description="Resource types that need it; * is any text.")
