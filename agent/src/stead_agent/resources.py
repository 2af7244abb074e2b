"""How much of CPU, memory and disk is used: of the container by its control group, of the machine by ``/proc``.

Imported by ``stat``, which has to answer in milliseconds: nothing here imports more than it needs.
"""

from __future__ import annotations

import os
import time

PROC = "/proc"
CGROUP = "/sys/fs/cgroup"
UNLIMITED = 1 << 60  # version 1 writes "no limit" as a number near 2**63
SAMPLE_SECONDS = 0.02


class Cpu:
    """CPU seconds used up to now, and how many cores there are to use."""

    __slots__ = ("at", "total_cores", "used_seconds")

    def __init__(self, used_seconds: float, total_cores: float, at: float) -> None:
        self.used_seconds = used_seconds
        self.total_cores = total_cores
        self.at = at

    def cores_since(self, earlier: Cpu) -> float:
        """Cores in use between two readings."""
        elapsed = self.at - earlier.at
        return max(0.0, (self.used_seconds - earlier.used_seconds) / elapsed) if elapsed > 0 else 0.0


class Resources:
    """Reads the files below two roots, which tests point elsewhere.

    :param host: look at the whole machine even where there is a control group.
    """

    def __init__(self, *, host: bool = False, proc: str = PROC, cgroup: str = CGROUP) -> None:
        self._proc = proc
        self._version, self._folders = (0, {}) if host else _find_groups(proc, cgroup)

    @property
    def in_container(self) -> bool:
        return self._version != 0

    def cpu(self) -> Cpu:
        """The present reading; two of them make a usage."""
        used = self._group_cpu()
        if used is None:
            return Cpu(self._machine_cpu(), float(os.cpu_count() or 1), time.monotonic())
        return Cpu(used, self._core_limit(), time.monotonic())

    def memory(self) -> tuple[int, int | None]:
        """Bytes used, without cache that can be dropped, and bytes there are, ``None`` without a limit."""
        total, available = self._machine_memory()
        used = self._group_memory()
        if used is None:
            return total - available, total
        limit = self._memory_limit()
        return used, limit if limit is not None and limit < total else total

    @staticmethod
    def disk(path: str) -> tuple[int, int]:
        """Bytes used and bytes there are on the file system of ``path``.

        :raises OSError: there is no such path.
        """
        values = os.statvfs(path)
        return (values.f_blocks - values.f_bfree) * values.f_frsize, values.f_blocks * values.f_frsize

    def network(self) -> tuple[int, int]:
        """Bytes received and sent by all interfaces but loopback."""
        received = sent = 0
        for line in _read(f"{self._proc}/net/dev").splitlines()[2:]:
            name, _, values = line.partition(":")
            numbers = values.split()
            if name.strip() != "lo" and len(numbers) > 8:
                received += int(numbers[0])
                sent += int(numbers[8])
        return received, sent

    def _group_cpu(self) -> float | None:
        if self._version == 2:
            for line in self._group("", "cpu.stat").splitlines():
                name, _, value = line.partition(" ")
                if name == "usage_usec":
                    return int(value) / 1e6
        if self._version == 1:
            nanoseconds = self._group("cpuacct", "cpuacct.usage").strip()
            return int(nanoseconds) / 1e9 if nanoseconds else None
        return None

    def _core_limit(self) -> float:
        cores = float(len(os.sched_getaffinity(0)) or 1)
        if self._version == 2:
            quota, _, period = self._group("", "cpu.max").strip().partition(" ")
        else:
            quota = self._group("cpu", "cpu.cfs_quota_us").strip()
            period = self._group("cpu", "cpu.cfs_period_us").strip()
        if quota.isdigit() and period.isdigit() and int(period):
            return min(cores, int(quota) / int(period))
        return cores

    def _group_memory(self) -> int | None:
        if self._version == 2:
            current, inactive = self._group("", "memory.current").strip(), "inactive_file"
        elif self._version == 1:
            current, inactive = self._group("memory", "memory.usage_in_bytes").strip(), "total_inactive_file"
        else:
            return None
        if not current.isdigit():
            return None
        for line in self._group("memory", "memory.stat").splitlines():
            name, _, value = line.partition(" ")
            if name == inactive:
                return max(0, int(current) - int(value))
        return int(current)

    def _memory_limit(self) -> int | None:
        name = "memory.max" if self._version == 2 else "memory.limit_in_bytes"
        text = self._group("memory", name).strip()
        return int(text) if text.isdigit() and int(text) < UNLIMITED else None

    def _machine_cpu(self) -> float:
        fields = _read(f"{self._proc}/stat").partition("\n")[0].split()[1:]
        ticks = [int(field) for field in fields[:8]]
        return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")

    def _machine_memory(self) -> tuple[int, int]:
        values = {}
        for line in _read(f"{self._proc}/meminfo").splitlines():
            name, _, rest = line.partition(":")
            values[name] = int(rest.split()[0]) * 1024
        free = values.get("MemFree", 0) + values.get("Buffers", 0) + values.get("Cached", 0)
        return values.get("MemTotal", 0), values.get("MemAvailable", free)

    def _group(self, controller: str, name: str) -> str:
        folder = self._folders.get(controller) or self._folders.get("")
        return _read(f"{folder}/{name}") if folder else ""


def _find_groups(proc: str, root: str) -> tuple[int, dict[str, str]]:
    """The version of control groups and the folder of each controller that is this process's own.

    In a container the group is usually mounted as the root; where the host's whole tree is seen, the path is in
    ``/proc/self/cgroup``. The machine's own root group counts as no group.
    """
    paths = {}
    for line in _read(f"{proc}/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        for controller in controllers.split(","):
            paths[controller] = path.strip()
    if os.path.exists(f"{root}/cgroup.controllers"):  # noqa: PTH110 - pathlib costs this command a third of its time
        folder = _first_with(root, paths.get("", "/"), "memory.current")
        return (2, {"": folder}) if folder else (0, {})
    folders = {}
    for controller, probe in (
        ("memory", "memory.usage_in_bytes"),
        ("cpuacct", "cpuacct.usage"),
        ("cpu", "cpu.shares"),
    ):
        for mount in (controller, "cpu,cpuacct"):
            folder = _first_with(f"{root}/{mount}", paths.get(controller, "/"), probe)
            if folder:
                folders[controller] = folder
                break
    return (1, folders) if {"memory", "cpuacct"} <= folders.keys() else (0, {})


def _first_with(root: str, path: str, probe: str) -> str:
    for folder in (root + path.rstrip("/"), root):
        if os.path.exists(f"{folder}/{probe}"):  # noqa: PTH110
            return folder
    return ""


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return ""
