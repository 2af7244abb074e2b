"""What policies are told of a plan: what becomes of each resource, and nothing sensitive."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from stead.api.policies import WITHHELD, Plan, PlannedAction, PlannedResource
from stead.terraform.summary import LONGEST_VALUE, summary

SECRET = "hunter2"


def change(address: str, actions: list[str], mode: str = "managed", **change: Any) -> dict[str, Any]:
    kind = address.removeprefix("data.").partition(".")[0]
    return {
        "address": address,
        "mode": mode,
        "type": kind,
        "name": "main",
        "provider_name": "registry.terraform.io/example/thing",
        "change": {"actions": actions, "before": None, "after": None, **change},
    }


def one(**changed: Any) -> PlannedResource:
    [found] = summary({"resource_changes": [change("thing.main", ["create"], **changed)]}).resources
    return found


@pytest.mark.parametrize(
    ("actions", "action", "stays"),
    [
        (["no-op"], PlannedAction.KEEP, True),
        (["create"], PlannedAction.CREATE, True),
        (["update"], PlannedAction.UPDATE, True),
        (["delete"], PlannedAction.DELETE, False),
        (["forget"], PlannedAction.DELETE, False),
        (["delete", "create"], PlannedAction.REPLACE, True),
        (["create", "delete"], PlannedAction.REPLACE, True),
    ],
)
def test_what_becomes_of_a_resource(actions: list[str], action: PlannedAction, stays: bool) -> None:
    sides = {"before": {"size": 1}, "after": {"size": 2}}
    [found] = summary({"resource_changes": [change("thing.main", actions, **sides)]}).resources
    assert (found.action, found.stays) == (action, stays)
    assert found.attributes == {"size": 2 if stays else 1}


def test_sensitive_values_are_left_out_wherever_they_are() -> None:
    found = one(
        after={
            "size": 1,
            "password": SECRET,
            "env": [{"name": "A", "value": SECRET}, {"name": "B", "value": "plain"}],
            "tags": {"a": SECRET},
        },
        after_sensitive={"password": True, "env": [{"value": True}, {}], "tags": True},
    )
    assert SECRET not in found.model_dump_json()
    assert found.attributes == {"size": 1, "env": [{"name": "A"}, {"name": "B", "value": "plain"}]}
    assert found.withheld == ("env[0].value", "password", "tags")
    assert dict(found.values("env.value")) == {"thing.main.env[1].value": "plain", "thing.main.env[0].value": WITHHELD}
    assert [value for _, value in found.values("tags.a")] == [WITHHELD]


def test_what_goes_is_told_as_it_was_without_what_was_sensitive() -> None:
    gone = change("thing.main", ["delete"], before={"a": 1, "b": SECRET}, before_sensitive={"b": True})
    [found] = summary({"resource_changes": [gone]}).resources
    assert (found.attributes, found.withheld) == ({"a": 1}, ("b",))


def test_what_is_known_only_after_the_apply_is_no_value() -> None:
    found = one(
        after={"name": "dev", "disk": [{"size": 10}]},
        after_unknown={"id": True, "disk": [{"image": True, "size": False}], "network": [], "labels": {}},
        after_sensitive={},
    )
    assert found.attributes == {"name": "dev", "disk": [{"size": 10}]}
    assert found.withheld == ("disk[0].image", "id")
    assert list(found.values("disk.image")) == [("thing.main.disk[0].image", WITHHELD)]
    assert list(found.values("name")) == [("thing.main.name", "dev")]
    assert not list(found.values("nothing"))


def test_a_block_that_is_not_known_at_all_hides_what_would_be_in_it() -> None:
    found = one(after={}, after_unknown={"boot_disk": True})
    assert list(found.values("boot_disk.image")) == [("thing.main.boot_disk", WITHHELD)]


def test_very_long_values_are_left_out() -> None:
    found = one(after={"user_data": "x" * (LONGEST_VALUE + 1), "short": "x" * LONGEST_VALUE})
    assert list(found.attributes) == ["short"]
    assert found.withheld == ("user_data",)


def test_data_sources_are_named_whether_they_are_read_already_or_not() -> None:
    read = {"address": "data.ami.a", "mode": "data", "type": "ami", "provider_name": "p/q/r", "values": {"x": SECRET}}
    nested = {"address": "module.m.data.ami.b", "mode": "data", "type": "ami", "provider_name": "p/q/r", "values": {}}
    shown = {
        "resource_changes": [change("data.thing.later", ["read"], "data", after={"x": SECRET})],
        "prior_state": {"values": {"root_module": {"resources": [read], "child_modules": [{"resources": [nested]}]}}},
    }
    found = summary(shown)
    addresses = ["data.ami.a", "data.thing.later", "module.m.data.ami.b"]
    assert [resource.address for resource in found.resources] == addresses
    assert {resource.action for resource in found.resources} == {PlannedAction.READ}
    assert SECRET not in found.model_dump_json()
    assert not list(found.of_type("*"))


def test_a_plan_crosses_a_process_and_only_a_plan_does() -> None:
    found = summary({"resource_changes": [change("thing.main", ["create"], after={"a": [1, None, {"b": "c"}]})]}, 7)
    text = found.model_dump_json()
    assert Plan.model_validate_json(text) == found
    plain = json.loads(text)
    for broken in (
        {**plain, "more": 1},
        {"resources": [{**plain["resources"][0], "action": "burn"}]},
        {"resources": [{"address": "a"}]},
        {"resources": "all"},
        {"resources": plain["resources"] * 10_001},
    ):
        with pytest.raises(ValidationError):
            Plan.model_validate_json(json.dumps(broken))


def test_a_plan_of_nothing() -> None:
    assert summary({}) == Plan()
