"""READMEs and descriptions of templates, as HTML that is safe to show.

Authors of templates are not trusted with the browser of whoever reads them: HTML in the text is shown as
text, links are only http(s), mailto or within the page, and pictures become links, because nothing is
loaded from another host.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup, escape

_FRONT_MATTER = re.compile(r"\A---\s*\n.*?\n---\s*\n", re.DOTALL)
_ALLOWED = re.compile(r"(?:https?://|mailto:|#|/(?!/))", re.IGNORECASE)
LONGEST = 256 * 1024


def render(text: str, *, top_level: int = 2) -> Markup:
    """Markdown as HTML.

    :param top_level: the level that the text's first-level headings become, so that a page keeps one ``h1``.
    """
    body = _FRONT_MATTER.sub("", text[:LONGEST], count=1)
    return Markup(_parser(top_level).render(body))  # noqa: S704 - HTML is off in the parser, so it escapes


def render_line(text: str) -> Markup:
    """Markdown of one line, such as a parameter's description: emphasis, code and links only."""
    return Markup(_parser(2).renderInline(text[:LONGEST]))  # noqa: S704 - as above


def _parser(top_level: int) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.validateLink = lambda url: bool(_ALLOWED.match(url.strip()))  # type: ignore[method-assign]
    parser.core.ruler.push("stead_headings", _shift_headings(top_level))
    parser.add_render_rule("image", _picture)
    parser.add_render_rule("link_open", _link)
    parser.add_render_rule("fence", _fence)
    return parser


def _shift_headings(top_level: int) -> Any:
    def shift(state: Any) -> None:
        for token in state.tokens:
            if token.type in {"heading_open", "heading_close"}:
                token.tag = f"h{min(6, int(token.tag[1]) + top_level - 1)}"

    return shift


def _picture(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
    token = tokens[index]
    words = renderer.renderInlineAsText(token.children, options, env) or "picture"
    address = escape(str(token.attrs.get("src", "")))
    inside_link = any(other.type == "link_open" for other in tokens[:index]) and any(
        other.type == "link_close" for other in tokens[index:]
    )
    if inside_link or not address.startswith("http"):
        return str(escape(words))
    return f'<a href="{address}" rel="noreferrer noopener" target="_blank">{escape(words)}</a>'


def _link(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
    token = tokens[index]
    if str(token.attrs.get("href", "")).startswith("http"):
        token.attrSet("rel", "noreferrer noopener")
        token.attrSet("target", "_blank")
    return renderer.renderToken(tokens, index, options, env)


def _fence(_renderer: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: Any) -> str:
    return f'<pre tabindex="0"><code>{escape(tokens[index].content)}</code></pre>\n'
