"""Signed messages (PKCS#7) of Azure's metadata service: what they say, and which certificate claims to have signed.

Nothing in a message is true before its signer's certificate has been traced to a pinned authority.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from asn1crypto import cms
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

LONGEST = 65536  # bytes; Azure's have about 6,000
MOST_CERTIFICATES = 10
SET_OF = b"\x31"  # signed attributes are signed under this tag, and sent under another one
HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
SIGNATURES = ("rsassa_pkcs1v15", "sha256_rsa", "sha384_rsa", "sha512_rsa", "rsa")


class Malformed(ValueError):
    """The bytes are no signed message of the one form that Azure writes."""


@dataclass(frozen=True)
class Message:
    """A signed message. ``signer`` is only what it says of itself; ``others`` may lead to an authority."""

    content: bytes
    signer: x509.Certificate
    others: tuple[x509.Certificate, ...]
    algorithm: str
    signed: bytes
    signature: bytes

    def holds(self) -> bool:
        """Whether the signer's key has signed the content."""
        try:
            key = self.signer.public_key()
        except (ValueError, UnsupportedAlgorithm):
            return False
        if not isinstance(key, rsa.RSAPublicKey) or key.key_size < 2048:
            return False
        try:
            key.verify(self.signature, self.signed, padding.PKCS1v15(), HASHES[self.algorithm])
        except InvalidSignature:
            return False
        return True


def parse(data: bytes) -> Message:
    """The message of these bytes (DER).

    :raises Malformed: they are none.
    """
    if len(data) > LONGEST:
        raise Malformed("The message is too long.")
    try:
        return _parsed(data)
    except Malformed:
        raise
    except Exception as error:  # noqa: BLE001 - boundary: a stranger's bytes in parsers of others
        raise Malformed(f"The message cannot be read ({type(error).__name__}).") from None


def _parsed(data: bytes) -> Message:
    outer = cms.ContentInfo.load(data, strict=True)
    if outer["content_type"].native != "signed_data":
        raise Malformed("The message is not signed.")
    signed = outer["content"]
    inner = signed["encap_content_info"]
    if inner["content_type"].native != "data" or len(signed["signer_infos"]) != 1:
        raise Malformed("The message does not have plain content and one signer.")
    info, content = signed["signer_infos"][0], inner["content"].native
    algorithm = info["digest_algorithm"]["algorithm"].native
    if algorithm not in HASHES or info["signature_algorithm"]["algorithm"].native not in SIGNATURES:
        raise Malformed("The message is not signed with RSA and SHA-2.")
    if not isinstance(content, bytes):
        raise Malformed("The message has no content.")
    signer, others = _certificates(signed["certificates"], info["sid"])
    covered = _covered(info, content, algorithm)
    return Message(content, signer, others, algorithm, covered, info["signature"].native)


def _certificates(found: Any, wanted: Any) -> tuple[x509.Certificate, tuple[x509.Certificate, ...]]:
    if len(found) > MOST_CERTIFICATES:
        raise Malformed("The message has too many certificates.")
    signer, others = None, []
    for item in found:
        if item.name != "certificate":
            raise Malformed("The message has a certificate of an odd kind.")
        if wanted.name == "issuer_and_serial_number":
            mine = item.chosen.issuer == wanted.chosen["issuer"]
            mine = mine and item.chosen.serial_number == wanted.chosen["serial_number"].native
        else:
            mine = item.chosen.key_identifier == wanted.chosen.native
        loaded = x509.load_der_x509_certificate(item.chosen.dump())
        if mine and signer is None:
            signer = loaded
        else:
            others.append(loaded)
    if signer is None:
        raise Malformed("The message does not hold its signer's certificate.")
    return signer, tuple(others)


def _covered(info: Any, content: bytes, algorithm: str) -> bytes:
    """The bytes that the signature is of: the attributes where there are some, which name the content's digest."""
    attributes = info["signed_attrs"].dump()
    if not len(info["signed_attrs"]):
        return content
    if _attribute(info, "content_type") != "data":
        raise Malformed("The message has another content type than it should.")
    if _attribute(info, "message_digest") != hashlib.new(algorithm, content).digest():
        raise Malformed("The content is not what was signed.")
    return bytes(SET_OF + attributes[1:])


def _attribute(info: Any, name: str) -> Any:
    """The one value of a signed attribute that stands once."""
    found = [item["values"] for item in info["signed_attrs"] if item["type"].native == name]
    if len(found) != 1 or len(found[0]) != 1:
        raise Malformed(f"The message does not have {name} once.")
    return found[0][0].native
