"""The key of this machine, and the short-lived certificates that let it into a workspace.

All of it lives in ``CONFIG/ssh``: ``id_ed25519`` is the key, ``HOST-cert.pub`` the certificate for one host
name, and ``known_hosts`` the authorities that sign the host keys of agents.

OpenSSH reads certificates while it parses its configuration's outcome, before the proxy command has said
anything, so they are made by a ``Match exec`` in front. That runs for every connection; the file's time is
set such that ``find HOST-cert.pub -mmin -1`` finds it exactly as long as it is good enough, and then nothing
else needs to run.
"""

from __future__ import annotations

import os
import time
from calendar import timegm

from stead.cli.client import Client, segment
from stead.cli.failures import CliError
from stead.cli.files import read_or_empty, write_atomically
from stead.cli.names import SUFFIX, Target
from stead.cli.session import config_dir

# A certificate is used again for half of its life (connecting takes time, clocks differ), and for a minute at most:
# a workspace may be deleted and made anew under the same name, and the certificate is for the one that was.
_KEEP = 0.5
_KEEP_SECONDS = 60.0
_FIND_WINDOW = 60


def ssh_dir() -> str:
    return os.path.join(config_dir(), "ssh")


def key_file() -> str:
    return os.path.join(ssh_dir(), "id_ed25519")


def known_hosts_file() -> str:
    return os.path.join(ssh_dir(), "known_hosts")


def certificate_file(host: str) -> str:
    return os.path.join(ssh_dir(), f"{host}-cert.pub")


def is_fresh(host: str) -> bool:
    """Whether the certificate for ``host`` can be used as it is: the same test as ``find -mmin -1``."""
    try:
        return time.time() - os.stat(certificate_file(host)).st_mtime < _FIND_WINDOW
    except FileNotFoundError:
        return False


def prepare(client: Client, host: str, target: Target) -> None:
    """Get a certificate for ``host`` and write down who may vouch for its host key.

    :raises CliError: the server gives none.
    """
    body = {"public_key": public_key()} | ({"agent": target.agent} if target.agent else {})
    granted = client.post(f"/workspaces/{segment(target.ref)}/ssh-certificate", body)
    _trust(granted["host_ca"])
    path = certificate_file(host)
    write_atomically(path, granted["certificate"].strip().encode() + b"\n", mode=0o600)
    good_for = min(max(_seconds_until(granted["expires_at"]), 0) * _KEEP, _KEEP_SECONDS)
    stamp = time.time() + good_for - _FIND_WINDOW
    os.utime(path, (stamp, stamp))


def drop_certificates() -> None:
    """Forget all certificates, as after signing out or deleting a workspace."""
    try:
        names = os.listdir(ssh_dir())
    except FileNotFoundError:
        return
    for name in names:
        if name.endswith("-cert.pub"):
            os.unlink(os.path.join(ssh_dir(), name))


def public_key() -> str:
    """This machine's public key in OpenSSH's form; the key is made when it is first needed."""
    path = f"{key_file()}.pub"
    if not read_or_empty(path):
        _make_key()
    return read_or_empty(path).decode().strip()


def _make_key() -> None:
    # Once in a machine's life, and slow to import.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
        load_ssh_private_key,
    )

    os.makedirs(ssh_dir(), mode=0o700, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    _create_once(key_file(), private)
    # Another process may have been first: the public key is that of the file which is there now.
    kept = load_ssh_private_key(read_or_empty(key_file()), None)
    public = kept.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    write_atomically(f"{key_file()}.pub", public + b" stead\n", mode=0o644)


def _create_once(path: str, content: bytes) -> None:
    temporary = f"{path}.{os.getpid()}"
    write_atomically(temporary, content, mode=0o600)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return
    finally:
        os.unlink(temporary)


def _trust(authorities: list[str]) -> None:
    lines = [f"@cert-authority *{SUFFIX} {' '.join(key.split()[:2])}" for key in authorities]
    if not lines:
        raise CliError("The server named no authority for the host keys of workspaces.")
    content = ("\n".join(lines) + "\n").encode()
    if read_or_empty(known_hosts_file()) != content:
        write_atomically(known_hosts_file(), content, mode=0o600)


def _seconds_until(stamp: str) -> float:
    """Seconds until an ISO 8601 time in UTC; 0 where it cannot be read."""
    try:
        return timegm(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")) - time.time()
    except ValueError:
        return 0.0
