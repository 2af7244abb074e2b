"""What this plugin brings: a policy that wants a tag on what costs money."""

from __future__ import annotations

from stead.api import PolicySpec, hookimpl
from stead_acme.policy import AcmePolicy
from stead_acme.settings import AcmeSettings


@hookimpl
def stead_policies() -> list[PolicySpec]:
    return [PolicySpec("acme", "Tags of Acme", AcmePolicy, AcmeSettings)]
