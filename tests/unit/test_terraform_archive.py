"""Archives that people upload: good ones in every form, and those that must not come in."""

from __future__ import annotations

import io
import os
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from stead.terraform.archive import ArchiveInvalid, ArchiveTooLarge, Limits, pack, repack, unpack

FILES = {"main.tf": b"output {}", "scripts/run.sh": b"#!/bin/sh\n"}


def tar(entries: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def regular(name: str, content: bytes, mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    return info, content


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def plain() -> bytes:
    return tar([regular(name, content, 0o755 if name.endswith("sh") else 0o644) for name, content in FILES.items()])


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in FILES.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o100755 if name.endswith("sh") else 0o100644) << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def gzipped() -> bytes:
    return tar(
        [regular(name, content, 0o755 if name.endswith("sh") else 0o644) for name, content in FILES.items()],
        "w:gz",
    )


def compressed() -> bytes:
    return zstandard.ZstdCompressor().compress(plain())


@pytest.mark.parametrize("make", [plain, gzipped, compressed, zipped])
def test_every_form_unpacks_to_the_same_files(make: Callable[[], bytes], tmp_path: Path) -> None:
    unpack(make(), tmp_path / "a")
    (tmp_path / "file").write_bytes(make())
    unpack(tmp_path / "file", tmp_path / "b")
    for folder in (tmp_path / "a", tmp_path / "b"):
        assert {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == FILES
        assert os.access(folder / "scripts/run.sh", os.X_OK)
        assert not os.access(folder / "main.tf", os.X_OK)


def test_equal_files_make_equal_archives_whatever_they_came_in(tmp_path: Path) -> None:
    made = {repack(make(), tmp_path / make.__name__) for make in (plain, gzipped, compressed, zipped)}
    os.utime(tmp_path / "plain/main.tf", (1, 1))
    made.add(pack(tmp_path / "plain"))
    made.add(repack(tmp_path / "zipped", tmp_path / "again"))
    assert len(made) == 1


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "..\\evil", "C:/evil"])
def test_a_path_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ArchiveInvalid) as caught:
        unpack(tar([regular(name, b"x")]), tmp_path / "t")
    assert caught.value.entry == name
    assert "leads out" in caught.value.message
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(ArchiveInvalid):
        unpack(buffer.getvalue(), tmp_path / "z")
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        (special("link", tarfile.SYMTYPE, "/etc/passwd"), "link"),
        (special("hard", tarfile.LNKTYPE, "/etc/passwd"), "link"),
        (special("dev", tarfile.CHRTYPE), "device"),
        (special("pipe", tarfile.FIFOTYPE), "device"),
    ],
)
def test_links_and_devices_are_refused(entry: tuple[tarfile.TarInfo, bytes], word: str, tmp_path: Path) -> None:
    with pytest.raises(ArchiveInvalid) as caught:
        unpack(tar([entry]), tmp_path / "t")
    assert word in caught.value.message
    assert caught.value.entry == entry[0].name


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ArchiveInvalid) as caught:
        unpack(buffer.getvalue(), tmp_path / "t")
    assert caught.value.entry == "link"


def test_a_link_out_of_a_folder_is_refused_and_one_inside_is_followed(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "main.tf").write_text("x")
    (folder / "same.tf").symlink_to("main.tf")
    unpack(folder, tmp_path / "ok")
    assert not (tmp_path / "ok/same.tf").is_symlink()
    (folder / "out").symlink_to("/etc/hostname")
    with pytest.raises(ArchiveInvalid, match="leads out"):
        unpack(folder, tmp_path / "bad")


class Zeros(io.RawIOBase):
    """Ten gigabytes of nothing."""

    def __init__(self, size: int) -> None:
        self.left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        count = min(len(buffer), self.left)
        buffer[:count] = bytes(count)
        self.left -= count
        return count


def bomb(size: int) -> bytes:
    """A tar.zst of a few hundred kilobytes with one file of ``size`` zeros."""
    info = tarfile.TarInfo("zeros")
    info.size = size
    output = io.BytesIO()
    with zstandard.ZstdCompressor(level=1).stream_writer(output, closefd=False) as writer:
        writer.write(info.tobuf())
        source = io.BufferedReader(Zeros(size), 1 << 20)
        while block := source.read(1 << 20):
            writer.write(block)
        writer.write(bytes(1024))
    return output.getvalue()


def test_a_bomb_stops_early(tmp_path: Path) -> None:
    packed = bomb(2 * 1024**3)
    assert len(packed) < 1024**2
    began = time.monotonic()
    with pytest.raises(ArchiveTooLarge) as caught:
        unpack(packed, tmp_path / "t")
    assert time.monotonic() - began < 5
    assert caught.value.entry == "zeros"
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 100 * 1024**2


def test_a_bomb_of_zip_that_lies_about_its_size_stops(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(3 * 1024**2))
    with pytest.raises(ArchiveTooLarge):
        unpack(buffer.getvalue(), tmp_path / "t", Limits(bytes=1024**2))


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    packed = tar([regular(f"f{index}", b"") for index in range(20)])
    with pytest.raises(ArchiveTooLarge, match="more than 10 files"):
        unpack(packed, tmp_path / "t", Limits(entries=10))


@pytest.mark.parametrize("data", [b"", b"hello", b"\x1f\x8bnonsense", b"\x28\xb5\x2f\xfdnonsense", b"PK\x03\x04x"])
def test_what_is_no_archive_is_told(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(ArchiveInvalid, match="cannot be read"):
        unpack(data, tmp_path / "t")


def test_a_cut_archive_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArchiveInvalid):
        unpack(compressed()[:-20], tmp_path / "t")


def test_a_file_that_is_also_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveInvalid, match="both as file and as folder"):
        unpack(tar([regular("a", b"x"), regular("a/b", b"y")]), tmp_path / "t")
    with pytest.raises(ArchiveInvalid, match="both as file and as folder"):
        unpack(tar([regular("a/b", b"y"), regular("a", b"x")]), tmp_path / "u")


def test_what_no_template_needs_is_left_out(tmp_path: Path) -> None:
    unpack(
        tar([regular("main.tf", b""), regular(".git/config", b"x"), regular(".terraform/x", b"x")]),
        tmp_path / "t",
    )
    assert [path.name for path in (tmp_path / "t").rglob("*")] == ["main.tf"]
