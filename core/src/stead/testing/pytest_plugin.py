"""The pytest plugin ``stead``: fixtures with real parts for tests of Stead and of its plugins.

Installed with Stead, so that a plugin author's tests have the fixtures without an import:
``docker_engine``, ``busybox_image``, ``debian_image``, ``no_python_image``, ``no_curl_image``,
``only_wget_image``, ``only_python_image``, ``postgres_url``, ``database_url``, ``free_port``,
``free_ports``, ``image_registry``. :func:`stead.testing.waiting.eventually` waits for a condition.
"""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from stead.testing.docker_engine import docker_engine
from stead.testing.images import (
    busybox_image,
    debian_image,
    no_curl_image,
    no_python_image,
    only_python_image,
    only_wget_image,
)
from stead.testing.left_out import summarize
from stead.testing.postgres import database_url, postgres_server, postgres_url
from stead.testing.registry import image_registry
from stead.testing.session import Session
from stead.testing.waiting import free_port, free_ports

__all__ = [
    "busybox_image",
    "database_url",
    "debian_image",
    "docker_engine",
    "free_port",
    "free_ports",
    "image_registry",
    "no_curl_image",
    "no_python_image",
    "only_python_image",
    "only_wget_image",
    "postgres_server",
    "postgres_url",
    "stead_session",
]

SESSION = pytest.StashKey[Session]()

pytest.register_assert_rewrite("stead.testing.conformance")


def pytest_configure(config: pytest.Config) -> None:
    """The controller makes the run's folder; workers are told of it."""
    config.addinivalue_line("markers", "docker: needs a Docker engine")
    config.addinivalue_line("markers", "postgres: needs PostgreSQL")
    _mind_interrupts()
    told = getattr(config, "workerinput", None)
    if told is None:
        config.stash[SESSION] = Session.create()
    else:
        config.stash[SESSION] = Session(Path(told["stead_folder"]), told["stead_controller"])


def _mind_interrupts() -> None:
    """A shell starts what runs in its background deaf to SIGINT, and that passes on to all that tests start."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Before pytest-xdist starts a worker."""
    session = node.config.stash[SESSION]
    node.workerinput["stead_folder"] = str(session.folder)
    node.workerinput["stead_controller"] = session.controller


def pytest_unconfigure(config: pytest.Config) -> None:
    session = config.stash.get(SESSION, None)
    if session is not None and not hasattr(config, "workerinput"):
        session.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    summarize(terminalreporter)


@pytest.fixture(scope="session")
def stead_session(request: pytest.FixtureRequest) -> Session:
    """What the processes of this run share: folder, locks, background servers."""
    return request.config.stash[SESSION]
