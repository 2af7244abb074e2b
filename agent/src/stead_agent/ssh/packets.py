"""Packets of AES-GCM connections, sealed and opened with as little work as Python allows.

asyncssh makes a cipher object for each packet, sends an ignored packet before each, and copies what is left of its
input buffer several times for each. Bulk data feels that. These classes take over once a connection has agreed on
AES-GCM (RFC 5647, as OpenSSH names it); everything that is not channel data still goes through asyncssh.
"""

from __future__ import annotations

import os

from asyncssh.encryption import GCMEncryption
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TAG = 16
BLOCK = 16
COUNTER_LIMIT = 1 << 64


class FastGcm(GCMEncryption):
    """One direction of a connection: a key, and a nonce whose last eight bytes count packets."""

    def __init__(self, slow: GCMEncryption) -> None:
        cipher = slow._cipher
        super().__init__(cipher)
        self._aead = AESGCM(cipher._key)
        self._fixed = bytes(cipher._iv[:4])
        self._counter = int.from_bytes(cipher._iv[4:], "big")
        self.opened: bytes | None = None

    def _nonce(self) -> bytes:
        nonce = self._fixed + self._counter.to_bytes(8, "big")
        self._counter = (self._counter + 1) % COUNTER_LIMIT
        return nonce

    def seal(self, kind: int, parts: tuple[bytes, ...]) -> bytes:
        """The whole packet for a payload of this kind, ready for the wire."""
        size = 2 + sum(map(len, parts))
        padding = BLOCK - size % BLOCK
        if padding < 4:
            padding += BLOCK
        header = (size + padding).to_bytes(4, "big")
        packet = b"".join((bytes((padding, kind)), *parts, os.urandom(padding)))
        return header + self._aead.encrypt(self._nonce(), packet, header)

    def open(self, header: memoryview, sealed: memoryview) -> bytes | None:
        """The packet without its length, ``None`` where it was tampered with."""
        try:
            return self._aead.decrypt(self._nonce(), sealed, header)
        except InvalidTag:
            return None

    # What asyncssh asks for

    def encrypt_packet(self, seq: int, header: bytes, packet: bytes) -> tuple[bytes, bytes]:
        del seq
        sealed = self._aead.encrypt(self._nonce(), packet, header)
        return header + sealed[:-TAG], sealed[-TAG:]

    def decrypt_packet(self, seq: int, first: bytes, rest: bytes, header_len: int, mac: bytes) -> bytes | None:
        del seq
        if self.opened is not None:
            packet, self.opened = self.opened, None
            return packet
        sealed = first[header_len:] + rest + mac
        return self.open(memoryview(first[:header_len]), memoryview(sealed))
