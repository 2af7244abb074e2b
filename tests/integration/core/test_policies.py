"""Policies in the services: what they deny is not written, what fails has denied, what was judged is what is built."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stead.api import BuildRequest, Finding, Plan, Policy, PolicySpec, Price, deny, hookimpl, warn
from stead.api.errors import Conflict, InvalidInput, LeaseLost, PolicyDenied, SteadError
from stead.api.records import Platform, PlatformSpec
from stead.config import Settings
from stead.domain.records import Actor, Parameter, Template
from stead.domain.states import Transition
from stead.plugins import PluginRegistry
from stead.policies import builtin_policies
from stead.services import audit, builds, deployment, jobs, workspaces
from stead.services.core import Core, open_core
from stead.services.policies import enabled
from stead.services.policies.enabled import load
from stead.services.policies.plans import judge_plan
from stead.services.policies.prices import PriceBook
from stead.testing.policies import plan_of, planned
from stead.testing.waiting import eventually

Judge = Callable[..., Any]

PATIENT = 60  # seconds: on a loaded machine even a quick answer takes its time


def nothing(*_: Any) -> Iterable[Finding]:
    return ()


class Scripted(Policy):
    """Does as the test says, and remembers what it was asked."""

    def __init__(self, request: Judge = nothing, plan: Judge = nothing) -> None:
        self.request, self.plan = request, plan
        self.requests: list[BuildRequest] = []
        self.plans: list[Plan] = []

    def judge_request(self, request: BuildRequest) -> Iterable[Finding]:
        self.requests.append(request)
        found: Iterable[Finding] = self.request(request)
        return found

    def judge_plan(self, request: BuildRequest, plan: Plan) -> Iterable[Finding]:
        self.plans.append(plan)
        found: Iterable[Finding] = self.plan(request, plan)
        return found


def registry(*specs: PolicySpec, platforms: Iterable[PlatformSpec] = ()) -> PluginRegistry:
    """A registry with just these."""
    made: Any = ModuleType("scripted")
    made.stead_policies = hookimpl(lambda: list(specs), specname="stead_policies")
    made.stead_platforms = hookimpl(lambda: list(platforms), specname="stead_platforms")
    registry = PluginRegistry(builtins={"scripted": made}, disabled=DISTRIBUTIONS)
    registry.load()
    return registry


DISTRIBUTIONS = ("aws", "azure", "baremetal", "docker", "gcp", "kubernetes", "ldap", "oidc")


def under(core: Core, policy: Policy, transitions: frozenset[str] = frozenset({"start"}), **settings: Any) -> Core:
    """The same deployment with one policy, ``house``."""
    spec = PolicySpec("house", "House", lambda _: policy, transitions=transitions)
    return replace(core, policies=load({"house": {"deadline": PATIENT, **settings}}, registry(spec)))


def denying(where: str = "", remedy: str = "Choose another.") -> Judge:
    return lambda *_: [deny("It is not allowed.", where=where, remedy=remedy)]


def denied_rows(core: Core, owner: Actor) -> list[Any]:
    return [row for row in audit.list(core, owner).items if row.action.startswith("was denied")]


def test_a_request_that_is_denied_is_not_written(
    core: Core, owner: Actor, member: Actor, make_template: Callable[..., Template]
) -> None:
    make_template(parameters=(Parameter("size", default="2", mutable=True),))
    policy = Scripted(denying("parameters.size"))
    with pytest.raises(PolicyDenied) as caught:
        workspaces.create(under(core, policy), member, "box", "dev", {"size": "9"})
    assert caught.value.message == "The policy house: It is not allowed. (parameters.size)"
    assert (caught.value.field, caught.value.remedy) == ("parameters.size", "Choose another.")
    assert caught.value.reason == "policy_denied"
    assert workspaces.list(core, owner).total == 0
    [row] = denied_rows(core, owner)
    assert (row.actor, row.action, row.target) == ("bob", "was denied a start", "bob/dev")
    assert row.after["policies"] == ["house"]
    assert row.after["findings"] == [caught.value.message]
    [asked] = policy.requests
    assert (asked.initiator.name, asked.owner.name, asked.template, asked.version) == ("bob", "bob", "box", "v1")
    assert (asked.workspace, asked.number, dict(asked.parameters)) == ("dev", 1, {"size": "9"})


def test_what_people_type_unseen_is_not_told(core: Core, owner: Actor, make_template: Callable[..., Template]) -> None:
    make_template(
        parameters=(Parameter("password", default="", styling={"mask_input": True}), Parameter("a", default="b"))
    )
    policy = Scripted()
    workspaces.create(under(core, policy), owner, "box", "dev", {"password": "hunter2"})
    [asked] = policy.requests
    assert (dict(asked.parameters), asked.masked) == ({"a": "b"}, ("password",))
    assert "hunter2" not in asked.model_dump_json()


def test_a_warning_begins_the_log_of_the_build(
    core: Core, owner: Actor, make_template: Callable[..., Template]
) -> None:
    make_template()
    policy = Scripted(lambda _: [warn("This will be dear.", remedy="Stop it at night.")])
    made = workspaces.create(under(core, policy), owner, "box", "dev")
    [line] = builds.logs(core, owner, made.latest_build.job.id)
    assert (line.level, line.text) == ("warn", "The policy house: This will be dear. Stop it at night.")
    assert not denied_rows(core, owner)


def _raises(*_: Any) -> Iterable[Finding]:
    raise ValueError("with a secret in it")


def _exits(*_: Any) -> Iterable[Finding]:
    raise SystemExit(1)


def _endless(*_: Any) -> Iterator[Finding]:
    while True:
        yield warn("again")


def _breaks_off(*_: Any) -> Iterator[Finding]:
    yield warn("a warning")
    raise KeyError("size")


FAILURES: list[tuple[Judge, str]] = [
    (_raises, "It could not judge (ValueError)."),
    (_exits, "It could not judge (RuntimeError)."),
    (_endless, "It could not judge (ValueError)."),
    (_breaks_off, "It could not judge (KeyError)."),
    (lambda *_: None, "It could not judge (TypeError)."),
    (lambda *_: "no", "It could not judge (TypeError)."),
    (lambda *_: [True], "It could not judge (TypeError)."),
    (lambda *_: [deny(None)], "It could not judge (TypeError)."),  # type: ignore[arg-type]
]


def test_a_policy_that_fails_has_denied(core: Core, owner: Actor, make_template: Callable[..., Template]) -> None:
    make_template()
    for judge, said in FAILURES:
        watched = under(core, Scripted(judge))
        with pytest.raises(PolicyDenied) as caught:
            workspaces.create(watched, owner, "box", "dev")
        assert said in str(caught.value)
        assert "secret" not in str(caught.value)
        [status] = deployment.policies(watched, owner)
        assert (status.judged, status.denied, status.failed, status.late) == (1, 0, 1, 0)
    assert workspaces.list(core, owner).total == 0


def test_a_policy_that_is_tried_out_only_warns(
    core: Core, owner: Actor, make_template: Callable[..., Template]
) -> None:
    make_template()
    tried = [under(core, Scripted(denying()), mode="warn"), under(core, Scripted(_raises), mode="warn")]
    for number, watched in enumerate(tried):
        made = workspaces.create(watched, owner, "box", f"dev{number}")
        [line] = builds.logs(core, owner, made.latest_build.job.id)
        assert line.level == "warn"
        assert "This will be denied." in line.text


def test_a_policy_that_hangs_is_late_and_takes_only_so_many_threads(
    core: Core, owner: Actor, make_template: Callable[..., Template], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enabled, "AT_ONCE", 2)
    make_template()
    go = threading.Event()
    policy = Scripted(lambda _: go.wait(120) and ())
    watched = under(core, policy, deadline=0.2)
    for _ in range(4):
        with pytest.raises(PolicyDenied, match=r"did not answer within 0\.2 s"):
            workspaces.create(watched, owner, "box", "dev")
    eventually(lambda: len(policy.requests) == 2, 60, what="two that hang; the others found no place")
    [status] = deployment.policies(watched, owner)
    assert (status.judged, status.late) == (4, 4)
    go.set()
    eventually(lambda: allowed(watched, owner), 60, what="free places")


def allowed(core: Core, owner: Actor) -> bool:
    try:
        workspaces.create(core, owner, "box", "dev")
    except PolicyDenied:
        return False
    return True


def test_all_policies_are_asked_and_each_denial_is_told(
    core: Core, owner: Actor, make_template: Callable[..., Template]
) -> None:
    make_template()
    specs = [
        PolicySpec("one", "One", lambda _: Scripted(denying())),
        PolicySpec("two", "Two", lambda _: Scripted()),
        PolicySpec("three", "Three", lambda _: Scripted(denying(remedy=""))),
    ]
    watched = replace(
        core, policies=load({name: {"deadline": PATIENT} for name in ("one", "two", "three")}, registry(*specs))
    )
    with pytest.raises(PolicyDenied) as caught:
        workspaces.create(watched, owner, "box", "dev")
    assert "The policy one: " in caught.value.message
    assert "The policy three: " in caught.value.message
    assert "two" not in caught.value.message


def test_many_findings_are_cut_and_a_denial_among_them_is_not(
    core: Core, owner: Actor, make_template: Callable[..., Template]
) -> None:
    make_template()
    flood = [*(warn(f"warning {number}\x1b[31m") for number in range(50)), deny("x" * 5000, remedy="Shorten it.")]
    with pytest.raises(PolicyDenied) as caught:
        workspaces.create(under(core, Scripted(lambda _: flood)), owner, "box", "dev")
    assert 900 < len(str(caught.value)) < 1200
    made = workspaces.create(under(core, Scripted(lambda _: flood[:50])), owner, "box", "dev")
    lines = builds.logs(core, owner, made.latest_build.job.id)
    assert [line.text for line in lines][-1] == "The policy house: It found 30 more."
    assert len(lines) == 21
    assert all(line.text.isprintable() for line in lines)


def stopped(core: Core) -> None:
    """What waits in the queue is done."""
    claim = jobs.claim(core, "test")
    assert claim is not None
    with core.change(replace(SYSTEM_ACTOR)) as change:
        jobs.end(change, claim)


SYSTEM_ACTOR = Actor("system", "system", ())


def test_only_the_transitions_that_a_policy_names_are_judged(
    core: Core, owner: Actor, make_template: Callable[..., Template]
) -> None:
    make_template()
    workspaces.create(core, owner, "box", "dev")
    stopped(core)
    strict = Scripted(denying(), denying())
    builds.create(under(core, strict), owner, "dev", Transition.STOP)
    stopped(core)
    assert not strict.requests
    with pytest.raises(PolicyDenied):
        builds.create(under(core, strict), owner, "dev", Transition.START)
    keeper = under(core, Scripted(denying()), frozenset({"delete"}))
    with pytest.raises(PolicyDenied):
        builds.create(keeper, owner, "dev", Transition.DELETE)
    assert [row.action for row in denied_rows(core, owner)] == ["was denied a delete", "was denied a start"]
    builds.create(keeper, owner, "dev", Transition.START)


def test_only_the_templates_that_are_named_are_judged(
    core: Core, owner: Actor, make_template: Callable[..., Template]
) -> None:
    make_template("box")
    make_template("gpu-large")
    watched = under(core, Scripted(denying()), templates=["gpu-*"])
    workspaces.create(watched, owner, "box", "dev")
    with pytest.raises(PolicyDenied):
        workspaces.create(watched, owner, "gpu-large", "train")


def test_a_restart_whose_start_would_be_denied_does_not_stop(
    core: Core, owner: Actor, make_template: Callable[..., Template]
) -> None:
    make_template()
    workspaces.create(core, owner, "box", "dev")
    stopped(core)
    policy = Scripted(denying())
    with pytest.raises(PolicyDenied):
        builds.restart(under(core, policy), owner, "dev")
    assert [asked.transition for asked in policy.requests] == ["start"]
    assert workspaces.get(core, owner, "dev").latest_build.transition is Transition.START


def test_what_was_judged_is_what_is_written(core: Core, owner: Actor, make_template: Callable[..., Template]) -> None:
    make_template()

    def judge(request: BuildRequest) -> Iterable[Finding]:
        if request.workspace == "dev":  # while this is judged, somebody is quicker
            workspaces.create(core, owner, "box", "other")
        return ()

    with pytest.raises(Conflict, match="changed while policies judged"):
        workspaces.create(under(core, Scripted(judge)), owner, "box", "dev")
    assert [one.name for one in workspaces.list(core, owner).items] == ["other"]


def test_who_is_quick_does_not_get_more_workspaces(
    core: Core, owner: Actor, make_template: Callable[..., Template]
) -> None:
    make_template()
    sections = {"workspace-limit": {"most": 2, "deadline": PATIENT}}
    watched = replace(core, policies=load(sections, registry(*builtin_policies())))

    def create(number: int) -> str:
        while True:
            try:
                return workspaces.create(watched, owner, "box", f"dev{number}").name
            except PolicyDenied:
                return ""
            except Conflict:
                continue

    with ThreadPoolExecutor(4) as pool:
        made = [name for name in pool.map(create, range(6)) if name]
    assert len(made) == 2
    assert workspaces.list(core, owner).total == 2


# Plans


class Shop(Platform):
    def price(self, type_name: str, attributes: Any) -> Price | None:
        if type_name == "broken":
            raise RuntimeError("no such table")
        return Price(attributes["size"] * 0.5, "2026-01-31") if type_name == "machine" else None


@pytest.fixture
def build(core: Core, owner: Actor, make_template: Callable[..., Template]) -> jobs.Claim:
    """A build in the hands of a provisioner."""
    make_template()
    workspaces.create(core, owner, "box", "dev")
    claim = jobs.claim(core, "test")
    assert claim is not None
    return claim


PLAN = plan_of(planned("machine", size=3), planned("broken"), planned("other"))


def test_a_plan_is_judged_with_prices_and_a_denial_is_audited(core: Core, owner: Actor, build: jobs.Claim) -> None:
    policy = Scripted(plan=denying("machine.main"))
    watched = under(core, policy)
    watched.policies.prices = PriceBook([(PlatformSpec("shop", "Shop", lambda _: Shop()), Settings())])
    verdict = judge_plan(watched, build, PLAN)
    assert [ruling.where for ruling in verdict.denials] == ["machine.main"]
    with pytest.raises(PolicyDenied, match=r"machine\.main"):
        verdict.require()
    [seen] = policy.plans
    assert {one.type: one.hourly for one in seen.resources} == {"machine": 1.5, "broken": None, "other": None}
    [row] = denied_rows(core, owner)
    assert (row.actor, row.target, row.after["job"]) == ("ada", "ada/dev", build.job.id)


def test_a_price_that_the_plan_brings_is_not_believed(core: Core, build: jobs.Claim) -> None:
    policy = Scripted()
    judge_plan(under(core, policy), build, plan_of(planned("other", hourly=0.01)))
    assert [one.hourly for one in policy.plans[0].resources] == [None]


def test_prices_that_do_not_come_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stead.services.policies.prices.DEADLINE", 0.2)
    go = threading.Event()

    class Hangs(Platform):
        def price(self, type_name: str, attributes: Any) -> Price | None:
            go.wait(120)
            return None

    plan = plan_of(planned("machine", hourly=0.01))
    book = PriceBook([(PlatformSpec("shop", "Shop", lambda _: Hangs()), Settings())])
    assert [one.hourly for one in book.price(plan).resources] == [None]
    go.set()


def test_a_policy_that_fails_on_a_plan_has_denied(core: Core, build: jobs.Claim) -> None:
    for judge, said in FAILURES:
        [denial] = judge_plan(under(core, Scripted(plan=judge)), build, PLAN).denials
        assert said in denial.message


def test_who_lost_the_lease_writes_no_denial(core: Core, owner: Actor, build: jobs.Claim) -> None:
    stale = replace(build, lease=replace(build.lease, token="0" * 32))
    with pytest.raises(LeaseLost):
        judge_plan(under(core, Scripted(plan=denying())), stale, PLAN)
    assert not denied_rows(core, owner)


def test_where_nobody_judges_no_price_is_asked_for(
    core: Core, build: jobs.Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Plan] = []
    monkeypatch.setattr(PriceBook, "price", lambda _, plan: asked.append(plan) or plan)
    assert judge_plan(under(core, Scripted(plan=denying()), templates=["other"]), build, PLAN).rulings == ()
    assert not asked
    assert judge_plan(under(core, Scripted()), build, PLAN).rulings == ()
    assert asked == [PLAN]


# The start


def _refuses(_: Any) -> Policy:
    raise InvalidInput("There is no such list.", remedy="Write one.")


@pytest.mark.parametrize(
    ("section", "factory", "said"),
    [
        ({"policy": "hous"}, None, "Did you mean 'house'?"),
        ({"policy": "unheard-of"}, None, "Installed: house."),
        ({"deadline": 0}, None, "Setting policies.mine.deadline"),
        ({"mode": "off"}, None, "Setting policies.mine.mode"),
        ({"policy": "house", "colour": "red"}, None, "There is no setting policies.mine.colour."),
        ({"policy": "house"}, _refuses, "There is no such list. Write one."),
        ({"policy": "house"}, lambda _: 1 / 0, "ZeroDivisionError"),
        ({"policy": "house"}, lambda _: "no policy", "'house' makes no policy"),
    ],
)
def test_a_policy_that_cannot_be_made_is_refused(section: dict[str, Any], factory: Any, said: str) -> None:
    made = registry(PolicySpec("house", "House", factory or (lambda _: Scripted())))
    with pytest.raises(SteadError) as caught:
        load({"mine": section}, made)
    assert said in str(caught.value)
    assert "policies.mine" in str(caught.value)


def test_a_policy_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", policies={"sections": {"house": {}}})
    with pytest.raises(InvalidInput, match=r"no plugin brings the policy 'house'"):
        open_core(settings, plugins=registry())
    assert not settings.data_dir.exists(), "the start ended before anything was written"


def test_a_policy_that_is_not_enabled_is_not_even_looked_for() -> None:
    assert list(load({"gone": {"enabled": False}}, registry())) == []


def test_values_of_the_environment_are_taken_apart() -> None:
    sections = {"allowed-images": {"images": "debian:*, alpine:*", "templates": "a,b", "deadline": "7"}}
    [policy] = load(sections, registry(*builtin_policies()))
    assert policy.settings.templates == ["a", "b"]
    assert policy.settings.deadline == 7.0
