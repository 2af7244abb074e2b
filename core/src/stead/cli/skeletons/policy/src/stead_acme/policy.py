"""The policy. It is asked from many threads at once, and keeps nothing of what it is asked."""

from __future__ import annotations

from collections.abc import Iterator

from stead.api import WITHHELD, BuildRequest, Finding, Plan, Policy, deny, warn
from stead_acme.settings import AcmeSettings


class AcmePolicy(Policy):
    def __init__(self, settings: AcmeSettings) -> None:
        self._settings = settings

    def judge_plan(self, request: BuildRequest, plan: Plan) -> Iterator[Finding]:
        del request
        tag = self._settings.tag
        for resource in plan.of_type(*self._settings.types):
            found = [value for _, value in resource.values(f"tags.{tag}")]
            if WITHHELD in found:
                yield warn(f"The tag {tag} cannot be seen yet.", where=resource.address)
            elif not any(found):
                yield deny(
                    f"It has no tag {tag}.",
                    where=resource.address,
                    remedy=f'Add tags = {{ {tag} = "…" }} to it in the template.',
                )
