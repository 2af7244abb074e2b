"""The generated reference pages are those of the present code."""

from __future__ import annotations

from pathlib import Path

import pytest

from stead.cli.reference import reference as cli_reference
from stead.web.rest.reference import reference as api_reference

DOCS = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize(
    ("page", "generated"), [("cli.md", cli_reference), ("api.md", api_reference)], ids=["cli", "api"]
)
def test_the_page_is_fresh(page: str, generated: object) -> None:
    assert callable(generated)
    module = generated.__module__
    written = (DOCS / page).read_text(encoding="utf-8")
    assert written == generated(), f"write it again: python -m {module} > docs/reference/{page}"
