"""OpenLDAP's server on free ports of this machine, with data of one's own. It ends with the test run."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stead.testing.authority import Authority, Issued
from stead.testing.left_out import leave_out
from stead.testing.waiting import eventually, find_free_port

BASE = "dc=example,dc=test"
ADMIN, ADMIN_PASSWORD = f"cn=admin,{BASE}", "admin-secret"
READER, READER_PASSWORD = f"cn=stead,ou=services,{BASE}", "reader-secret"
HOST = "127.0.0.1"
READY_WITHIN = 60.0
CONFIGURATION = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload ppolicy
pidfile {folder}/slapd.pid
allow {allow}
TLSCACertificateFile {authority}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
TLSVerifyClient try
authz-regexp "^cn=([^,]+)$" "cn=$1,ou=services,{base}"
sizelimit size.soft=100 size.hard=100 size.prtotal=unlimited

database mdb
suffix "{base}"
rootdn "{admin}"
rootpw {admin_password}
directory {folder}/data
maxsize 268435456
dbnosync
index objectClass,uid,mail,member,uniqueMember,memberUid,entryUUID eq
access to attrs=userPassword by self write by anonymous auth by * none
access to dn.subtree="{base}" by dn.exact="{reader}" read by users read by anonymous {anonymous}
{overlays}
"""
MEMBER_OF = "overlay memberof\nmemberof-group-oc groupOfNames\n"
POLICY = f"overlay ppolicy\nppolicy_default cn=default,ou=policies,{BASE}\nppolicy_use_lockout\n"


@dataclass(frozen=True)
class Item:
    """An entry: its distinguished name and attributes."""

    dn: str
    attributes: Mapping[str, str | Sequence[str]]

    def ldif(self) -> str:
        lines = [_line("dn", self.dn)]
        for name, values in self.attributes.items():
            lines += [_line(name, value) for value in ([values] if isinstance(values, str) else values)]
        return "\n".join(lines) + "\n"


def _line(name: str, value: str) -> str:
    return f"{name}:: {base64.b64encode(value.encode()).decode()}"


def entry_uuid(dn: str) -> str:
    """The same on all servers that begin with the same data, as on replicas."""
    return str(uuid.uuid5(uuid.NAMESPACE_X500, dn.lower()))


def person(uid: str, password: str = "", **attributes: str | Sequence[str]) -> Item:
    """Somebody under ``ou=people``; the password is the name with ``-secret`` unless given."""
    return Item(
        person_dn(uid),
        {
            "objectClass": ["inetOrgPerson", "shadowAccount"],
            "uid": uid,
            "cn": uid.title(),
            "sn": uid.title(),
            "mail": f"{uid}@example.test",
            "userPassword": password or f"{uid}-secret",
            **attributes,
        },
    )


def group(name: str, *members: str) -> Item:
    """A group under ``ou=groups`` with members by distinguished name."""
    return Item(group_dn(name), {"objectClass": "groupOfNames", "cn": name, "member": members or [ADMIN]})


def group_dn(name: str) -> str:
    """Where :func:`group` puts it."""
    return f"cn={name},ou=groups,{BASE}"


def person_dn(uid: str) -> str:
    """Where :func:`person` puts them."""
    escaped = "".join(
        chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else f"\\{byte:02x}" for byte in uid.encode()
    )
    return f"uid={escaped},ou=people,{BASE}"


ROOTS = (
    Item(BASE, {"objectClass": ["dcObject", "organization"], "dc": "example", "o": "Example"}),
    *(
        Item(f"ou={name},{BASE}", {"objectClass": "organizationalUnit", "ou": name})
        for name in ("people", "groups", "services", "policies")
    ),
    Item(
        READER,
        {
            "objectClass": ["organizationalRole", "simpleSecurityObject"],
            "cn": "stead",
            "userPassword": READER_PASSWORD,
        },
    ),
    Item(
        f"cn=default,ou=policies,{BASE}",
        {
            "objectClass": ["device", "pwdPolicy"],
            "cn": "default",
            "pwdAttribute": "userPassword",
            "pwdLockout": "TRUE",
            "pwdMaxFailure": "3",
            "pwdLockoutDuration": "3600",
            "pwdMustChange": "TRUE",
        },
    ),
)


