"""Carriers of the bus: a unix socket hub for SQLite deployments, LISTEN/NOTIFY for PostgreSQL."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import psycopg2
import psycopg2.extensions

from stead.store.database import Database

log = logging.getLogger(__name__)

CHANNEL = "stead"
RETRY = 0.1  # seconds between attempts to reach the hub; polling covers the gap
_MAX_BACKLOG = 1 << 20  # bytes that a client may leave unread before it is dropped


class SocketCarrier:
    """All processes that share a data folder talk through one of them, whichever got the lock.

    The process that holds ``bus.lock`` runs the hub. When it dies the lock is free, and another takes over.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._hub: _Hub | None = None
        self._lock_file: IO[str] | None = None
        self._thread: threading.Thread | None = None

    def start(self, receive: Callable[[str], None]) -> None:
        self._connect()
        self._thread = threading.Thread(target=self._run, args=(receive,), name="stead-bus", daemon=True)
        self._thread.start()

    def send(self, text: str) -> None:
        with self._lock:
            if self._socket is not None:
                self._socket.sendall(text.encode() + b"\n")

    def close(self) -> None:
        self._closed.set()
        self._disconnect()
        if self._hub is not None:
            self._hub.close()
        if self._thread is not None:
            self._thread.join(timeout=5)
        if self._lock_file is not None:
            self._lock_file.close()

    def _run(self, receive: Callable[[str], None]) -> None:
        while not self._closed.is_set():
            if self._socket is None and not self._connect():
                self._closed.wait(RETRY)
                continue
            self._read_until_gone(receive)

    def _read_until_gone(self, receive: Callable[[str], None]) -> None:
        connection = self._socket
        if connection is None:
            return
        try:
            with connection.makefile("r", encoding="utf-8", newline="\n") as lines:
                for line in lines:
                    receive(line)
        except (OSError, ValueError):
            log.debug("The hub of the bus went away.")
        self._disconnect()

    def _connect(self) -> bool:
        self._become_hub()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _short_path(self._folder) as folder:
                connection.connect(f"{folder}/bus.sock")
        except OSError:
            connection.close()
            return False
        with self._lock:
            self._socket = connection
        return True

    def _disconnect(self) -> None:
        with self._lock:
            connection, self._socket = self._socket, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _become_hub(self) -> None:
        if self._hub is not None or self._closed.is_set():
            return
        lock_file = (self._folder / "bus.lock").open("w")
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock_file.close()
            return
        self._lock_file = lock_file
        self._hub = _Hub(self._folder)


@contextlib.contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    """A path of the folder that fits into a socket address, however deep the folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


class _Hub:
    """Sends each line of each client to all other clients."""

    def __init__(self, folder: Path) -> None:
        path = folder / "bus.sock"
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _short_path(folder) as short:
            self._listener.bind(f"{short}/bus.sock")
        path.chmod(0o600)
        self._listener.listen(64)
        self._wake_read, self._wake_write = os.pipe()
        self._partial: dict[socket.socket, bytes] = {}
        self._thread = threading.Thread(target=self._run, name="stead-hub", daemon=True)
        self._thread.start()

    def close(self) -> None:
        os.write(self._wake_write, b"x")
        self._thread.join(timeout=5)
        self._listener.close()
        for client in list(self._partial):
            client.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _run(self) -> None:
        while True:
            sources: list[socket.socket | int] = [self._listener, self._wake_read, *self._partial]
            ready, _, _ = select.select(sources, [], [])
            if self._wake_read in ready:
                return
            for readable in ready:
                if readable is self._listener:
                    self._accept()
                elif isinstance(readable, socket.socket):
                    self._relay(readable)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MAX_BACKLOG)
        self._partial[client] = b""

    def _relay(self, sender: socket.socket) -> None:
        try:
            data = sender.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(sender)
            return
        whole, newline, rest = (self._partial[sender] + data).rpartition(b"\n")
        self._partial[sender] = rest
        if newline:
            for client in [client for client in self._partial if client is not sender]:
                self._pass_on(client, whole + newline)

    def _pass_on(self, client: socket.socket, lines: bytes) -> None:
        try:
            sent = client.send(lines)
        except OSError:
            sent = -1
        if sent != len(lines):  # it does not read; it will connect again and look for itself
            self._drop(client)

    def _drop(self, client: socket.socket) -> None:
        self._partial.pop(client, None)
        client.close()


class PostgresCarrier:
    """LISTEN on a connection of its own; NOTIFY through the pool."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._closed = threading.Event()
        self._wake_read, self._wake_write = os.pipe()
        self._listening = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, receive: Callable[[str], None]) -> None:
        self._thread = threading.Thread(target=self._run, args=(receive,), name="stead-bus", daemon=True)
        self._thread.start()
        self._listening.wait(timeout=5)

    def send(self, text: str) -> None:
        self._database.notify(CHANNEL, text)

    def close(self) -> None:
        self._closed.set()
        os.write(self._wake_write, b"x")
        if self._thread is not None:
            self._thread.join(timeout=5)
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _run(self, receive: Callable[[str], None]) -> None:
        while not self._closed.is_set():
            try:
                self._listen(receive)
            except psycopg2.Error:
                log.warning("The database connection that listens for announcements broke; opening a new one.")
                self._closed.wait(1.0)

    def _listen(self, receive: Callable[[str], None]) -> None:
        connection = psycopg2.connect(self._database.listen_url, connect_timeout=10)
        try:
            connection.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_AUTOCOMMIT)
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
            self._listening.set()
            while not self._closed.is_set():
                # A look every minute finds a connection that died without a word.
                ready, _, _ = select.select([connection, self._wake_read], [], [], 60.0)
                if not ready:
                    with connection.cursor() as cursor:
                        cursor.execute("SELECT 1")
                connection.poll()
                while connection.notifies:
                    receive(connection.notifies.pop(0).payload)
        finally:
            connection.close()
