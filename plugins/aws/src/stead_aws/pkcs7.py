"""Signed messages (PKCS#7) of the metadata service: what they say, and whether a pinned key has signed it.

Certificates inside a message are never looked at: whoever writes a message can put anything there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from asn1crypto import cms
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

SET_OF = b"\x31"  # signed attributes are signed under this tag, and sent under another one
LONGEST = 32768  # bytes of a message; AWS's have about 1,500
SIGNATURES = ("rsassa_pkcs1v15", "sha256_rsa", "rsa")


class Malformed(ValueError):
    """The bytes are no signed message of the one form that AWS writes."""


@dataclass(frozen=True)
class Message:
    """A signed message. Nothing in it is true before :meth:`signed_by` is."""

    content: bytes
    attributes: bytes
    digest: bytes
    signature: bytes

    def signed_by(self, key: rsa.RSAPublicKey) -> bool:
        """Whether this key has signed the content, with SHA-256 and PKCS#1 v1.5."""
        if hashlib.sha256(self.content).digest() != self.digest:
            return False
        try:
            key.verify(self.signature, self.attributes, padding.PKCS1v15(), hashes.SHA256())
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
    except Exception as error:  # noqa: BLE001 - boundary: a stranger's bytes in a parser of others
        raise Malformed(f"The message cannot be read ({type(error).__name__}).") from None


def _parsed(data: bytes) -> Message:
    outer = cms.ContentInfo.load(data, strict=True)
    if outer["content_type"].native != "signed_data":
        raise Malformed("The message is not signed.")
    signed = outer["content"]
    inner = signed["encap_content_info"]
    if inner["content_type"].native != "data" or len(signed["signer_infos"]) != 1:
        raise Malformed("The message does not have plain content and one signer.")
    signer = signed["signer_infos"][0]
    if signer["digest_algorithm"]["algorithm"].native != "sha256":
        raise Malformed("The message is not signed with SHA-256.")
    if signer["signature_algorithm"]["algorithm"].native not in SIGNATURES:
        raise Malformed("The message is not signed with RSA, PKCS#1 v1.5.")
    content = inner["content"].native
    attributes = signer["signed_attrs"].dump()
    if not isinstance(content, bytes) or not attributes:
        raise Malformed("The message has no content or no signed attributes.")
    _attribute(signer, "content_type", "data")
    digest = _attribute(signer, "message_digest")
    return Message(content, SET_OF + attributes[1:], digest, signer["signature"].native)


def _attribute(signer: Any, name: str, expected: Any = None) -> Any:
    """The one value of a signed attribute that stands once."""
    found = [item["values"] for item in signer["signed_attrs"] if item["type"].native == name]
    if len(found) != 1 or len(found[0]) != 1:
        raise Malformed(f"The message does not have {name} once.")
    value = found[0][0].native
    if expected is not None and value != expected:
        raise Malformed(f"The message has another {name} than it should.")
    return value
