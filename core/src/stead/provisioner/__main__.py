"""``python -m stead.provisioner``: a provisioner process. The control plane starts it; see :mod:`stead.broker`.

It inherits one end of a connection (``--link``) and a locked file (``--alive``), whose lock tells others on this
machine that it lives. What it needs to know is the first message. When the control plane ends, however it ends, the
connection does, and the process shuts down.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys

from stead.plugins import PluginRegistry
from stead.plugins import builtin as builtin_plugin
from stead.protocol.frames import LinkLost, Violation
from stead.protocol.messages import ProcessSettings
from stead.provisioner.link import Link
from stead.provisioner.service import Provisioner, open_workshop

log = logging.getLogger("stead.provisioner")


def main() -> int:
    parser = argparse.ArgumentParser(prog="stead-provisioner", description="Run builds of a Stead deployment.")
    parser.add_argument("--link", type=int, required=True, help="descriptor of the connection to the control plane")
    parser.add_argument("--alive", type=int, required=True, help="descriptor of the locked file")
    arguments = parser.parse_args()
    for descriptor in (arguments.link, arguments.alive):
        os.set_inheritable(descriptor, False)
    link = Link(socket.socket(fileno=arguments.link))
    try:
        welcome = link.greet()
    except (LinkLost, Violation) as error:
        print(f"stead-provisioner: {error}", file=sys.stderr)
        return 2
    configure_logging(welcome.settings)
    provisioner = Provisioner(open_workshop(link, welcome, load_plugins(welcome.settings)))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: provisioner.stop())
    provisioner.run()
    return 0


def load_plugins(settings: ProcessSettings) -> PluginRegistry:
    """The installed plugins, with what the control plane says of their settings."""
    registry = PluginRegistry(
        settings.sections,
        disabled=settings.plugins_disabled,
        builtins={"builtin": builtin_plugin},
        trace=log.info if settings.trace else None,
    )
    registry.load()
    return registry


def configure_logging(settings: ProcessSettings) -> None:
    logging.basicConfig(
        level=settings.log_level.upper(),
        format=f"%(asctime)s %(levelname)s provisioner[{os.getpid()}] %(name)s: %(message)s",
        stream=sys.stderr,
    )


if __name__ == "__main__":
    sys.exit(main())
