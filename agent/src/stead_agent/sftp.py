"""An SFTP server (protocol version 3, draft-ietf-secsh-filexfer-02) on standard input and output.

It runs as a process of its own, like any command of a session: a slow disk stalls nobody else, and packets are made
on another core than the one that encrypts them.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

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


@dataclass
class OpenFile:
    fd: int
    append: bool = False


@dataclass
class OpenFolder:
    path: bytes
    names: list[bytes] = field(default_factory=list)


class SftpServer:
    """Answers requests one after the other; :meth:`answer` takes a request's body and returns the reply's."""

    def __init__(self) -> None:
        self._handles: dict[bytes, OpenFile | OpenFolder] = {}
        self._next = 0
        self._requests: dict[int, Callable[[Reader], bytes | tuple[bytes, bytes]]] = {
            OPEN: self._open, CLOSE: self._close, READ: self._read, WRITE: self._write, LSTAT: self._lstat,
            FSTAT: self._fstat, SETSTAT: self._setstat, FSETSTAT: self._fsetstat, OPENDIR: self._opendir,
            READDIR: self._readdir, REMOVE: self._remove, MKDIR: self._mkdir, RMDIR: self._rmdir,
            REALPATH: self._realpath, STAT: self._stat, RENAME: self._rename, READLINK: self._readlink,
            SYMLINK: self._symlink, EXTENDED: self._extended,
        }  # fmt: skip
        self._extensions: dict[bytes, Callable[[Reader], bytes]] = {
            b"posix-rename@openssh.com": self._posix_rename, b"statvfs@openssh.com": self._statvfs,
            b"fstatvfs@openssh.com": self._fstatvfs, b"hardlink@openssh.com": self._hardlink,
            b"fsync@openssh.com": self._fsync, b"lsetstat@openssh.com": self._lsetstat,
            b"limits@openssh.com": self._limits, b"expand-path@openssh.com": self._expand_path,
            b"copy-data": self._copy_data,
        }  # fmt: skip

    def answer(self, packet: memoryview) -> tuple[bytes, bytes]:
        """The reply to one request, in two parts so that file data is not copied together.

        :raises ValueError: not even the request's number can be read.
        """
        kind = packet[0]
        if kind == INIT:
            pairs = b"".join(string(name) + string(version) for name, version in EXTENSIONS)
            return struct.pack(">BI", VERSION, 3) + pairs, b""
        reader = Reader(packet)
        reader.at = 1
        try:
            number = struct.pack(">I", reader.number())
        except struct.error as error:
            raise ValueError("a request without a number") from error
        try:
            reply = self._perform(kind, reader)
        except StatusError as error:
            return _status(number, error.code, error.text), b""
        except (OSError, ValueError, struct.error, OverflowError) as error:
            code, text = _explain(error)
            return _status(number, code, text), b""
        if isinstance(reply, tuple):
            head, tail = reply
            return head[:1] + number + head[1:], tail
        if not reply:
            return _status(number, OK, TEXTS[OK]), b""
        return reply[:1] + number + reply[1:], b""

    def close(self) -> None:
        for handle in self._handles.values():
            if isinstance(handle, OpenFile):
                os.close(handle.fd)
        self._handles.clear()

    def _perform(self, kind: int, reader: Reader) -> bytes | tuple[bytes, bytes]:
        request = self._requests.get(kind)
        if request is None:
            raise StatusError(UNSUPPORTED)
        return request(reader)

    # Files

    def _open(self, reader: Reader) -> bytes:
        path, flags, wanted = reader.text(), reader.number(), read_attributes(reader)
        mode = os.O_CLOEXEC
        mode |= {1: os.O_RDONLY, 2: os.O_WRONLY, 3: os.O_RDWR}.get(flags & 3, os.O_RDONLY)
        for bit, flag in ((4, os.O_APPEND), (8, os.O_CREAT), (16, os.O_TRUNC), (32, os.O_EXCL)):
            if flags & bit:
                mode |= flag
        fd = os.open(path, mode, 0o666 if wanted.mode is None else wanted.mode & 0o7777)
        return self._remember(OpenFile(fd, append=bool(flags & 4)))

    def _close(self, reader: Reader) -> bytes:
        handle = self._handles.pop(reader.text(), None)
        if handle is None:
            raise StatusError(FAILURE, "Unknown handle")
        if isinstance(handle, OpenFile):
            os.close(handle.fd)
        return b""

    def _read(self, reader: Reader) -> tuple[bytes, bytes]:
        file, offset, size = self._file(reader), reader.long(), reader.number()
        data = os.pread(file.fd, min(size, MAX_DATA), offset)
        if not data and size:
            raise StatusError(EOF)
        return struct.pack(">BI", DATA, len(data)), data

    def _write(self, reader: Reader) -> bytes:
        file, offset, data = self._file(reader), reader.long(), reader.view()
        while data:
            written = os.write(file.fd, data) if file.append else os.pwrite(file.fd, data, offset)
            offset += written
            data = data[written:]
        return b""

    def _fstat(self, reader: Reader) -> bytes:
        return bytes([ATTRS]) + attributes(os.fstat(self._file(reader).fd))

    def _fsetstat(self, reader: Reader) -> bytes:
        file = self._file(reader)
        return _set(file.fd, read_attributes(reader))

    def _fsync(self, reader: Reader) -> bytes:
        os.fsync(self._file(reader).fd)
        return b""

    def _copy_data(self, reader: Reader) -> bytes:
        source, at, size = self._file(reader), reader.long(), reader.long()
        target, to = self._file(reader), reader.long()
        if source is target:
            raise StatusError(FAILURE, "Source and target must differ")
        left = size or None
        while left is None or left > 0:
            data = os.pread(source.fd, min(left or MAX_DATA, MAX_DATA), at)
            if not data:
                break
            os.pwrite(target.fd, data, to)
            at, to = at + len(data), to + len(data)
            left = None if left is None else left - len(data)
        return b""

    # Folders

    def _opendir(self, reader: Reader) -> bytes:
        path = reader.text() or b"."
        return self._remember(OpenFolder(path, [b".", b"..", *os.listdir(path)]))

    def _readdir(self, reader: Reader) -> bytes:
        folder = self._handles.get(reader.text())
        if not isinstance(folder, OpenFolder):
            raise StatusError(FAILURE, "Unknown handle")
        if not folder.names:
            raise StatusError(EOF)
        names, folder.names = folder.names[:ENTRIES_PER_REPLY], folder.names[ENTRIES_PER_REPLY:]
        entries = []
        for name in names:
            try:
                status = os.lstat(os.path.join(folder.path, name))  # noqa: PTH118 - bytes, which pathlib has not
            except OSError:
                continue
            entries.append(string(name) + string(long_name(name, status)) + attributes(status))
        return struct.pack(">BI", NAME, len(entries)) + b"".join(entries)

    def _mkdir(self, reader: Reader) -> bytes:
        path, wanted = reader.text(), read_attributes(reader)
        os.mkdir(path, 0o777 if wanted.mode is None else wanted.mode & 0o7777)  # noqa: PTH102 - bytes
        return b""

    def _rmdir(self, reader: Reader) -> bytes:
        os.rmdir(reader.text())  # noqa: PTH106 - bytes
        return b""

    # Paths

    def _stat(self, reader: Reader) -> bytes:
        return bytes([ATTRS]) + attributes(os.stat(reader.text() or b"."))  # noqa: PTH116 - bytes

    def _lstat(self, reader: Reader) -> bytes:
        return bytes([ATTRS]) + attributes(os.lstat(reader.text() or b"."))

    def _setstat(self, reader: Reader) -> bytes:
        path = reader.text()
        return _set(path, read_attributes(reader))

    def _lsetstat(self, reader: Reader) -> bytes:
        path = reader.text()
        return _set(path, read_attributes(reader), follow=False)

    def _remove(self, reader: Reader) -> bytes:
        os.unlink(reader.text())  # noqa: PTH108 - bytes
        return b""

    def _realpath(self, reader: Reader) -> bytes:
        return _one_name(os.path.realpath(reader.text() or b"."))

    def _expand_path(self, reader: Reader) -> bytes:
        path = reader.text()
        if path == b"~" or path.startswith(b"~/"):
            path = os.environb.get(b"HOME", b"/") + path[1:]
        return _one_name(os.path.realpath(path))

    def _rename(self, reader: Reader) -> bytes:
        source, target = reader.text(), reader.text()
        if os.path.lexists(target):
            raise StatusError(FAILURE, "The target exists already")
        os.rename(source, target)  # noqa: PTH104 - bytes
        return b""

    def _posix_rename(self, reader: Reader) -> bytes:
        source, target = reader.text(), reader.text()
        os.rename(source, target)  # noqa: PTH104 - bytes
        return b""

    def _readlink(self, reader: Reader) -> bytes:
        return _one_name(os.readlink(reader.text()))  # noqa: PTH115 - bytes

    def _symlink(self, reader: Reader) -> bytes:
        target, link = reader.text(), reader.text()  # the order that OpenSSH uses, not the draft's
        os.symlink(target, link)
        return b""

    def _hardlink(self, reader: Reader) -> bytes:
        source, link = reader.text(), reader.text()
        os.link(source, link)
        return b""

    # Extensions

    def _extended(self, reader: Reader) -> bytes:
        extension = self._extensions.get(reader.text())
        if extension is None:
            raise StatusError(UNSUPPORTED)
        return extension(reader)

    def _statvfs(self, reader: Reader) -> bytes:
        return _filesystem(os.statvfs(reader.text() or b"."))

    def _fstatvfs(self, reader: Reader) -> bytes:
        return _filesystem(os.fstatvfs(self._file(reader).fd))

    def _limits(self, reader: Reader) -> bytes:
        del reader
        return struct.pack(">BQQQQ", EXTENDED_REPLY, MAX_PACKET, MAX_DATA, MAX_DATA, MAX_HANDLES)

    def _remember(self, handle: OpenFile | OpenFolder) -> bytes:
        if len(self._handles) >= MAX_HANDLES:
            if isinstance(handle, OpenFile):
                os.close(handle.fd)
            raise StatusError(FAILURE, "Too many open files")
        name = struct.pack(">I", self._next)
        self._next += 1
        self._handles[name] = handle
        return bytes([HANDLE]) + string(name)

    def _file(self, reader: Reader) -> OpenFile:
        handle = self._handles.get(reader.text())
        if not isinstance(handle, OpenFile):
            raise StatusError(FAILURE, "Unknown handle")
        return handle


def _set(target: bytes | int, wanted: Attributes, *, follow: bool = True) -> bytes:
    options = {} if follow or isinstance(target, int) else {"follow_symlinks": False}
    if wanted.size is not None:
        os.truncate(target, wanted.size)
    if wanted.mode is not None and follow:
        os.chmod(target, wanted.mode & 0o7777)  # noqa: PTH101 - bytes
    if wanted.times is not None:
        os.utime(target, wanted.times, **options)
    if wanted.owner is not None:
        os.chown(target, *wanted.owner, **options)
    return b""


def _one_name(path: bytes) -> bytes:
    return struct.pack(">BI", NAME, 1) + string(path) + string(path) + struct.pack(">I", 0)


def _filesystem(values: os.statvfs_result) -> bytes:
    flags = (1 if values.f_flag & os.ST_RDONLY else 0) | (2 if values.f_flag & os.ST_NOSUID else 0)
    return struct.pack(
        ">BQQQQQQQQQQQ", EXTENDED_REPLY, values.f_bsize, values.f_frsize, values.f_blocks, values.f_bfree,
        values.f_bavail, values.f_files, values.f_ffree, values.f_favail, values.f_fsid, flags, values.f_namemax,
    )  # fmt: skip


def _status(number: bytes, code: int, text: bytes) -> bytes:
    return bytes([STATUS]) + number + struct.pack(">I", code) + string(text) + string(b"en")


def _explain(error: Exception) -> tuple[int, bytes]:
    if not isinstance(error, OSError):
        return BAD_MESSAGE, TEXTS[BAD_MESSAGE]
    codes = {
        errno.ENOENT: NO_SUCH_FILE, errno.ENOTDIR: NO_SUCH_FILE, errno.EBADF: NO_SUCH_FILE, errno.ELOOP: NO_SUCH_FILE,
        errno.EPERM: PERMISSION_DENIED, errno.EACCES: PERMISSION_DENIED, errno.EFAULT: PERMISSION_DENIED,
        errno.ENAMETOOLONG: BAD_MESSAGE, errno.EINVAL: BAD_MESSAGE, errno.ENOSYS: UNSUPPORTED,
    }  # fmt: skip
    return codes.get(error.errno or 0, FAILURE), (error.strerror or "Failure").encode("utf-8", "replace")


def serve(source: int, sink: int) -> None:
    """Serve requests from descriptor ``source`` until it ends."""
    server = SftpServer()
    buffer = bytearray()
    try:
        while data := os.read(source, MAX_DATA * 4):
            buffer += data
            replies, used = _answer_all(server, buffer)
            if used:
                del buffer[:used]
            _write_all(sink, replies)
    finally:
        server.close()


def _answer_all(server: SftpServer, buffer: bytearray) -> tuple[list[bytes], int]:
    replies: list[bytes] = []
    at = 0
    with memoryview(buffer) as whole:
        while len(buffer) - at >= 4:
            (size,) = struct.unpack_from(">I", buffer, at)
            if not 0 < size <= MAX_PACKET:
                raise SystemExit(11)
            if len(buffer) - at - 4 < size:
                break
            with whole[at + 4 : at + 4 + size] as packet:
                head, tail = server.answer(packet)
            replies.append(struct.pack(">I", len(head) + len(tail)) + head)
            if tail:
                replies.append(tail)
            at += 4 + size
    return replies, at


def _write_all(sink: int, parts: list[bytes]) -> None:
    data = memoryview(b"".join(parts))
    while data:
        data = data[os.write(sink, data) :]


def main(arguments: Sequence[str] = ()) -> int:
    """Serve standard input and output until the client leaves."""
    del arguments
    try:
        serve(0, 1)
    except BrokenPipeError:
        return 0
    except ValueError as error:
        print(f"sftp: {error}", file=sys.stderr)
        return 11
    return 0
