"""Secrets that Stead gives out: made here, kept as hashes, compared in constant time.

A secret reads ``ID-RANDOM``: the id finds the row, the random part (256 bits) is what is hashed. A plain
SHA-256 is right for that much entropy; passwords go through Argon2id.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid

import argon2

_HASHER = argon2.PasswordHasher()
# Verified where there is no such user, so that the answer takes as long as for a wrong password.
_NOBODY = _HASHER.hash(secrets.token_hex(16))


def make(row_id: str) -> tuple[str, str]:
    """A new secret for a row, and the hash to store."""
    random = secrets.token_urlsafe(32)
    return f"{uuid.UUID(row_id).hex}-{random}", digest(random)


def split(secret: str) -> tuple[str, str] | None:
    """Row id and random part of a secret; ``None`` where it does not look like one."""
    head, dash, random = secret.partition("-")
    if not dash or len(head) != 32 or not random or len(random) > 128:
        return None
    try:
        return str(uuid.UUID(hex=head)), random
    except ValueError:
        return None


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def matches(text: str, stored: str) -> bool:
    return hmac.compare_digest(digest(text), stored)


def hash_password(password: str) -> str:
    return _HASHER.hash(password)


def password_matches(password: str, stored: str | None) -> bool:
    """Whether the password is the one that was hashed; takes as long where nothing is stored."""
    try:
        return _HASHER.verify(stored or _NOBODY, password) and stored is not None
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def needs_rehash(stored: str) -> bool:
    return _HASHER.check_needs_rehash(stored)
