"""Which TCP ports something in the workspace listens on."""

from __future__ import annotations

import ipaddress
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LISTEN = "0A"
PROC = Path("/proc")


def listening_ports(proc: Path = PROC, *, ignore: frozenset[int] = frozenset()) -> list[dict[str, Any]]:
    """One entry for each port: number, program and address.

    :param ignore: processes whose ports are not the workspace's, such as the tunnel's.
    """
    sockets = dict(_listening_sockets(proc))
    if not sockets:
        return []
    owners = _owners(proc, set(sockets))
    found: dict[int, dict[str, Any]] = {}
    for inode, (address, port) in sockets.items():
        pid, name = owners.get(inode, (0, ""))
        if pid not in ignore:
            found.setdefault(port, {"port": port, "process": name, "address": address})
    return [found[port] for port in sorted(found)]


def _listening_sockets(proc: Path) -> Iterator[tuple[str, tuple[str, int]]]:
    for name in ("net/tcp", "net/tcp6"):
        try:
            lines = (proc / name).read_text(encoding="ascii", errors="replace").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if len(fields) > 9 and fields[3] == LISTEN:
                address, _, port = fields[1].partition(":")
                yield fields[9], (_address(address), int(port, 16))


def _address(text: str) -> str:
    """An address as the kernel prints it: 32-bit words in the machine's byte order."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    return str(ipaddress.ip_address(struct.pack(f"={len(words)}I", *words)))


def _owners(proc: Path, inodes: set[str]) -> dict[str, tuple[int, str]]:
    owners: dict[str, tuple[int, str]] = {}
    for folder in os.scandir(proc):
        if not folder.name.isdigit():
            continue
        for inode in _sockets_of(Path(folder.path)):
            if inode in inodes:
                owners[inode] = (int(folder.name), _name_of(Path(folder.path)))
    return owners


def _sockets_of(folder: Path) -> Iterator[str]:
    try:
        for entry in os.scandir(folder / "fd"):
            target = os.readlink(entry.path)  # noqa: PTH115 - one of thousands, as a plain string
            if target.startswith("socket:["):
                yield target[8:-1]
    except OSError:
        return


def _name_of(folder: Path) -> str:
    try:
        return (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
