"""Servers that no directory should be: slow ones, ones that lie, and ones that send without end."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import sansldap

from stead.testing.slapd import HOST

Talk = Callable[[socket.socket], None]


@contextlib.contextmanager
def strange_server(talk: Talk) -> Iterator[str]:
    """Its address. ``talk`` is called with every connection, in a thread of its own."""
    listener = socket.create_server((HOST, 0))
    connections: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError, sansldap.ProtocolError), connection:
            talk(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield f"ldap://{HOST}:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        accepting.join(10)


def dripping(port: int, over: threading.Event, seconds: float = 0.1) -> Talk:
    """What the server at ``port`` says, one byte at a time: every read is in time, and the whole never is."""

    def talk(client: socket.socket) -> None:
        with socket.create_connection((HOST, port)) as server:
            threading.Thread(target=_pass_on, args=(client, server), daemon=True).start()
            while byte := server.recv(1):
                client.sendall(byte)
                if over.wait(seconds):
                    return

    return talk


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)


def hanging(over: threading.Event) -> Talk:
    """Accepts and never answers."""

    def talk(_client: socket.socket) -> None:
        over.wait(120)

    return talk


def saying(*answers: bytes) -> Talk:
    """Answers each question with the next of ``answers``, whatever was asked."""

    def talk(client: socket.socket) -> None:
        for answer in answers:
            if not client.recv(1 << 16):
                return
            client.sendall(answer)
        while client.recv(1 << 16):
            pass

    return talk


def believing(then: Callable[[sansldap.LDAPServer, sansldap.LDAPMessage], bytes]) -> Talk:
    """Lets everybody bind, and answers searches with what ``then`` makes of them."""

    def talk(client: socket.socket) -> None:
        session = sansldap.LDAPServer()
        while data := client.recv(1 << 16):
            for message in session.receive(data):
                if isinstance(message, sansldap.BindRequest):
                    session.bind_response(message.message_id)
                    client.sendall(session.data_to_send())
                else:
                    client.sendall(then(session, message))

    return talk
