"""One connection to one server: LDAP version 3 (RFC 4511) over TLS, with a deadline on everything.

The library packs and unpacks messages; sockets, encryption and time are ours, so that nothing waits for ever and a
server that sends without end is let go.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import sansldap
from sansldap.asn1 import NotEnougData

from stead_ldap.transport import Address, Deadline, ServerLost, untrusted

START_TLS = "1.3.6.1.4.1.1466.20037"
PASSWORD_POLICY = "1.3.6.1.4.1.42.2.27.8.5.1"  # noqa: S105 - the object identifier of a control
CHUNK = 1 << 16
Code = sansldap.LDAPResultCode
FAILING = {Code.BUSY, Code.UNAVAILABLE}
CUT_SHORT = {Code.SIZE_LIMIT_EXCEEDED, Code.ADMIN_LIMIT_EXCEEDED}


class Refused(Exception):
    """The server answered, and the answer is no."""

    def __init__(self, result: sansldap.LDAPResult, policy: bytes | None = None) -> None:
        self.code = result.result_code
        self.diagnostic = result.diagnostics_message
        self.policy = policy
        super().__init__(f"{self.code.name.lower()} ({int(self.code)}) {self.diagnostic}".strip())


@dataclass(frozen=True)
class Entry:
    """``attributes`` by lower-case name."""

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]]

    def values(self, name: str) -> tuple[str, ...]:
        """All values of an attribute as text."""
        return tuple(value.decode("utf-8", "replace") for value in self.attributes.get(name.lower(), ()))

    def first(self, name: str) -> str:
        """The first value as text, or nothing."""
        return next(iter(self.values(name)), "")


@dataclass
class Found:
    """What a search brought. ``cut_short``: there is more, which the server or a bound kept back."""

    entries: list[Entry] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    cut_short: bool = False


@dataclass(frozen=True)
class Query:
    """What is searched. ``limit`` is the most entries that are of use."""

    base: str
    filter: sansldap.LDAPFilter
    attributes: tuple[str, ...]
    limit: int
    scope: sansldap.SearchScope = sansldap.SearchScope.SUBTREE
    page: int = 500


@dataclass(frozen=True)
class Transport:
    """What all connections to a directory have in common."""

    context: ssl.SSLContext
    start_tls: bool
    server_name: str
    max_message: int


class Connection:
    """Used by one thread at a time. After :class:`ServerLost` it is good for nothing but :meth:`close`."""

    def __init__(self, address: Address, transport: Transport, deadline: Deadline) -> None:
        self.address = address
        self._transport = transport
        self._client = sansldap.LDAPClient()
        self._buffer = bytearray()
        with self._failures():
            self._socket: socket.socket = socket.create_connection((address.host, address.port), deadline.left())
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._encrypt(deadline)
        except BaseException:
            self._socket.close()
            raise

    def _encrypt(self, deadline: Deadline) -> None:
        if self.address.scheme == "ldap":
            if not self._transport.start_tls:
                return
            self._start_tls(deadline)
        with self._failures():
            self._socket.settimeout(deadline.left())
            self._socket = self._transport.context.wrap_socket(self._socket, server_hostname=self._wanted)

    @property
    def _wanted(self) -> str:
        return self._transport.server_name or self.address.host

    def _start_tls(self, deadline: Deadline) -> None:
        answer = self._ask(self._client.extended_request(START_TLS), deadline)
        if not isinstance(answer, sansldap.ExtendedResponse) or answer.result.result_code != Code.SUCCESS:
            raise ServerLost("it does not offer StartTLS: give it a certificate, or use ldaps://")
        if self._buffer:
            # Whoever sits between could have sent it, to be taken for the server's encrypted word.
            raise ServerLost("it sent data in the clear after StartTLS: somebody may be in between")

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            raise untrusted(error, self._wanted) from error
        except TimeoutError as error:
            raise ServerLost("it did not answer in time") from error
        except ssl.SSLError as error:
            raise ServerLost(f"encryption failed: {error.reason or error}") from error
        except OSError as error:
            raise ServerLost(error.strerror or str(error)) from error
        except (sansldap.LDAPError, NotEnougData, ValueError, IndexError, struct.error) as error:
            raise ServerLost(f"it sent what is not LDAP: {error}") from error

    # ---- binding

    def bind(self, name: str, password: str, deadline: Deadline) -> bytes | None:
        """Sign in with a password that is not empty; returns the value of the password policy control, if any.

        :raises Refused: the server says no.
        """
        if not password:
            raise ValueError("a bind without a password succeeds for everybody")
        asked = sansldap.LDAPControl(PASSWORD_POLICY, critical=False, value=None)
        return self._bound(self._client.bind_simple(name, password, controls=[asked]), deadline)

    def bind_anonymous(self, deadline: Deadline) -> None:
        """Be nobody."""
        self._bound(self._client.bind_simple("", ""), deadline)

    def bind_external(self, deadline: Deadline) -> None:
        """Sign in with the certificate of the connection."""
        self._bound(self._client.bind_sasl("EXTERNAL", cred=b""), deadline)

    def _bound(self, request: int, deadline: Deadline) -> bytes | None:
        answer = self._ask(request, deadline)
        if not isinstance(answer, sansldap.BindResponse):
            raise ServerLost("it answered a bind with something else")
        policy = next((item.value for item in answer.controls if item.control_type == PASSWORD_POLICY), None)
        self._check(answer.result, policy)
        return policy

    @staticmethod
    def _check(result: sansldap.LDAPResult, policy: bytes | None = None) -> None:
        if result.result_code in FAILING:
            raise ServerLost(f"it says that it cannot serve: {result.diagnostics_message or result.result_code.name}")
        if result.result_code != Code.SUCCESS:
            raise Refused(result, policy)

    # ---- searching

    def search(self, query: Query, deadline: Deadline) -> Found:
        """All that matches, page by page, up to the query's limit.

        :raises Refused: the server says no.
        """
        found = Found()
        cookie = b""
        while True:
            cookie = self._page(query, cookie, found, deadline)
            if len(found.entries) > query.limit:
                del found.entries[query.limit :]
                found.cut_short = True
            if not cookie or found.cut_short:
                return found

    def _page(self, query: Query, cookie: bytes, found: Found, deadline: Deadline) -> bytes:
        # One more than the limit is asked for, so that "too many" can be told from "just as many".
        size = min(query.page, query.limit + 1)
        request = self._client.search_request(
            query.base,
            query.scope,
            time_limit=max(1, int(deadline.left())),
            filter=query.filter,
            attributes=list(query.attributes),
            controls=[sansldap.PagedResultControl(critical=False, size=size, cookie=cookie)],
        )
        answer = self._ask(request, deadline)
        while not isinstance(answer, sansldap.SearchResultDone):
            self._collect(answer, found)
            if len(found.entries) > query.limit + query.page:
                raise ServerLost("it sends more entries than were asked for")
            answer = self._next(deadline)
        return self._done(answer, found)

    @staticmethod
    def _collect(answer: sansldap.LDAPMessage, found: Found) -> None:
        if isinstance(answer, sansldap.SearchResultEntry):
            attributes = {item.name.partition(";")[0].lower(): tuple(item.values) for item in answer.attributes}
            found.entries.append(Entry(answer.object_name, attributes))
        elif isinstance(answer, sansldap.SearchResultReference):
            found.references.extend(answer.uris)
        else:
            raise ServerLost("it answered a search with something else")

    def _done(self, answer: sansldap.SearchResultDone, found: Found) -> bytes:
        code = answer.result.result_code
        if code == Code.REFERRAL:
            found.references.extend(answer.result.referrals or ())
            return b""
        if code in CUT_SHORT:
            found.cut_short = True
            return b""
        self._check(answer.result)
        pages = (item for item in answer.controls if isinstance(item, sansldap.PagedResultControl))
        return next((item.cookie for item in pages), b"")

    # ---- messages

    def _ask(self, request: int, deadline: Deadline) -> sansldap.LDAPMessage:
        with self._failures():
            self._socket.settimeout(deadline.left())
            self._socket.sendall(self._client.data_to_send())
        answer = self._next(deadline)
        if answer.message_id != request:
            raise ServerLost("it answered a question that was not asked")
        return answer

    def _next(self, deadline: Deadline) -> sansldap.LDAPMessage:
        with self._failures():
            while (size := self._size()) is None or len(self._buffer) < size:
                self._socket.settimeout(deadline.left())
                received = self._socket.recv(CHUNK)
                if not received:
                    raise ServerLost("it closed the connection")
                self._buffer += received
            message = bytes(self._buffer[:size])
            del self._buffer[:size]
            messages = self._client.receive(message)
        if len(messages) != 1:
            raise ServerLost("it sent a message that is not whole")
        return messages[0]

    def _size(self) -> int | None:
        """Bytes of the next message with its header; ``None`` until the header is there (BER, definite lengths)."""
        size = message_size(self._buffer)
        if size is not None and size > self._transport.max_message:
            raise ServerLost(f"it sent a message of {size} bytes, more than max_message")
        return size

    def stale(self) -> bool:
        """Whether something happened on it while it was not used: then it is closed, or about to be."""
        try:
            poller = select.poll()
            poller.register(self._socket, select.POLLIN)
            if not poller.poll(0) and not self._buffer:
                return False
            self._socket.settimeout(0)
            self._socket.recv(1)
        except (ssl.SSLWantReadError, BlockingIOError):
            return False  # session tickets of TLS 1.3, nothing for us
        except (OSError, ValueError):
            return True
        return True

    def close(self) -> None:
        """Say goodbye, if that takes no time, and close."""
        with contextlib.suppress(OSError, ValueError, sansldap.LDAPError):
            self._client.unbind()
            self._socket.settimeout(0)
            self._socket.send(self._client.data_to_send())
        with contextlib.suppress(OSError):
            self._socket.close()


def message_size(data: bytearray | bytes) -> int | None:
    """Length of the BER element at the beginning of ``data``, header included.

    :raises ServerLost: it is no LDAP message.
    """
    if data and data[0] != 0x30:
        raise ServerLost("it does not speak LDAP")
    if len(data) < 2:
        return None
    if data[1] < 0x80:
        return 2 + data[1]
    count = data[1] & 0x7F
    if not 1 <= count <= 4:
        raise ServerLost("it does not speak LDAP")
    if len(data) < 2 + count:
        return None
    return 2 + count + int.from_bytes(data[2 : 2 + count], "big")
