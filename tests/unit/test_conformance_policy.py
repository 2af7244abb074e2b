"""The suite for policies: the example and the built-in ones pass it, and bad ones do not."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from stead.api import BuildRequest, Finding, Plan, PlannedAction, Policy, PolicySpec, Who, deny, warn
from stead.plugins import builtin
from stead.policies.cost import HourlyCostSettings
from stead.policies.images import AllowedImages, AllowedImagesSettings
from stead.policies.limit import WorkspaceLimitSettings
from stead.policies.resources import AllowedResources, AllowedResourcesSettings
from stead.testing.conformance import PolicyCase, PolicyConformance
from stead.testing.conformance.policy import STRANGE
from stead.testing.policies import ADA, plan_of, planned, request_of

EXAMPLE = Path(__file__).parents[2] / "docs" / "plugins" / "stead-tagged"
sys.path.insert(0, str(EXAMPLE))
import stead_tagged  # noqa: E402


class TestTagged(PolicyConformance):
    """The example of the documentation."""

    plugin = stead_tagged
    consents = (
        PolicyCase(plan=plan_of(planned("aws_instance", tags={"cost-center": "7"}), planned("aws_ebs_volume"))),
        PolicyCase(plan=plan_of(planned("aws_instance", withheld=("tags",)))),
    )
    denies = (PolicyCase(plan=plan_of(planned("aws_instance", tags={"Name": "dev"}))),)

    @pytest.fixture(autouse=True)
    def importable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTHONPATH", str(EXAMPLE))


def test_the_example_has_twenty_five_lines() -> None:
    assert len((EXAMPLE / "stead_tagged.py").read_text().splitlines()) <= 25


class TestAllowedImages(PolicyConformance):
    plugin = builtin
    policy = "allowed-images"
    consents = (
        PolicyCase(plan=plan_of(planned("docker_image", name="ghcr.io/example/dev:1"))),
        # A new image's id is not known yet; that of one which is there is judged by the image's name.
        PolicyCase(
            plan=plan_of(
                planned("docker_image", name="debian:13"), planned("docker_container", withheld=("image", "id"))
            )
        ),
        PolicyCase(
            plan=plan_of(
                planned("docker_image", action=PlannedAction.KEEP, name="debian:13", image_id="sha256:77"),
                planned("docker_container", image="sha256:77"),
            )
        ),
        PolicyCase(plan=plan_of(planned("docker_image", action=PlannedAction.DELETE, name="alpine:3"))),
        PolicyCase(plan=plan_of(planned("kubernetes_pod", spec=[{"container": [{"image": "debian:13"}]}]))),
        PolicyCase(plan=plan_of(planned("random_pet", image="whatever"))),
    )
    denies = (
        PolicyCase(plan=plan_of(planned("docker_image", name="alpine:3"))),
        PolicyCase(plan=plan_of(planned("docker_image", action=PlannedAction.KEEP, name="alpine:3"))),
        PolicyCase(plan=plan_of(planned("docker_image", name="evil.example/ghcr.io/example/dev:1"))),
        PolicyCase(plan=plan_of(planned("docker_container", image="sha256:77"))),
        PolicyCase(plan=plan_of(planned("aws_instance", withheld=("ami",)))),
        PolicyCase(
            plan=plan_of(
                planned(
                    "kubernetes_deployment_v1",
                    spec=[
                        {
                            "template": [
                                {"spec": [{"container": [{"image": "debian:13"}], "init_container": [{"image": "x"}]}]}
                            ]
                        }
                    ],
                )
            )
        ),
        PolicyCase(plan=plan_of(planned("kubernetes_pod", withheld=("spec[0].container[1].image",)))),
        PolicyCase(plan=plan_of(planned("google_compute_instance", withheld=("boot_disk",)))),
    )

    @pytest.fixture
    def settings(self) -> AllowedImagesSettings:
        return AllowedImagesSettings(images=["debian:*", "ghcr.io/example/*"])


def test_a_denied_image_is_shown_with_its_place() -> None:
    pod = planned("kubernetes_pod", spec=[{"container": [{"image": "debian:13"}, {"image": "alpine:3"}]}])
    policy = AllowedImages(AllowedImagesSettings(images=["debian:*"]))
    [found] = policy.judge_plan(request_of(), plan_of(pod))
    assert found.where == "kubernetes_pod.main.spec[0].container[1].image"
    assert "alpine:3" in found.message
    assert "debian:*" in found.remedy


AWS = "registry.terraform.io/hashicorp/aws"


class TestAllowedResources(PolicyConformance):
    plugin = builtin
    policy = "allowed-resources"
    consents = (
        PolicyCase(plan=plan_of(planned("aws_instance", provider=AWS))),
        PolicyCase(plan=plan_of(planned("coder_agent", provider="registry.terraform.io/coder/coder"))),
        PolicyCase(plan=plan_of(planned("docker_image", action=PlannedAction.DELETE))),
    )
    denies = (
        PolicyCase(plan=plan_of(planned("aws_iam_role", provider=AWS))),
        PolicyCase(plan=plan_of(planned("aws_instance", provider="evil.example/hashicorp/aws"))),
        PolicyCase(plan=plan_of(planned("external", provider="registry.terraform.io/hashicorp/external"))),
        PolicyCase(plan=plan_of(planned("aws_iam_policy", action=PlannedAction.READ, provider=AWS))),
        PolicyCase(plan=plan_of(planned("coder_agent", provider="evil.example/coder/coder"))),
    )

    @pytest.fixture
    def settings(self) -> AllowedResourcesSettings:
        return AllowedResourcesSettings(types=["aws_instance", "aws_ebs_*"], providers=["hashicorp/aws"])


def test_nothing_set_allows_all() -> None:
    policy = AllowedResources(AllowedResourcesSettings())
    assert not list(policy.judge_plan(request_of(), plan_of(planned("aws_iam_role", provider=AWS))))


class TestHourlyCost(PolicyConformance):
    plugin = builtin
    policy = "hourly-cost"
    consents = (
        PolicyCase(plan=plan_of(planned("aws_instance", hourly=0.3), planned("aws_ebs_volume", hourly=0.2))),
        PolicyCase(plan=plan_of(planned("docker_container"))),
        PolicyCase(
            plan=plan_of(
                planned("aws_instance", "old", action=PlannedAction.DELETE, hourly=9.0),
                planned("aws_instance", "new", hourly=0.5),
            )
        ),
    )
    denies = (
        PolicyCase(plan=plan_of(planned("aws_instance", hourly=0.3), planned("aws_ebs_volume", hourly=0.21))),
        PolicyCase(plan=plan_of(planned("aws_instance", action=PlannedAction.KEEP, hourly=0.6))),
        PolicyCase(plan=plan_of(planned("aws_instance"))),
        PolicyCase(plan=plan_of(planned("baremetal_host", hourly=0.1, currency="EUR"))),
    )

    @pytest.fixture
    def settings(self) -> HourlyCostSettings:
        return HourlyCostSettings(most=0.5)


class TestWorkspaceLimit(PolicyConformance):
    plugin = builtin
    policy = "workspace-limit"
    consents = (
        PolicyCase(request_of(other_workspaces=1)),
        PolicyCase(request_of(other_workspaces=7, number=2)),
        PolicyCase(request_of(other_workspaces=7, owner=Who(id="1", name="bob", groups=("platform",)))),
    )
    denies = (
        PolicyCase(request_of(other_workspaces=2)),
        # Whose workspace it is counts, not who makes it.
        PolicyCase(request_of(other_workspaces=2, initiator=Who(id="1", name="bob", groups=("platform",)), owner=ADA)),
    )

    @pytest.fixture
    def settings(self) -> WorkspaceLimitSettings:
        return WorkspaceLimitSettings(most=2, exempt_groups=["platform"])


# Policies that the suite must not let pass


class Sound(Policy):
    """Denies what has no tag."""

    def judge_plan(self, request: BuildRequest, plan: Plan) -> Iterator[Finding]:
        for one in plan.of_type("*"):
            if not list(one.values("tags")):
                yield deny("It has no tags.", where=one.address, remedy="Add some.")


class Fails(Sound):
    def judge_plan(self, request: BuildRequest, plan: Plan) -> Iterator[Finding]:
        for one in plan.resources:
            if one.attributes["tags"] is None:
                yield deny("It has no tags.", where=one.address, remedy="Add some.")


class Forgetful(Sound):
    """Consents the second time."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def judge_plan(self, request: BuildRequest, plan: Plan) -> Iterator[Finding]:
        new = [one for one in plan.of_type("*") if one.address not in self.seen]
        self.seen.update(one.address for one in new)
        return super().judge_plan(request, plan_of(*new))


