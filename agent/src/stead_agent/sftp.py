"""An SFTP server (protocol version 3, draft-ietf-secsh-filexfer-02) on standard input and output.

It runs as a process of its own, like any command of a session: a slow disk stalls nobody else, and packets are made
on another core than the one that encrypts them.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stead_agent.sftp_protocol import (
    ATTRS,
    CLOSE,
    DATA,
    ENTRIES_PER_REPLY,
    EOF,
    EXTENDED,
    EXTENDED_REPLY,
    EXTENSIONS,
    FAILURE,
    FSETSTAT,
    FSTAT,
    HANDLE,
    INIT,
    LSTAT,
    MAX_DATA,
    MAX_HANDLES,
    MAX_PACKET,
    MKDIR,
    NAME,
    OK,
    OPEN,
    OPENDIR,
    READ,
    READDIR,
    READLINK,
    REALPATH,
    REMOVE,
    RENAME,
    RMDIR,
    SETSTAT,
    STAT,
    SYMLINK,
    TEXTS,
    UNSUPPORTED,
    VERSION,
    WRITE,
    Attributes,
    Reader,
    StatusError,
    attributes,
    explain,
    filesystem,
    long_name,
    one_name,
    read_attributes,
    status_reply,
    string,
)


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
            return status_reply(number, error.code, error.text), b""
        except (OSError, ValueError, struct.error, OverflowError) as error:
            code, text = explain(error)
            return status_reply(number, code, text), b""
        if isinstance(reply, tuple):
            head, tail = reply
            return head[:1] + number + head[1:], tail
        if not reply:
            return status_reply(number, OK, TEXTS[OK]), b""
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
        return self._remember(OpenFolder(path, [b".", b"..", *_names(path)]))

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
        return one_name(os.path.realpath(reader.text() or b"."))

    def _expand_path(self, reader: Reader) -> bytes:
        path = reader.text()
        if path == b"~" or path.startswith(b"~/"):
            path = os.environb.get(b"HOME", b"/") + path[1:]
        return one_name(os.path.realpath(path))

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
        return one_name(os.readlink(reader.text()))  # noqa: PTH115 - bytes

    def _symlink(self, reader: Reader) -> bytes:
        target, link = reader.text(), reader.text()  # the order that OpenSSH uses, not the draft's
        os.symlink(target, link)  # noqa: PTH211 - bytes
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
        return filesystem(os.statvfs(reader.text() or b"."))

    def _fstatvfs(self, reader: Reader) -> bytes:
        return filesystem(os.fstatvfs(self._file(reader).fd))

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


def _names(folder: bytes) -> list[bytes]:
    return os.listdir(folder)  # noqa: PTH208 - bytes


def _set(target: bytes | int, wanted: Attributes, *, follow: bool = True) -> bytes:
    follow = follow or isinstance(target, int)
    if wanted.size is not None:
        os.truncate(target, wanted.size)
    if wanted.mode is not None and follow:
        os.chmod(target, wanted.mode & 0o7777)  # noqa: PTH101 - bytes
    if wanted.times is not None:
        os.utime(target, wanted.times, follow_symlinks=follow)
    if wanted.owner is not None:
        os.chown(target, *wanted.owner, follow_symlinks=follow)
    return b""


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
