"""``python -m stead.broker``: provisioners alone, without a server, for a machine that is to run builds only.

It reads the settings as the server does, and so it has the database and the keys; its provisioner processes have not.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading

from stead.api.errors import SteadError
from stead.broker.supervisor import Supervisor
from stead.config import load_settings
from stead.services.core import close_core, open_core


def main() -> int:
    try:
        settings = load_settings()
        logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        core = open_core(settings)
    except SteadError as error:
        print(f"stead-broker: {error}", file=sys.stderr)
        return 2
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    supervisor = Supervisor(core)
    try:
        supervisor.start()
        stopping.wait()
        supervisor.stop()
    finally:
        close_core(core)
    return 0


if __name__ == "__main__":
    sys.exit(main())
