"""Signing in with LDAP, at OpenLDAP's slapd over TLS: name and password typed into Stead's own page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from auth_kind import Kind

from stead.testing.slapd import BASE, READER, READER_PASSWORD, Slapd, group, group_dn, own_slapd, person, person_dn
from stead_ldap.directory import Directory, PersonReader
from stead_ldap.groups import GroupFinder
from stead_ldap.names import filter_for
from stead_ldap.settings import LdapSettings
from stead_ldap.transport import Address
from stead_ldap.wire import Connection, Query

PEOPLE = 1000
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


@contextmanager
def kind(folder: Path) -> Iterator[Kind]:
    crowd = [person(f"person{number}") for number in range(PEOPLE)]
    groups = [group("developers", person_dn("ada")), group("staff", group_dn("developers"))]
    with own_slapd(person("ada"), *crowd, *groups) as server:
        made = LdapKind(folder, server)
        try:
            yield made
        finally:
            made.close()


class LdapKind(Kind):
    def __init__(self, folder: Path, server: Slapd) -> None:
        self._folder = folder
        self._server = server
        settings = LdapSettings(
            servers=(server.tls_url,),
            base=BASE,
            bind_dn=READER,
            bind_password=READER_PASSWORD,
            ca_file=server.authority.certificate,
            timeout=60,
        )
        self._directory = Directory(settings)
        self._groups = GroupFinder(settings)
        self._reader, self._verifier = (self._connection() for _ in range(2))
        self._reader.bind(READER, READER_PASSWORD, self._directory.deadline())

    def _connection(self) -> Connection:
        return self._directory._open(Address.parse(self._server.tls_url), self._directory.deadline())

    def close(self) -> None:
        self._reader.close()
        self._verifier.close()

    def settings(self, stead: str) -> str:
        del stead
        secret = self._folder / "corp.secret"
        secret.write_text(READER_PASSWORD)
        return f"""
            [identity.corp]
            kind = "ldap"
            sign_up = "open"
            sign_ins_at_once = 64
            servers = ["{self._server.tls_url}"]
            base = "{BASE}"
            bind_dn = "{READER}"
            bind_password_file = "{secret}"
            ca_file = "{self._server.authority.certificate}"
            timeout = 60
            """

    def prepare(self, client: httpx.Client, stead: str) -> None:
        self.sign_in(client, stead)

    def sign_in(self, client: httpx.Client, stead: str) -> None:
        client.cookies.clear()
        token = TOKEN.search(client.get(f"{stead}/login").text)
        if token is None:
            raise RuntimeError("the page has no form to sign in with")
        typed = {"login": "ada", "password": "ada-secret", "csrf_token": token[1]}
        answer = client.post(f"{stead}/login", data=typed)
        if not answer.is_redirect or "stead_session" not in str(answer.headers.get_list("set-cookie")):
            raise RuntimeError(f"no session: {answer.status_code} {answer.text[-500:]}")

    def alone(self, client: httpx.Client) -> None:
        """A search, a bind, and the groups on two levels, over connections that are open already."""
        del client
        deadline, settings = self._directory.deadline(), self._directory.settings
        wanted = Query(BASE, filter_for(settings.user_filter, "ada"), ("entryUUID", "uid", "mail", "cn"), limit=2)
        entry = self._reader.search(wanted, deadline).entries[0]
        self._verifier.bind(entry.dn, "ada-secret", deadline)
        self._groups.of(PersonReader(self._reader, deadline, 60), entry)
