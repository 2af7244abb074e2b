"""What every policy must do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import ModuleType
from typing import ClassVar

import pytest
from pydantic import BaseModel

from stead.api.policies import (
    POLICY_CORE_SETTINGS,
    BuildRequest,
    Finding,
    Plan,
    PlannedAction,
    PlannedResource,
    Policy,
    PolicySpec,
    Severity,
)
from stead.testing.conformance.rig import secrets_of
from stead.testing.conformance.weight import weigh
from stead.testing.policies import plan_of, planned, request_of

AT_ONCE = 8
MANY = 2000  # resources of a large plan
QUICK = 5.0  # seconds, which is the deadline where an administrator sets none
TRANSITIONS = frozenset({"start", "stop", "delete"})


@dataclass(frozen=True)
class PolicyCase:
    """Something to judge: a request, and the plan that follows it where that is judged."""

    request: BuildRequest = field(default_factory=request_of)
    plan: Plan | None = None

    def asked(self, policy: Policy) -> list[Finding]:
        """What the policy finds in both."""
        found = list(policy.judge_request(self.request))
        return found if self.plan is None else [*found, *policy.judge_plan(self.request, self.plan)]


STRANGE = (
    PolicyCase(plan=plan_of()),
    PolicyCase(plan=plan_of(planned("strange_thing", name=None, image=[], tags={}, size="", x=[None, {"a": [[]]}]))),
    PolicyCase(plan=plan_of(planned("strange_thing", action=PlannedAction.DELETE))),
    PolicyCase(plan=plan_of(planned("strange_thing", action=PlannedAction.READ))),
    PolicyCase(
        request_of(transition="stop", number=7, parameters={"a": "\u202eecila", "b": "x" * 99_999, "c": "\x00"})
    ),
    PolicyCase(request_of(transition="delete", template="", version="", masked=("password",), other_workspaces=10_000)),
)


class PolicyConformance:
    """Inherit it as ``class TestSomething``; set ``plugin``, ``consents`` and ``denies``.

    :cvar plugin: the module with the plugin's hooks.
    :cvar policy: name of the policy to test, where the plugin brings several.
    :cvar consents: cases that it has nothing against; it may warn.
    :cvar denies: cases that it denies.
    :cvar sdk_modules: names of packages that importing the plugin must not import.
    """

    plugin: ClassVar[ModuleType]
    policy: ClassVar[str] = ""
    consents: ClassVar[Sequence[PolicyCase]] = ()
    denies: ClassVar[Sequence[PolicyCase]] = ()
    sdk_modules: ClassVar[tuple[str, ...]] = ()

    # What an author overrides

    @pytest.fixture
    def settings(self, policy_spec: PolicySpec) -> BaseModel:
        """The settings under which the cases are as they are said to be."""
        return policy_spec.settings()

    # What the suite makes of it

    @pytest.fixture
    def policy_spec(self) -> PolicySpec:
        found = [spec for spec in self.plugin.stead_policies() if self.policy in ("", spec.name)]
        assert len(found) == 1, f"{self.plugin.__name__} brings {len(found)} policies: set `policy` to the one to test"
        spec: PolicySpec = found[0]
        return spec

    @pytest.fixture
    def made(self, policy_spec: PolicySpec, settings: BaseModel) -> Policy:
        return policy_spec.factory(settings)

    # The suite

    def test_the_record_is_complete(self, policy_spec: PolicySpec) -> None:
        assert policy_spec.name.replace("-", "").isalnum()
        assert policy_spec.name == policy_spec.name.lower()
        assert policy_spec.title
        assert policy_spec.transitions, "it judges nothing"
        assert policy_spec.transitions <= TRANSITIONS
        taken = POLICY_CORE_SETTINGS & set(policy_spec.settings.model_fields)
        assert not taken, f"these names belong to the core: {sorted(taken)}"

    def test_importing_the_plugin_imports_no_sdk(self) -> None:
        weight = weigh(self.plugin.__name__, runs=1)
        heavy = [name for name in weight.modules if {name, name.partition(".")[0]} & set(self.sdk_modules)]
        assert not heavy, f"importing {self.plugin.__name__} imports {heavy[:5]}"

    def test_it_judges_something(self, made: Policy) -> None:
        assert isinstance(made, Policy)
        kind = type(made)
        assert kind.judge_request is not Policy.judge_request or kind.judge_plan is not Policy.judge_plan
        assert self.denies, "name at least one case that it denies"
        assert self.consents, "name at least one case that it has nothing against"

    def test_what_is_allowed_has_its_consent(self, made: Policy) -> None:
        for case in self.consents:
            assert not _denials(case.asked(made)), case

    def test_what_is_not_allowed_is_denied_with_a_reason(self, made: Policy, settings: BaseModel) -> None:
        for case in self.denies:
            denials = _denials(case.asked(made))
            assert denials, f"it has nothing against {case}"
            for denial in denials:
                assert denial.message.strip(), "a denial says what was found"
                assert denial.message.isprintable()
                assert denial.remedy.strip(), f"a denial says what to do: {denial.message}"
                assert not denial.where or _points_at(denial.where, case), f"{denial.where} is nowhere in the case"
            assert not [text for text in secrets_of(settings) if text in repr(denials)], "a secret is told"

    def test_an_answer_is_the_same_each_time_and_on_the_other_side_of_a_process(self, made: Policy) -> None:
        for case in (*self.consents, *self.denies, *STRANGE):
            first = case.asked(made)
            assert case.asked(made) == first, "the answer depends on more than what is asked"
            assert _crossed(case).asked(made) == first, "the answer depends on more than JSON carries"

    @pytest.mark.parametrize("case", STRANGE, ids=range(len(STRANGE)))
    def test_what_is_strange_is_judged_without_an_exception(self, made: Policy, case: PolicyCase) -> None:
        found = case.asked(made)
        assert all(isinstance(finding, Finding) and isinstance(finding.severity, Severity) for finding in found)

    def test_many_are_judged_at_once(self, made: Policy) -> None:
        cases = [*self.consents, *self.denies] * AT_ONCE
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(lambda case: case.asked(made), cases))
        assert answers == [case.asked(made) for case in cases]

    def test_a_large_plan_is_judged_in_time(self, made: Policy) -> None:
        for case in (*self.consents, *self.denies):
            resources = case.plan.resources if case.plan else ()
            larger = PolicyCase(case.request, Plan(resources=tuple(_copies(resources))))
            began = time.monotonic()
            larger.asked(made)
            assert time.monotonic() - began < QUICK


def _denials(found: Sequence[Finding]) -> list[Finding]:
    assert all(isinstance(finding, Finding) for finding in found), "an answer is made with deny() and warn()"
    return [finding for finding in found if finding.severity is Severity.DENY]


def _crossed(case: PolicyCase) -> PolicyCase:
    plan = Plan.model_validate_json(case.plan.model_dump_json()) if case.plan is not None else None
    return PolicyCase(BuildRequest.model_validate_json(case.request.model_dump_json()), plan)


def _points_at(where: str, case: PolicyCase) -> bool:
    if where.startswith("parameters."):
        name = where.removeprefix("parameters.")
        return name in case.request.parameters or name in case.request.masked
    addresses = [resource.address for resource in case.plan.resources] if case.plan is not None else []
    return where in addresses or where.startswith(tuple(f"{address}." for address in addresses))


def _copies(resources: Sequence[PlannedResource]) -> list[PlannedResource]:
    """So many that a plan of them is large."""
    found: list[PlannedResource] = []
    while resources and len(found) < MANY:
        number = len(found)
        found += [one.model_copy(update={"address": f"{one.address}[{number}]"}) for one in resources]
    return found
