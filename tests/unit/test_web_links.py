"""Which addresses of apps may be links."""

from __future__ import annotations

import pytest

from stead.web.pages.connect import opens_elsewhere


@pytest.mark.parametrize("url", ["https://wiki.example.org", "http://x", "vscode://file/x", "jetbrains://gateway/ssh"])
def test_what_another_program_or_site_opens(url: str) -> None:
    assert opens_elsewhere(url)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        " JavaScript:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "no-scheme",
    ],
)
def test_what_would_run_in_our_page(url: str) -> None:
    assert not opens_elsewhere(url)
