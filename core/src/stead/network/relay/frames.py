"""DERP frames: one byte of type, four bytes of big-endian length, then the body.

The protocol is Tailscale's, documented by its source in ``derp/derp.go``. This module knows bytes only.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from nacl.exceptions import CryptoError
from nacl.public import Box, PrivateKey, PublicKey

MAGIC = "DERP🔑".encode()
PROTOCOL_VERSION = 2
KEY_LENGTH = 32
NONCE_LENGTH = 24
HEADER = struct.Struct(">BI")
MAX_PACKET = 64 * 1024
MAX_FRAME = MAX_PACKET + KEY_LENGTH
MAX_CLIENT_INFO = 4096


class FrameType(IntEnum):
    SERVER_KEY = 0x01
    CLIENT_INFO = 0x02
    SERVER_INFO = 0x03
    SEND_PACKET = 0x04
    RECEIVED_PACKET = 0x05
    KEEP_ALIVE = 0x06
    NOTE_PREFERRED = 0x07
    PEER_GONE = 0x08
    PING = 0x12
    PONG = 0x13
    HEALTH = 0x14
    RESTARTING = 0x15


class PeerGone(IntEnum):
    DISCONNECTED = 0
    NOT_HERE = 1


class MalformedFrame(ValueError):
    """The peer broke the framing or a bound. There is no way to resume: the connection has to close."""


@dataclass(frozen=True)
class ClientInfo:
    key: bytes
    version: int


def frame(kind: FrameType, body: bytes = b"") -> bytes:
    return HEADER.pack(kind, len(body)) + body


def server_key_frame(public: bytes) -> bytes:
    return frame(FrameType.SERVER_KEY, MAGIC + public)


def server_info_frame(private: PrivateKey, client: bytes) -> bytes:
    body = json.dumps({"version": PROTOCOL_VERSION}).encode()
    return frame(FrameType.SERVER_INFO, bytes(Box(private, PublicKey(client)).encrypt(body)))


def peer_gone_frame(key: bytes, why: PeerGone) -> bytes:
    return frame(FrameType.PEER_GONE, key + bytes((why,)))


def restarting_frame(reconnect_ms: int, try_for_ms: int) -> bytes:
    return frame(FrameType.RESTARTING, struct.pack(">II", reconnect_ms, try_for_ms))


def open_client_info(private: PrivateKey, body: bytes | memoryview) -> ClientInfo:
    """Read a client's greeting; the box proves that it holds the private half of ``key``.

    :raises MalformedFrame: too short, not for us, or not what a client says.
    """
    raw = bytes(body)
    if not KEY_LENGTH + NONCE_LENGTH < len(raw) <= MAX_CLIENT_INFO:
        raise MalformedFrame(f"client info of {len(raw)} bytes")
    key = raw[:KEY_LENGTH]
    try:
        said = json.loads(Box(private, PublicKey(key)).decrypt(raw[KEY_LENGTH:]))
        version = int(said.get("version", 0))
    except (CryptoError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise MalformedFrame("client info does not open") from error
    return ClientInfo(key, version)


class FrameReader:
    """Cuts a byte stream into frames without copying what arrived whole.

    Bodies are views into what :meth:`feed` was given: whoever keeps one longer than the loop copies it.
    """

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self.limit = limit
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, memoryview]]:
        """Yield ``(type, body)`` of each complete frame; keep the incomplete end.

        :raises MalformedFrame: a frame announces more than ``limit`` bytes.
        """
        if self._rest:
            data = self._rest + data
            self._rest = b""
        view, position, end = memoryview(data), 0, len(data)
        unpack, size = HEADER.unpack_from, HEADER.size
        while end - position >= size:
            kind, length = unpack(data, position)
            if length > self.limit:
                raise MalformedFrame(f"a frame of {length} bytes")
            after = position + size + length
            if after > end:
                break
            yield kind, view[position + size : after]
            position = after
        if position < end:
            self._rest = data[position:]
