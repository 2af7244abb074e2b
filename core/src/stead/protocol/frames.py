"""Frames: a header and a body, both JSON, each preceded by its length. Nothing is read before its length is allowed."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from stead.api.errors import TooLarge, Unavailable

_LENGTHS = struct.Struct("!HI")
_LONGEST_HEADER = 256


class Violation(Exception):
    """The other end does not keep to the protocol; the connection ends. Says nothing of the content."""


class LinkLost(Unavailable):
    """The connection is gone, and does not come back."""


@dataclass(frozen=True)
class Header:
    """``number`` ties an answer to its call; 0 is a notice. ``kind`` names the message."""

    number: int
    kind: str


_HEADER = TypeAdapter(Header)


class Wire:
    """One end of the connection. Any thread may send; one receives.

    :param largest: of a body by the kind of its message; raises :class:`Violation` for kinds that must not come.
    """

    def __init__(self, connection: socket.socket, largest: Callable[[str], int]) -> None:
        self._connection = connection
        self._largest = largest
        self._sending = threading.Lock()

    def send(self, header: Header, body: bytes, largest: int) -> None:
        """
        :raises TooLarge: nothing was sent.
        :raises LinkLost: the other end is gone.
        """
        if len(body) > largest:
            raise TooLarge(f"A message of {len(body)} bytes is beyond the {largest} that are allowed ({header.kind}).")
        head = _HEADER.dump_json(header)
        with self._sending:
            try:
                self._connection.sendall(_LENGTHS.pack(len(head), len(body)) + head)
                self._connection.sendall(body)
            except OSError as error:
                raise _gone() from error

    def receive(self) -> tuple[Header, bytes]:
        """The next frame.

        :raises Violation: it is none, or beyond its bound.
        :raises LinkLost: the other end is gone.
        """
        head_length, length = _LENGTHS.unpack(self._exactly(_LENGTHS.size))
        if head_length > _LONGEST_HEADER:
            raise Violation(f"a header of {head_length} bytes")
        try:
            header = _HEADER.validate_json(self._exactly(head_length))
        except ValidationError:
            raise Violation("a header that cannot be read") from None
        if length > self._largest(header.kind):
            raise Violation(f"a message {header.kind} of {length} bytes")
        return header, self._exactly(length)

    def close(self) -> None:
        """End the connection; whoever receives or sends at either end hears of it."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """After :meth:`close`, when nobody uses the connection any more."""
        self._connection.close()

    def _exactly(self, length: int) -> bytes:
        content = bytearray(length)
        view = memoryview(content)
        while view:
            try:
                count = self._connection.recv_into(view)
            except OSError as error:
                raise _gone() from error
            if not count:
                raise _gone()
            view = view[count:]
        return bytes(content)


def _gone() -> LinkLost:
    return LinkLost("The connection between control plane and provisioner is gone.")
