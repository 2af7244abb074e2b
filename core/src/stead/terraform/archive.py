"""Unpacks templates safely, and packs them so that equal files make equal archives.

An archive comes from a person: it may name paths outside, link out, hold devices, or be a bomb. Nothing of
what it says about sizes is believed; bytes are counted as they come out.
"""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

import zstandard

from stead.api.errors import InvalidInput, TooLarge
from stead.terraform.errors import means_full_disk

_CHUNK = 256 * 1024
_MAGIC_GZIP, _MAGIC_ZSTD, _MAGIC_ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK"
_ZSTD_WINDOW = 64 * 1024 * 1024
_SKIPPED = {".git", ".terraform", "__MACOSX", ".DS_Store"}


@dataclass(frozen=True)
class Limits:
    """Bounds of an unpacked template."""

    bytes: int = 100 * 1024 * 1024
    entries: int = 10_000
    path: int = 1024


class ArchiveInvalid(InvalidInput):
    """The archive has an entry that cannot be accepted; ``entry`` is its name."""

    reason = "archive_invalid"

    def __init__(self, message: str, entry: str = "") -> None:
        super().__init__(message, field="archive", remedy="Pack the template's folder again and upload it.")
        self.entry = entry


class ArchiveTooLarge(TooLarge):
    """The template is beyond a bound."""

    reason = "archive_too_large"

    def __init__(self, message: str, entry: str = "") -> None:
        super().__init__(
            message,
            field="archive",
            remedy="Leave out what the template does not need, such as .git folders.",
        )
        self.entry = entry


def unpack(source: Path | bytes, target: Path, limits: Limits = Limits()) -> None:
    """Unpack a tar (plain, gzip, zstd), a zip or a folder into ``target``, which must not exist.

    Executable bits are kept, everything else about ownership and modes is not.
    """
    target.mkdir(parents=True)
    writer = _Writer(target, limits)
    if isinstance(source, Path) and source.is_dir():
        _copy_folder(source, writer)
        return
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as stream:
        magic = stream.read(4)
        stream.seek(0)
        try:
            if magic.startswith(_MAGIC_ZIP):
                _unpack_zip(cast("IO[bytes]", stream), writer)
            else:
                _unpack_tar(cast("IO[bytes]", stream), magic, writer)
        except OSError as error:
            if means_full_disk(error):  # which is nothing that the archive could do about
                raise
            raise _unreadable(error) from error
        except (tarfile.TarError, zipfile.BadZipFile, zstandard.ZstdError, EOFError) as error:
            raise _unreadable(error) from error


def _unreadable(error: Exception) -> ArchiveInvalid:
    return ArchiveInvalid(f"The archive cannot be read: {error}.")


def pack(folder: Path, limits: Limits = Limits()) -> bytes:
    """The folder as tar.zst. Equal files give equal bytes: order, times, owners and modes are fixed."""
    plain = io.BytesIO()
    total = 0
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, path in _files(folder, limits):
            info = tarfile.TarInfo(name)
            info.size = path.stat().st_size
            info.mode = 0o755 if os.access(path, os.X_OK) else 0o644
            total += info.size
            if total > limits.bytes:
                raise ArchiveTooLarge(_too_large(limits), name)
            with path.open("rb") as stream:
                tar.addfile(info, stream)
    return zstandard.ZstdCompressor(level=10).compress(plain.getvalue())


def repack(source: Path | bytes, workspace: Path, limits: Limits = Limits()) -> bytes:
    """Unpack into ``workspace``, which must not exist, and pack in the one form that Stead keeps."""
    unpack(source, workspace, limits)
    return pack(workspace, limits)


def _too_large(limits: Limits) -> str:
    return f"The template is larger than {limits.bytes // (1024 * 1024)} MB when unpacked."


