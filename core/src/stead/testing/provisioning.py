"""A provisioner in a thread of this process, over a connection as a process of its own has it."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from collections.abc import Iterator

from stead.broker import leftovers
from stead.broker.session import Session
from stead.broker.settings import process_settings
from stead.plugins import PluginRegistry
from stead.provisioner.link import Link
from stead.provisioner.service import Provisioner, open_workshop
from stead.provisioner.workshop import Workshop
from stead.services import jobs
from stead.services.core import Core

JOIN_SECONDS = 90.0


@contextlib.contextmanager
def connected(
    core: Core, plugins: PluginRegistry | None = None, *, listen: bool = True
) -> Iterator[tuple[Workshop, Session]]:
    """Both ends of a connection: what a provisioner works with, and who answers it.

    :param listen: false where a provisioner is about to do that.
    """
    ours, theirs = socket.socketpair()
    provisioner_id = f"test-{secrets.token_hex(4)}"
    session = Session(core, ours, provisioner_id, process_settings(core))
    session.start()
    link = Link(theirs)
    shop = open_workshop(link, link.greet(), plugins or core.plugins)
    if listen:
        link.listen(lambda _: None, lambda: None)
    try:
        yield shop, session
    finally:
        link.close()
        session.close()
        shop.engine.close()


@contextlib.contextmanager
def provisioner_in_thread(core: Core) -> Iterator[Provisioner]:
    """One that takes jobs until the end of the block."""
    with connected(core, listen=False) as (shop, _), leftovers.alive(core, shop.provisioner_id):
        running = Provisioner(shop)
        thread = threading.Thread(target=running.run, name="provisioner")
        thread.start()
        try:
            yield running
        finally:
            running.stop()
            thread.join(timeout=JOIN_SECONDS)
        if thread.is_alive():
            raise AssertionError("the provisioner does not end")
        jobs.reap_provisioner(core, shop.provisioner_id)
