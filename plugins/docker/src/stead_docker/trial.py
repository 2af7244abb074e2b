"""An image for a first workspace, without asking anything."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from stead.api.errors import ProviderFailure
from stead.api.provider import Context
from stead_docker.engine import engine_of
from stead_docker.pulling import ensure_image, inspect_image

MADE = "stead/try-busybox:1"
PULL_WITHIN = 180.0  # seconds
INTERPRETER = 3  # PT_INTERP of elf(5)
ACCOUNTS = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\ncoder:x:1000:1000:coder:/home/coder:/bin/sh\n",
    "etc/group": b"root:x:0:\ncoder:x:1000:\n",
}
FOLDERS = {"bin": 0o755, "etc": 0o755, "root": 0o700, "tmp": 0o1777, "home": 0o755, "home/coder": 0o755}


def trial_image(context: Context, wanted: str) -> str:
    """``wanted`` where the engine has it or can pull it, else one made of this machine's busybox.

    :raises ProviderFailure: neither is possible; says what to do.
    """
    if inspect_image(context, wanted) is not None:
        return wanted
    if inspect_image(context, MADE) is not None:
        return MADE
    try:
        ensure_image(replace(context, deadline=time.monotonic() + PULL_WITHIN), wanted, field="image")
    except ProviderFailure as failure:
        return _made(context, failure)
    return wanted


def _made(context: Context, why: ProviderFailure) -> str:
    busybox = shutil.which("busybox")
    if busybox is None or not _is_static(Path(busybox)):
        raise ProviderFailure(
            why.message,
            field="image",
            remedy=f"{why.remedy or ''} Or install busybox-static on this machine.".strip(),
        ) from why
    repository, _, tag = MADE.rpartition(":")
    root = _root(busybox)
    engine_of(context).do(
        context,
        "An image could not be made of busybox",
        lambda c: _import(c, root, repository, tag),
    )
    return MADE


def _import(client: Any, root: bytes, repository: str, tag: str) -> None:
    changes = ["ENV PATH=/bin", 'CMD ["/bin/sh"]']
    client.import_image_from_data(root, repository=repository, tag=tag, changes=changes)


def _is_static(program: Path) -> bool:
    """Whether a 64-bit little-endian ELF program asks for no dynamic loader."""
    content = program.read_bytes()
    (start,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    kinds = (struct.unpack_from("<I", content, start + index * size)[0] for index in range(count))
    return INTERPRETER not in kinds


def _root(busybox: str) -> bytes:
    """A root file system with busybox under each of its names."""
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, timeout=10, check=True)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, mode in FOLDERS.items():
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, mode
            folder.uid = folder.gid = 1000 if name == "home/coder" else 0
            archive.addfile(folder)
        for name, content in {**ACCOUNTS, "bin/busybox": Path(busybox).read_bytes()}.items():
            file = tarfile.TarInfo(name)
            file.size, file.mode = len(content), 0o755 if name.startswith("bin/") else 0o644
            archive.addfile(file, io.BytesIO(content))
        for applet in listed.stdout.split():
            if applet != "busybox":
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(link)
    return buffer.getvalue()