@dataclass
class Slapd:
    """One server. ``issued`` is its certificate, of ``authority``."""

    folder: Path
    authority: Authority
    issued: Issued
    allow: str = "bind_v2"
    anonymous: str = "none"
    overlays: str = ""
    port: int = field(default_factory=find_free_port)
    tls_port: int = field(default_factory=find_free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For StartTLS."""
        return f"ldap://{HOST}:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://{HOST}:{self.tls_port}"

    @property
    def _configuration(self) -> Path:
        return self.folder / "slapd.conf"

    def prepare(self, items: Iterable[Item]) -> None:
        """Write configuration and data, before it starts."""
        (self.folder / "data").mkdir(parents=True)
        text = CONFIGURATION.format(
            folder=self.folder,
            authority=self.authority.certificate,
            certificate=self.issued.certificate,
            key=self.issued.key,
            base=BASE,
            admin=ADMIN,
            admin_password=ADMIN_PASSWORD,
            reader=READER,
            allow=self.allow,
            anonymous=self.anonymous,
            overlays=self.overlays,
        )
        self._configuration.write_text(text)
        identified = (Item(item.dn, {**item.attributes, "entryUUID": entry_uuid(item.dn)}) for item in items)
        ldif = "\n".join(item.ldif() for item in identified)
        self._tool([_program("slapadd"), "-q", "-f", str(self._configuration)], ldif)

    def start(self) -> None:
        """Start it and wait until it answers. It dies with this process."""
        addresses = f"ldap://{HOST}:{self.port} ldaps://{HOST}:{self.tls_port}"
        command = [_program("slapd"), "-f", str(self._configuration), "-h", addresses, "-d", "0"]
        watched = [sys.executable, "-m", "stead.testing.guardian", str(os.getpid()), str(int(signal.SIGTERM))]
        self.process = subprocess.Popen(
            [*watched, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(self._answers, READY_WITHIN, what="slapd's start", ignoring=(OSError, ValueError))

    def _answers(self) -> bool:
        for port in (self.port, self.tls_port):
            socket.create_connection((HOST, port), 5).close()
        return self.pid > 0

    @property
    def pid(self) -> int:
        """Of slapd itself."""
        return int((self.folder / "slapd.pid").read_text())

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP makes it one that accepts connections and never answers; SIGCONT ends that."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as a crash would."""
        self.signal(signal.SIGKILL)
        self._ended()

    def stop(self) -> None:
        """End it in order, if it runs."""
        if self.process is not None:
            with contextlib.suppress(OSError, ValueError):
                self.signal(signal.SIGCONT)
            self.process.terminate()
            self._ended()

    def _ended(self) -> None:
        if self.process is not None:
            self.process.wait(READY_WITHIN)
            self.process = None
            (self.folder / "slapd.pid").unlink(missing_ok=True)

    # ---- changing data while it runs

    def add(self, *items: Item) -> None:
        """Add entries."""
        self._client("ldapadd", "\n".join(item.ldif() for item in items))

    def change(self, dn: str, **attributes: str | Sequence[str]) -> None:
        """Replace attributes; an empty sequence removes one."""
        lines = [_line("dn", dn), "changetype: modify"]
        for name, values in attributes.items():
            lines.append(f"replace: {name}")
            lines += [_line(name, value) for value in ([values] if isinstance(values, str) else values)]
            lines.append("-")
        self._client("ldapmodify", "\n".join(lines) + "\n")

    def rename(self, dn: str, first: str) -> None:
        """Give an entry another first part of its name."""
        self._client("ldapmodify", f"{_line('dn', dn)}\nchangetype: modrdn\nnewrdn: {first}\ndeleteoldrdn: 1\n")

    def remove(self, dn: str) -> None:
        """Delete an entry."""
        self._client("ldapmodify", f"{_line('dn', dn)}\nchangetype: delete\n")

    def _client(self, program: str, ldif: str) -> None:
        # Manage DSA IT lets referral objects be written; relax, operational attributes such as a lock.
        command = [_program(program), "-x", "-H", self.url, "-D", ADMIN, "-w", ADMIN_PASSWORD, "-M", "-e", "relax"]
        self._tool(command, ldif)

    @staticmethod
    def _tool(command: list[str], text: str) -> None:
        done = subprocess.run(command, input=text, text=True, capture_output=True, timeout=120, check=False)
        if done.returncode:
            raise AssertionError(f"{Path(command[0]).name} failed: {done.stderr}")


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        leave_out("OpenLDAP", f"{name} is not installed (packages slapd and ldap-utils)")
    return found


@contextlib.contextmanager
def own_slapd(
    *items: Item,
    authority: Authority | None = None,
    hosts: Sequence[str] = (HOST, "localhost"),
    overlays: str = "",
    anonymous: str = "none",
    allow: str = "bind_v2",
) -> Iterator[Slapd]:
    """A running server with :data:`ROOTS` and ``items``, whose certificate is good for ``hosts``."""
    _program("slapd")
    folder = Path(tempfile.mkdtemp(prefix="stead-slapd-"))
    server: Slapd | None = None
    try:
        signer = authority or Authority(folder)
        certificates = folder / "certificates"
        certificates.mkdir()
        issued = Authority.issue(signer, "ldap", *hosts)
        server = Slapd(folder, signer, issued, overlays=overlays, anonymous=anonymous, allow=allow)
        server.prepare([*ROOTS, *items])
        server.start()
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
