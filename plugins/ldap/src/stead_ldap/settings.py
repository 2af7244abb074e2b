"""What an administrator says about a directory: ``[identity.NAME]`` with ``kind = "ldap"``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

PLACEHOLDER = "{username}"
PORTS = {"ldap": 389, "ldaps": 636}


class Form(StrEnum):
    """Which family a directory is of: decides all that is not set."""

    OPENLDAP = "openldap"
    ACTIVE_DIRECTORY = "active_directory"


class Groups(StrEnum):
    """How the groups of a person are found."""

    NONE = "none"
    SEARCH = "search"
    MEMBER_OF = "member_of"
    MATCHING_RULE = "matching_rule"


FORMS: dict[Form, dict[str, Any]] = {
    Form.OPENLDAP: {
        "user_filter": f"(&(objectClass=inetOrgPerson)(uid={PLACEHOLDER}))",
        "subject": "entryUUID",
        "username": "uid",
        "group_search": Groups.SEARCH,
        "group_filter": "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))",
        "group_members": ("member", "uniqueMember", "memberUid"),
    },
    Form.ACTIVE_DIRECTORY: {
        "user_filter": "(&(objectCategory=person)(objectClass=user)"
        f"(|(sAMAccountName={PLACEHOLDER})(userPrincipalName={PLACEHOLDER})))",
        "subject": "objectGUID",
        "username": "sAMAccountName",
        "group_search": Groups.MATCHING_RULE,
        "group_filter": "(objectClass=group)",
        "group_members": ("member",),
    },
}


class LdapSettings(BaseModel, extra="forbid"):
    """How to reach a directory, how to find people in it, and how to read them."""

    servers: tuple[str, ...] = Field(
        min_length=1,
        description="Addresses in the order of use: ldaps://dc1.example.com, ldap://dc2.example.com:389. "
        "The next one serves while one does not answer.",
    )
    form: Form = Field(
        default=Form.OPENLDAP, description="Family of the directory, openldap or active_directory: sets the defaults."
    )
    base: str = Field(description="Where people are looked for: dc=example,dc=com.")
    issuer: str = Field(
        default="",
        description="Name of this directory in the links of accounts, for good. Without it: ldap: and the base. "
        "Two directories with the same base need two names.",
    )

    start_tls: bool = Field(
        default=True,
        description="Encrypt connections to ldap:// addresses with StartTLS. Without it passwords "
        "cross the network in the clear.",
    )
    ca_file: Path | None = Field(
        default=None, description="Authorities (PEM) that servers are trusted by, instead of the system's."
    )
    server_name: str = Field(
        default="", description="Name that the servers' certificates must have, where it is not that of the address."
    )
    client_cert_file: Path | None = Field(default=None, description="Certificate (PEM) that is shown to the servers.")
    client_key_file: Path | None = Field(default=None, description="Its key (PEM), where it is in a file of its own.")

    bind_dn: str = Field(
        default="",
        description="Account that reads the directory: a DN, or name@domain for Active Directory. Empty: anonymous.",
    )
    bind_password: SecretStr = Field(default=SecretStr(""), description="Its password.")
    bind_password_file: Path | None = Field(default=None, description="File that holds its password.")
    bind_external: bool = Field(
        default=False, description="Sign in to the directory with the client certificate (SASL EXTERNAL)."
    )
    direct: str = Field(
        default="",
        description="Name to sign in with, made of what was typed: uid={username},ou=people,dc=example,dc=com or "
        "{username}@example.com. Empty: people are looked up first.",
    )

    user_filter: str = Field(
        default="", description="Finds a person by {username}; whoever it does not find may not sign in."
    )
    netbios_domain: str = Field(default="", description=r"Taken off names that are typed as DOMAIN\name.")
    subject: str = Field(default="", description="Attribute that identifies somebody for good.")
    username: str = Field(default="", description="Attribute with the name of a new account.")
    email: str = Field(default="mail", description="Attribute with the e-mail address.")
    name: str = Field(default="displayName", description="Attribute with the full name; without it cn is used.")
    trust_email: bool = Field(
        default=False, description="Take the directory's addresses as verified: only where people cannot change them."
    )

    group_search: Groups | None = Field(
        default=None,
        description="How groups are found: search, member_of, matching_rule (Active Directory) or none.",
    )
    group_base: str = Field(default="", description="Where groups are looked for; without it the base.")
    group_filter: str = Field(default="", description="Which entries are groups.")
    group_members: tuple[str, ...] = Field(
        default=(), description="Attributes of a group that name its members; memberUid names them by user name."
    )
    group_name: str = Field(
        default="cn", description="Attribute with a group's name; dn for the whole distinguished name."
    )
    nested: bool = Field(default=True, description="Whether members of a group's groups are its members.")
    nesting: int = Field(default=20, ge=1, le=100, description="How many levels of groups in groups are followed.")
    max_groups: int = Field(
        default=20000, ge=1, le=200000, description="How many groups of one person are read; the others do not count."
    )
    allowed_groups: tuple[str, ...] = Field(
        default=(), description="Only members of one of these may sign in, by name or DN. Empty: everybody found."
    )

    connect_timeout: float = Field(
        default=5.0, gt=0, le=120, description="Seconds for a connection, encryption included."
    )
    timeout: float = Field(default=10.0, gt=0, le=300, description="Seconds for one answer of a server.")
    deadline: float = Field(
        default=30.0, gt=0, le=600, description="Seconds for all servers and questions of one sign-in together."
    )
    retry_after: float = Field(
        default=15.0, gt=0, le=3600, description="Seconds until a server that did not answer is tried again."
    )
    pool_size: int = Field(default=16, ge=1, le=256, description="Connections to each server, at most, of each kind.")
    pool_idle: float = Field(default=60.0, gt=0, description="Seconds after which an unused connection is closed.")
    page_size: int = Field(default=500, ge=1, le=10000, description="Entries in one page of an answer.")
    max_message: int = Field(
        default=8 << 20, ge=4096, description="Bytes of one entry or answer; a server that sends more is let go."
    )
    referral_hosts: tuple[str, ...] = Field(
        default=(),
        description="Hosts whose servers are asked where a server refers to them, with the same account. "
        "Empty: no referral is followed.",
    )

    @field_validator("servers")
    @classmethod
    def _addresses(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            parts = urlsplit(value)
            if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
                raise ValueError(f"{value!r} is no server: write ldaps://HOST, or ldap://HOST with StartTLS.")
        return values

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for field, usual in FORMS[self.form].items():
            if not getattr(self, field):
                setattr(self, field, usual)
        self.issuer = self.issuer or f"ldap:{self.base.lower().replace(' ', '')}"
        self.group_base = self.group_base or self.base
        self._agree()
        return self

    def _agree(self) -> None:
        if PLACEHOLDER not in self.user_filter:
            raise ValueError(f"user_filter must have {PLACEHOLDER} where the typed name goes.")
        if self.direct and PLACEHOLDER not in self.direct:
            raise ValueError(f"direct must have {PLACEHOLDER} where the typed name goes.")
        if self.bind_external and self.client_cert_file is None:
            raise ValueError("bind_external needs client_cert_file: the certificate that signs in.")
        has_password = bool(self.bind_password.get_secret_value()) or self.bind_password_file is not None
        if self.bind_dn and not has_password:
            raise ValueError("bind_dn needs bind_password_file (or bind_password): without it the bind is anonymous.")
        if has_password and not self.bind_dn:
            raise ValueError("bind_password belongs to a bind_dn, and there is none.")