class _Writer:
    """Writes entries below a folder and keeps count."""

    def __init__(self, target: Path, limits: Limits) -> None:
        self._target = target
        self._limits = limits
        self._bytes = 0
        self._entries = 0

    def place(self, name: str) -> Path | None:
        """Where an entry goes; ``None`` where it is left out."""
        self._entries += 1
        if self._entries > self._limits.entries:
            raise ArchiveTooLarge(f"The template has more than {self._limits.entries} files.", name)
        parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part != "."]
        if name.startswith(("/", "\\")) or ".." in parts or "\x00" in name or (parts and ":" in parts[0]):
            raise ArchiveInvalid(f"The archive's entry {name!r} leads out of the template.", name)
        if len(name) > self._limits.path:
            raise ArchiveInvalid("The archive has an entry with a path that is too long.", name[:100])
        if not parts or _SKIPPED & set(parts):
            return None
        return self._target.joinpath(*parts)

    def folder(self, name: str) -> None:
        path = self.place(name)
        if path is not None:
            self._make(path, name)

    def _make(self, path: Path, name: str) -> None:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ArchiveInvalid(f"The archive has {name!r} both as file and as folder.", name) from None

    def file(self, name: str, stream: IO[bytes], *, executable: bool) -> None:
        """Write one file, as long as the bound of all files allows."""
        path = self.place(name)
        if path is None:
            self._count(stream, name, None)
            return
        self._make(path.parent, name)
        if path.is_dir():
            raise ArchiveInvalid(f"The archive has {name!r} both as file and as folder.", name)
        with path.open("wb") as output:
            self._count(stream, name, output)
        path.chmod(0o755 if executable else 0o644)

    def _count(self, stream: IO[bytes], name: str, output: IO[bytes] | None) -> None:
        while data := stream.read(_CHUNK):
            self._bytes += len(data)
            if self._bytes > self._limits.bytes:
                raise ArchiveTooLarge(_too_large(self._limits), name)
            if output is not None:
                output.write(data)


class _Bounded(io.RawIOBase):
    """A decompressed stream that ends with an error where more comes out than any template may have.

    Headers and what lies between entries count as well, so that a bomb cannot hide there.
    """

    def __init__(self, stream: IO[bytes], limits: Limits) -> None:
        self._stream = stream
        self._left = limits.bytes + limits.entries * 2048 + 1024 * 1024
        self._limits = limits

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer))
        data = self._stream.read(len(view))
        self._left -= len(data)
        if self._left < 0:
            raise ArchiveTooLarge(_too_large(self._limits))
        view[: len(data)] = data
        return len(data)


def _unpack_tar(stream: IO[bytes], magic: bytes, writer: _Writer) -> None:
    with tarfile.open(fileobj=_decompressed(stream, magic, writer), mode="r|") as tar:
        for entry in tar:
            if entry.isdir():
                writer.folder(entry.name)
            elif entry.isreg():
                content = tar.extractfile(entry)
                if content is not None:
                    writer.file(entry.name, content, executable=bool(entry.mode & stat.S_IXUSR))
            else:
                writer.place(entry.name)
                raise ArchiveInvalid(_unsupported(entry), entry.name)


def _unsupported(entry: tarfile.TarInfo) -> str:
    kind = "a link" if entry.issym() or entry.islnk() else "a device" if entry.isdev() else "no regular file"
    return f"The archive's entry {entry.name!r} is {kind}; a template has only files and folders."


def _decompressed(stream: IO[bytes], magic: bytes, writer: _Writer) -> IO[bytes]:
    opened: object = stream
    if magic.startswith(_MAGIC_GZIP):
        opened = gzip.GzipFile(fileobj=stream, mode="rb")
    elif magic.startswith(_MAGIC_ZSTD):
        reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        opened = reader.stream_reader(stream, read_across_frames=True)
    return cast("IO[bytes]", io.BufferedReader(_Bounded(cast("IO[bytes]", opened), writer._limits), _CHUNK))


def _unpack_zip(stream: IO[bytes], writer: _Writer) -> None:
    with zipfile.ZipFile(stream) as archive:
        for entry in archive.infolist():
            mode = entry.external_attr >> 16
            if entry.is_dir():
                writer.folder(entry.filename)
                continue
            if mode and stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
                raise ArchiveInvalid(
                    f"The archive's entry {entry.filename!r} is no regular file; a template has only files "
                    "and folders.",
                    entry.filename,
                )
            if entry.flag_bits & 1:
                raise ArchiveInvalid(f"The archive's entry {entry.filename!r} is encrypted.", entry.filename)
            with archive.open(entry) as content:
                writer.file(entry.filename, content, executable=bool(mode & stat.S_IXUSR))


def _copy_folder(source: Path, writer: _Writer) -> None:
    for name, path in _files(source, writer._limits):
        with path.open("rb") as stream:
            writer.file(name, stream, executable=os.access(path, os.X_OK))


def _files(folder: Path, limits: Limits) -> Iterator[tuple[str, Path]]:
    """Regular files below a folder by name. A link is followed only where it stays inside."""
    root = folder.resolve()
    count = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        for name in sorted(names):
            path = Path(parent) / name
            shown = path.relative_to(folder).as_posix()
            if name in _SKIPPED:
                continue
            count += 1
            if count > limits.entries:
                raise ArchiveTooLarge(f"The template has more than {limits.entries} files.", shown)
            if not path.resolve().is_relative_to(root):
                raise ArchiveInvalid(f"{shown!r} is a link that leads out of the template.", shown)
            if not path.is_file():
                raise ArchiveInvalid(f"{shown!r} is no regular file.", shown)
            yield shown, path
