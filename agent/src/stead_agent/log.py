"""The agent's own log: plain lines on standard error."""

from __future__ import annotations

import logging
import os
import sys

log = logging.getLogger("stead_agent")


def set_up_logging() -> None:
    """Log to standard error; ``STEAD_AGENT_LOG_LEVEL`` chooses how much."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s stead-agent %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(os.environ.get("STEAD_AGENT_LOG_LEVEL", "INFO").upper())
    log.propagate = False
    for library in ("websockets", "asyncssh", "asyncio"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
