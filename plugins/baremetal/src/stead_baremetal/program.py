"""The program that runs on the machines, and the words that it knows."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from functools import cache
from pathlib import Path

PROGRAM = "/usr/local/sbin/stead-machine"
STATE = "/var/lib/stead-machine"
CONF = "/etc/stead-machine.conf"
UNIT = "/etc/systemd/system/stead-workspace.service"
CRON = "/etc/cron.d/stead-workspace"
SOURCE = Path(__file__).parent / "machine.sh"
PROTOCOL = 1


class Word(StrEnum):
    """What Stead asks a machine to do. All that it ever runs there with privileges."""

    STATUS = "status"
    CLAIM = "claim"
    PREPARE = "prepare"
    START = "start"
    STOP = "stop"
    RELEASE = "release"
    DRAIN = "drain"
    UNDRAIN = "undrain"
    LOG = "log"
    POWEROFF = "poweroff"


class Code(StrEnum):
    """Why a machine refused, by the exit code of the program."""

    BUSY = "10"
    DRAINED = "11"
    DIRTY = "12"
    FOREIGN = "13"
    UNHEALTHY = "14"
    WORKING = "15"
    REFUSED = "16"
    BROKEN = "17"


@cache
def program() -> str:
    """The program, ready to be installed."""
    text = SOURCE.read_text()
    places = {"PROGRAM": PROGRAM, "STATE": STATE, "CONF": CONF, "UNIT": UNIT, "CRON": CRON}
    for name, value in places.items():
        text = text.replace(f"@{name}@", value)
    return text.replace("@DIGEST@", digest())


@cache
def digest() -> str:
    """Tells one release of the program from another."""
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
