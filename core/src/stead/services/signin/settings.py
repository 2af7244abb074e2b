"""What the core itself reads of ``[identity.NAME]``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from stead.config.types import CommaList, Duration, split_commas
from stead.domain.membership import LONGEST_GROUP, Rules, check_pattern
from stead.domain.states import Role

Pattern = Annotated[str, AfterValidator(check_pattern)]
Patterns = Annotated[list[Pattern], BeforeValidator(split_commas)]
Roles = Annotated[list[Role], BeforeValidator(split_commas)]
GroupName = Annotated[str, Field(min_length=1, max_length=LONGEST_GROUP)]


def _folded(value: Any) -> Any:
    return [domain.lower().lstrip("@") for domain in value] if isinstance(value, list) else value


class CoreSettings(BaseModel, extra="forbid", frozen=True):
    """The names are :data:`stead.api.signin.CORE_SETTINGS`."""

    kind: str = Field(description="Which kind of provider this is: `oidc`, `github`, `ldap` or another plugin's.")
    title: str = Field(default="", max_length=64, description="What people read on its button.")
    icon: str = Field(default="", description="Name of an icon, or an address below `/icon/`.")
    enabled: bool = Field(default=True, description="Off: nobody signs in with it, and it is not asked anything.")
    when_disabled: Literal["end", "keep"] = Field(
        default="end",
        description="What becomes of what its people have open while it is off: sessions end and API tokens open"
        " nothing, or both go on although nobody asks the provider about them.",
    )
    order: int = Field(default=100, description="Place on the sign-in page; small comes first.")
    sign_up: Literal["closed", "open", "domains", "groups"] = Field(
        default="closed",
        description="Who gets an account at the first sign-in: nobody, everybody whom the provider lets in,"
        " those of `sign_up_domains`, or those of `sign_up_groups`.",
    )
    sign_up_domains: Annotated[CommaList, AfterValidator(_folded)] = Field(
        default_factory=list, description="Domains of verified e-mail addresses, each exactly."
    )
    sign_up_groups: Patterns = Field(default_factory=list, description="The provider's groups, or patterns of them.")
    approval: bool = Field(default=False, description="New accounts wait until an administrator lets them in.")
    sync_groups: bool = Field(default=True, description="Take groups over at each sign-in and look-up.")
    groups: dict[Pattern, GroupName] = Field(
        default_factory=dict, description="The provider's group, or a pattern, to the name of a group here."
    )
    group_patterns: Patterns = Field(
        default_factory=lambda: ["*"], description="Other groups that are taken over under their own name."
    )
    default_groups: CommaList = Field(default_factory=list, description="Groups of everybody who comes from here.")
    sync_roles: bool = Field(
        default=True,
        description="Where `roles` is set: roles follow the provider at each sign-in and look-up."
        " Off: they are given once, at sign-up.",
    )
    roles: dict[Pattern, Roles] = Field(
        default_factory=dict, description="The provider's group or role, or a pattern, to roles here."
    )
    default_roles: Roles = Field(default_factory=list, description="Roles of everybody who comes from here.")
    sync_interval: Duration = Field(
        default=30.0, ge=1, description="How often the provider is asked about people who are using Stead."
    )
    sign_ins_at_once: int = Field(
        default=8, ge=1, le=64, description="Questions to the provider at one time; others wait while it is quick."
    )
    link_by_owner: bool = Field(
        default=True, description="People may tie the account that they have, with a password, to this provider."
    )

    @property
    def rules(self) -> Rules:
        return Rules(
            groups=self.groups,
            patterns=tuple(self.group_patterns),
            default_groups=tuple(self.default_groups),
            roles={name: tuple(roles) for name, roles in self.roles.items()},
            default_roles=tuple(self.default_roles),
        )
