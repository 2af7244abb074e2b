"""What the program on a machine answers."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ENCODED = frozenset({"reason", "drained", "dirty", "ailment", "log"})


def values_of(text: str) -> dict[str, str]:
    """The NAME=VALUE lines of an answer; others are somebody's login banner."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, sign, value = line.partition("=")
        if sign and name.isidentifier():
            found[name] = _decoded(value) if name in ENCODED else value
    return found


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode(errors="replace").strip()
    except (binascii.Error, ValueError):
        return value


@dataclass(frozen=True)
class Claim:
    """Whose a machine is, as the machine itself has it on record."""

    key: str
    deployment: str = ""
    workspace: str = ""
    name: str = ""
    owner: str = ""
    build: str = ""
    since: int = 0

    @property
    def labels(self) -> dict[str, str]:
        return {
            "stead.deployment": self.deployment,
            "stead.workspace": self.workspace,
            "stead.workspace.name": self.name,
            "stead.owner": self.owner,
            "stead.build": self.build,
            "stead.key": self.key,
        }


@dataclass(frozen=True)
class Status:
    """A machine as it described itself.

    :param drained: why it is kept out of use. :param dirty: why it could not be wiped. :param ailment: what is wrong
        with it; each is empty where that is not so.
    :param phase: ``claimed``, ``preparing``, ``ready`` or ``releasing``; empty where nobody has it.
    :param agent: ``running``, ``stopped`` or ``absent``.
    """

    protocol: int
    digest: str
    time: int
    boot: str = ""
    arch: str = ""
    cpus: int = 0
    memory_mib: int = 0
    disk_free_mib: int = 0
    supervisor: str = ""
    drained: str = ""
    dirty: str = ""
    ailment: str = ""
    claim: Claim | None = None
    phase: str = ""
    user: str = ""
    wanted: str = ""
    agent: str = ""

    @property
    def state(self) -> str:
        """One word: ``free``, ``busy``, ``dirty``, ``drained`` or ``unhealthy``."""
        if self.dirty:
            return "dirty"
        if self.claim is not None:
            return "busy"
        if self.drained:
            return "drained"
        return "unhealthy" if self.ailment else "free"

    @property
    def why(self) -> str:
        return self.dirty or self.drained or self.ailment


def status_of(values: Mapping[str, str]) -> Status:
    claim = None
    if values.get("key"):
        names = ("key", "deployment", "workspace", "name", "owner", "build")
        claim = Claim(**{name: values.get(name, "") for name in names}, since=_number(values, "since"))
    texts = ("digest", "boot", "arch", "supervisor", "drained", "dirty", "ailment", "phase", "user", "wanted", "agent")
    numbers = ("protocol", "time", "cpus", "memory_mib", "disk_free_mib")
    told: dict[str, Any] = {name: values.get(name, "") for name in texts}
    told.update({name: _number(values, name) for name in numbers})
    return Status(claim=claim, **told)


def _number(values: Mapping[str, str], name: str) -> int:
    text = values.get(name, "")
    return int(text) if text.isdecimal() else 0
