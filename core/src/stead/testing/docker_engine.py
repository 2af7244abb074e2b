"""A Docker engine to test with: one that answers already, or one of our own for the length of the run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stead.testing.docker_api import DockerApi
from stead.testing.left_out import leave_out
from stead.testing.session import Session
from stead.testing.waiting import NeverHappened, eventually

HOST_VARIABLE = "STEAD_TEST_DOCKER_HOST"
DEFAULT_SOCKET = Path("/var/run/docker.sock")
DAEMON = "/usr/sbin/dockerd"
READY_WITHIN = 30.0  # seconds


def _answers(url: str) -> bool:
    with DockerApi(url) as engine:
        return engine.answers()


def _daemon_command(folder: Path, url: str) -> list[str]:
    return [
        DAEMON,
        f"--host={url}",
        f"--data-root={folder / 'data'}",
        f"--exec-root={folder / 'exec'}",
        f"--pidfile={folder / 'pid'}",
        "--storage-driver=overlay2",
    ]


def _start_own(session: Session) -> dict[str, Any]:
    """Start dockerd with a data folder inside the run's folder."""
    folder = session.folder / "dockerd"
    folder.mkdir()
    url = f"unix://{folder / 'docker.sock'}"
    log = session.spawn("dockerd", _daemon_command(folder, url))
    try:
        eventually(lambda: _answers(url), READY_WITHIN, what="the start of dockerd")
    except NeverHappened:
        lines = log.read_text(errors="replace").splitlines()[-3:]
        return {"failed": " | ".join(lines) or "dockerd said nothing"}
    return {"url": url}


def find_engine(session: Session) -> dict[str, Any]:
    """``{"url": ...}`` of a usable engine, or ``{"failed": why}``."""
    configured = os.environ.get(HOST_VARIABLE)
    if configured:
        answers = _answers(configured)
        return {"url": configured} if answers else {"failed": f"{HOST_VARIABLE}={configured} does not answer"}
    if DEFAULT_SOCKET.exists() and _answers(f"unix://{DEFAULT_SOCKET}"):
        return {"url": f"unix://{DEFAULT_SOCKET}"}
    if os.geteuid() != 0 or not shutil.which(DAEMON):
        return {
            "failed": f"no engine answers at {DEFAULT_SOCKET}, and starting one needs root and {DAEMON}; "
            f"name one in {HOST_VARIABLE}"
        }
    return _start_own(session)


@pytest.fixture(scope="session")
def docker_engine(stead_session: Session) -> Iterator[str]:
    """URL of a Docker engine that works; the same one for all workers of the run.

    ``DOCKER_HOST`` names it from then on, for whatever the tests start. It may be shared with others: give everything
    a name of its own, and remove it.
    """
    found = stead_session.shared("docker-engine", lambda: find_engine(stead_session))
    if "failed" in found:
        leave_out("Docker engine", found["failed"])
    url = str(found["url"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", url)
        yield url
