"""What a terminal and the page that lets it in both compute: RFC 7636, and the code that people compare."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels, so that no words come out; nothing that looks like something else
LENGTH = 8
_WORD = re.compile(r"[A-Za-z0-9_-]+")
_CHALLENGE_LENGTH = 43  # of 256 bits in base64url without padding


def new_code() -> str:
    """A code by chance, for people to type."""
    return "".join(secrets.choice(LETTERS) for _ in range(LENGTH))


def shown(code: str) -> str:
    """A code as people read it: ``BCDF-GHJK``."""
    return f"{code[:4]}-{code[4:]}"


def new_secret() -> str:
    """A verifier or a state: 256 bits, in letters that need no escaping in an address."""
    return secrets.token_urlsafe(32)


def challenge_of(verifier: str) -> str:
    """``S256`` of RFC 7636, section 4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def is_challenge(text: str) -> bool:
    return len(text) == _CHALLENGE_LENGTH and _WORD.fullmatch(text) is not None


def is_state(text: str) -> bool:
    """Whether it is long enough not to be guessed, and harmless in an address."""
    return 16 <= len(text) <= 128 and _WORD.fullmatch(text) is not None


def code_of(challenge: str) -> str:
    """The code that the terminal and the page show for a challenge, as people read it.

    It is for comparing, not for proving: the verifier is what proves.
    """
    digest = hashlib.sha256(b"stead terminal 1 " + challenge.encode()).digest()
    return shown("".join(LETTERS[byte % len(LETTERS)] for byte in digest[:LENGTH]))