class Curt(Sound):
    def judge_plan(self, request: BuildRequest, plan: Plan) -> Iterator[Finding]:
        for found in super().judge_plan(request, plan):
            yield deny(found.message)


class Lost(Sound):
    def judge_plan(self, request: BuildRequest, plan: Plan) -> Iterator[Finding]:
        for found in super().judge_plan(request, plan):
            yield deny(found.message, where="somewhere", remedy=found.remedy)


class Slow(Sound):
    def judge_plan(self, request: BuildRequest, plan: Plan) -> Iterator[Finding]:
        if len(plan.resources) > 100:
            time.sleep(0.3)
        return super().judge_plan(request, plan)


class Lenient(Sound):
    def judge_plan(self, request: BuildRequest, plan: Plan) -> Iterator[Finding]:
        for found in super().judge_plan(request, plan):
            yield warn(found.message, where=found.where, remedy=found.remedy)


class Told(BaseModel):
    word: SecretStr = SecretStr("very-secret-word")


class Telling(Sound):
    def judge_plan(self, request: BuildRequest, plan: Plan) -> Iterator[Finding]:
        for found in super().judge_plan(request, plan):
            yield deny(found.message, where=found.where, remedy="Say very-secret-word.")


def suite_of(made: Callable[[], Policy]) -> tuple[PolicyConformance, Policy]:
    plugin: Any = ModuleType("stead_sound")
    plugin.stead_policies = lambda: [PolicySpec("sound", "Sound", lambda settings: made())]

    class Suite(PolicyConformance):
        consents = (PolicyCase(plan=plan_of(planned("thing", tags={"a": "b"}))),)
        denies = (PolicyCase(plan=plan_of(planned("thing", "bare"))),)

    Suite.plugin = plugin
    return Suite(), made()


