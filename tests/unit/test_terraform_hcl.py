"""Reading the structure of Terraform files."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stead.terraform import hcl

SOURCE = """
# a comment with { and "
terraform {
  required_providers {
    docker = { source = "kreuzwerker/docker", version = "~> 3" } // inline
  }
}
/* a
   block comment { */
resource "docker_container" "x" {
  count      = data.coder_workspace.me.start_count
  entrypoint = ["sh", "-c", replace(local.a, "/localhost|127\\\\.0\\\\.0\\\\.1/", "host")]
  text       = "a ${join("}", [for k in ["{"] : "${k}"])} b"
  script     = <<-EOT
    if true; then {
      echo "unclosed
    EOT
  dynamic "labels" {
    for_each = { a = 1 }
    content {
      label = labels.key
    }
  }
  lifecycle { ignore_changes = all }
}
locals { one = 1 }
"""


def test_blocks_labels_arguments_and_lines() -> None:
    body = hcl.parse(SOURCE)
    assert [(block.type, block.labels, block.line) for block in body.blocks] == [
        ("terraform", (), 3),
        ("resource", ("docker_container", "x"), 10),
        ("locals", (), 26),
    ]
    resource = body.blocks[1].body
    assert list(resource.arguments) == ["count", "entrypoint", "text", "script"]
    assert resource.arguments["count"].expression == "data.coder_workspace.me.start_count"
    assert resource.arguments["script"].line == 14
    assert [block.type for block in resource.blocks] == ["dynamic", "lifecycle"]
    required = body.blocks[0].body.blocks[0].body.arguments["docker"]
    assert required.constant == {"source": "kreuzwerker/docker", "version": "~> 3"}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ('"a\\n\\"b\\" $${c} \\u00e9"', 'a\n"b" ${c} é'),
        ("12", 12),
        ("-1.5e3", -1500.0),
        ("true", True),
        ("null", None),
        ('[1, "two", [],]', [1, "two", []]),
        ('{\n a = 1\n "b c" : 2,\n}', {"a": 1, "b c": 2}),
        ("<<EOT\nline\nEOT", "line\n"),
        ("<<-EOT\n    a\n      b\n    EOT", "a\n  b\n"),
    ],
)
def test_constants_have_their_value(expression: str, value: object) -> None:
    assert hcl.constant(expression) == value


@pytest.mark.parametrize("expression", ["var.a", '"${a}"', "f(1)", "1 + 2", "[a]", "{ a = b }", "", "<<E\n${x}\nE"])
def test_what_is_no_constant_is_refused(expression: str) -> None:
    with pytest.raises(hcl.HclError):
        hcl.constant(expression)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("a {\n b = 1\n", 3),
        ('a {\n b = "x\n}', 2),
        ("a {\n <<\n}", 2),
        ("x = <<EOT\nnever", 1),
        ("a {" * 200, 1),
    ],
)
def test_what_cannot_be_read_names_its_line(source: str, line: int) -> None:
    with pytest.raises(hcl.HclError) as caught:
        hcl.parse(source)
    assert caught.value.line == line


@given(st.text(alphabet='ab{}[]()"=<-\n\\$%#/*E:, 1.', max_size=60))
def test_whatever_the_text_reading_ends(text: str) -> None:
    for read in (hcl.parse, hcl.constant):
        with contextlib.suppress(hcl.HclError):
            read(text)


def test_json_files_have_the_same_structure() -> None:
    body = hcl.parse_json(
        '{"terraform": {"required_providers": {"a": {"source": "x/a"}}},'
        ' "variable": {"v": {"default": [1]}}, "resource": {"a_b": {"c": [{"d": 1}]}}}'
    )
    assert [(block.type, block.labels) for block in body.blocks] == [
        ("terraform", ()),
        ("variable", ("v",)),
        ("resource", ("a_b", "c")),
    ]
    assert body.blocks[1].body.arguments["default"].constant == [1]
    assert body.blocks[0].body.of_type("required_providers")[0].body.arguments["a"].constant == {"source": "x/a"}
