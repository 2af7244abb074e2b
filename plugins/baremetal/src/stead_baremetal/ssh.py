"""One SSH connection to a machine whose host key is known."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paramiko
from fabric import Config, Connection
from paramiko.hostkeys import InvalidHostKey

from stead.api.errors import InvalidInput, ProviderFailure
from stead.api.provider import Context
from stead_baremetal.failures import SDK_ERRORS, AnswerLost, timed_out, translate
from stead_baremetal.inventory import Machine
from stead_baremetal.settings import BaremetalSettings

LOOK = 0.5  # seconds between two looks at whether the build was canceled
KEEPALIVE = 15  # seconds
PIECE = 65536
MOST = 4 << 20  # bytes of an answer
KNOWN_HOSTS = (Path("~/.ssh/known_hosts"), Path("/etc/ssh/ssh_known_hosts"))
KEY_PARTS = 2


@dataclass(frozen=True)
class Ran:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


class Link:
    """A connection, open while it is used as a context manager.

    :raises ProviderFailure: the machine does not answer, is not the known one, or refuses the key.
    """

    def __init__(self, machine: Machine, settings: BaremetalSettings) -> None:
        self.machine = machine
        self._settings = settings
        self.who = f"{machine.name} ({machine.address})"
        self._connection = self._made(machine.address, machine.port, machine.user or settings.user, self._jump())

    @property
    def user(self) -> str:
        return str(self._connection.user)

    def __enter__(self) -> Self:
        try:
            self._connection.open()
            self._connection.transport.set_keepalive(KEEPALIVE)
        except SDK_ERRORS as error:
            self.close()
            raise translate(error, self.who) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        # A client whose connecting failed has a transport that fabric does not count as connected.
        self._connection.client.close()
        if isinstance(self._connection.gateway, Connection):
            self._connection.gateway.client.close()

    def run(self, context: Context, command: str, data: bytes, within: float) -> Ran:
        """Run a command with ``data`` as its standard input.

        :raises AnswerLost: the connection ended first.
        """
        try:
            channel = self._connection.create_session()
        except SDK_ERRORS as error:
            raise translate(error, self.who) from error
        try:
            channel.settimeout(LOOK)
            channel.exec_command(command)
            return self._finished(context, channel, data, within)
        except TimeoutError as error:
            raise AnswerLost(f"{self.who} takes no command.") from error
        except SDK_ERRORS as error:
            raise AnswerLost(f"The connection to {self.who} ended before the answer.") from error
        finally:
            channel.close()

    def _finished(self, context: Context, channel: paramiko.Channel, data: bytes, within: float) -> Ran:
        until = time.monotonic() + within
        channel.settimeout(within)
        channel.sendall(data)
        channel.shutdown_write()
        channel.settimeout(LOOK)
        out = self._all(context, channel.recv, until, within)
        err = self._all(context, channel.recv_stderr, until, within)
        if not channel.status_event.wait(max(LOOK, until - time.monotonic())) or channel.exit_status < 0:
            raise AnswerLost(f"The connection to {self.who} ended before the answer.")
        return Ran(channel.exit_status, out.decode(errors="replace"), err.decode(errors="replace"))

    def _all(self, context: Context, receive: Any, until: float, within: float) -> bytes:
        found = b""
        while len(found) < MOST:
            try:
                piece = receive(PIECE)
            except TimeoutError:
                context.check()
                if time.monotonic() >= until:
                    raise timed_out(self.who, within) from None
                continue
            if not piece:
                break
            found += piece
        return found

    def _jump(self) -> Connection | None:
        if not self.machine.jump:
            return None
        user, _, rest = self.machine.jump.rpartition("@")
        host, sign, port = rest.rpartition(":")
        if sign and not port.isdecimal():
            raise InvalidInput(f"{self.machine.jump} is no jump host.", field="jump", remedy="Write user@host:port.")
        return self._made(host or rest, int(port) if sign else 22, user or self._settings.user, None)

    def _made(self, host: str, port: int, user: str, gateway: Connection | None) -> Connection:
        settings = self._settings
        key = self.machine.key_file or settings.key_file
        options: dict[str, Any] = {
            "banner_timeout": settings.connect_timeout,
            "auth_timeout": settings.connect_timeout,
            "channel_timeout": settings.connect_timeout,
            "allow_agent": key is None,
            "look_for_keys": key is None,
        }
        if key is not None:
            options["key_filename"] = str(key.expanduser())
        connection = Connection(
            host,
            user=user,
            port=port,
            # An own, empty configuration: what a person's ~/.ssh/config says must not change where a claim goes.
            config=Config(ssh_config=paramiko.SSHConfig(), lazy=True),
            gateway=gateway,
            connect_timeout=max(1, round(settings.connect_timeout)),
            connect_kwargs=options,
        )
        # fabric itself would trust whoever answers.
        connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
        self._learn(connection.client, host, port)
        return connection

    def _learn(self, client: paramiko.SSHClient, host: str, port: int) -> None:
        own = self.machine.host_keys if host == self.machine.address else ()
        shown = host if port == paramiko.config.SSH_PORT else f"[{host}]:{port}"
        for text in own:
            client.get_host_keys().add(shown, *self._key(text))
        named = self._settings.known_hosts
        # What the inventory says of a machine's key counts alone.
        for path in () if own else (named,) if named is not None else KNOWN_HOSTS:
            file = path.expanduser()
            try:
                if named is not None or file.is_file():
                    client.load_system_host_keys(str(file))
            except OSError as error:
                raise ProviderFailure(f"The known hosts in {file} cannot be read: {error.strerror}.") from error

    def _key(self, text: str) -> tuple[str, paramiko.PKey]:
        parts = text.split()
        try:
            kind, blob = parts[0], parts[1]
            entry = paramiko.hostkeys.HostKeyEntry.from_line(f"host {kind} {blob}")
            return kind, entry.key
        except (IndexError, AttributeError, ValueError, InvalidHostKey, paramiko.SSHException) as error:
            raise InvalidInput(
                f"{self.machine.name} has a host key that is none.",
                field="host_keys",
                remedy="Write it as in the machine's /etc/ssh/ssh_host_ed25519_key.pub: kind, then key.",
            ) from error


def quoted(*words: str) -> str:
    return " ".join(shlex.quote(word) for word in words)
