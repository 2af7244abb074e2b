"""The SSH connection as the agent serves it: asyncssh's, with a fast way for bulk data and a memory for who came in."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from asyncssh.connection import SSHServerConnection, SSHServerConnectionOptions
from asyncssh.constants import MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA
from asyncssh.encryption import GCMEncryption
from asyncssh.misc import DisconnectError, MACError, ProtocolError
from asyncssh.packet import PacketDecodeError, SSHPacket
from asyncssh.public_key import SSHKey, SSHOpenSSHCertificate

from stead_agent.ssh.moving import Move, Successor
from stead_agent.ssh.packets import BLOCK, TAG, FastGcm

FAST_CIPHERS = (b"aes128-gcm@openssh.com", b"aes256-gcm@openssh.com")
HOLD = 0.3  # seconds that a client has to say first which algorithms it knows
WRITE_BUFFER = 1024 * 1024
FAST_KINDS = frozenset({MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA})
NAMELISTS_AT = 17  # behind the type and the cookie of a KEXINIT


class WorkspaceConnection(SSHServerConnection):
    """Remembers who came in: :attr:`key_id` (``stead:USERNAME:SESSION-ID``) and :attr:`principals`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, options: SSHServerConnectionOptions) -> None:
        super().__init__(loop, options)
        self.key_id = ""
        self.principals: tuple[str, ...] = ()
        self._held: asyncio.TimerHandle | None = None
        self._introduced = False
        self._move: Move | None = None
        self.moved = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).set_write_buffer_limits(high=WRITE_BUFFER)
        super().connection_made(transport)
        # Streams have no address of their own. Certificates bound to a source address do not match this one.
        self._peer_addr, self._peer_port = "0.0.0.0", 0  # noqa: S104 - never listened on

    async def reload_config(self) -> None:
        """No configuration file depends on who logs in."""

    async def _validate_openssh_certificate(self, username: str, cert: SSHOpenSSHCertificate) -> SSHKey | None:
        key = await super()._validate_openssh_certificate(username, cert)
        if key is not None:
            key_id: Any = getattr(cert, "_key_id", "")
            self.key_id = key_id.decode("utf-8", "replace") if isinstance(key_id, bytes) else str(key_id)
            self.principals = tuple(cert.principals)
        return key

    # Algorithms: a client's favourite counts, and OpenSSH's is one that Python is slow at. So the client says first
    # what it knows, and where that has AES-GCM, nothing else is offered.

    def _recv_version(self) -> bool:
        done = super()._recv_version()
        if self._held is not None:
            self._kexinit_sent = False
        return bool(done)

    def _send_kexinit(self) -> None:
        if not self._introduced and self._held is None and not self._client_kexinit:
            self._held = self._loop.call_later(HOLD, self._speak_first)
            return
        if not self._introduced:
            self._introduced = True
            if self._held is not None:
                self._held.cancel()
            known = _ciphers(self._client_kexinit)
            fast = [cipher for cipher in self._enc_algs if cipher in known and cipher in FAST_CIPHERS]
            self._enc_algs = fast or self._enc_algs
        super()._send_kexinit()

    def _speak_first(self) -> None:
        """The client waits for us: offer everything."""
        if not self._introduced and self._transport is not None:
            self._introduced = True
            super()._send_kexinit()
            self._kexinit_sent = True

    # Another transport

    async def move(self, dial: Callable[[], Awaitable[socket.socket]]) -> None:
        """Go on over another socket: we write there from now on, and read there when this one's end has come.

        :param dial: opens the socket, whose other end does the same as soon as it is open.
        """
        if self._move is not None or self.moved or self._transport is None:
            return
        move = self._move = Move()
        try:
            sock = await dial()
            _transport, successor = await self._loop.create_connection(
                lambda: Successor(self.connection_lost), sock=sock
            )
            self._write_to(move, successor)
        finally:
            if move.successor is None:
                self._move = None
                if move.old_ended:
                    super().eof_received()

    def _write_to(self, move: Move, successor: Successor) -> None:
        old, new = self._transport, successor.transport
        if old is None or new is None or old.is_closing():
            if new is not None:
                new.abort()
            return
        new.set_write_buffer_limits(high=WRITE_BUFFER)
        move.old, move.successor, self._transport = old, successor, new
        old.write_eof()
        if move.old_ended:
            self._read_from(move, successor)

    def _read_from(self, move: Move, successor: Successor) -> None:
        self._move, self.moved = None, True
        if move.old is not None:
            move.old.set_protocol(asyncio.Protocol())
            move.old.close()
        successor.give(self)

    def eof_received(self) -> bool:  # type: ignore[override]  # the transport asks whether to stay open
        move = self._move
        if move is None:
            super().eof_received()
            return False
        move.old_ended = True
        if move.successor is not None:
            self._read_from(move, move.successor)
        return True

    def _force_close(self, exc: Exception | None) -> None:
        if self._move is not None:
            self._move.abort()
        super()._force_close(exc)

    # Bulk data

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        del datatype
        self._inpbuf = self._inpbuf + data if self._inpbuf else data
        self._recv_data()

    def _recv_data(self) -> None:
        if type(self._recv_encryption) is GCMEncryption:
            self._recv_encryption = FastGcm(self._recv_encryption)
        if not isinstance(self._recv_encryption, FastGcm) or self._packet or self._decompressor:
            super()._recv_data()
            return
        self._reset_keepalive_timer()
        try:
            self._receive_packets(self._recv_encryption)
        except DisconnectError as error:
            self._send_disconnect(error.code, error.reason, error.lang)
            self._force_close(error)
        except Exception:  # noqa: BLE001 - the boundary of the connection: asyncssh logs it and closes
            self.internal_error()

    def _receive_packets(self, cipher: FastGcm) -> None:
        data = self._inpbuf
        view = memoryview(data)
        at, size = 0, len(data)
        while size - at >= 4 + TAG and self._recv_handler == self._recv_pkthdr:
            length = int.from_bytes(view[at : at + 4], "big")
            if length > self._max_recv_pktlen:
                raise ProtocolError("Max packet size exceeded")
            end = at + 4 + length + TAG
            if end > size:
                break
            packet = cipher.open(view[at : at + 4], view[at + 4 : end])
            if packet is None:
                raise MACError("MAC verification failed")
            if packet[1] == MSG_CHANNEL_DATA and self._auth_complete:
                at = end
                self._receive_channel_data(packet)
                continue
            # Anything else is asyncssh's: it takes the packet from the buffer and finds it opened already.
            cipher.opened = packet
            self._packet, self._pktlen = data[at : at + BLOCK], length
            self._inpbuf = data[at + BLOCK :]
            self._recv_packet()
            if self._recv_encryption is not cipher or self._transport is None:
                self._continue_with_new_keys()
                return
            data = self._inpbuf
            view = memoryview(data)
            at, size = 0, len(data)
        self._inpbuf = data[at:] if at else data

    def _continue_with_new_keys(self) -> None:
        if self._transport is not None and self._inpbuf and self._recv_handler == self._recv_pkthdr:
            self._recv_data()

    def _receive_channel_data(self, packet: bytes) -> None:
        channel: Any = self._channels.get(int.from_bytes(packet[2:6], "big"))
        length = int.from_bytes(packet[6:10], "big")
        if channel is None:
            raise ProtocolError("Invalid channel number received")
        if length + 10 + packet[0] != len(packet):
            raise ProtocolError("Incomplete channel data")
        if channel._recv_state != "open":
            raise ProtocolError("Channel not open for sending")
        if length > channel._recv_window:
            raise ProtocolError("Window exceeded")
        self._recv_seq = (self._recv_seq + 1) & 0xFFFFFFFF
        self._auth_final = True
        channel._accept_data(packet[10 : 10 + length])

    def send_packet(self, pkttype: int, *args: bytes, handler: Any = None) -> None:
        cipher = self._send_encryption
        if type(cipher) is GCMEncryption:
            cipher = self._send_encryption = FastGcm(cipher)
        fast = (
            pkttype in FAST_KINDS
            and isinstance(cipher, FastGcm)
            and self._auth_complete
            and self._kex_complete
            and not self._compressor
            and self._rekey_bytes_sent < self._rekey_bytes
            and not (self._rekey_seconds and time.monotonic() >= self._rekey_time)
        )
        if not fast:
            super().send_packet(pkttype, *args, handler=handler)
            return
        sealed = cast("FastGcm", cipher).seal(pkttype, args)
        self._send(sealed)
        self._send_seq = (self._send_seq + 1) & 0xFFFFFFFF
        self._rekey_bytes_sent += len(sealed)


def _ciphers(kexinit: bytes) -> frozenset[bytes]:
    """Those that a client offers in both directions."""
    if not kexinit:
        return frozenset()
    packet = SSHPacket(kexinit)
    try:
        packet.get_bytes(NAMELISTS_AT)
        lists = [packet.get_namelist() for _ in range(4)]
    except PacketDecodeError:
        return frozenset()
    return frozenset(lists[2]) & frozenset(lists[3])
