"""The directory as one thing: its servers, questions to them, and what their refusals mean for an administrator."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import sansldap

from stead.api.errors import InvalidInput, Unavailable
from stead_ldap.pool import Limits, Role, Server, Servers
from stead_ldap.settings import PORTS, LdapSettings
from stead_ldap.transport import Address, Deadline, ServerLost, tls_context
from stead_ldap.wire import Code, Connection, Entry, Found, Query, Refused, Transport

T = TypeVar("T")
HOPS = 3  # referrals that lead to referrals
REFERRED = 10  # servers that one answer may send us to


class Directory:
    """Opens no connection until it is asked something. Used by many threads."""

    def __init__(self, settings: LdapSettings) -> None:
        self.settings = settings
        self._password = _password_of(settings)
        self._transport = Transport(
            tls_context(settings), settings.start_tls, settings.server_name, settings.max_message
        )
        self._limits = Limits(settings.pool_size, settings.pool_idle, settings.connect_timeout)
        self.servers = Servers([self._server(Address.parse(url)) for url in settings.servers], settings.retry_after)
        self._referred: dict[Address, Server] = {}
        self._lock = threading.Lock()

    def _server(self, address: Address) -> Server:
        return Server(address, {Role.READER: self._open_reader, Role.VERIFIER: self._open}, self._limits)

    @property
    def reads(self) -> bool:
        """Whether there is an account to read with. Where people bind directly, nobody reads anonymously."""
        settings = self.settings
        return bool(settings.bind_dn or settings.bind_external or not settings.direct)

    # ---- connections

    def _open(self, address: Address, deadline: Deadline) -> Connection:
        return Connection(address, self._transport, deadline.within(self.settings.connect_timeout))

    def _open_reader(self, address: Address, deadline: Deadline) -> Connection:
        connection = self._open(address, deadline)
        try:
            self._introduce(connection, deadline.within(self.settings.timeout))
        except Refused as refused:
            connection.close()
            raise Unavailable(
                f"The directory refused the account that Stead reads it with: {refused}.",
                remedy="Check bind_dn and its password, or that the directory lets that account in.",
            ) from refused
        except BaseException:
            connection.close()
            raise
        return connection

    def _introduce(self, connection: Connection, deadline: Deadline) -> None:
        if self.settings.bind_external:
            connection.bind_external(deadline)
        elif self.settings.bind_dn:
            connection.bind(self.settings.bind_dn, self._password, deadline)
        else:
            connection.bind_anonymous(deadline)

    def deadline(self) -> Deadline:
        """The time that one sign-in or look-up has."""
        return Deadline(self.settings.deadline)

    def verifying(self, work: Callable[[Connection], T], deadline: Deadline) -> T:
        """Let ``work`` bind as those who sign in."""
        return self.servers.run(Role.VERIFIER, work, deadline)

    def close(self) -> None:
        """Let go of all connections."""
        self.servers.close()
        for server in self._referred.values():
            server.close()

    # ---- questions

    def reader(self, deadline: Deadline) -> AccountReader:
        """Asks with the account of the settings."""
        return AccountReader(self, deadline)

    def referred_server(self, url: str) -> Server | None:
        """The server that a referral names, where the settings let us ask it."""
        parts = urlsplit(url)
        allowed = {host.lower() for host in self.settings.referral_hosts}
        if parts.scheme not in PORTS or (parts.hostname or "").lower() not in allowed:
            return None
        address = Address(parts.scheme, parts.hostname or "", parts.port or PORTS[parts.scheme])
        with self._lock:
            return self._referred.setdefault(address, self._server(address))


@dataclass(frozen=True)
class AccountReader:
    """Asks any server that serves, and those that they refer to where that is allowed."""

    directory: Directory
    deadline: Deadline

    def search(self, query: Query) -> Found:
        """:raises Unavailable: nobody can tell."""
        timeout = self.directory.settings.timeout
        found = self.directory.servers.run(
            Role.READER, lambda connection: ask(connection, query, self.deadline.within(timeout)), self.deadline
        )
        if found.references and self.directory.settings.referral_hosts:
            self._follow(found, query)
        return found

    def _follow(self, found: Found, query: Query) -> None:
        seen: set[str] = set()
        waiting = [(url, 1) for url in found.references]
        while waiting:
            url, hops = waiting.pop(0)
            server = self.directory.referred_server(url)
            if url in seen or server is None or hops > HOPS or len(seen) >= REFERRED:
                continue
            seen.add(url)
            more = self._refer(server, url, query)
            found.entries.extend(more.entries)
            found.cut_short |= more.cut_short
            waiting += [(further, hops + 1) for further in more.references]

    def _refer(self, server: Server, url: str, query: Query) -> Found:
        base = unquote(urlsplit(url).path.lstrip("/")) or query.base
        timeout = self.directory.settings.timeout
        try:
            return server.run(
                Role.READER,
                lambda connection: ask(connection, replace(query, base=base), self.deadline.within(timeout)),
                self.deadline,
            )
        except ServerLost as lost:
            raise Unavailable(f"{server.address}, which the directory refers to, does not answer: {lost}.") from lost


@dataclass(frozen=True)
class PersonReader:
    """Asks on the connection of somebody who has just signed in, with their rights."""

    connection: Connection
    deadline: Deadline
    timeout: float

    def search(self, query: Query) -> Found:
        return ask(self.connection, query, self.deadline.within(self.timeout))


def ask(connection: Connection, query: Query, deadline: Deadline) -> Found:
    """Search; a refusal is something for the administrator.

    :raises Unavailable: the server answered that it will not, or cannot, search this.
    """
    try:
        return connection.search(query, deadline)
    except Refused as refused:
        if refused.code == Code.NO_SUCH_OBJECT and query.scope == sansldap.SearchScope.BASE:
            return Found()
        raise Unavailable(
            f"{connection.address} does not let {query.base or 'its root'} be searched: {refused}.",
            remedy="Check the base, and that bind_dn may read it.",
        ) from refused


def one_of(found: Found) -> Entry | None:
    """The one entry that was found; ``None`` where there is none.

    :raises Unavailable: the answer was cut short before anything came.
    """
    if not found.entries and found.cut_short:
        raise Unavailable("The directory cut its answer short.", remedy="Raise its limits for the account of bind_dn.")
    return found.entries[0] if found.entries else None


def _password_of(settings: LdapSettings) -> str:
    if settings.bind_password_file is None:
        return settings.bind_password.get_secret_value()
    try:
        password = settings.bind_password_file.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"The password file {settings.bind_password_file} cannot be read: {error}.",
            field="bind_password_file",
            remedy="Give the server's account the right to read it.",
        ) from error
    if not password:
        raise InvalidInput(
            f"The password file {settings.bind_password_file} is empty.",
            field="bind_password_file",
            remedy="Write the password of bind_dn into it.",
        )
    return password
