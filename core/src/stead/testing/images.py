"""Images to test with, made on this machine: nothing is pulled.

They stay in the engine, as a cache. A label with a digest of the recipe says whether an image is the
present one.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import struct
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stead.testing.debian import DebianUnavailable, debian_archive
from stead.testing.docker_api import DockerApi
from stead.testing.left_out import leave_out
from stead.testing.session import cache_folder, file_lock

RECIPE_LABEL = "stead-test.recipe"
CHUNK = 1 << 20
ACCOUNTS = "root:x:0:0:root:/root:/bin/sh\ncoder:x:1000:1000:coder:/home/coder:/bin/sh\n"
GROUPS = "root:x:0:\ncoder:x:1000:\n"

DEBIAN = """
FROM {base}
RUN useradd --uid 1000 --create-home --shell /bin/bash coder
ENV LANG=C.UTF-8
USER coder
WORKDIR /home/coder
CMD ["/bin/bash"]
"""
REMOVED = """
FROM {base}
USER root
RUN rm -rf {paths}
USER coder
"""
PYTHON = "/usr/bin/python3* /usr/lib/python3* /usr/share/python3 /usr/bin/perl*"


def _ensure(url: str, tag: str, recipe: str, make: Callable[[DockerApi, str], None]) -> str:
    """Make the image unless the engine has it from the same recipe; one process at a time."""
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:16]
    lock = cache_folder() / f"image-{tag.replace('/', '-').replace(':', '-')}.lock"
    with file_lock(lock), DockerApi(url) as engine:
        before = engine.inspect_image(tag)
        if (engine.image_labels(tag) or {}).get(RECIPE_LABEL) != digest:
            make(engine, digest)
            if before is not None:
                engine.discard_image(before["Id"])
    return tag


def _derive(url: str, tag: str, base: str, dockerfile: str) -> str:
    """Build on ``base``; anew where that has another recipe than the last time."""
    with DockerApi(url) as engine:
        recipe = f"{dockerfile} {(engine.image_labels(base) or {}).get(RECIPE_LABEL)}"

    def build(engine: DockerApi, digest: str) -> None:
        engine.build_image(tag, dockerfile.format(base=base), {RECIPE_LABEL: digest})

    return _ensure(url, tag, recipe, build)


def _without(url: str, tag: str, base: str, paths: str) -> str:
    """``base`` less some files."""
    return _derive(url, tag, base, REMOVED.replace("{paths}", paths))


def _applets(busybox: str) -> list[str]:
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, timeout=10, check=True)
    return [name for name in listed.stdout.split() if name != "busybox"]


def _has_interpreter(program: bytes) -> bool:
    """Whether a 64-bit little-endian ELF program asks for a dynamic loader (PT_INTERP, elf(5))."""
    (start,) = struct.unpack_from("<Q", program, 32)
    size, count = struct.unpack_from("<HH", program, 54)
    return any(struct.unpack_from("<I", program, start + i * size)[0] == 3 for i in range(count))


def _static_busybox() -> str:
    found = shutil.which("busybox")
    if found is None:
        leave_out("busybox image", "no busybox on this machine; install busybox-static")
    if _has_interpreter(Path(found).read_bytes()):
        leave_out("busybox image", f"{found} is linked dynamically; install busybox-static")
    return found


def _busybox_root(busybox: str) -> bytes:
    """A root file system of one program and its names."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777), ("home", 0o755)):
            _add(archive, name, mode)
        _add(archive, "home/coder", 0o755, owner=1000)
        _add(archive, "bin/busybox", 0o755, Path(busybox).read_bytes())
        _add(archive, "etc/passwd", 0o644, ACCOUNTS.encode())
        _add(archive, "etc/group", 0o644, GROUPS.encode())
        for name in _applets(busybox):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, mode: int, content: bytes | None = None, owner: int = 0) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.uid, entry.gid = mode, owner, owner
    if content is None:
        entry.type = tarfile.DIRTYPE
        archive.addfile(entry)
    else:
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))


def _stream(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while chunk := source.read(CHUNK):
            yield chunk


def make_busybox_image(url: str) -> str:
    """Tag of an image with nothing but a static busybox on the engine at ``url``; has a user ``coder``."""
    busybox = _static_busybox()
    root = _busybox_root(busybox)

    def make(engine: DockerApi, digest: str) -> None:
        changes = (f"LABEL {RECIPE_LABEL}={digest}", "ENV PATH=/bin", 'CMD ["/bin/sh"]')
        engine.import_image("stead-test/busybox:1", [root], changes)

    return _ensure(url, "stead-test/busybox:1", hashlib.sha256(root).hexdigest(), make)


@pytest.fixture(scope="session")
def busybox_image(docker_engine: str) -> str:
    """Tag of an image with nothing but a static busybox; runs as root, has a user ``coder``."""
    return make_busybox_image(docker_engine)


@pytest.fixture(scope="session")
def debian_image(docker_engine: str) -> str:
    """Tag of a Debian with git, curl, wget, python3, rsync and SSH clients; user ``coder``, uid 1000."""
    try:
        archive = debian_archive()
    except DebianUnavailable as error:
        leave_out("Debian image", str(error))
    base, tag = "stead-test/debian-base:1", "stead-test/debian:1"

    def import_base(engine: DockerApi, digest: str) -> None:
        engine.import_image(base, _stream(archive), [f"LABEL {RECIPE_LABEL}={digest}"])

    _ensure(docker_engine, base, archive.name, import_base)
    return _derive(docker_engine, tag, base, DEBIAN)


@pytest.fixture(scope="session")
def no_python_image(docker_engine: str, debian_image: str) -> str:
    """The Debian image without Python and Perl; has curl and wget."""
    return _without(docker_engine, "stead-test/no-python:1", debian_image, PYTHON)


@pytest.fixture(scope="session")
def no_curl_image(docker_engine: str, debian_image: str) -> str:
    """The Debian image without curl; has wget and Python."""
    return _without(docker_engine, "stead-test/no-curl:1", debian_image, "/usr/bin/curl")


@pytest.fixture(scope="session")
def only_wget_image(docker_engine: str, debian_image: str) -> str:
    """The Debian image without curl and Python: wget alone can fetch."""
    return _without(docker_engine, "stead-test/only-wget:1", debian_image, f"/usr/bin/curl {PYTHON}")


@pytest.fixture(scope="session")
def only_python_image(docker_engine: str, debian_image: str) -> str:
    """The Debian image without curl and wget: Python alone can fetch."""
    paths = "/usr/bin/curl /usr/bin/wget"
    return _without(docker_engine, "stead-test/only-python:1", debian_image, paths)
