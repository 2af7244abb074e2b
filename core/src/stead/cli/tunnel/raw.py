"""Moves bytes between two file descriptors and a connection that is a stream without frames."""

from __future__ import annotations

import os
import select
import socket
from _thread import allocate_lock, start_new_thread
from errno import EINVAL

from stead.cli.failures import Unreachable

SIZE = 256 * 1024
_PIPE_SIZE = 1024 * 1024
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ, which the module fcntl names from Python 3.10 on and only on Linux
_IDLE, _INTERVAL, _COUNT = 20, 10, 4  # seconds, seconds, times: when the kernel asks a silent server


class RawPump:
    """One plain TCP connection: a thread for each direction, which waits in a system call for all of its time.

    :param source: where the client's bytes come from.
    :param sink: where the server's bytes go.
    :param received: bytes of the stream that were read already.
    """

    def __init__(self, sock: socket.socket, source: int, sink: int, received: bytes = b"") -> None:
        self.sock = sock
        self.source = source
        self.sink = sink
        self._received = received
        self._client_gone = False
        self._broken: OSError | None = None
        self._uploaded = allocate_lock()

    def run(self) -> None:
        """Move bytes until both directions have ended.

        :raises Unreachable: the connection broke.
        """
        self.sock.setblocking(False)
        _keep_alive(self.sock)
        for end in (self.source, self.sink):
            os.set_blocking(end, True)
            _widen(end)
        self._uploaded.acquire()
        start_new_thread(self._upload, ())
        try:
            self._download()
            self._close_sink()
            self._uploaded.acquire()
        finally:
            self.sock.close()
        if self._broken is not None and not self._client_gone:
            reason = self._broken.strerror or self._broken
            raise Unreachable(f"The connection to the server broke: {reason}.") from self._broken

    def _download(self) -> None:
        try:
            _write_all(self.sink, self._received)
            self._move(self.sock.fileno(), self.sink, select.POLLIN)
        except BrokenPipeError:
            # Whoever reads has gone, as OpenSSH does when it is done: nothing is left to be moved.
            self._leave()
        except OSError as error:
            self._broken = error
            self._leave(gone=False)

    def _upload(self) -> None:
        try:
            self._move(self.source, self.sock.fileno(), select.POLLOUT)
            self.sock.shutdown(socket.SHUT_WR)
            self._watch_reader()
        except OSError:
            # The other thread reads the same connection and knows why it broke.
            pass
        finally:
            self._uploaded.release()

    def _move(self, source: int, sink: int, interest: int) -> None:
        """Until ``source`` ends: within the kernel where both ends can, else with a copy.

        The socket does not block, as the kernel holds the lock of a pipe while it moves bytes between the two:
        whoever has the other end would be stuck for as long, although it never asked to wait.

        :param interest: what to wait for where the socket is not ready.
        """
        poller = select.poll()
        poller.register(self.sock, interest)
        move = _splice if hasattr(os, "splice") else _copy
        while True:
            try:
                if not move(source, sink):
                    return
            except BlockingIOError:
                poller.poll()
            except OSError as error:
                if move is _copy or error.errno != EINVAL:
                    raise
                move = _copy  # no pipe, but a file or a terminal

    def _watch_reader(self) -> None:
        """The client says no more; it may have gone altogether, which its pipe tells."""
        poller = select.poll()
        poller.register(self.sink, 0)
        poller.register(self.sock, 0)
        if dict(poller.poll()).get(self.sink, 0) & (select.POLLERR | select.POLLHUP):
            self._leave()

    def _leave(self, gone: bool = True) -> None:
        self._client_gone = self._client_gone or gone
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            # It was over already.
            return

    def _close_sink(self) -> None:
        # The reader sees the end now, although the other direction may still be open.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.sink)
        os.close(null)


def _splice(source: int, sink: int) -> int:
    return os.splice(source, sink, SIZE)


def _copy(source: int, sink: int) -> int:
    data = os.read(source, SIZE)
    _write_all(sink, data)
    return len(data)


def _write_all(sink: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(sink, view) :]
        except BlockingIOError:
            poller = select.poll()
            poller.register(sink, select.POLLOUT)
            poller.poll()


def _widen(descriptor: int) -> None:
    """Give a pipe the room that spares wake-ups; anything else is left as it is."""
    import fcntl

    try:
        fcntl.fcntl(descriptor, _SET_PIPE_SIZE, _PIPE_SIZE)
    except OSError:
        # No pipe, or a system without this: nothing is lost but speed.
        return


def _keep_alive(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", _IDLE), ("TCP_KEEPINTVL", _INTERVAL), ("TCP_KEEPCNT", _COUNT)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
