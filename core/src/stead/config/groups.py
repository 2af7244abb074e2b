"""Every setting, one class per group. The fields of all groups live in one flat namespace.

A field is declared once, with type, default and help; file, environment, flags, ``stead config show``
and the reference page follow from it. A ``SecretStr`` field NAME can also be given as NAME_file, the
path of a file that holds it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, field_validator

from stead.config.types import Address, CommaList, Duration, split_commas


def default_data_dir() -> Path:
    return Path.home() / ".local" / "share" / "stead"


class ServerSettings(BaseModel):
    """Where Stead keeps its data and how it is reached."""

    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="Folder for the embedded database, keys, caches and work directories.",
    )
    access_url: str = Field(
        default="",
        description="URL under which people and agents reach this server. Empty: made from http_address.",
    )
    http_address: Address = Field(default="127.0.0.1:3000", description="Address on which to serve HTTP, as HOST:PORT.")
    also_listen: Annotated[list[Address], BeforeValidator(split_commas)] = Field(
        default_factory=list,
        description="Further addresses on which to serve HTTP, as HOST:PORT, such as the one that"
        " containers of this machine see it at.",
    )
    tls_cert_file: Path | None = Field(
        default=None, description="Certificate chain in PEM. Set together with tls_key_file to serve HTTPS."
    )
    tls_key_file: Path | None = Field(default=None, description="Private key of tls_cert_file in PEM.")
    trusted_proxies: CommaList = Field(
        default_factory=list,
        description="Addresses of reverse proxies whose X-Forwarded-For and -Proto headers are believed.",
    )
    max_request_bytes: int = Field(
        default=64 * 1024 * 1024, ge=1024, description="Largest request body that is accepted, in bytes."
    )
    agent_bundle_dir: Path | None = Field(
        default=None,
        description="Folder with the agent bundles that are served under /bin/. Empty: agent in data_dir.",
    )

    @field_validator("data_dir", "tls_cert_file", "tls_key_file", "agent_bundle_dir", mode="after")
    @classmethod
    def _expand(cls, value: Path | None) -> Path | None:
        return value.expanduser() if value is not None else None


class DatabaseSettings(BaseModel):
    """Which database holds the state of the control plane."""

    pg_connection_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL to use, as postgresql://USER:PASSWORD@HOST/DATABASE."
        " Empty: embedded SQLite in data_dir. CODER_PG_CONNECTION_URL is read too.",
    )
    database_connections: int = Field(
        default=20, ge=2, le=500, description="Most database connections that one process opens."
    )
    database_timeout: Duration = Field(
        default=10.0, gt=0, description="Longest wait for a connection or a lock of the database."
    )


class SecuritySettings(BaseModel):
    """Sessions, tokens and the keys of what is encrypted at rest."""

    keyring_file: Path | None = Field(
        default=None,
        description="File with the keys that encrypt secrets at rest. Empty: keyring.json in data_dir."
        " Every server of a deployment needs the same file.",
    )
    session_lifetime: Duration = Field(
        default=7 * 86400.0, gt=0, description="How long a web session lives after its last use."
    )
    token_lifetime_max: Duration = Field(
        default=365 * 86400.0, gt=0, description="Longest lifetime that an API token may ask for."
    )
    login_attempts: int = Field(
        default=10, ge=1, description="Failed logins after which an account or source address has to wait."
    )
    login_window: Duration = Field(default=300.0, gt=0, description="Period in which failed logins are counted.")
    password_min_length: int = Field(
        default=8, ge=8, le=128, description="Shortest password that an account of Stead's own may have, in characters."
    )
    password_min_strength: int = Field(
        default=2,
        ge=0,
        le=4,
        description="How hard to guess such a password has to be: 0 does not look, 2 stops who guesses at the sign-in"
        " page, 4 stops who has stolen the hashes.",
    )
    password_sign_in: Literal["everyone", "owners"] = Field(
        default="everyone",
        description="Who may sign in with a password that Stead itself keeps. Owners always may: it is the way in"
        " when an identity provider is not.",
    )
    second_factor: Literal["optional", "administrators", "required"] = Field(
        default="optional",
        description="Who has to have a second factor beside a password of Stead's own: nobody, those with another role"
        " than member, or everybody. Who has none sets one up after the password; until then their sessions and API"
        " tokens open nothing.",
    )
    sign_in_history: Duration = Field(
        default=30 * 86400.0, gt=0, description="How long the record of sign-in attempts is kept."
    )
    proof_attempts: int = Field(
        default=120,
        ge=1,
        description="Times in a minute that agents behind one address may begin to prove which machine they run on.",
    )
    ssh_certificate_lifetime: Duration = Field(
        default=300.0, ge=30, le=86400, description="Validity of the SSH certificates given to people."
    )


class ProvisionerSettings(BaseModel):
    """How Terraform runs."""

    provisioners: int = Field(
        default=1, ge=0, le=64, description="Provisioner processes that the server starts; 0 for none."
    )
    provisioner_concurrency: int = Field(
        default=8, ge=1, le=256, description="Builds that one provisioner process runs at the same time."
    )
    provisioner_poll: Duration = Field(
        default=1.0,
        gt=0,
        description="How often a provisioner looks for work that no notification told it of.",
    )
    provisioner_grace: Duration = Field(
        default=30.0, ge=0, description="Time that running builds get to finish when a provisioner stops."
    )
    build_timeout: Duration = Field(default=3600.0, gt=0, description="Longest run of a build or a template import.")
    job_lease: Duration = Field(
        default=15.0, ge=1, description="Time without a heartbeat after which a job counts as abandoned."
    )
    job_attempts: int = Field(default=3, ge=1, le=20, description="How often a job is tried when its provisioner dies.")
    terraform_binary: Path | None = Field(
        default=None, description="A terraform or tofu program to run instead of the embedded engine."
    )
    terraform_plugin_cache: Path | None = Field(
        default=None,
        description="Folder that caches providers which Terraform installs. Empty: plugin-cache in data_dir.",
    )
    terraform_mirror: Path | None = Field(
        default=None,
        description="Folder of provider packages (a Terraform filesystem mirror) that is asked before the network.",
    )
    terraform_network: bool = Field(
        default=True, description="Let Terraform ask registries for providers that no plugin brings."
    )
    terraform_cli_config: Path | None = Field(
        default=None, description="Terraform CLI configuration file to use instead of the one Stead makes."
    )
    terraform_warm: int = Field(
        default=1, ge=0, le=16, description="Terraform processes that are kept started for the next build."
    )
    terraform_environment: CommaList = Field(
        default_factory=lambda: ["AWS_*", "ARM_*", "DOCKER_*", "GOOGLE_*", "KUBE*"],
        description="Environment variables of the provisioner that Terraform and the providers which it"
        " installs may see; * stands for any ending.",
    )
    sweep_interval: Duration = Field(
        default=300.0,
        ge=5,
        description="How often a provisioner looks for things that dead builds left on a platform.",
    )
    state_retention: Duration = Field(
        default=30 * 86400.0,
        ge=3600,
        description="How long a Terraform state is kept after a newer one has replaced it, or its workspace was"
        " deleted. The newest state of each workspace always stays.",
    )
    log_retention: Duration = Field(
        default=90 * 86400.0,
        ge=3600,
        description="How long the logs of builds, template imports and agents are kept. The log of a workspace's last"
        " build, of its agents, and of the import of a version in use always stay.",
    )
    allow_host: bool = Field(
        default=False,
        description="Allow the host platform: workspaces as processes of the provisioner's own user,"
        " without isolation between users. Only for trying Stead out.",
    )
    max_state_bytes: int = Field(
        default=64 * 1024 * 1024, ge=1024, description="Largest Terraform state that a provisioner may hand in."
    )
    max_archive_bytes: int = Field(
        default=10 * 1024 * 1024, ge=1024, description="Largest template archive that is accepted."
    )


class TunnelSettings(BaseModel):
    """The WireGuard tunnel between agents and the control plane, and its relay."""

    tunnel: bool = Field(
        default=True, description="Offer the tunnel to agents. Off: agents connect over WebSocket alone."
    )
    bulk_beside_tunnel: bool = Field(
        default=True,
        description="Let SSH connections that carry much leave the tunnel for a plain connection to the access URL; "
        "SSH encrypts them end to end either way.",
    )
    relay: bool = Field(default=True, description="Run the built-in relay (DERP) beside the server.")
    stun_address: Address = Field(default="0.0.0.0:3478", description="UDP address on which the relay answers STUN.")
    stun: bool = Field(default=True, description="Answer STUN on stun_address.")


class AgentSettings(BaseModel):
    """What agents are told and what is kept of them."""

    agent_log_bytes: int = Field(
        default=1024 * 1024, ge=1024, description="Log text that is kept per agent; what comes later is dropped."
    )
    agent_parked_streams: int = Field(
        default=4, ge=1, le=64, description="Streams that an agent keeps parked at the control plane."
    )
    agent_shutdown_timeout: Duration = Field(
        default=60.0,
        ge=0,
        description="Time that shutdown scripts get before their workspace is stopped or deleted.",
    )
    agent_stats_interval: Duration = Field(
        default=10.0, ge=1, description="How often agents report resource statistics."
    )


class ObservabilitySettings(BaseModel):
    """Logs and tracing."""

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is logged."
    )
    log_format: Literal["text", "json"] = Field(default="text", description="Form of the log lines on stderr.")
    trace: bool = Field(default=False, description="Log every plugin hook call with its time.")


class PluginsSettings(BaseModel):
    """The ``[plugins]`` table: which plugins load, and a section for each."""

    disabled: CommaList = Field(default_factory=list, description="Names of installed plugins that are not loaded.")
    sections: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Settings of each plugin by its name: the [plugins.NAME] tables.",
        repr=False,
    )


class IdentitySettings(BaseModel):
    """The ``[identity.NAME]`` tables: the identity providers that people sign in with."""

    sections: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Settings of each identity provider by its name.",
        repr=False,
    )


class PoliciesSettings(BaseModel):
    """The ``[policies.NAME]`` tables: the policies that judge builds."""

    sections: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Settings of each policy by its name.",
        repr=False,
    )
