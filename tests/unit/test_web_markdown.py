"""READMEs of templates cannot do anything to those who read them."""

from __future__ import annotations

import pytest

from stead.web.pages import markdown


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "![x](javascript:alert(1))",
        "<a href='javascript:alert(1)'>x</a>",
        "[x](vbscript:x)",
        "```\n</code></pre><script>alert(1)</script>\n```",
        "`<script>`",
        '![" onerror="alert(1)](https://example.org/x.png)',
        '[x](https://example.org/" onmouseover="alert(1))',
    ],
)
def test_nothing_runs(text: str) -> None:
    html = str(markdown.render(text))
    for tag in ("<script", "<img", "<iframe", 'href="javascript', 'href="data', 'href="vbscript', "<a href='"):
        assert tag not in html.lower()
    assert ' onerror="' not in html
    assert ' onmouseover="' not in html


def test_what_a_readme_uses_is_rendered() -> None:
    html = str(
        markdown.render("---\ntitle: x\n---\n# Title\n\n- a\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[x](https://e.org)")
    )
    assert "<h2>Title</h2>" in html  # the page has its own h1
    assert "title: x" not in html
    assert "<td>1</td>" in html
    assert 'href="https://e.org" rel="noreferrer noopener" target="_blank"' in html


def test_pictures_of_other_hosts_become_links() -> None:
    html = str(markdown.render("![A diagram](https://example.org/d.png)"))
    assert '<a href="https://example.org/d.png"' in html
    assert ">A diagram</a>" in html


def test_a_line_stays_a_line() -> None:
    assert str(markdown.render_line("Where the **machine** is\n\n# no")).startswith(
        "Where the <strong>machine</strong>"
    )
    assert "<h" not in str(markdown.render_line("# no"))
