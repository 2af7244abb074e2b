"""SSH keys and certificates: Ed25519 throughout, made and signed with ``cryptography``."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.dsa import DSAPublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    SSHCertificateBuilder,
    SSHCertificateType,
    load_ssh_private_key,
    load_ssh_public_key,
)

from stead.api.errors import InvalidInput
from stead.services.core import Core, new_id
from stead.store import system

BACKDATED = timedelta(seconds=60)  # tolerates a clock that runs behind ours
HOST_CERTIFICATE_LIFETIME = timedelta(days=30)
_EXTENSIONS = (
    b"permit-X11-forwarding",
    b"permit-agent-forwarding",
    b"permit-port-forwarding",
    b"permit-pty",
    b"permit-user-rc",
)


@dataclass(frozen=True)
class SshKeys:
    """An OpenSSH key pair."""

    public_key: str
    private_key: str = field(repr=False)


def generate(comment: str) -> SshKeys:
    """A new Ed25519 key pair; the public key is one line that ends with the comment."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return SshKeys(f"{public} {comment}", private)


def session_label() -> str:
    """A short random name for a session."""
    return secrets.token_hex(4)


def authority_key(core: Core, kind: str) -> str:
    """The public key of the ``user`` or ``host`` authority, one line; it is made at first use."""
    return _authority(core, kind).public_key


def sign_user(core: Core, public_key: str, *, key_id: str, principal: str, lifetime: float) -> tuple[str, datetime]:
    """A user certificate for one principal; returns it with the time at which it expires."""
    expires = core.clock.now() + timedelta(seconds=lifetime)
    certificate = _sign(core, "user", public_key, key_id, [principal], expires)
    return certificate, expires.replace(microsecond=0)


def sign_host(core: Core, public_key: str, *, key_id: str, names: Sequence[str]) -> str:
    """A host certificate for host names."""
    return _sign(core, "host", public_key, key_id, names, core.clock.now() + HOST_CERTIFICATE_LIFETIME)


def _sign(core: Core, kind: str, public_key: str, key_id: str, names: Sequence[str], expires: datetime) -> str:
    try:
        subject = load_ssh_public_key(public_key.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInput("This is not an OpenSSH public key.", field="public_key") from error
    if isinstance(subject, DSAPublicKey):
        raise InvalidInput("DSA keys are not accepted.", field="public_key", remedy="Use an Ed25519 key.")
    authority = _authority(core, kind)
    signer = load_ssh_private_key(core.keyring.open(f"ssh-authority:{kind}", authority.sealed), None)
    if not isinstance(signer, Ed25519PrivateKey):
        raise TypeError(f"the {kind} authority has a key of another kind")
    builder = (
        SSHCertificateBuilder()
        .public_key(subject)
        .serial(secrets.randbits(63))
        .type(SSHCertificateType.USER if kind == "user" else SSHCertificateType.HOST)
        .key_id(key_id.encode())
        .valid_principals([name.encode() for name in names])
        .valid_after((core.clock.now() - BACKDATED).timestamp())
        .valid_before(expires.timestamp())
    )
    if kind == "user":
        for extension in _EXTENSIONS:
            builder = builder.add_extension(extension, b"")
    return builder.sign(signer).public_bytes().decode()


def _authority(core: Core, kind: str) -> system.Authority:
    with core.database.read():
        found = system.authority(kind)
    if found is not None:
        return found
    keys = generate(f"stead-{kind}-ca")
    sealed = core.keyring.seal(f"ssh-authority:{kind}", keys.private_key.encode())
    with core.database.write():
        system.insert_authority(system.Authority(new_id(), kind, keys.public_key, sealed), core.clock.now())
        stored = system.authority(kind)
    if stored is None:
        raise RuntimeError(f"the {kind} authority was not stored")
    return stored
