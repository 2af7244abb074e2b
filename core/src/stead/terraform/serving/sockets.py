"""Unix sockets on which Terraform finds the providers of a run.

Terraform opens a connection for each configuration of a provider, and two aliases differ in nothing
else. gRPC does not tell connections of unix sockets apart, so each one is passed on from a socket that
carries a name of its own, which the gRPC server sees as the peer.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import threading
from collections.abc import Callable, Iterable
from concurrent import futures
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import grpc
from tf.gen import grpc_controller_pb2, grpc_controller_pb2_grpc, grpc_stdio_pb2_grpc, tfplugin_pb2_grpc

from stead.terraform.serving.servicer import Servicer
from stead.terraform.serving.session import Link

_WORKERS = 16
_CHUNK = 256 * 1024
_OPTIONS = [("grpc.max_receive_message_length", 256 * 1024 * 1024), ("grpc.max_send_message_length", -1)]


def reattach(folder: Path, addresses: Iterable[str]) -> str:
    """Value of ``TF_REATTACH_PROVIDERS`` for providers served from ``folder``, by full address."""
    entries = {
        address: {
            "Protocol": "grpc",
            "ProtocolVersion": 6,
            "Pid": os.getpid(),
            "Test": True,
            "Addr": {"Network": "unix", "String": str(socket_path(folder, index))},
        }
        for index, address in enumerate(addresses)
    }
    return json.dumps(entries)


def socket_path(folder: Path, index: int) -> Path:
    return folder / f"p{index}"


class ProviderServer:
    """Serves the providers of one run. ``makers`` make the link of a new connection, in order of address.

    :param folder: private to this user; its path is short, because a socket's path has at most 107 bytes.
    """

    def __init__(self, folder: Path, makers: list[Callable[[], Link]]) -> None:
        self._folder = folder
        self._makers = makers
        self._links: dict[str, Link] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._closing = False
        self._open: set[socket.socket] = set()
        self._backend = folder / "grpc"
        self._workers = futures.ThreadPoolExecutor(_WORKERS, "provider")
        self._server = self._start_backend()
        self._listeners = [self._listen(index) for index in range(len(makers))]

    def _start_backend(self) -> grpc.Server:
        server = grpc.server(self._workers, options=_OPTIONS)
        tfplugin_pb2_grpc.add_ProviderServicer_to_server(Servicer(self._link), server)
        grpc_stdio_pb2_grpc.add_GRPCStdioServicer_to_server(_Stdio(), server)
        grpc_controller_pb2_grpc.add_GRPCControllerServicer_to_server(_Controller(), server)
        server.add_insecure_port(f"unix:{self._backend}")
        server.start()
        return server

    def _listen(self, index: int) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(socket_path(self._folder, index)))
        listener.listen()
        threading.Thread(target=self._accept, args=(listener, index), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket, index: int) -> None:
        while not self._closing:
            try:
                client, _ = listener.accept()
            except OSError:  # closed
                return
            self._pass_on(client, index)

    def _pass_on(self, client: socket.socket, index: int) -> None:
        name = self._folder / f"c{index}.{next(self._numbers)}"
        backend = socket.socket(socket.AF_UNIX)
        backend.bind(str(name))
        with self._lock:
            if self._closing:
                client.close()
                backend.close()
                return
            self._open |= {client, backend}
        backend.connect(str(self._backend))
        for source, target in ((client, backend), (backend, client)):
            threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open.discard(source)

    def _link(self, peer: str) -> Link:
        """The link of a connection, made at its first call."""
        name = unquote(peer.removeprefix("unix:")).rpartition("/")[2]
        with self._lock:
            if name not in self._links:
                index = int(name.removeprefix("c").partition(".")[0])
                self._links[name] = self._makers[index]()
            return self._links[name]

    def configured(self, address: str) -> list[Link]:
        """The links of a provider that Terraform has configured, the latest first."""
        with self._lock:
            links = [link for link in self._links.values() if link.spec.full_address == address]
        return [link for link in reversed(links) if link.configured]

    def close(self) -> None:
        """End all connections. Calls that still run see ``canceled`` and get a moment to end."""
        self._closing = True
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._server.stop(grace=None)
        self._workers.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            self._open.clear()


class _Stdio(grpc_stdio_pb2_grpc.GRPCStdioServicer):  # type: ignore[misc]
    """Terraform asks every plugin for its output; ours have none there."""

    def StreamStdio(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol names it
        del request, context
        return iter(())


class _Controller(grpc_controller_pb2_grpc.GRPCControllerServicer):  # type: ignore[misc]
    def Shutdown(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol names it
        """A run's servers end with the run, not when Terraform ends one of its plugins."""
        del request, context
        return grpc_controller_pb2.Empty()
