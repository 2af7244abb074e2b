"""The provisioner processes that a server starts beside itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from stead.config import Settings
from stead.network.children import Backoff, Command, Supervisor

_FILE = "file "
_FLAG = "flag "


def start_provisioners(settings: Settings) -> list[Supervisor]:
    """Start as many as the settings say; each starts again when it ends."""
    environment = provisioner_environment(settings, os.environ)
    supervisors = [_supervisor(number, environment, settings) for number in range(settings.provisioners)]
    for supervisor in supervisors:
        supervisor.start()
    return supervisors


def provisioner_environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment in which a child process reads the settings that this process has."""
    environment = dict(inherited)
    for name, source in settings.provenance.items():
        if source.startswith(_FILE) and "STEAD_CONFIG" not in environment:
            environment["STEAD_CONFIG"] = source.removeprefix(_FILE).partition(", from the file ")[0]
        if source.startswith(_FLAG) and name in type(settings).model_fields:
            environment[f"STEAD_{name.upper()}"] = _text(getattr(settings, name))
    return environment


def _text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(str(item) for item in value)
    return str(value)


def _supervisor(number: int, environment: Mapping[str, str], settings: Settings) -> Supervisor:
    name = f"provisioner-{number}"
    command = Command(name, (sys.executable, "-m", "stead.provisioner"), environment, echo=True)

    async def same() -> Command:
        return command

    # Running builds get their grace to end, and the process a little more to say so.
    patience = settings.provisioner_grace + 5.0
    return Supervisor(name, same, backoff=Backoff(first=0.5, most=15.0), patience=patience)
