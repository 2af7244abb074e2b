"""What goes over the wire of SFTP version 3 (draft-ietf-secsh-filexfer-02): numbers, fields, attributes."""

from __future__ import annotations

import errno
import os
import stat
import struct
import time
from dataclasses import dataclass

INIT, OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT, SETSTAT, FSETSTAT, OPENDIR, READDIR = (
    1,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
)
REMOVE, MKDIR, RMDIR, REALPATH, STAT, RENAME, READLINK, SYMLINK, EXTENDED = (
    13,
    14,
    15,
    16,
    17,
    18,
    19,
    20,
    200,
)
VERSION, STATUS, HANDLE, DATA, NAME, ATTRS, EXTENDED_REPLY = 2, 101, 102, 103, 104, 105, 201
OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, BAD_MESSAGE, UNSUPPORTED = 0, 1, 2, 3, 4, 5, 8
HAS_SIZE, HAS_OWNER, HAS_MODE, HAS_TIMES = 1, 2, 4, 8
MAX_PACKET = 256 * 1024 + 1024
MAX_DATA = 256 * 1024
ENTRIES_PER_REPLY = 100
MAX_HANDLES = 1000
TEXTS = {
    OK: b"Success", EOF: b"End of file", NO_SUCH_FILE: b"No such file", PERMISSION_DENIED: b"Permission denied",
    FAILURE: b"Failure", BAD_MESSAGE: b"Bad message", UNSUPPORTED: b"Operation unsupported",
}  # fmt: skip
EXTENSIONS = (
    (b"posix-rename@openssh.com", b"1"),
    (b"statvfs@openssh.com", b"2"),
    (b"fstatvfs@openssh.com", b"2"),
    (b"hardlink@openssh.com", b"1"),
    (b"fsync@openssh.com", b"1"),
    (b"lsetstat@openssh.com", b"1"),
    (b"limits@openssh.com", b"1"),
    (b"expand-path@openssh.com", b"1"),
    (b"copy-data", b"1"),
)


class StatusError(Exception):
    """Becomes a status reply."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text.encode("utf-8", "surrogateescape") or TEXTS.get(code, b"Failure")


class Reader:
    """Takes fields from a request."""

    __slots__ = ("at", "data")

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.at = 0

    def number(self) -> int:
        (value,) = struct.unpack_from(">I", self.data, self.at)
        self.at += 4
        return int(value)

    def long(self) -> int:
        (value,) = struct.unpack_from(">Q", self.data, self.at)
        self.at += 8
        return int(value)

    def view(self) -> memoryview:
        size = self.number()
        end = self.at + size
        if end > len(self.data):
            raise StatusError(BAD_MESSAGE)
        value = self.data[self.at : end]
        self.at = end
        return value

    def text(self) -> bytes:
        return bytes(self.view())


@dataclass
class Attributes:
    """What a client wants set; ``None`` is left alone."""

    size: int | None = None
    owner: tuple[int, int] | None = None
    mode: int | None = None
    times: tuple[int, int] | None = None


def read_attributes(reader: Reader) -> Attributes:
    flags = reader.number()
    wanted = Attributes()
    if flags & HAS_SIZE:
        wanted.size = reader.long()
    if flags & HAS_OWNER:
        wanted.owner = (reader.number(), reader.number())
    if flags & HAS_MODE:
        wanted.mode = reader.number()
    if flags & HAS_TIMES:
        wanted.times = (reader.number(), reader.number())
    return wanted


def string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def attributes(status: os.stat_result) -> bytes:
    return struct.pack(
        ">IQIIIII",
        HAS_SIZE | HAS_OWNER | HAS_MODE | HAS_TIMES,
        status.st_size,
        status.st_uid & 0xFFFFFFFF,
        status.st_gid & 0xFFFFFFFF,
        status.st_mode,
        int(status.st_atime) & 0xFFFFFFFF,
        int(status.st_mtime) & 0xFFFFFFFF,
    )


def long_name(name: bytes, status: os.stat_result) -> bytes:
    """A line as of ``ls -l``, which old clients show as it is."""
    when = time.strftime("%b %d %H:%M", time.localtime(status.st_mtime))
    head = f"{stat.filemode(status.st_mode)} {status.st_nlink:>3} {status.st_uid:<8} {status.st_gid:<8}"
    return f"{head} {status.st_size:>8} {when} ".encode() + name


def one_name(path: bytes) -> bytes:
    return struct.pack(">BI", NAME, 1) + string(path) + string(path) + struct.pack(">I", 0)


def filesystem(values: os.statvfs_result) -> bytes:
    flags = (1 if values.f_flag & os.ST_RDONLY else 0) | (2 if values.f_flag & os.ST_NOSUID else 0)
    return struct.pack(
        ">BQQQQQQQQQQQ", EXTENDED_REPLY, values.f_bsize, values.f_frsize, values.f_blocks, values.f_bfree,
        values.f_bavail, values.f_files, values.f_ffree, values.f_favail, values.f_fsid, flags, values.f_namemax,
    )  # fmt: skip


def status_reply(number: bytes, code: int, text: bytes) -> bytes:
    return bytes([STATUS]) + number + struct.pack(">I", code) + string(text) + string(b"en")


def explain(error: Exception) -> tuple[int, bytes]:
    if not isinstance(error, OSError):
        return BAD_MESSAGE, TEXTS[BAD_MESSAGE]
    codes = {
        errno.ENOENT: NO_SUCH_FILE, errno.ENOTDIR: NO_SUCH_FILE, errno.EBADF: NO_SUCH_FILE, errno.ELOOP: NO_SUCH_FILE,
        errno.EPERM: PERMISSION_DENIED, errno.EACCES: PERMISSION_DENIED, errno.EFAULT: PERMISSION_DENIED,
        errno.ENAMETOOLONG: BAD_MESSAGE, errno.EINVAL: BAD_MESSAGE, errno.ENOSYS: UNSUPPORTED,
    }  # fmt: skip
    return codes.get(error.errno or 0, FAILURE), (error.strerror or "Failure").encode("utf-8", "replace")
