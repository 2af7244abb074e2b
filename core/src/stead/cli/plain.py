"""Text of others on a terminal: what a template, a workspace or a provider wrote steers nobody's terminal."""

from __future__ import annotations


def harmless(text: str) -> str:
    """A line in which control characters are shown as what they are: something that cannot be shown."""
    return "".join(char if char.isprintable() or char == "\t" else "�" for char in text)


def harmless_lines(text: str) -> str:
    """The same for text of several lines."""
    return "\n".join(harmless(line) for line in text.split("\n"))


def brief(text: str, longest: int = 160) -> str:
    """A value in one line: white space is folded, and what is too long is cut."""
    line = harmless(" ".join(text.split()))
    return line if len(line) <= longest else line[: longest - 1] + "…"
