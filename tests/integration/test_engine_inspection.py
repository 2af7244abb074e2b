"""What is known of a template before it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stead.api.errors import TemplateInvalid
from stead.terraform.engine import EngineOptions
from stead.testing.terraform import LAB, Workbench, workbench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    with workbench(tmp_path_factory.mktemp("bench"), EngineOptions(network=False)) as made:
        yield made


def test_variables_with_their_defaults(bench: Workbench) -> None:
    source = bench.source(
        'variable "a" {\n  type = map(object({\n    x = optional(string, "q")\n  }))\n'
        '  description = "An \\"a\\""\n  default = { k = {} }\n  sensitive = true\n}\nvariable "b" {\n}\n'
    )
    a, b = bench.engine.inspect(source).variables
    assert (a.name, a.description, a.default, a.required, a.sensitive) == (
        "a",
        'An "a"',
        '{"k": {}}',
        False,
        True,
    )
    assert a.type == 'map(object({ x = optional(string, "q") }))'
    assert (b.name, b.type, b.default, b.required, b.sensitive) == ("b", "any", None, True, False)


def test_providers_that_are_served_covered_and_missing(bench: Workbench) -> None:
    source = bench.source(
        LAB.replace("lab = {", 'docker = {\n source = "kreuzwerker/docker"\n version = "~> 3"\n}\nlab = {'),
        'resource "docker_container" "c" {\n}\nresource "random_id" "r" {\n}\nresource "terraform_data" "t" {\n}\n'
        'resource "lab_thing" "ok" {\n  name = "n"\n  count = 2\n  tags {\n    key = "k"\n  }\n'
        "  lifecycle {\n    ignore_changes = all\n  }\n}\n"
        'resource "lab_thing" "no" {\n  name = "n"\n  weight = 1\n  dynamic "tags" {\n'
        "    for_each = []\n    content {\n      colour = 1\n    }\n  }\n  wheels {\n  }\n}\n"
        'data "lab_nothing" "n" {\n}\n',
    )
    found = bench.engine.inspect(source)
    assert found.errors == ()
    needs = {need.address: need for need in found.providers}
    assert set(needs) == {
        "registry.terraform.io/kreuzwerker/docker",
        "registry.terraform.io/example/lab",
        "registry.terraform.io/hashicorp/random",
    }
    docker = needs["registry.terraform.io/kreuzwerker/docker"]
    assert (docker.version, docker.served, docker.uncovered) == ("~> 3", False, ())
    lab = needs["registry.terraform.io/example/lab"]
    assert lab.served
    assert lab.uncovered == (
        "weight of lab_thing.no (more1.tf:19)",
        "colour of lab_thing.no (more1.tf:23)",
        "wheels of lab_thing.no (more1.tf:26)",
        "data source lab_nothing (more1.tf:29)",
    )


def test_local_modules_count(bench: Workbench) -> None:
    source = bench.source('module "m" {\n source = "./m"\n}\n')
    (source / "m").mkdir()
    (source / "m" / "main.tf").write_text(LAB + 'resource "lab_nothing" "x" {\n}\n')
    found = bench.engine.inspect(source)
    assert found.errors == ()
    (need,) = found.providers
    assert need.uncovered == ("resource type lab_nothing (main.tf:8; is lab_thing meant?)",)


def test_errors_have_file_and_line(bench: Workbench) -> None:
    source = bench.source('output "a" {\n  value = 1\n}\n', "locals {\n  x = \n}\n")
    found = bench.engine.inspect(source)
    assert [(error.file, error.line) for error in found.errors] == [("more1.tf", 2)]
    with pytest.raises(TemplateInvalid) as caught:
        found.raise_if_invalid()
    assert caught.value.field == "more1.tf:2"
    assert "Invalid expression (more1.tf:2)" in str(caught.value)


def test_a_folder_without_terraform_is_told(bench: Workbench) -> None:
    source = bench.source("")
    (source / "main.tf").rename(source / "main.txt")
    with pytest.raises(TemplateInvalid, match="no Terraform file"):
        bench.engine.inspect(source).raise_if_invalid()


def test_a_good_template_has_no_error(bench: Workbench) -> None:
    source: Path = bench.source(LAB + 'resource "lab_thing" "a" {\n name = "n"\n}')
    bench.engine.inspect(source).raise_if_invalid()
