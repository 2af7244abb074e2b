"""Where in the workspace a stream leads, as the header line that the agent reads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from stead.api.errors import InvalidInput

_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,255}\Z")
_MAX_PATH = 1024


@dataclass(frozen=True)
class Target:
    """One header line, without its end."""

    line: str

    @classmethod
    def ssh(cls, name: str = "") -> Target:
        """
        :param name: by which the agent is asked to move this stream, where that may happen.
        """
        return cls(f"ssh {name}" if name else "ssh")

    @classmethod
    def tcp(cls, host: str, port: int) -> Target:
        if not _HOST.match(host):
            raise InvalidInput(f"{host[:80]!r} is not a host name or address.", field="to")
        if not 1 <= port <= 65535:
            raise InvalidInput(f"Port {port} does not exist: ports are 1 to 65535.", field="to")
        return cls(f"tcp {host} {port}")

    @classmethod
    def unix(cls, path: str) -> Target:
        if not path.startswith("/") or len(path) > _MAX_PATH or "\0" in path:
            raise InvalidInput("A unix socket is named by an absolute path.", field="to")
        return cls(f"unix {quote(path)}")

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read ``ssh``, ``tcp:HOST:PORT`` or ``unix:PATH``, as people's requests name it.

        :raises InvalidInput: it is none of them.
        """
        kind, _, rest = text.partition(":")
        if text == "ssh":
            return cls.ssh()
        if kind == "unix":
            return cls.unix(rest)
        host, _, port = rest.rpartition(":")
        if kind == "tcp" and port.isascii() and port.isdigit() and len(port) <= 5:
            return cls.tcp(host.strip("[]"), int(port))
        raise InvalidInput("A stream leads to `ssh`, `tcp:HOST:PORT` or `unix:PATH`.", field="to")

    def encode(self) -> bytes:
        return f"{self.line}\n".encode()
