"""Which run of which machine this is, so that a restarted agent knows what has already happened."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

STATE_FILE = "state.json"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armv7"}


@dataclass
class RunState:
    """What outlives the agent's process, but not the machine's or container's run."""

    boot_id: str
    scripts_ran: bool = False
    started_as: str = "ready"  # the state that the start scripts led to
    pid: int = 0


def boot_id() -> str:
    """Names one run of the machine or container: a container that is started again has a new one."""
    parts = [_read("/proc/sys/kernel/random/boot_id"), _start_of_first_process(), _link("/proc/self/ns/pid")]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:32]


def architecture() -> str:
    machine = platform.machine()
    return ARCHITECTURES.get(machine, machine)


def hostname() -> str:
    return socket.gethostname()


class StateFile:
    """The run directory's record of this boot."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / STATE_FILE
        current = boot_id()
        known = self._load()
        self.restarted = known is not None and known.boot_id == current and known.scripts_ran
        self.state = known if self.restarted and known else RunState(boot_id=current)
        self.state.pid = os.getpid()
        self._save()

    def scripts_ran(self, started_as: str = "ready") -> None:
        """Remember that the start scripts were started in this boot: they never are again."""
        self.state.scripts_ran = True
        self.state.started_as = started_as
        self._save()

    def _load(self) -> RunState | None:
        try:
            return RunState(**json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _save(self) -> None:
        partial = self._path.with_suffix(".new")
        partial.write_text(json.dumps(asdict(self.state)), encoding="utf-8")
        partial.replace(self._path)


def _start_of_first_process() -> str:
    fields = _read("/proc/1/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 else ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""
