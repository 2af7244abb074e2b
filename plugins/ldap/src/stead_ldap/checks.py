"""Whether a configured directory serves: every server alone, then a search as sign-ins do it."""

from __future__ import annotations

from stead.api.errors import Unavailable
from stead.api.records import CredentialsReport
from stead_ldap.directory import Directory, ask
from stead_ldap.pool import Role, Server
from stead_ldap.transport import ServerLost
from stead_ldap.wire import Query

PLAIN = "Passwords cross the network in the clear: use ldaps:// addresses, or start_tls = true."
NOBODY = "user_filter finds nobody under {base}: check both, and that bind_dn may read people."
NO_SUBJECT = "{dn} has no {subject}: set subject to an attribute that never changes, or let bind_dn read it."


def check(directory: Directory, people: Query) -> CredentialsReport:
    """``people`` finds whoever may sign in."""
    remedies: list[str] = []
    answering = [server for server in directory.servers.all if _answers(directory, server, people, remedies)]
    settings = directory.settings
    if not settings.start_tls and any(server.address.scheme == "ldap" for server in directory.servers.all):
        remedies.append(PLAIN)
    count = f"{len(answering)} of {len(directory.servers.all)} servers"
    return CredentialsReport(
        ok=bool(answering) and not remedies,
        summary=f"{count} of the directory {settings.base} can be used.",
        remedies=tuple(dict.fromkeys(remedies)),
    )


def _answers(directory: Directory, server: Server, people: Query, remedies: list[str]) -> bool:
    role = Role.READER if directory.reads else Role.VERIFIER
    deadline = directory.deadline()
    try:
        if not directory.reads:
            server.run(role, lambda _: None, deadline)
            return True
        found = server.run(
            role, lambda connection: ask(connection, people, deadline.within(directory.settings.timeout)), deadline
        )
    except ServerLost as lost:
        remedies.append(f"{server.address}: {lost}.")
        return False
    except Unavailable as unavailable:
        remedies.append(str(unavailable))
        return False
    if not found.entries:
        remedies.append(NOBODY.format(base=directory.settings.base))
        return False
    entry, subject = found.entries[0], directory.settings.subject
    if not entry.attributes.get(subject.lower()):
        remedies.append(NO_SUBJECT.format(dn=entry.dn, subject=subject))
    return True
