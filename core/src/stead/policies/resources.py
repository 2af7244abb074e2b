"""``allowed-resources``: which resource types and providers a plan may hold."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, Field

from stead.api.policies import BuildRequest, Finding, Plan, PlannedAction, PlannedResource, Policy, deny
from stead.policies.matching import matches

REGISTRY = "registry.terraform.io/"
STEADS_OWN = f"{REGISTRY}coder/coder"  # agents, apps, parameters: no template does without


class AllowedResourcesSettings(BaseModel, extra="forbid"):
    """An empty list allows all. What agents and parameters are made of is always allowed."""

    types: list[str] = Field(
        default_factory=list, description="Resource types, data sources too; * is any text.", examples=["docker_*"]
    )
    providers: list[str] = Field(
        default_factory=list, description="Providers by their address.", examples=["kreuzwerker/docker"]
    )


class AllowedResources(Policy):
    def __init__(self, settings: AllowedResourcesSettings) -> None:
        self._types = settings.types
        self._providers = settings.providers

    def judge_plan(self, request: BuildRequest, plan: Plan) -> Iterator[Finding]:
        del request
        for resource in plan.resources:
            if resource.provider != STEADS_OWN and resource.action is not PlannedAction.DELETE:
                yield from self._judge(resource)

    def _judge(self, resource: PlannedResource) -> Iterator[Finding]:
        provider = resource.provider.removeprefix(REGISTRY)
        if self._providers and not matches(provider, self._providers):
            yield deny(
                f"The provider {provider} is not allowed.",
                where=resource.address,
                remedy=f"Use another template, or one of these providers in it: {', '.join(self._providers)}.",
            )
        elif self._types and not matches(resource.type, self._types):
            yield deny(
                f"Resources of the type {resource.type} are not allowed.",
                where=resource.address,
                remedy=f"Use another template, or one of these types in it: {', '.join(self._types)}.",
            )
