"""The kind ``acme``: a name and a password."""

from __future__ import annotations

import hmac

from stead.api import (
    AuthenticationFailed,
    Credentials,
    CredentialsProvider,
    CredentialsReport,
    Directory,
    Link,
    Person,
    Trace,
)
from stead.api.errors import Unavailable
from stead_acme.people import Entry, People
from stead_acme.settings import AcmeSettings

ISSUER = "acme"  # better: the address of your system


class AcmeProvider(CredentialsProvider, Directory):
    def __init__(self, settings: AcmeSettings) -> None:
        self._people = People(settings.file)

    def check(self) -> CredentialsReport:
        try:
            count = len(self._people.all())
        except Unavailable as error:
            return CredentialsReport(False, error.message, tuple(filter(None, [error.remedy])))
        return CredentialsReport(True, f"There are {count} people.")

    def verify(self, credentials: Credentials) -> Person | None:
        entry = self._people.all().get(credentials.username)
        if entry is None:
            return None
        credentials.trace.note("Found", credentials.username)
        if not hmac.compare_digest(entry["password"].encode(), credentials.password.encode()):
            raise AuthenticationFailed(detail="the password is wrong")
        return _person(credentials.username, entry)

    def look_up(self, link: Link, trace: Trace) -> Person | None:
        found = ((name, entry) for name, entry in self._people.all().items() if entry["id"] == link.subject)
        name, entry = next(found, ("", None))
        trace.note("Looked up", name, ok=entry is not None)
        return None if entry is None else _person(name, entry)

    def find(self, username: str, trace: Trace) -> Person | None:
        entry = self._people.all().get(username)
        trace.note("Found", username, ok=entry is not None)
        return None if entry is None else _person(username, entry)


def _person(name: str, entry: Entry) -> Person:
    return Person(ISSUER, entry["id"], username=name, groups=tuple(entry["groups"]))
