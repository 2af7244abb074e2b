"""The reference of built-in providers names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stead.api.records import ProviderSpec
from stead.terraform.builtin import builtin_platforms, builtin_providers
from stead.terraform.host.settings import HostSettings

DOCS = Path(__file__).parents[2] / "docs"
ROWS = {
    match[1]: (set(re.findall(r"`(\w+)`", match[2])), set(re.findall(r"`(\w+)`", match[3])))
    for match in re.finditer(r"^\| `(\w+/\w+)` \|(.*)\|(.*)\|$", (DOCS / "reference/providers.md").read_text(), re.M)
}


def test_every_built_in_provider_has_a_row() -> None:
    assert {spec.address for spec in builtin_providers()} == set(ROWS)


@pytest.mark.parametrize("spec", builtin_providers(), ids=lambda spec: str(spec.address))
def test_every_type_is_named(spec: ProviderSpec) -> None:
    provider = spec.factory(spec.settings())
    resources, data_sources = ROWS[spec.address]
    assert {kind.type_name for kind in provider.resources} == resources
    assert {kind.type_name for kind in provider.data_sources} == data_sources


def test_every_setting_of_the_host_platform_is_explained() -> None:
    page = (DOCS / "platforms/host.md").read_text()
    assert [name for name in HostSettings.model_fields if f"`{name}`" not in page] == []


def test_starter_templates_have_what_a_page_shows_of_them() -> None:
    for platform in builtin_platforms():
        for template in platform.templates:
            assert (template.path / "main.tf").is_file()
            assert (template.path / "README.md").read_text().startswith("# ")
