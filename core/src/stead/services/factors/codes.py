"""One-time codes by time (RFC 6238), and recovery codes for when the device is gone."""

from __future__ import annotations

import hmac
import secrets as random
from collections.abc import Sequence
from datetime import datetime

import pyotp

from stead.services import secrets
from stead.services.core import Core
from stead.store import factors as store

ISSUER = "Stead"
STEP_SECONDS = 30
DIGITS = 6
DRIFT_STEPS = 1  # how far a device's clock may be off
RECOVERY_CODES = 10
# No letters that are read as digits; 12 of 31 signs are 59 bits.
SIGNS = "abcdefghjkmnpqrstuvwxyz23456789"
GROUP = 4


def new_secret() -> str:
    """160 bits, as authenticators read them."""
    return pyotp.random_base32()


def uri(secret: str, account: str, deployment: str) -> str:
    """What a QR code for an authenticator says."""
    return pyotp.TOTP(secret).provisioning_uri(name=f"{account}@{deployment}", issuer_name=ISSUER)


def matching_step(secret: str, code: str, at: datetime, *, after: int) -> int | None:
    """The time step that a code belongs to, if it is near and later than ``after``: each counts once."""
    digits = code.replace(" ", "")
    if len(digits) != DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    totp, found = pyotp.TOTP(secret), None
    now = int(at.timestamp()) // STEP_SECONDS
    # All are looked at, so that the answer's time says nothing.
    for step in range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1):
        if hmac.compare_digest(totp.generate_otp(step), digits) and step > after:
            found = step
    return found


def seal(core: Core, factor_id: str, secret: str) -> bytes:
    return core.keyring.seal(f"factor:{factor_id}", secret.encode())


def check_totp(core: Core, stored: store.StoredFactor, code: str) -> bool:
    """Whether a factor's code is right now. A code is taken once, whoever is first."""
    secret = core.keyring.open(f"factor:{stored.factor.id}", stored.secret).decode()
    at = core.clock.now()
    step = matching_step(secret, code, at, after=stored.counter)
    if step is None:
        return False
    with core.database.write():
        return store.advance(stored.factor.id, step, at, beyond=stored.counter)


def new_recovery_codes() -> tuple[str, ...]:
    """Codes as people read them: ``k7mf-2xqa-9tcd``."""
    return tuple(_recovery_code() for _ in range(RECOVERY_CODES))


def _recovery_code() -> str:
    groups = ("".join(random.choice(SIGNS) for _ in range(GROUP)) for _ in range(3))
    return "-".join(groups)


def digests(codes: Sequence[str]) -> tuple[str, ...]:
    return tuple(secrets.digest(_plain(code)) for code in codes)


def use_recovery_code(core: Core, user_id: str, code: str) -> bool:
    """Whether it is one of theirs that was not used yet; now it was."""
    plain = _plain(code)
    if len(plain) != 3 * GROUP:
        return False
    with core.database.write():
        return store.use_code(user_id, secrets.digest(plain))


def _plain(code: str) -> str:
    return "".join(sign for sign in code[:100].lower() if sign in SIGNS)
