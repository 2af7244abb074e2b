"""The rules of the domain: transitions, permissions, names, parameters."""

from __future__ import annotations

import contextlib
import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stead.api.errors import Conflict, Forbidden, InvalidInput, NotFound
from stead.domain import names, parameters, rbac
from stead.domain.records import Actor, Parameter, ParameterOption, ParameterValidation
from stead.domain.states import AgentLifecycle, BuildStatus, Role, Transition, WorkspaceStatus
from stead.domain.transitions import (
    ACTIVE,
    AGENT,
    BUILD,
    ENDED,
    advance_build,
    agent_may_become,
    builds_with_status,
    workspace_status,
)


def test_every_state_has_a_row_and_an_end_stays_an_end() -> None:
    assert set(BUILD) == set(BuildStatus)
    assert set(AGENT) == set(AgentLifecycle)
    assert {BuildStatus.SUCCEEDED, BuildStatus.FAILED, BuildStatus.CANCELED} == ENDED
    for now, then in itertools.product(BuildStatus, BuildStatus):
        if then in BUILD[now]:
            assert advance_build(now, then) is then
        else:
            with pytest.raises(Conflict):
                advance_build(now, then)


def test_every_active_build_can_end_in_failure_and_in_cancelation() -> None:
    """Whatever happens to a provisioner, no build is stuck."""
    for status in ACTIVE:
        assert {BuildStatus.FAILED, BuildStatus.CANCELED} <= BUILD[status]


def test_an_agent_may_start_again_from_wherever_it_was() -> None:
    for state in set(AgentLifecycle) - {AgentLifecycle.STARTING}:
        assert agent_may_become(state, AgentLifecycle.STARTING)
    assert not agent_may_become(AgentLifecycle.OFF, AgentLifecycle.READY)
    assert not agent_may_become(AgentLifecycle.READY, AgentLifecycle.READY)
    assert agent_may_become(AgentLifecycle.START_TIMEOUT, AgentLifecycle.READY)


def test_the_status_of_a_workspace_and_its_inverse_agree() -> None:
    for transition, status in itertools.product(Transition, BuildStatus):
        found = workspace_status(transition, status)
        assert (transition, status) in builds_with_status(found)
    assert workspace_status(Transition.START, BuildStatus.SUCCEEDED) is WorkspaceStatus.RUNNING
    assert workspace_status(Transition.DELETE, BuildStatus.RUNNING) is WorkspaceStatus.DELETING


def actor(*roles: Role, user: str = "me") -> Actor:
    return Actor(user, user, roles)


@pytest.mark.parametrize(
    ("role", "resource", "action", "own", "others"),
    [
        (Role.MEMBER, "workspace", "create", True, False),
        (Role.MEMBER, "workspace", "connect", True, False),
        (Role.MEMBER, "workspace", "state", False, False),
        (Role.MEMBER, "template", "use", True, True),
        (Role.MEMBER, "template", "update", False, False),
        (Role.MEMBER, "user", "read", True, False),
        (Role.MEMBER, "audit", "read", False, False),
        (Role.TEMPLATE_ADMIN, "template", "update", True, True),
        (Role.TEMPLATE_ADMIN, "workspace", "read", True, True),
        (Role.TEMPLATE_ADMIN, "workspace", "connect", True, False),
        (Role.TEMPLATE_ADMIN, "user", "create", False, False),
        (Role.USER_ADMIN, "user", "create", True, True),
        (Role.USER_ADMIN, "workspace", "read", True, False),
        (Role.USER_ADMIN, "template", "update", False, False),
        (Role.AUDITOR, "audit", "read", True, True),
        (Role.AUDITOR, "workspace", "build", True, False),
        (Role.OWNER, "workspace", "connect", True, True),
        (Role.OWNER, "workspace", "state", True, True),
    ],
)
def test_permissions(role: Role, resource: str, action: str, own: bool, others: bool) -> None:
    asked = (rbac.Resource(resource), rbac.Action(action))
    assert rbac.allows(actor(role), *asked, "me") is own
    assert rbac.allows(actor(role), *asked, "other") is others


def test_every_role_has_what_a_member_has() -> None:
    for role in Role:
        for (resource, action), scope in rbac.MEMBER.items():
            assert rbac.scope_of([role], resource, action) in {scope, rbac.Scope.ANY}


def test_what_one_may_not_see_does_not_exist() -> None:
    workspace = rbac.Resource.WORKSPACE
    with pytest.raises(NotFound):
        rbac.require(actor(Role.MEMBER), workspace, rbac.Action.BUILD, "other")
    with pytest.raises(Forbidden):
        rbac.require(actor(Role.AUDITOR), workspace, rbac.Action.BUILD, "other")
    rbac.require(actor(Role.MEMBER), workspace, rbac.Action.BUILD, "me")


def test_nobody_makes_others_mightier_than_themselves() -> None:
    assert rbac.assignable(actor(Role.OWNER), [Role.OWNER])
    assert rbac.assignable(actor(Role.USER_ADMIN), [Role.AUDITOR])
    assert not rbac.assignable(actor(Role.USER_ADMIN), [Role.OWNER])
    assert not rbac.assignable(actor(Role.USER_ADMIN), [Role.TEMPLATE_ADMIN])
    assert rbac.assignable(actor(Role.USER_ADMIN, Role.TEMPLATE_ADMIN), [Role.TEMPLATE_ADMIN])
    assert not rbac.assignable(actor(Role.MEMBER), [Role.AUDITOR])


