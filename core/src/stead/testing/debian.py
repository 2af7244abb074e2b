"""A small Debian root file system, made once with debootstrap and kept in the cache folder."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from stead.testing.session import cache_folder, file_lock

PACKAGES = ("ca-certificates", "curl", "git", "openssh-client", "procps", "python3-minimal", "rsync", "wget")
SOURCES = Path("/etc/apt")
DEBOOTSTRAP = "debootstrap"
BUILD_WITHIN = 600  # seconds
UNNEEDED = (
    "usr/share/doc",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
)


class DebianUnavailable(RuntimeError):
    """The root file system is not in the cache and cannot be made here; the message says why."""


def _stanza_sources(text: str) -> Iterator[tuple[str, str, str]]:
    """(types, URI, suites) of a file in the ``.sources`` format."""
    for stanza in re.split(r"\n\s*\n", text):
        lines = [line for line in stanza.splitlines() if line and not line.startswith("#")]
        fields = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        for uri in fields.get("uris", "").split():
            yield fields.get("types", ""), uri, fields.get("suites", "")


def _line_sources(text: str) -> Iterator[tuple[str, str, str]]:
    """(type, URI, suite) of a file in the one-line format."""
    for line in text.splitlines():
        found = re.match(r"(deb)\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)", line.strip())
        if found:
            yield found[1], found[2], found[3]


def configured_mirror(suite: str, root: Path = SOURCES) -> str:
    """The mirror that this machine's apt uses for ``suite``."""
    files = [root / "sources.list", *sorted((root / "sources.list.d").glob("*"))]
    for file in files:
        if file.suffix not in {".list", ".sources"} or not file.is_file():
            continue
        read = _stanza_sources if file.suffix == ".sources" else _line_sources
        for kinds, uri, suites in read(file.read_text()):
            if "deb" in kinds.split() and suite in suites.split():
                return uri
    raise DebianUnavailable(f"apt of this machine knows no mirror for {suite}")


def host_suite() -> str:
    """Code name of the Debian release that this machine runs."""
    found = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    if found is None:
        raise DebianUnavailable("/etc/os-release names no release")
    return found[1]


def _bootstrap(suite: str, root: Path, packages: tuple[str, ...]) -> None:
    command = [
        DEBOOTSTRAP,
        "--variant=minbase",
        f"--include={','.join(packages)}",
        suite,
        str(root),
        configured_mirror(suite),
    ]
    made = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_WITHIN, check=False)
    if made.returncode != 0:
        last = (made.stderr or made.stdout).strip().splitlines()[-1:]
        raise DebianUnavailable(f"debootstrap failed: {' '.join(last)}")


def _trim(root: Path) -> None:
    for name in UNNEEDED:
        folder = root / name
        shutil.rmtree(folder)
        folder.mkdir()


def _build(suite: str, archive: Path, packages: tuple[str, ...]) -> None:
    if os.geteuid() != 0 or shutil.which(DEBOOTSTRAP) is None:
        raise DebianUnavailable(f"{archive} is not there, and making it needs root and debootstrap")
    with tempfile.TemporaryDirectory(prefix="debian-", dir=archive.parent) as scratch:
        root, packed = Path(scratch, "root"), Path(scratch, "root.tar")
        _bootstrap(suite, root, packages)
        _trim(root)
        pack = ["tar", "-C", str(root), "-cf", str(packed), "--exclude=./dev/*", "."]
        subprocess.run(pack, check=True, timeout=120)
        packed.rename(archive)


def debian_archive(packages: tuple[str, ...] = PACKAGES) -> Path:
    """Path of a tar of a minimal Debian with these packages: by default git, curl, wget, python3, rsync, SSH clients.

    Takes about a minute the first time on a machine, and nothing later.
    """
    suite = host_suite()
    recipe = hashlib.sha256(f"{suite} {packages} {UNNEEDED}".encode()).hexdigest()[:12]
    archive = cache_folder() / f"debian-{suite}-{recipe}.tar"
    with file_lock(cache_folder() / "debian.lock"):
        if not archive.exists():
            _build(suite, archive, packages)
    return archive
