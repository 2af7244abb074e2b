"""A Stead plugin in one file: machines need a tag, so that the bill says whose they are."""

from pydantic import BaseModel

from stead.api import BuildRequest, Finding, Plan, Policy, PolicySpec, deny, hookimpl


class Settings(BaseModel, extra="forbid"):
    tag: str = "cost-center"


class Tagged(Policy):
    def __init__(self, settings: Settings) -> None:
        self.tag = settings.tag

    def judge_plan(self, request: BuildRequest, plan: Plan) -> list[Finding]:
        machines = [one for one in plan.of_type("*_instance") if not list(one.values(f"tags.{self.tag}"))]
        remedy = f"Add {self.tag} to its tags in the template."
        return [deny(f"It has no tag {self.tag}.", where=one.address, remedy=remedy) for one in machines]


@hookimpl
def stead_policies() -> list[PolicySpec]:
    return [PolicySpec("tagged", "Tags on machines", Tagged, Settings)]
