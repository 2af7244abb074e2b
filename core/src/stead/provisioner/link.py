"""The connection to the control plane: calls and their answers, and what it says by itself."""

from __future__ import annotations

import itertools
import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError
from typing import Any, TypeVar

from stead.api.errors import Unavailable
from stead.protocol.frames import Header, LinkLost, Violation, Wire
from stead.protocol.messages import (
    NOTICES,
    Bounds,
    Call,
    Failure,
    Message,
    Size,
    Welcome,
    decode,
    encode,
    error_of,
)

log = logging.getLogger(__name__)

DEADLINE = 60.0  # seconds for an answer; what only asks the database takes milliseconds
_FIRST_STATE = 1 << 20  # bytes, before the control plane has said how large a state may be

Answer = TypeVar("Answer")


class Link:
    """Thread-safe. :meth:`greet` first, then :meth:`listen`; then calls may be made and notices come."""

    def __init__(self, connection: socket.socket) -> None:
        self._bounds = Bounds(_FIRST_STATE)
        self._wire = Wire(connection, self._largest)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[type[Call[Any]], Future[Message]]] = {}
        self._gone = False
        self._notice: Callable[[Message], None] = lambda _: None
        self._lost: Callable[[], None] = lambda: None

    def greet(self) -> Welcome:
        """Wait for the control plane's first message."""
        header, body = self._wire.receive()
        if header.kind != Welcome.__name__:
            raise Violation(f"a message {header.kind[:40]} before the first")
        welcome = decode(Welcome, body)
        self._bounds = Bounds(welcome.settings.max_state_bytes)
        return welcome

    def listen(self, notice: Callable[[Message], None], lost: Callable[[], None]) -> None:
        """Hand on notices from now on, and tell once when the connection is gone.

        Both are called in a thread of the connection, and return at once.
        """
        self._notice, self._lost = notice, lost
        threading.Thread(target=self._receive, name="stead-link", daemon=True).start()

    def call(self, call: Call[Answer], deadline: float = DEADLINE) -> Answer:
        """The answer.

        :raises LinkLost: there is no control plane any more.
        :raises Unavailable: it did not answer in time; what was asked may be done or not.
        :raises SteadError: what it answered with.
        """
        number = next(self._numbers)
        future: Future[Any] = Future()
        with self._lock:
            if self._gone:
                raise LinkLost("The control plane is gone.")
            self._waiting[number] = (type(call), future)
        try:
            self._wire.send(Header(number, type(call).__name__), encode(call), self._bounds.of(call.size))
            answer: Answer = future.result(timeout=deadline)
        except LateError:
            raise Unavailable(f"The control plane did not answer within {deadline:g} s.", remedy="Try again.") from None
        finally:
            with self._lock:
                self._waiting.pop(number, None)
        return answer

    def close(self) -> None:
        self._wire.close()

    def _largest(self, kind: str) -> int:
        """Of what the control plane says, which is the more trusted end."""
        del kind
        return self._bounds.of(Size.STATE)

    def _receive(self) -> None:
        try:
            while True:
                header, body = self._wire.receive()
                if header.number:
                    self._answer(header, body)
                else:
                    self._notify(header.kind, body)
        except LinkLost:
            log.info("The control plane is gone.")
        except Violation as error:
            log.error("The control plane sent %s; the connection ends.", error)
        finally:
            self._end()

    def _notify(self, kind: str, body: bytes) -> None:
        if kind not in NOTICES:
            raise Violation(f"a notice {kind[:40]}")
        self._notice(decode(NOTICES[kind], body))

    def _answer(self, header: Header, body: bytes) -> None:
        with self._lock:
            asked, future = self._waiting.get(header.number, (None, None))
        if asked is None or future is None:
            return  # whoever asked has given up
        if header.kind == Failure.__name__:
            future.set_exception(error_of(decode(Failure, body)))
        elif header.kind == asked.answer.__name__:
            future.set_result(decode(asked.answer, body))
        else:
            raise Violation(f"an answer {header.kind[:40]} to {asked.__name__}")

    def _end(self) -> None:
        self._wire.close()
        with self._lock:
            self._gone = True
            waiting = list(self._waiting.values())
        for _, future in waiting:
            if not future.done():
                future.set_exception(LinkLost("The control plane is gone."))
        self._lost()
