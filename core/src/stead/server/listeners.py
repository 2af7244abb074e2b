"""The sockets that a server listens on."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable

from stead.api.errors import InvalidInput
from stead.config import Settings, split_address

BACKLOG = 2048


def addresses(settings: Settings) -> list[str]:
    """``http_address`` first, then the further ones."""
    return [settings.http_address, *settings.also_listen]


def bind_all(settings: Settings) -> list[socket.socket]:
    """Listening sockets for all addresses.

    :raises InvalidInput: one of them is taken or is not ours.
    """
    bound: list[socket.socket] = []
    try:
        for address in addresses(settings):
            bound.append(bind(address))
    except InvalidInput:
        close_all(bound)
        raise
    return bound


def bind(address: str) -> socket.socket:
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise InvalidInput(
            f"Stead can't listen on {address}: {error.strerror}.",
            field="http_address",
            remedy="Another program has the port, or this machine does not have the address.",
        ) from error
    return listener


def close_all(sockets: Iterable[socket.socket]) -> None:
    for listener in sockets:
        with contextlib.suppress(OSError):
            listener.close()
