"""Keys as ``hashicorp/tls`` writes them."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization as wire
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from stead.api.errors import ProviderFailure
from stead.api.provider import Context, DataSource, attribute, between, one_of
from stead.api.provider.model import Model
from stead.terraform.standard.virtual import Virtual

CURVES: dict[str, ec.EllipticCurve] = {
    "P224": ec.SECP224R1(),
    "P256": ec.SECP256R1(),
    "P384": ec.SECP384R1(),
    "P521": ec.SECP521R1(),
}
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class PublicParts(Model):
    """Computed attributes of a public key."""

    id: str = attribute(computed=True, description="The SHA-1 of the public key.")
    public_key_pem: str = attribute(computed=True)
    public_key_openssh: str = attribute(computed=True, description="Empty for keys that OpenSSH does not know.")
    public_key_fingerprint_md5: str = attribute(computed=True)
    public_key_fingerprint_sha256: str = attribute(computed=True)

    def describe(self, key: PrivateKey) -> None:
        public = key.public_key()
        der = public.public_bytes(wire.Encoding.DER, wire.PublicFormat.SubjectPublicKeyInfo)
        pem = public.public_bytes(wire.Encoding.PEM, wire.PublicFormat.SubjectPublicKeyInfo)
        self.id = hashlib.sha1(der, usedforsecurity=False).hexdigest()
        self.public_key_pem = pem.decode()
        self.public_key_openssh = _openssh(public)
        blob = base64.b64decode(self.public_key_openssh.split()[1]) if self.public_key_openssh else b""
        self.public_key_fingerprint_md5 = _md5_fingerprint(blob)
        self.public_key_fingerprint_sha256 = _sha256_fingerprint(blob)


class TlsPrivateKey(PublicParts, Virtual, name="tls_private_key"):
    """A new key pair. The private key stands in the state, so it suits keys that live with the workspace."""

    algorithm: str = attribute(required=True, force_new=True, validators=[one_of("RSA", "ECDSA", "ED25519")])
    rsa_bits: int = attribute(default=2048, force_new=True, validators=[between(1024, 16384)])
    ecdsa_curve: str = attribute(default="P224", force_new=True, validators=[one_of(*CURVES)])
    private_key_pem: str = attribute(computed=True, sensitive=True)
    private_key_openssh: str = attribute(computed=True, sensitive=True)
    private_key_pem_pkcs8: str = attribute(computed=True, sensitive=True)

    def create(self, context: Context) -> None:
        del context
        key = self._generate()
        self.private_key_pem = _private(key, _pem_format(key))
        self.private_key_pem_pkcs8 = _private(key, wire.PrivateFormat.PKCS8)
        self.private_key_openssh = _private_openssh(key)
        self.describe(key)

    def _generate(self) -> PrivateKey:
        if self.algorithm == "RSA":
            return rsa.generate_private_key(public_exponent=65537, key_size=self.rsa_bits)
        if self.algorithm == "ECDSA":
            return ec.generate_private_key(CURVES[self.ecdsa_curve])
        return ed25519.Ed25519PrivateKey.generate()


class TlsPublicKey(PublicParts, DataSource, name="tls_public_key"):
    """The public half of a private key."""

    private_key_pem: str | None = attribute(optional=True, sensitive=True, exactly_one_of=["private_key_openssh"])
    private_key_openssh: str | None = attribute(optional=True, sensitive=True, exactly_one_of=["private_key_pem"])
    algorithm: str = attribute(computed=True)

    def read(self, context: Context) -> None:
        del context
        if self.private_key_pem is not None:
            key = load_private(self.private_key_pem, field="private_key_pem")
        else:
            key = load_private(self.private_key_openssh or "", field="private_key_openssh")
        self.algorithm = algorithm_of(key)
        self.describe(key)


def load_private(text: str, *, field: str) -> PrivateKey:
    """A private key from any of the forms that :class:`TlsPrivateKey` writes."""
    data = text.encode()
    load = wire.load_ssh_private_key if "OPENSSH PRIVATE KEY" in text else wire.load_pem_private_key
    try:
        key = load(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = "it is locked with a password" if isinstance(error, TypeError) else "it is no key in PEM"
        raise ProviderFailure(f"The private key cannot be read: {reason}.", field=field) from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise ProviderFailure("The private key is of a kind other than RSA, ECDSA and ED25519.", field=field)
    return key


def algorithm_of(key: PrivateKey) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return "RSA"
    return "ECDSA" if isinstance(key, ec.EllipticCurvePrivateKey) else "ED25519"


def _pem_format(key: PrivateKey) -> wire.PrivateFormat:
    """The form that names its algorithm, where there is one."""
    is_edwards = isinstance(key, ed25519.Ed25519PrivateKey)
    return wire.PrivateFormat.PKCS8 if is_edwards else wire.PrivateFormat.TraditionalOpenSSL


def _private(key: PrivateKey, form: wire.PrivateFormat) -> str:
    return key.private_bytes(wire.Encoding.PEM, form, wire.NoEncryption()).decode()


def _private_openssh(key: PrivateKey) -> str:
    try:
        return _private(key, wire.PrivateFormat.OpenSSH)
    except (ValueError, UnsupportedAlgorithm):  # OpenSSH has no P224
        return ""


def _openssh(public: Any) -> str:
    try:
        encoded: bytes = public.public_bytes(wire.Encoding.OpenSSH, wire.PublicFormat.OpenSSH)
    except (ValueError, UnsupportedAlgorithm):  # OpenSSH has no P224
        return ""
    return encoded.decode() + "\n"


def _md5_fingerprint(blob: bytes) -> str:
    return hashlib.md5(blob, usedforsecurity=False).digest().hex(":") if blob else ""


def _sha256_fingerprint(blob: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).rstrip(b"=").decode() if blob else ""