BAD: list[tuple[Callable[[], Policy], str]] = [
    (Forgetful, "test_an_answer_is_the_same_each_time_and_on_the_other_side_of_a_process"),
    (Curt, "test_what_is_not_allowed_is_denied_with_a_reason"),
    (Lost, "test_what_is_not_allowed_is_denied_with_a_reason"),
    (Lenient, "test_what_is_not_allowed_is_denied_with_a_reason"),
    (Telling, "test_what_is_not_allowed_is_denied_with_a_reason"),
    (Policy, "test_it_judges_something"),
]


def run(made: Callable[[], Policy], test: str) -> None:
    suite, policy = suite_of(made)
    arguments = (policy, Told()) if "reason" in test else (policy,)
    getattr(suite, test)(*arguments)


@pytest.mark.parametrize(("made", "test"), BAD, ids=lambda value: getattr(value, "__name__", ""))
def test_the_suite_does_not_let_a_bad_policy_pass(made: Callable[[], Policy], test: str) -> None:
    run(Sound, test)
    with pytest.raises(AssertionError):
        run(made, test)


def test_the_suite_finds_a_policy_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    run(Sound, "test_a_large_plan_is_judged_in_time")
    monkeypatch.setattr("stead.testing.conformance.policy.QUICK", 0.2)
    with pytest.raises(AssertionError):
        run(Slow, "test_a_large_plan_is_judged_in_time")


def test_the_suite_shows_a_policy_what_is_strange() -> None:
    suite, policy = suite_of(Fails)
    case = next(
        one for one in STRANGE if one.plan is not None and one.plan.resources and not one.plan.resources[0].attributes
    )
    with pytest.raises(KeyError):
        suite.test_what_is_strange_is_judged_without_an_exception(policy, case)