@pytest.mark.parametrize("name", ["dev", "a", "My-Box-2", "x" * 32])
def test_good_names(name: str) -> None:
    assert names.check_workspace_name(name) == name
    assert names.check_username(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "a--b", "a b", "a/b", "a.b", "x" * 33, "new", "Ünï", "a\n"])
def test_bad_names(name: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        names.check_workspace_name(name)
    assert raised.value.field == "name"


def test_reserved_and_malformed_accounts() -> None:
    for username in ("me", "ME", "system"):
        with pytest.raises(InvalidInput):
            names.check_username(username)
    assert names.check_email("Ada@Example.org") == "ada@example.org"
    for email in ("ada", "@", "a b@c", "a@", "x" * 250 + "@x.org"):
        with pytest.raises(InvalidInput):
            names.check_email(email)
    for password in ("short", "x" * 2000):
        with pytest.raises(InvalidInput):
            names.check_password(password)


SIZE = Parameter(
    "size",
    type="number",
    default="2",
    required=False,
    mutable=True,
    validation=ParameterValidation(min=1, max=5, error="{value} is not within {min} and {max}"),
)
DISK = Parameter("disk", type="number", mutable=True, validation=ParameterValidation(monotonic="increasing"))
REGION = Parameter("region", options=(ParameterOption("Europe", "eu"), ParameterOption("US", "us")))
SLUG = Parameter(
    "slug", default="", required=False, mutable=True, validation=ParameterValidation(regex="^[a-z]*$", error="letters")
)
WIPE = Parameter("wipe", type="bool", default="false", required=False, mutable=True, ephemeral=True)
IDES = Parameter(
    "ides",
    type="list(string)",
    form_type="multi-select",
    default="[]",
    required=False,
    mutable=True,
    options=(ParameterOption("A", "a"), ParameterOption("B", "b")),
)
ALL = (SIZE, DISK, REGION, SLUG, WIPE, IDES)
GOOD = {"disk": "10", "region": "eu"}


@pytest.mark.parametrize(
    ("given_values", "field", "text"),
    [
        ({"disk": "10"}, "region", "needs a value"),
        ({**GOOD, "size": "9"}, "size", "9 is not within 1 and 5"),
        ({**GOOD, "size": "two"}, "size", "whole number"),
        ({**GOOD, "region": "mars"}, "region", "one of eu, us"),
        ({**GOOD, "slug": "A1"}, "slug", "letters"),
        ({**GOOD, "wipe": "yes"}, "wipe", "true or false"),
        ({**GOOD, "ides": "a"}, "ides", "JSON list"),
        ({**GOOD, "ides": '["c"]'}, "ides", "one of a, b"),
        ({**GOOD, "sise": "1"}, "sise", "Did you mean size"),
    ],
)
def test_wrong_values_name_the_parameter(given_values: dict[str, str], field: str, text: str) -> None:
    with pytest.raises(InvalidInput, match=text) as raised:
        parameters.resolve(ALL, given_values)
    assert raised.value.field == f"parameters.{field}"


def test_given_wins_over_preset_wins_over_previous() -> None:
    found = parameters.resolve(
        ALL, {"size": "3"}, previous={**GOOD, "size": "1", "slug": "old"}, preset={"size": "2", "slug": "preset"}
    )
    assert found == {**GOOD, "size": "3", "slug": "preset"}


def test_defaults_are_left_to_the_template() -> None:
    assert parameters.resolve(ALL, GOOD) == GOOD


def test_immutable_parameters_bind_after_the_first_build() -> None:
    assert parameters.resolve(ALL, {"region": "eu"}, previous=GOOD)["region"] == "eu"
    with pytest.raises(InvalidInput, match="cannot be changed"):
        parameters.resolve(ALL, {"region": "us"}, previous=GOOD)
    # A parameter that is new in this version may still be set.
    assert parameters.resolve(ALL, {"region": "us"}, previous={"disk": "10"})["region"] == "us"


def test_monotonic_values_only_grow() -> None:
    assert parameters.resolve(ALL, {"disk": "11"}, previous=GOOD)["disk"] == "11"
    with pytest.raises(InvalidInput, match="only grow"):
        parameters.resolve(ALL, {"disk": "9"}, previous=GOOD)
    shrinking = replace(DISK, validation=ParameterValidation(monotonic="decreasing"))
    with pytest.raises(InvalidInput, match="only shrink"):
        parameters.resolve((shrinking,), {"disk": "11"}, previous={"disk": "10"})


def test_ephemeral_values_are_for_one_build() -> None:
    values = parameters.resolve(ALL, {**GOOD, "wipe": "true"})
    assert values["wipe"] == "true"
    assert parameters.kept(ALL, values) == GOOD
    assert "wipe" not in parameters.resolve(ALL, {}, previous=values)


@given(st.text(max_size=40))
def test_no_text_breaks_the_check_of_a_value(text: str) -> None:
    for parameter in ALL:
        with contextlib.suppress(InvalidInput):
            parameters.check_value(parameter, text, previous=text)


@given(st.lists(st.sampled_from(["a", "b"]), max_size=4))
def test_lists_travel_as_json(chosen: list[str]) -> None:
    text = json.dumps(chosen)
    assert parameters.resolve((IDES,), {"ides": text}) == {"ides": text}
