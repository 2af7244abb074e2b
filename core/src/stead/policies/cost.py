"""``hourly-cost``: the most that a workspace may cost per hour while it runs."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, Field

from stead.api.policies import BuildRequest, Finding, Plan, PlannedResource, Policy, deny
from stead.policies.matching import matches


class HourlyCostSettings(BaseModel, extra="forbid"):
    """Prices are those of the platforms' price tables."""

    most: float = Field(ge=0, description="Per hour, for everything in a workspace together.")
    currency: str = Field(default="USD", description="Of ``most``.")
    priced: list[str] = Field(
        default=["aws_instance", "azurerm_linux_virtual_machine", "google_compute_instance"],
        description="Resource types whose price has to be known; * is any text.",
    )


class HourlyCost(Policy):
    def __init__(self, settings: HourlyCostSettings) -> None:
        self._settings = settings

    def judge_plan(self, request: BuildRequest, plan: Plan) -> Iterator[Finding]:
        del request
        priced: list[tuple[float, PlannedResource]] = []
        for resource in plan.of_type("*"):
            if resource.hourly is not None and resource.currency == self._settings.currency:
                priced.append((resource.hourly, resource))
            elif resource.hourly is not None or matches(resource.type, self._settings.priced):
                yield self._unknown(resource)
        total = sum(hourly for hourly, _ in priced)
        if total > self._settings.most:
            yield self._too_much(total, *max(priced, key=lambda pair: pair[0]))

    def _unknown(self, resource: PlannedResource) -> Finding:
        return deny(
            f"What this costs in {self._settings.currency} is not known.",
            where=resource.address,
            remedy="Choose another size, or ask an administrator to refresh the platform's prices.",
        )

    def _too_much(self, total: float, hourly: float, resource: PlannedResource) -> Finding:
        currency, most = self._settings.currency, self._settings.most
        return deny(
            f"It would cost {total:.4g} {currency} per hour, and {most:.4g} are allowed.",
            where=resource.address,
            remedy=f"Choose something smaller: {resource.address} alone costs {hourly:.4g} {currency} per hour.",
        )
