"""The plugin's section in ``stead.toml``: ``[plugins.azure]``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr

Environment = Literal["public", "usgovernment", "china"]


class AzureSettings(BaseModel, extra="forbid"):
    """Subscription and account to use where a template does not say, and how long to wait for Azure."""

    subscription_id: str | None = Field(
        default=None, description="Subscription where the provider block names none; then ARM_SUBSCRIPTION_ID counts."
    )
    tenant_id: str | None = Field(default=None, description="Directory of the account; then ARM_TENANT_ID counts.")
    client_id: str | None = Field(
        default=None, description="Application (service principal), or user-assigned managed identity."
    )
    client_secret: SecretStr | None = Field(default=None, description="Secret of the application.")
    client_certificate_path: Path | None = Field(
        default=None, description="Certificate with private key (PEM or PFX) of the application, in place of a secret."
    )
    use_msi: bool = Field(default=False, description="Use the managed identity of the machine that runs Stead.")
    environment: Environment = Field(
        default="public", description="Which of Azure's clouds: public, usgovernment, china."
    )
    endpoint: str | None = Field(default=None, description="Address of the resource manager, for private clouds.")
    authority: str | None = Field(default=None, description="Host that gives tokens, for private clouds.")
    ca_bundle: Path | None = Field(default=None, description="Certificates (PEM) to trust in place of the system's.")
    timeout: float = Field(default=60.0, gt=0, description="Seconds that one answer of Azure may take.")
    attempts: int = Field(
        default=8, ge=1, le=50, description="How often a call is tried while Azure throttles or fails."
    )
    pause: float = Field(
        default=0.5, gt=0, description="Seconds before the second try; doubles, with jitter, up to 30."
    )
    poll: float = Field(
        default=5.0, gt=0, description="Seconds between two looks at an operation where Azure names no time itself."
    )
    settle: float = Field(
        default=30.0, ge=0, description="Seconds that Azure may not know yet what was made a moment ago."
    )
    cleanup: float = Field(
        default=120.0, gt=0, description="Seconds that the removal of a half-made thing may take after a failure."
    )
    identity_roots: Path | None = Field(
        default=None,
        description="Certificates (PEM) of authorities that may vouch for Azure's attested documents, besides the "
        "public ones of this machine.",
    )
