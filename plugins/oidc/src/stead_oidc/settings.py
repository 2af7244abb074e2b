"""What an administrator sets in ``[identity.NAME]`` for the kinds ``oidc`` and ``github``."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

#: Signatures that only the holder of a private key can make. HMAC and ``none`` are not among them, and cannot be set.
ASYMMETRIC = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)

#: Parameters of the authorization request that are ours; ``extra_parameters`` may not set them.
OURS = frozenset(
    {
        "client_id",
        "client_secret",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "redirect_uri",
        "request",
        "request_uri",
        "response_mode",
        "response_type",
        "scope",
        "state",
    }
)


class WebSettings(BaseModel, extra="forbid"):
    """How the provider is reached, and how much it may take and send."""

    client_id: str = Field(min_length=1, description="Name that the provider knows Stead by.")
    client_secret: SecretStr | None = Field(default=None, description="Secret that the provider gave for client_id.")
    client_secret_file: Path | None = Field(default=None, description="File that holds the secret.")
    ca_file: Path | None = Field(
        default=None, description="Authorities (PEM) that the provider's certificate is checked with, and no others."
    )
    proxy: str | None = Field(default=None, description="HTTP proxy on the way to the provider.")
    timeout: float = Field(default=10.0, gt=0, le=120, description="Seconds that one answer may take in all.")
    max_bytes: int = Field(default=4_000_000, ge=10_000, description="Bytes that one answer may have.")
    max_groups: int = Field(default=20_000, ge=1, description="Groups that one person may have.")
    allow_http: bool = Field(
        default=False,
        description="Speak to the provider without TLS though it is on another machine. Whoever is on the way can "
        "then be anybody: for trials in a network of your own.",
    )
    allowed_domains: tuple[str, ...] = Field(
        default=(), description="Only people with a verified e-mail address of one of these domains. Empty: all."
    )
    allowed_groups: tuple[str, ...] = Field(
        default=(), description="Only people in at least one of these groups. Empty: all."
    )

    @field_validator("allowed_domains")
    @classmethod
    def _plain_domains(cls, domains: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(domain.lower().removeprefix("@") for domain in domains)

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if self.client_secret is not None and self.client_secret_file is not None:
            raise ValueError("set client_secret or client_secret_file, not both")
        return self


class OidcSettings(WebSettings):
    """Any provider that publishes ``ISSUER/.well-known/openid-configuration``."""

    issuer: str = Field(description="The provider's issuer URL, exactly as its discovery document says it.")
    scopes: tuple[str, ...] = Field(
        default=("openid", "profile", "email"),
        description="What is asked for. offline_access lets Stead ask again later how somebody stands.",
    )
    extra_parameters: dict[str, str] = Field(
        default_factory=dict, description='Sent along to the sign-in page: { hd = "example.com", prompt = "login" }.'
    )
    response_mode: Literal["query", "form_post"] = Field(
        default="query",
        description="How the provider's answer comes back: in the address, or posted by the browser. The code is worth "
        "nothing by itself either way: form_post is for providers that demand it.",
    )
    client_auth: Literal["auto", "basic", "post", "private_key_jwt", "tls", "none"] = Field(
        default="auto",
        description="How Stead proves itself: its secret in a header (basic) or in the form (post), a signature with "
        "client_key_file, the TLS certificate tls_certificate_file, or not at all. auto takes what is there.",
    )
    client_key_file: Path | None = Field(default=None, description="Private key (PEM) of private_key_jwt.")
    client_key_id: str = Field(default="", description="Name of that key at the provider (kid).")
    client_certificate_file: Path | None = Field(
        default=None, description="Certificate (PEM) of client_key_file where the provider knows the key by it (Entra)."
    )
    client_assertion_audience: Literal["token_endpoint", "issuer"] = Field(
        default="token_endpoint", description="What private_key_jwt is addressed to."
    )
    tls_certificate_file: Path | None = Field(default=None, description="Client certificate (PEM) for TLS.")
    tls_key_file: Path | None = Field(default=None, description="Its private key (PEM).")
    algorithms: tuple[str, ...] = Field(
        default=("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"),
        description="Signatures that are taken. Those with a shared secret and none at all cannot be.",
    )
    leeway: float = Field(default=60.0, ge=0, le=600, description="Seconds that the two clocks may differ.")
    trusted_audiences: tuple[str, ...] = Field(
        default=(), description="Other clients that a token may be meant for besides Stead."
    )
    metadata_lifetime: float = Field(
        default=3600.0, gt=0, description="Seconds until the discovery document and the keys are fetched again."
    )
    key_refresh_interval: float = Field(
        default=10.0, ge=0, description="Seconds between two fetches of the keys because of an unknown one."
    )
    userinfo: bool = Field(default=True, description="Ask the userinfo endpoint too, where there is one.")
    username_claim: str = Field(
        default="preferred_username",
        description="Claim with the wished user name. As with all claims: a path with dots reaches into nested "
        "claims, and a name that has dots itself is found as well.",
    )
    email_claim: str = Field(default="email", description="Claim with the e-mail address.")
    email_verified_claim: str = Field(
        default="email_verified", description="Claim that says whether the address is theirs."
    )
    trust_email: bool = Field(
        default=False,
        description="Take addresses as verified where the provider says nothing about it. Only where people cannot "
        "choose their own address there.",
    )
    name_claim: str = Field(default="name", description="Claim with the full name.")
    groups_claim: str = Field(
        default="",
        description="Claim with the groups. Empty: groups are not read. A token without it means: in no group.",
    )
    roles_claim: str = Field(default="", description="Claim with the roles. Empty: roles are not read.")
    group_lookup: Literal["none", "google", "entra"] = Field(
        default="none",
        description="Where to ask for groups that the token has no room or no claim for: Google Workspace's "
        "directory, or Microsoft Graph.",
    )
    group_lookup_url: str = Field(
        default="", description="Address of that directory, where it is not the usual one (national clouds)."
    )
    google_key_file: Path | None = Field(
        default=None, description="Key (JSON) of the service account that may read the directory."
    )
    google_admin: str = Field(default="", description="Administrator in whose name the service account reads.")

    @field_validator("issuer")
    @classmethod
    def _plain_issuer(cls, issuer: str) -> str:
        parts = urlsplit(issuer)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be an https URL without query and fragment")
        return issuer

    @field_validator("scopes")
    @classmethod
    def _with_openid(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        return scopes if "openid" in scopes else ("openid", *scopes)

    @field_validator("algorithms")
    @classmethod
    def _only_asymmetric(cls, algorithms: tuple[str, ...]) -> tuple[str, ...]:
        refused = sorted(set(algorithms) - ASYMMETRIC)
        if refused or not algorithms:
            raise ValueError(f"{', '.join(refused) or 'an empty list'} cannot be taken; choose of {sorted(ASYMMETRIC)}")
        return algorithms

    @field_validator("extra_parameters")
    @classmethod
    def _not_ours(cls, parameters: dict[str, str]) -> dict[str, str]:
        if refused := sorted(OURS & parameters.keys()):
            raise ValueError(f"Stead sets {', '.join(refused)} itself")
        return parameters

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        require_https(self.issuer, "issuer", self.allow_http)
        if self.group_lookup_url:
            require_https(self.group_lookup_url, "group_lookup_url", self.allow_http)
        if self.allowed_groups and not self.groups_claim and self.group_lookup == "none":
            raise ValueError("allowed_groups needs groups_claim or group_lookup: else nobody could sign in")
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_certificate_file and tls_key_file belong together")
        if self.group_lookup == "google" and (self.google_key_file is None or not self.google_admin):
            raise ValueError("group_lookup = google needs google_key_file and google_admin")
        self._check_client_auth()
        return self

    def _check_client_auth(self) -> None:
        has_secret = self.client_secret is not None or self.client_secret_file is not None
        needs = {
            "basic": has_secret,
            "post": has_secret,
            "private_key_jwt": self.client_key_file is not None,
            "tls": self.tls_certificate_file is not None,
        }
        if not needs.get(self.client_auth, True):
            raise ValueError(f"client_auth = {self.client_auth} needs its secret, key or certificate file")
        if self.client_auth == "auto" and not any(needs.values()):
            raise ValueError(
                "set client_secret_file, client_key_file or tls_certificate_file; or client_auth = none for a client "
                "that has nothing"
            )


class GithubSettings(WebSettings):
    """github.com, a GitHub Enterprise Server, or an enterprise's own ghe.com."""

    url: str = Field(default="https://github.com", description="Address of GitHub, or of your Enterprise Server.")
    api_url: str = Field(default="", description="Address of its API, where it does not follow from url.")
    organizations: tuple[str, ...] = Field(
        default=(), description="Only active members of at least one of these organisations. Empty: all."
    )
    teams: tuple[str, ...] = Field(
        default=(), description="Only members of at least one of these teams, as ORGANISATION/TEAM. Empty: all."
    )
    read_groups: bool = Field(
        default=True, description="Read organisations and teams as groups: ORGANISATION and ORGANISATION/TEAM."
    )
    pkce: bool = Field(default=True, description="Protect the code by PKCE. Servers that do not know it ignore it.")
    page_size: int = Field(default=100, ge=1, le=100, description="Entries asked for at once.")

    @field_validator("url", "api_url")
    @classmethod
    def _without_slash(cls, url: str) -> str:
        return url.rstrip("/")

    @field_validator("teams")
    @classmethod
    def _with_organization(cls, teams: tuple[str, ...]) -> tuple[str, ...]:
        for team in teams:
            organization, _, name = team.partition("/")
            if not organization or not name or "/" in name:
                raise ValueError(f"{team} is no ORGANISATION/TEAM")
        return teams

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        require_https(self.url, "url", self.allow_http)
        if self.api_url:
            require_https(self.api_url, "api_url", self.allow_http)
        if self.client_secret is None and self.client_secret_file is None:
            raise ValueError("set client_secret_file to the secret of the OAuth app")
        if self.allowed_groups and not self.read_groups:
            raise ValueError("allowed_groups needs read_groups")
        return self

    @property
    def needs_groups(self) -> bool:
        return self.read_groups or bool(self.organizations or self.teams)

    @property
    def api(self) -> str:
        """``api.github.com``, ``api.NAME.ghe.com``, or ``/api/v3`` of an Enterprise Server."""
        if self.api_url:
            return self.api_url
        host = urlsplit(self.url).hostname or ""
        if host == "github.com" or host.endswith(".ghe.com"):
            return f"https://api.{host}"
        return f"{self.url}/api/v3"


def require_https(url: str, what: str, allow_http: bool) -> None:
    """Refuse a plain address on another machine.

    :raises ValueError: ``url`` is no https URL, nor on loopback, and that was not allowed.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and parts.hostname and (allow_http or _is_loopback(parts.hostname)):
        return
    raise ValueError(f"{what} must be an https URL, not {url}")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
