"""Programs and libraries: which loader a program wants, which libraries a file needs."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

from stead_agent_bundle.errors import BundleError

PT_INTERP = 3
# The C library loads these by name when threads end.
ALSO_WANTED = ("libgcc_s.so.1",)


def is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def loader_of(program: Path) -> Path:
    """The ELF loader that ``program`` names (its ``PT_INTERP`` segment).

    :raises BundleError: it is no dynamic 64-bit ELF program.
    """
    data = program.read_bytes()
    if data[:5] != b"\x7fELF\x02":
        raise BundleError(f"{program} is not a 64-bit ELF program.")
    (offset,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for index in range(count):
        kind, _flags, at, _vaddr, _paddr, length = struct.unpack_from("<IIQQQQ", data, offset + index * size)
        if kind == PT_INTERP:
            return Path(data[at : at + length].rstrip(b"\0").decode())
    raise BundleError(f"{program} is linked statically: use an interpreter that is linked dynamically.")


def library_closure(loader: Path, files: Iterable[Path]) -> dict[str, Path]:
    """Every shared library that ``files`` need, by the name they ask for.

    :raises BundleError: a library is missing on this machine.
    """
    found: dict[str, Path] = {}
    for file in files:
        for name, path in _needs(loader, file):
            found.setdefault(name, path)
    libc = found.get("libc.so.6")
    for candidate in (libc.parent / name for name in ALSO_WANTED) if libc else ():
        if candidate.exists():
            found.setdefault(candidate.name, candidate)
    return found


def strip(path: Path) -> None:
    """Drop what only debuggers read, where binutils are there to do it."""
    program = shutil.which("strip")
    if program is not None:
        subprocess.run([program, "--strip-unneeded", "--enable-deterministic-archives", str(path)], check=False)


def _needs(loader: Path, file: Path) -> Iterable[tuple[str, Path]]:
    listing = subprocess.run([str(loader), "--list", str(file)], capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        return
    for line in listing.stdout.splitlines():
        name, arrow, rest = line.strip().partition(" => ")
        if not arrow:
            continue
        target = rest.partition(" (")[0].strip()
        if target == "not found":
            raise BundleError(f"{file} needs {name}, which this machine has not: install the package that brings it.")
        path = Path(target)
        if "/" not in name and path.name != loader.name:
            yield name, path.resolve()
