"""``python -m stead.provisioner``: a provisioner process.

The server starts it with ``--settings-from-stdin``, writes the settings as one JSON line into its standard
input and keeps that open: when the server ends, however it ends, the provisioner reads the end of the
input and shuts down. Without the option it reads settings as the server does, and runs by itself.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading

from stead.api.errors import SteadError
from stead.config import Settings, load_settings
from stead.provisioner.service import Provisioner
from stead.services.core import close_core, open_core

log = logging.getLogger("stead.provisioner")


def main() -> int:
    parser = argparse.ArgumentParser(prog="stead-provisioner", description="Run builds of a Stead deployment.")
    parser.add_argument("--settings-from-stdin", action="store_true", help="read settings as JSON from stdin")
    supervised = parser.parse_args().settings_from_stdin
    try:
        settings = Settings.restore(sys.stdin.readline()) if supervised else load_settings().for_provisioner()
        configure_logging(settings)
        core = open_core(settings)
    except SteadError as error:
        print(f"stead-provisioner: {error}", file=sys.stderr)
        return 2
    provisioner = Provisioner(core)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: provisioner.stop())
    if supervised:
        threading.Thread(target=_follow_server, args=(provisioner,), daemon=True).start()
    try:
        provisioner.run()
    finally:
        close_core(core)
    return 0


def configure_logging(settings: Settings) -> None:
    logging.basicConfig(
        level=settings.log_level.upper(),
        format=f"%(asctime)s %(levelname)s provisioner[{os.getpid()}] %(name)s: %(message)s",
        stream=sys.stderr,
    )


def _follow_server(provisioner: Provisioner) -> None:
    """Wait for the end of the input, which is the end of the server."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    log.info("The server has ended; finishing what runs.")
    provisioner.stop()


if __name__ == "__main__":
    sys.exit(main())
