"""Log lines on stderr: for people as text, for machines as JSON."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}
_SECRET = re.compile(r"(?i)\b(bearer|token[=:]|password[=:]|secret[=:])\s*[^\s,;\"']+")
# Their debug lines hold whole messages and the values of queries, and those hold secrets.
_QUIET = ("uvicorn", "websockets", "peewee", "apscheduler", "asyncio", "httpx", "urllib3", "docker")


def _message(record: logging.LogRecord) -> str:
    return _SECRET.sub(r"\1 [hidden]", record.getMessage())


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class TextFormatter(logging.Formatter):
    """``TIME LEVEL LOGGER message``"""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time(record)} {record.levelname.lower():7} {record.name}: {_message(record)}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One object a line; what a caller passed as ``extra`` becomes fields of it."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        line |= {name: str(value) for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Whoever reaches the port can send what is no HTTP, as tunnel programs do that look for TLS; and fill the log."""
    return record.msg != "Invalid HTTP request received."


def configure_logging(level: str, form: str) -> None:
    """Send everything from ``level`` on to stderr, as ``text`` or ``json``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("uvicorn.error").addFilter(_is_worth_a_line)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
