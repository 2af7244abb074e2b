"""The plugin's section in ``stead.toml``: ``[plugins.gcp]``."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr


class GcpSettings(BaseModel, extra="forbid"):
    """Project and credentials to use where a template does not say, and how long to wait for Google Cloud."""

    project: str | None = Field(
        default=None, description="Project where the provider block names none; without it GOOGLE_PROJECT counts."
    )
    region: str | None = Field(default=None, description="Region where the provider block names none.")
    zone: str | None = Field(default=None, description="Zone where the provider block names none.")
    credentials: Path | None = Field(
        default=None,
        description="Key file of a service account, or configuration of workload identity federation. "
        "Without it the SDK's usual sources count.",
    )
    access_token: SecretStr | None = Field(default=None, description="Access token in place of credentials.")
    impersonate_service_account: str | None = Field(
        default=None, description="Service account to act as with the credentials above."
    )
    compute_endpoint: str | None = Field(
        default=None, description="Address of the Compute Engine API, for private endpoints."
    )
    iam_endpoint: str = Field(default="https://iam.googleapis.com", description="Address of the IAM API.")
    resource_manager_endpoint: str = Field(
        default="https://cloudresourcemanager.googleapis.com", description="Address of the Resource Manager API."
    )
    timeout: float = Field(default=30.0, gt=0, description="Seconds that one answer may take.")
    attempts: int = Field(
        default=8, ge=1, le=50, description="How often a call is tried while Google Cloud throttles or fails."
    )
    pause: float = Field(
        default=0.5, gt=0, description="Seconds before the second try; doubles, with jitter, up to 20."
    )
    poll: float = Field(default=2.0, gt=0, description="Seconds between two looks at something that takes time.")
    identity_keys: str = Field(
        default="https://www.googleapis.com/oauth2/v3/certs",
        description="Where Google publishes the keys that sign identity tokens of machines.",
    )
