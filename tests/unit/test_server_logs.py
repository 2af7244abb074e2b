"""What the server writes to its log, and what it keeps out."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from stead.server.logs import configure_logging


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root, errors = logging.getLogger(), logging.getLogger("uvicorn.error")
    handlers, level, filters = root.handlers[:], root.level, errors.filters[:]
    yield
    root.handlers[:], errors.filters[:] = handlers, filters
    root.setLevel(level)


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_in_messages_are_hidden(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", form)
    logging.getLogger("x").warning("asked with Bearer abc123 and password=hunter2")
    written = capsys.readouterr().err
    assert "asked with" in written
    assert "abc123" not in written
    assert "hunter2" not in written


def test_what_is_no_http_does_not_fill_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "text")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    logging.getLogger("uvicorn.error").warning("something else")
    written = capsys.readouterr().err
    assert "Invalid HTTP" not in written
    assert "something else" in written


def test_json_lines_carry_extra_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    logging.getLogger("x").info("built", extra={"build": "b1"})
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["message"], line["build"]) == ("info", "built", "b1")
