"""Samba as an Active Directory domain controller: the LDAP service alone, on a loopback address of its own.

The domain is made once and kept in the cache folder; each server runs on a copy. The ports of a domain controller
cannot be chosen, but 127.0.0.0/8 has addresses for everybody.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stead.testing.authority import Authority
from stead.testing.left_out import leave_out
from stead.testing.session import cache_folder, file_lock
from stead.testing.waiting import eventually

PROVISION = Path(__file__).with_name("samba_provision.py")
PROVISION_WITHIN = 300
READY_WITHIN = 120
BASE = "DC=ad,DC=example,DC=test"
ADMIN, ADMIN_PASSWORD = "Administrator@ad.example.test", "Adm1n-pass!"
CONFIGURATION = """\
[global]
netbios name = DC
realm = AD.EXAMPLE.TEST
workgroup = ADX
server role = active directory domain controller
server services = ldap
interfaces = {address}/8
bind interfaces only = yes
tls enabled = yes
tls keyfile = {key}
tls certfile = {certificate}
tls cafile = {authority}
ldap server require strong auth = allow_sasl_over_tls
private dir = {folder}/private
state directory = {folder}/state
lock directory = {folder}
cache directory = {folder}/cache
pid directory = {folder}/run
ncalrpc dir = {folder}/ncalrpc
ntp signd socket directory = {folder}/ntp
winbindd socket directory = {folder}/winbind
log file = {folder}/log
"""


@dataclass(frozen=True)
class ActiveDirectory:
    """A running domain controller."""

    address: str
    authority: Authority

    @property
    def url(self) -> str:
        return f"ldap://{self.address}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://{self.address}"

    def change(self, ldif: str) -> None:
        """Let the administrator change something, with OpenLDAP's own client."""
        environment = {**os.environ, "LDAPTLS_CACERT": str(self.authority.certificate)}
        command = ["ldapmodify", "-x", "-H", self.tls_url, "-D", ADMIN, "-w", ADMIN_PASSWORD]
        done = subprocess.run(
            command, input=ldif, text=True, capture_output=True, timeout=120, check=False, env=environment
        )
        assert done.returncode == 0, done.stderr


def _domain() -> Path:
    """A folder with the domain, from the cache."""
    recipe = hashlib.sha256(PROVISION.read_bytes()).hexdigest()[:12]
    kept = cache_folder() / f"samba-domain-{recipe}"
    with file_lock(cache_folder() / "samba-domain.lock"):
        if not kept.exists():
            making = Path(tempfile.mkdtemp(prefix="samba-", dir=cache_folder()))
            done = subprocess.run(
                ["/usr/bin/python3", str(PROVISION), str(making)],
                capture_output=True,
                text=True,
                timeout=PROVISION_WITHIN,
                check=False,
            )
            if done.returncode:
                shutil.rmtree(making, ignore_errors=True)
                leave_out("Samba", f"the domain could not be made: {done.stderr[-500:]}")
            making.rename(kept)
    return kept


def _check_machine() -> None:
    if shutil.which("samba", path="/usr/sbin:/usr/bin") is None or not Path("/usr/bin/samba-tool").exists():
        leave_out("Samba", "the packages samba, samba-ad-provision and samba-dsdb-modules are not installed")
    try:
        socket.create_server(("127.0.0.2", 389)).close()
    except PermissionError:
        leave_out("Samba", "a domain controller listens on port 389, which takes root here")
    except OSError:
        pass  # somebody else's; ours has another address


@contextlib.contextmanager
def active_directory() -> Iterator[ActiveDirectory]:
    """A domain controller with the people and groups of ``samba_provision.py``."""
    _check_machine()
    folder = Path(tempfile.mkdtemp(prefix="stead-ad-"))
    process: subprocess.Popen[bytes] | None = None
    try:
        shutil.copytree(_domain(), folder / "dc", dirs_exist_ok=True)
        dc = folder / "dc"
        address = ".".join(["127", *(str(1 + secrets.randbelow(253)) for _ in range(3))])
        authority = Authority(folder)
        issued = authority.issue("dc", address)
        for name in ("run", "cache", "ncalrpc", "ntp", "winbind"):
            (dc / name).mkdir(exist_ok=True)
        configuration = dc / "smb.conf"
        configuration.write_text(
            CONFIGURATION.format(
                address=address,
                key=issued.key,
                certificate=issued.certificate,
                authority=authority.certificate,
                folder=dc,
            )
        )
        command = ["/usr/sbin/samba", "-F", "--no-process-group", "-M", "single", "-s", str(configuration)]
        watched = [sys.executable, "-m", "stead.testing.guardian", str(os.getpid()), str(int(signal.SIGTERM))]
        log = (folder / "output").open("wb")
        process = subprocess.Popen([*watched, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(lambda: _answers(address), READY_WITHIN, what="Samba's start", ignoring=(OSError,))
        yield ActiveDirectory(address, authority)
    finally:
        if process is not None:
            process.terminate()
            process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(address: str) -> bool:
    for port in (389, 636):
        socket.create_connection((address, port), 5).close()
    return True
