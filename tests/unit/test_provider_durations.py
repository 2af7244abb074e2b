"""Durations as templates give them in ``timeouts``: what they are, and what is none."""

from __future__ import annotations

import pytest

from stead.api.provider.durations import is_duration, seconds


@pytest.mark.parametrize(
    ("text", "length"), [("30s", 30), ("1m30s", 90), ("1h", 3600), ("500ms", 0.5), ("1.5h", 5400), ("0s", 0)]
)
def test_durations_of_templates_are_read(text: str, length: float) -> None:
    assert seconds(text) == length
    is_duration(text)


@pytest.mark.parametrize("text", ["", "1", "1d", "h", "1h 2m", "-1s", "1s2", "soon"])
def test_what_is_no_duration_of_a_template_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration such as"):
        is_duration(text)
