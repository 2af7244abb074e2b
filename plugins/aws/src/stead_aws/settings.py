"""The plugin's section in ``stead.toml``: ``[plugins.aws]``."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr


class AwsSettings(BaseModel, extra="forbid"):
    """Account and region to use where a template does not say, and how long to wait for AWS."""

    region: str | None = Field(
        default=None, description="Region where the provider block names none; without it AWS_REGION counts."
    )
    profile: str | None = Field(default=None, description="Profile of the shared configuration files.")
    access_key: str | None = Field(default=None, description="Access key; without it the SDK's usual sources count.")
    secret_key: SecretStr | None = Field(default=None, description="Secret key that belongs to access_key.")
    token: SecretStr | None = Field(default=None, description="Session token that belongs to access_key.")
    role_arn: str | None = Field(default=None, description="Role to assume with the credentials above.")
    external_id: str | None = Field(default=None, description="External id that the role's trust policy wants.")
    endpoints: dict[str, str] = Field(
        default_factory=dict, description="Addresses by service (ec2, iam, sts) for private endpoints."
    )
    ca_bundle: Path | None = Field(default=None, description="Certificates (PEM) to trust in place of the system's.")
    timeout: float = Field(default=30.0, gt=0, description="Seconds that one answer of AWS may take.")
    attempts: int = Field(default=8, ge=1, le=50, description="How often a call is tried while AWS throttles or fails.")
    pause: float = Field(
        default=0.5, gt=0, description="Seconds before the second try; doubles, with jitter, up to 20."
    )
    poll: float = Field(default=3.0, gt=0, description="Seconds between two looks at something that takes time.")
    settle: float = Field(
        default=30.0, ge=0, description="Seconds that AWS may not know yet what was made a moment ago."
    )
    identity_certificates: Path | None = Field(
        default=None,
        description="Folder with REGION.pem files: AWS's RSA-2048 certificates for instance identity documents, "
        "for regions that this version does not carry.",
    )
    identity_roles: tuple[str, ...] = Field(
        default=(), description="Roles that machines may have to prove their identity through STS; empty is any."
    )
