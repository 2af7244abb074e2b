"""Forms of template parameters: what is sent, and what is shown again."""

from __future__ import annotations

from stead.domain.records import Parameter, ParameterOption
from stead.web.pages.parameters import fields, sent_values, words_of

TOOLS = Parameter(
    "tools", type="list(string)", form_type="multi-select", default='["go"]',
    options=(ParameterOption("Go", "go"), ParameterOption("Rust", "rust")),
)  # fmt: skip
TAGS = Parameter("tags", type="list(string)", form_type="tag-select", default="[]", required=False)
FLAG = Parameter("flag", type="bool", form_type="switch", default="true", required=False)
NAME = Parameter("name", default="dev", required=False)
CPU = Parameter("cpu", type="number", order=-1)
FIXED = Parameter("fixed", default="a", required=False)
DISK = Parameter("disk", type="number", default="10", mutable=True, required=False)


def test_what_a_browser_sends_becomes_values() -> None:
    form = {
        "parameter.tools": ["", "rust", "go"],
        "parameter.tags": ["git\r\n tmux \r\n\r\ngit"],
        "parameter.flag": ["false", "true"],
        "parameter.cpu": [""],
        "parameter.other": ["x"],
    }
    assert sent_values([TOOLS, TAGS, FLAG, NAME, CPU], form) == {
        "tools": '["rust", "go"]',
        "tags": '["git", "tmux"]',
        "flag": "true",
    }


def test_an_unchecked_switch_and_an_empty_choice_are_values_too() -> None:
    form = {"parameter.tools": [""], "parameter.flag": ["false"]}
    assert sent_values([TOOLS, FLAG], form) == {"tools": "[]", "flag": "false"}


def test_a_text_that_was_emptied_is_left_to_its_default() -> None:
    assert sent_values([NAME], {"parameter.name": [""]}) == {}
    assert sent_values([Parameter("n", default="", required=False)], {"parameter.n": [""]}) == {"n": ""}


def test_fields_keep_what_was_typed_and_carry_the_problem() -> None:
    shown = fields([NAME, CPU], {"cpu": "99"}, {"parameters.cpu": "too many"})
    assert [(field.parameter.name, field.value, field.problem) for field in shown] == [
        ("cpu", "99", "too many"),
        ("name", "dev", ""),
    ]
    assert shown[0].required
    assert not shown[1].required


def test_an_existing_workspace_locks_what_cannot_change() -> None:
    shown = {field.parameter.name: field for field in fields([FIXED, DISK], {}, {}, {"fixed": "b", "disk": "20"})}
    assert (shown["fixed"].locked, shown["fixed"].value) == (True, "b")
    assert (shown["disk"].locked, shown["disk"].value, shown["disk"].previous) == (False, "20", "20")


def test_words_of_lists() -> None:
    assert words_of('["a", "b"]') == ["a", "b"]
    assert words_of("plain") == ["plain"]
    assert words_of("7") == ["7"]
    assert words_of(None) == []
