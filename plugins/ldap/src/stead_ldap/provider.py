"""Who somebody is, as a directory knows them."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import sansldap

from stead.api.errors import InvalidInput, Unavailable
from stead.api.records import CredentialsReport
from stead.api.signin import AuthenticationFailed, Credentials, CredentialsProvider, Link, Person, Trace
from stead.api.signin import Directory as LookUps
from stead_ldap import checks, refusals
from stead_ldap.directory import Directory, PersonReader, one_of
from stead_ldap.groups import GroupFinder, Membership, Reader
from stead_ldap.names import direct_name, filter_for, filter_for_anybody, looks_like_dn
from stead_ldap.settings import LdapSettings
from stead_ldap.transport import Deadline
from stead_ldap.wire import Connection, Entry, Query, Refused

LONGEST = 512  # characters of a name or a password that can be meant
AMBIGUOUS = 2


class LdapProvider(CredentialsProvider, LookUps):
    """Search-and-bind, or direct bind; look-ups with the account of the settings."""

    def __init__(self, settings: LdapSettings) -> None:
        self.settings = settings
        self._check_templates()
        self.directory = Directory(settings)
        self._groups = GroupFinder(settings)
        wanted = (settings.subject, settings.username, settings.email, settings.name, "cn", "memberOf")
        self._attributes = tuple(dict.fromkeys((*wanted, *refusals.STATE_ATTRIBUTES)))

    def _check_templates(self) -> None:
        for field in ("user_filter", "group_filter"):
            try:
                filter_for_anybody(getattr(self.settings, field))
            except ValueError as error:
                raise InvalidInput(f"The filter {field} cannot be read: {error}.", field=field) from error

    # ---- signing in

    def verify(self, credentials: Credentials) -> Person | None:
        username, password = self._plain(credentials)
        deadline = self.directory.deadline()
        if not username:
            return None
        check = self._verify_directly if self.settings.direct else self._verify_found
        try:
            return check(username, password, credentials.trace, deadline)
        except _Unknown:
            return None

    def _verify_found(self, username: str, password: str, trace: Trace, deadline: Deadline) -> Person | None:
        reader = self.directory.reader(deadline)
        entry = self._found(reader, username, trace)
        if entry is None:
            return None
        self._bind_as(entry.dn, password, trace, deadline)
        return self._admitted(reader, entry, trace)

    def _plain(self, credentials: Credentials) -> tuple[str, str]:
        """What was typed, where it can be meant. An empty password would bind as nobody, which servers call success."""
        if not credentials.password or not _can_be_meant(credentials.password):
            raise AuthenticationFailed(detail="the password is empty, or none that a directory could have")
        return self._plain_name(credentials.username), credentials.password

    def _plain_name(self, typed: str) -> str:
        """The name without its Windows domain; nothing where nobody can be called that."""
        domain, backslash, rest = typed.strip().partition("\\")
        ours = self.settings.netbios_domain
        name = rest if ours and backslash and domain.casefold() == ours.casefold() else typed.strip()
        return name if _can_be_meant(name) else ""

    def _bind_as(self, name: str, password: str, trace: Trace, deadline: Deadline) -> None:
        timeout = self.settings.timeout

        def bind(connection: Connection) -> bytes | None:
            trace.note("Server", str(connection.address))
            return connection.bind(name, password, deadline.within(timeout))

        with _bind_refusals(name, trace):
            refuse_by_policy(self.directory.verifying(bind, deadline), trace)
        trace.note("Password", f"the directory accepts it for {name}")

    def _verify_directly(self, username: str, password: str, trace: Trace, deadline: Deadline) -> Person | None:
        name = direct_name(self.settings.direct, username)
        as_dn = looks_like_dn(self.settings.direct)

        def sign_in(connection: Connection) -> Person | None:
            trace.note("Server", str(connection.address))
            timeout = self.settings.timeout
            refuse_by_policy(connection.bind(name, password, deadline.within(timeout)), trace)
            trace.note("Password", f"the directory accepts it for {name}")
            own = PersonReader(connection, deadline, timeout)
            reader: Reader = self.directory.reader(deadline) if self.directory.reads else own
            entry = self._found(reader, username, trace, dn=name if as_dn else "")
            if entry is None:
                raise AuthenticationFailed(detail=f"{name} may sign in to the directory, but user_filter excludes them")
            if not as_dn:
                # A server takes several kinds of names: only this proves that the password is that entry's.
                connection.bind(entry.dn, password, deadline.within(timeout))
            return self._admitted(reader, entry, trace)

        with _bind_refusals(name, trace):
            return self.directory.verifying(sign_in, deadline)

    # ---- people

    def look_up(self, link: Link, trace: Trace) -> Person | None:
        self._must_read()
        if link.issuer != self.settings.issuer:
            raise Unavailable(f"The account is linked to {link.issuer}, and this directory is {self.settings.issuer}.")
        value = self._subject_value(link.subject)
        if value is None:
            return None
        reader = self.directory.reader(self.directory.deadline())
        identity = sansldap.FilterEquality(self.settings.subject, value)
        wanted = sansldap.FilterAnd([identity, filter_for_anybody(self.settings.user_filter)])
        entry = one_of(reader.search(self._query(wanted)))
        if entry is None:
            # Who may not read sees nobody. That must not end everybody's sessions.
            self._must_see(reader)
            trace.note("Look-up", f"nobody with {self.settings.subject} {link.subject}", ok=False)
            return None
        trace.note("Look-up", entry.dn)
        return self._admitted(reader, entry, trace)

    @property
    def can_find(self) -> bool:
        return self.directory.reads

    def find(self, username: str, trace: Trace) -> Person | None:
        self._must_read()
        name = self._plain_name(username)
        if not name:
            return None
        reader = self.directory.reader(self.directory.deadline())
        entry = self._found(reader, name, trace)
        return None if entry is None else self._admitted(reader, entry, trace)

    def _must_read(self) -> None:
        if not self.directory.reads:
            raise Unavailable(
                "This directory cannot be asked about people who are not signing in.",
                remedy="Give Stead an account that reads it: bind_dn and bind_password_file.",
            )

    def _must_see(self, reader: Reader) -> None:
        anybody = filter_for_anybody(self.settings.user_filter)
        if not reader.search(self._query(anybody)).entries:
            raise Unavailable(
                f"The directory shows nobody at all under {self.settings.base}.",
                remedy="Check that bind_dn may read people.",
            )

    def _found(self, reader: Reader, username: str, trace: Trace, *, dn: str = "") -> Entry | None:
        """The one entry that a typed name means; ``dn`` where it can only be that."""
        wanted = filter_for(self.settings.user_filter, username)
        found = reader.search(self._query(wanted, dn))
        if len(found.entries) >= AMBIGUOUS:
            trace.note("Search", f"{wanted} finds more than one entry", ok=False)
            raise AuthenticationFailed(detail=f"the name is ambiguous: {wanted} finds more than one entry")
        entry = one_of(found)
        trace.note("Search", f"{wanted} finds {entry.dn if entry else 'nobody'}", ok=entry is not None)
        return entry

    def _query(self, wanted: sansldap.LDAPFilter, dn: str = "") -> Query:
        scope = sansldap.SearchScope.BASE if dn else sansldap.SearchScope.SUBTREE
        return Query(dn or self.settings.base, wanted, self._attributes, limit=AMBIGUOUS, scope=scope)

    def _admitted(self, reader: Reader, entry: Entry, trace: Trace) -> Person:
        refusal = refusals.of_entry(entry)
        if refusal is not None:
            trace.note("Account", refusal.detail, ok=False)
            raise refusal.failure
        membership = self._groups.of(reader, entry)
        self._trace_groups(membership, trace)
        allowed = self.settings.allowed_groups
        if allowed and (membership is None or not membership.allows(allowed)):
            trace.note("Allowed groups", f"in none of {', '.join(allowed)}", ok=False)
            raise AuthenticationFailed(
                "You may not use Stead here.",
                detail=f"{entry.dn} is in none of the allowed groups",
                remedy=refusals.ASK,
            )
        return self._person(entry, membership)

    @staticmethod
    def _trace_groups(membership: Membership | None, trace: Trace) -> None:
        if membership is None:
            trace.note("Groups", "not asked for")
            return
        more = "; there are more than the bounds let in, which do not count" if membership.cut_short else ""
        text = f"{len(membership.groups)} on {membership.levels} level(s){more}: {', '.join(membership.names[:50])}"
        trace.note("Groups", text, ok=not membership.cut_short)

    # ---- entries to people

    def _person(self, entry: Entry, membership: Membership | None) -> Person:
        settings = self.settings
        email = entry.first(settings.email)
        return Person(
            issuer=settings.issuer,
            subject=self._subject(entry),
            username=entry.first(settings.username),
            email=email,
            email_verified=bool(email) and settings.trust_email,
            name=entry.first(settings.name) or entry.first("cn"),
            groups=None if membership is None else membership.names,
            facts=self._facts(entry),
        )

    def _facts(self, entry: Entry) -> dict[str, Any]:
        binary = self.settings.subject.lower()
        shown = {name: list(entry.values(name)) for name in self._attributes if name.lower() != binary}
        return {"dn": entry.dn, **{name: values for name, values in shown.items() if values}}

    def _is_guid(self) -> bool:
        return self.settings.subject.lower() == "objectguid"

    def _subject(self, entry: Entry) -> str:
        values = entry.attributes.get(self.settings.subject.lower(), ())
        if len(values) != 1 or not values[0]:
            raise AuthenticationFailed(
                detail=f"{entry.dn} has no single {self.settings.subject}, or bind_dn may not read it"
            )
        if self._is_guid():
            return str(uuid.UUID(bytes_le=values[0]))
        return values[0].decode("utf-8", "backslashreplace")

    def _subject_value(self, subject: str) -> bytes | None:
        if not self._is_guid():
            return subject.encode()
        try:
            return uuid.UUID(subject).bytes_le
        except ValueError:
            return None

    # ---- the whole

    def check(self) -> CredentialsReport:
        return checks.check(self.directory, self._query(filter_for_anybody(self.settings.user_filter)))

    def close(self) -> None:
        self.directory.close()


def _can_be_meant(text: str) -> bool:
    """Servers written in C may take what stands before a NUL for all of it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text and len(text) <= LONGEST


class _Unknown(Exception):
    """Active Directory says that there is no such user."""


@contextlib.contextmanager
def _bind_refusals(name: str, trace: Trace) -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        if refusals.sub_code(refused.diagnostic) == refusals.UNKNOWN:
            trace.note("Password", f"the directory knows nobody called {name}", ok=False)
            raise _Unknown from refused
        refusal = refusals.of_bind(refused.diagnostic, refused.policy)
        trace.note("Password", f"{refusal.detail}; the server says: {refused}", ok=False)
        raise refusal.failure from refused


def refuse_by_policy(control: bytes | None, trace: Trace) -> None:
    """A bind may succeed and yet be good for nothing but changing the password.

    :raises AuthenticationFailed: it is so.
    """
    refusal = refusals.of_policy(control)
    if refusal is not None:
        trace.note("Password", refusal.detail, ok=False)
        raise refusal.failure
