"""Two servers must not share a data folder, nor a port."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from stead.api.errors import Conflict
from stead.quickstart.server import ServerProcess
from stead.server.lock import locked


def test_a_second_server_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(Conflict, match="Another server runs on"), locked(tmp_path):
        pass


def test_the_folder_is_free_again_afterwards(tmp_path: Path) -> None:
    with locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_the_quickstart_refuses_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        server = ServerProcess(tmp_path, other.getsockname()[1])
        with pytest.raises(Conflict, match="serves on port") as caught:
            server.start()
    assert caught.value.field == "port"
    assert server.pid == 0
