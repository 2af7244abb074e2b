"""Server-sent events, followed through disconnects: what a stream has sent is not sent again."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stead.cli.client import Client
from stead.cli.failures import CliError, Unreachable

_MAX_LINE = 1024 * 1024
_GIVE_UP_SECONDS = 60.0
_SILENCE_SECONDS = 45.0


@dataclass(frozen=True)
class Event:
    name: str
    id: str
    data: Any


def parse_events(lines: Iterator[bytes]) -> Iterator[Event]:
    """Events out of the lines of a stream; comments and unfinished events are left out.

    See https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2.6.
    """
    name, event_id = "", ""
    data: list[str] = []
    for raw in lines:
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if not line:
            if data:
                yield Event(name or "message", event_id, json.loads("\n".join(data)))
            name, data = "", []
            continue
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if key == "event":
            name = value
        elif key == "id":
            event_id = value
        elif key == "data":
            data.append(value)


def follow(client: Client, path: str, *, after: int = 0) -> Iterator[Event]:
    """The events of ``path`` until the one called ``end``, which is the last that is given.

    A stream that breaks off is taken up again behind the last event that came.

    :param after: id of the last line that is known already.
    :raises CliError: the server ended the stream, with its reason.
    :raises Unreachable: the server was away for a minute.
    """
    last = str(after) if after else ""
    failing_since: float | None = None
    pause = 0.1
    while True:
        try:
            for event in _connected(client, path, last):
                failing_since, pause = None, 0.1
                last = event.id or last
                if event.name == "error":
                    raise _refused(event.data)
                yield event
                if event.name == "end":
                    return
        except (Unreachable, OSError, http.client.HTTPException) as error:
            failing_since = failing_since or time.monotonic()
            if time.monotonic() - failing_since > _GIVE_UP_SECONDS:
                raise Unreachable("The server stayed away while it was being followed.") from error
        time.sleep(pause)
        pause = min(pause * 2, 2.0)


def _refused(error: Any) -> CliError:
    """What the server says when it ends a stream for a reason, such as a token that was revoked."""
    return CliError(
        str(error["message"]), reason=str(error["reason"]), field=error.get("field"), remedy=error.get("remedy")
    )


def _connected(client: Client, path: str, last: str) -> Iterator[Event]:
    with client.stream(path, last_event_id=last, timeout=_SILENCE_SECONDS) as response:
        yield from parse_events(_lines(response))


def _lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while line := response.readline(_MAX_LINE):
        yield line
