"""What is planned from a configuration and a state."""

from __future__ import annotations

import pytest

from stead.api.provider import (
    BlockSchema,
    Context,
    Nesting,
    ObjectSchema,
    Plan,
    Provider,
    Resource,
    Unknown,
    attribute,
    block,
)
from stead.terraform.serving import lifecycle
from stead.terraform.serving.planning import planned
from stead.terraform.serving.schemas import provider_schema


class Rule(BlockSchema):
    port: int = attribute(required=True)
    protocol: str = attribute(default="tcp")
    handle: str | None = attribute(computed=True)
    fixed: str | None = attribute(optional=True, force_new=True)


class Size(ObjectSchema):
    cpu: int = attribute(required=True)
    memory: int = attribute(default=1)
    seen: str | None = attribute(computed=True)


class Box(Resource, name="box"):
    id: str = attribute(computed=True)
    name: str = attribute(required=True, force_new=True)
    both: str | None = attribute(optional=True, computed=True)
    number: int = attribute(default=3)
    items: list[str] | None = attribute(default=list)
    secret: str | None = attribute(optional=True, write_only=True)
    path: str | None = attribute(optional=True, normalize=lambda prior, new: prior.lower() == new.lower())
    size: Size | None = attribute(optional=True)
    rules: list[Rule] = block(Rule, nesting=Nesting.SET)
    steps: list[Rule] = block(Rule)
    named: dict[str, Rule] = block(Rule, nesting=Nesting.MAP)
    one: Rule | None = block(Rule, nesting=Nesting.SINGLE)

    def update(self, context: Context, prior: Box) -> None: ...


def test_a_new_resource_has_defaults_and_unknowns() -> None:
    plan = planned(None, Box(name="n", secret="s", size=Size(cpu=2), rules=[Rule(port=1)], one=Rule(port=2)))
    assert (plan.id, plan.name, plan.both, plan.number, plan.items) == (Unknown, "n", Unknown, 3, [])
    assert plan.secret is None
    assert plan.size == Size(cpu=2, memory=1, seen=Unknown)
    assert plan.rules == [Rule(port=1, protocol="tcp", handle=Unknown)]
    assert plan.one == Rule(port=2, protocol="tcp", handle=Unknown)
    assert plan.path is None


def test_what_is_unknown_in_the_configuration_stays_unknown() -> None:
    plan = planned(None, Box(name=Unknown, rules=Unknown, steps=[Rule(port=Unknown)]))
    assert plan.name is Unknown
    assert plan.rules is Unknown
    assert plan.steps[0].port is Unknown


def prior() -> Box:
    return Box(
        id="1",
        name="n",
        both="from the platform",
        number=9,
        items=[],
        path="/A",
        size=Size(cpu=2, memory=8, seen="yes"),
        rules=[Rule(port=1, protocol="tcp", handle="h1"), Rule(port=2, protocol="udp", handle="h2")],
        steps=[Rule(port=5, protocol="tcp", handle="h5")],
        named={"a": Rule(port=7, protocol="tcp", handle="h7")},
    )


def test_computed_values_stay_and_defaults_come_back() -> None:
    config = Box(
        name="n",
        path="/a",
        size=Size(cpu=3),
        rules=[Rule(port=2, protocol="udp"), Rule(port=3)],
        steps=[Rule(port=6)],
        named={"a": Rule(port=8), "b": Rule(port=9)},
    )
    plan = planned(prior(), config)
    assert (plan.id, plan.both, plan.number, plan.path) == ("1", "from the platform", 3, "/A")
    assert plan.size == Size(cpu=3, memory=1, seen="yes")
    assert plan.rules == [
        Rule(port=2, protocol="udp", handle="h2"),
        Rule(port=3, protocol="tcp", handle=Unknown),
    ]
    assert plan.steps == [Rule(port=6, protocol="tcp", handle="h5")]
    assert plan.named == {
        "a": Rule(port=8, protocol="tcp", handle="h7"),
        "b": Rule(port=9, protocol="tcp", handle=Unknown),
    }


