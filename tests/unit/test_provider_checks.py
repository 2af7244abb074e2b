"""Validators and the rules between fields."""

from __future__ import annotations

import ipaddress
import threading
import time
from typing import Any

import pytest

from stead.api.errors import BuildCanceled, OperationTimedOut
from stead.api.provider import (
    BlockSchema,
    BuildContext,
    Context,
    Nesting,
    Owner,
    Resource,
    Unknown,
    attribute,
    between,
    block,
    each,
    length,
    matches,
    non_empty,
    one_of,
)
from stead.terraform.serving.checks import check
from stead.terraform.serving.wire import path_of


@pytest.mark.parametrize(
    ("validator", "good", "bad", "message"),
    [
        (one_of("a", "b"), "a", "c", "must be one of 'a', 'b'; it is 'c'"),
        (one_of(1, 2), 2, 3, "must be one of 1, 2; it is 3"),
        (matches("[a-z]+"), "abc", "abc1", r"must match"),
        (matches("[a-z]+", "must be lower case"), "abc", "A", "must be lower case"),
        (between(1, 10), 10, 11, "must be between 1 and 10; it is 11"),
        (between(1), 1, 0, "must be at least 1; it is 0"),
        (between(high=5), 5, 6, "must be at most 5; it is 6"),
        (length(1, 3), "abc", "abcd", "must have between 1 and 3 characters; it has 4"),
        (length(2), [1, 2], [1], "must have at least 2 elements; it has 1"),
        (length(2, 2), "ab", "a", "must have 2 characters; it has 1"),
        (non_empty, "x", " ", "must not be empty"),
        (non_empty, [0], [], "must not be empty"),
        (each(between(0, 1)), [0, 1], [2], "must be between 0 and 1"),
        (each(non_empty), {"a": "x"}, {"a": ""}, "must not be empty"),
    ],
)
def test_validators_accept_and_refuse(validator: Any, good: object, bad: object, message: str) -> None:
    validator(good)
    with pytest.raises(ValueError, match=message):
        validator(bad)


class Inner(BlockSchema):
    port: int | None = attribute(optional=True, validators=[between(1, 9)])


class Sample(Resource, name="sample"):
    a: str | None = attribute(optional=True, conflicts_with=["b", "blocks"])
    b: str | None = attribute(optional=True, required_with=["c"])
    c: str | None = attribute(optional=True, deprecated="use d")
    x: str | None = attribute(optional=True, exactly_one_of=["y"])
    y: str | None = attribute(optional=True, exactly_one_of=["x"])
    address: str | None = attribute(optional=True, validators=[ipaddress.ip_address])
    secret: str | None = attribute(optional=True, sensitive=True, validators=[one_of("open")])
    blocks: list[Inner] = block(Inner)
    named: dict[str, Inner] = block(Inner, nesting=Nesting.MAP)


def errors(**values: Any) -> list[tuple[str, str]]:
    return check(Sample(**{"x": "x", **values})).errors


def test_a_good_configuration_has_no_error() -> None:
    assert errors(b="b", c="c", address="10.0.0.1", blocks=[Inner(port=1)]) == []


def test_conflicts_and_needs() -> None:
    assert errors(a="a", b="b", c="c") == [("a and b cannot be set together.", "a")]
    assert errors(a="a", blocks=[Inner()]) == [("a and blocks cannot be set together.", "a")]
    assert errors(b="b") == [("b needs c to be set as well.", "b")]


def test_exactly_one_is_told_once() -> None:
    assert errors(x=None) == [("Exactly one of x, y must be set; none is.", "x")]
    assert errors(y="y") == [("Exactly one of x, y must be set; 2 are.", "x")]
    assert errors(x=None, y="y") == []
    assert errors(y=Unknown) == []


def test_values_inside_blocks_have_their_path() -> None:
    found = errors(blocks=[Inner(port=1), Inner(port=0)], named={"k": Inner(port=99)})
    assert [path for _, path in found] == ["blocks[1].port", 'named["k"].port']


def test_unknown_values_are_not_judged() -> None:
    assert errors(address=Unknown, blocks=[Inner(port=Unknown)]) == []


def test_a_secret_is_not_quoted() -> None:
    ((message, _),) = errors(secret="hunter2")
    assert "hunter2" not in message


def test_any_callable_that_raises_value_error_validates() -> None:
    ((message, path),) = errors(address="nonsense")
    assert path == "address"
    assert "nonsense" in message


def test_deprecation_is_a_warning() -> None:
    findings = check(Sample(x="x", c="c"))
    assert findings.warnings == [("c is deprecated: use d.", "c")]
    assert findings.errors == []


def steps(field: str) -> list[object]:
    path = path_of(field, Sample)
    assert path is not None
    return [getattr(step, str(step.WhichOneof("selector"))) for step in path.steps]


def test_paths_point_into_blocks() -> None:
    assert steps("a") == ["a"]
    assert steps("blocks[1].port") == ["blocks", 1, "port"]
    assert steps('named["k"].port') == ["named", "k", "port"]
    assert path_of(None, Sample) is None


def test_a_path_ends_at_a_set() -> None:
    class WithSet(Resource, name="with_set"):
        tags: list[Inner] = block(Inner, nesting=Nesting.SET)

    path = path_of("tags[0].port", WithSet)
    assert path is not None
    assert [step.attribute_name for step in path.steps] == ["tags"]


def test_a_context_knows_its_labels_and_its_end() -> None:
    build = BuildContext(deployment="d", workspace_id="w", workspace_name="dev", build_id="b", owner=Owner(name="ann"))
    context = Context(build=build, key="k")
    assert context.labels == {
        "stead.deployment": "d",
        "stead.workspace": "w",
        "stead.workspace.name": "dev",
        "stead.owner": "ann",
        "stead.build": "b",
        "stead.key": "k",
    }
    context.check()
    assert context.remaining is None
    with pytest.raises(OperationTimedOut):
        Context(deadline=time.monotonic() - 1).check()
    canceled = threading.Event()
    canceled.set()
    with pytest.raises(BuildCanceled):
        Context(canceled=canceled).wait(60)


def test_secrets_of_the_build_are_not_shown() -> None:
    owner = Owner(ssh_private_key="key1", session_token="key2", oidc_access_token="key3")
    build = BuildContext(owner=owner, secrets={"a": "key4"}, external_auth={"g": "key5"}, agent_tokens={"x": "key6"})
    assert not [key for key in ("key1", "key2", "key3", "key4", "key5", "key6") if key in repr(build)]