def unchanged() -> Box:
    """The configuration of :func:`prior`."""
    return Box(
        name="n",
        number=9,
        path="/A",
        size=Size(cpu=2, memory=8),
        rules=[Rule(port=2, protocol="udp"), Rule(port=1)],
        steps=[Rule(port=5)],
        named={"a": Rule(port=7)},
    )


def replacing(config: Box) -> set[str]:
    return lifecycle.plan(prior(), config, Context()).replacing


def test_nothing_changes_where_the_configuration_is_the_same() -> None:
    change = lifecycle.plan(prior(), unchanged(), Context())
    assert change.replacing == set()
    assert Box.decode(change.raw) == prior()


def test_forced_fields_replace() -> None:
    config = unchanged()
    config.name = "other"
    assert replacing(config) == {"name"}
    config.name = Unknown
    assert replacing(config) == {"name"}


@pytest.mark.parametrize("name", ["rules", "steps", "named", "one"])
def test_forced_fields_inside_blocks_replace(name: str) -> None:
    config = unchanged()
    rule = Rule(port=5, fixed="now")
    values = {"rules": [rule], "steps": [rule], "named": {"a": rule}, "one": rule}
    setattr(config, name, values[name])
    assert replacing(config) == {name}
    rule.fixed = None
    assert replacing(config) == set()


def test_a_class_without_update_is_replaced_on_every_change() -> None:
    class Stone(Resource, name="stone"):
        id: str = attribute(computed=True)
        text: str | None = attribute(optional=True)
        tags: list[Rule] = block(Rule)

    before = Stone(id="1", text="a")
    assert lifecycle.plan(before, Stone(text="a"), Context()).replacing == set()
    assert lifecycle.plan(before, Stone(text="b", tags=[Rule(port=1)]), Context()).replacing == {
        "text",
        "tags",
    }


def test_the_plan_hook_sees_the_action_and_may_decide() -> None:
    seen: list[tuple[str, frozenset[str]]] = []

    class Hooked(Resource, name="hooked"):
        id: str = attribute(computed=True)
        text: str | None = attribute(optional=True)
        other: str | None = attribute(computed=True)

        def update(self, context: Context, prior: Hooked) -> None: ...

        def plan(self, context: Context, plan: Plan) -> None:
            seen.append((plan.action, plan.changed))
            if self.text == "fresh":
                self.other = Unknown
                plan.require_replace("text")

    before = Hooked(id="1", text="a", other="o")
    lifecycle.plan(None, Hooked(text="a"), Context())
    lifecycle.plan(before, Hooked(text="a"), Context())
    change = lifecycle.plan(before, Hooked(text="fresh"), Context())
    assert seen == [("create", frozenset()), ("none", frozenset()), ("update", frozenset({"text"}))]
    assert change.replacing == {"text"}
    assert change.raw["other"] is Unknown


def test_the_plan_hook_may_keep_what_a_change_would_replace() -> None:
    class Forced(Resource, name="forced"):
        id: str = attribute(computed=True)
        text: str | None = attribute(optional=True, force_new=True)
        name: str | None = attribute(optional=True, force_new=True)

        def update(self, context: Context, prior: Forced) -> None: ...

        def plan(self, context: Context, plan: Plan) -> None:
            if plan.prior is not None and plan.prior.text is None:
                plan.allow_in_place("text")

    assert lifecycle.plan(Forced(id="1"), Forced(text="a"), Context()).replacing == set()
    assert lifecycle.plan(Forced(id="1"), Forced(text="a", name="n"), Context()).replacing == {"name"}
    assert lifecycle.plan(Forced(id="1", text="a"), Forced(text="b"), Context()).replacing == {"text"}


def test_objects_as_blocks_and_nested_attributes_do_not_mix() -> None:
    class Mixed(Resource, name="mixed"):
        one: list[Size] | None = attribute(optional=True, as_blocks=True)
        two: Size | None = attribute(optional=True)

    class Lab(Provider, address="example/mixed", resources=[Mixed]):
        """Cannot be served."""

    with pytest.raises(TypeError, match="Mixed has objects with as_blocks beside"):
        provider_schema(Lab)
