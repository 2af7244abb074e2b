"""Why somebody must not come in although they are there: what servers say when they refuse, and what entries say.

Servers tell these apart: a wrong password, an account that is locked for a while after wrong passwords, one that an
administrator disabled or that ran out, and a password that must be changed first.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from sansldap.asn1 import ASN1Reader, NotEnougData

from stead.api.signin import AuthenticationFailed
from stead_ldap.wire import Entry

ASK = "Ask your administrator."
_DATA = re.compile(r"\bdata ([0-9a-f]{3,4})\b", re.IGNORECASE)


@dataclass(frozen=True)
class Refusal:
    """``told`` is for the person: empty where a stranger without the password could learn something from it."""

    detail: str
    told: str = ""
    remedy: str | None = None

    @property
    def failure(self) -> AuthenticationFailed:
        if not self.told:
            return AuthenticationFailed(detail=self.detail)
        return AuthenticationFailed(self.told, detail=self.detail, remedy=self.remedy)


DISABLED = Refusal("the account is disabled in the directory", "This account is disabled in the directory.", ASK)
EXPIRED = Refusal("the account has expired in the directory", "This account has expired in the directory.", ASK)
NOT_YET = Refusal("the account is not valid yet", "This account cannot be used yet.", ASK)
LOCKED = Refusal("the account is locked in the directory after wrong passwords, or by an administrator")
CHANGE = "Change it where your organisation lets you, then sign in here."
PASSWORD_EXPIRED = Refusal("the password has expired", "Your password has expired.", CHANGE)
MUST_CHANGE = Refusal("the password must be changed first", "Your password must be changed first.", CHANGE)
NOT_NOW = Refusal("the directory does not let them sign in at this hour", "You may not sign in at this hour.", ASK)
NOT_HERE = Refusal("the directory does not let them sign in from here", "You may not sign in from here.", ASK)
WRONG = Refusal("the directory refused the password")

# Active Directory writes why it refuses a bind into the diagnostic: "AcceptSecurityContext error, data 533, v4563".
# All but 525, 52e and 775 are said only to those who have the right password.
ACTIVE_DIRECTORY = {
    "52e": WRONG,
    "530": NOT_NOW,
    "531": NOT_HERE,
    "532": PASSWORD_EXPIRED,
    "533": DISABLED,
    "701": EXPIRED,
    "773": MUST_CHANGE,
    "775": LOCKED,
}
UNKNOWN = "525"

# draft-behera-ldap-password-policy, section 6.2
POLICY = {0: PASSWORD_EXPIRED, 1: LOCKED, 2: MUST_CHANGE}

DISABLED_FLAG = 0x2
NEVER = {0, 0x7FFFFFFFFFFFFFFF}
FILETIME_EPOCH = 11644473600  # seconds from 1601 to 1970
LOCKED_FOR_GOOD = "000001010000Z"
STATE_ATTRIBUTES = (
    "userAccountControl",
    "accountExpires",
    "pwdAccountLockedTime",
    "pwdStartTime",
    "pwdEndTime",
    "shadowExpire",
    "nsAccountLock",
)


def sub_code(diagnostic: str) -> str:
    """Active Directory's reason, or nothing."""
    found = _DATA.search(diagnostic)
    return found[1].lower() if found else ""


def of_bind(diagnostic: str, policy: bytes | None) -> Refusal:
    """Why a bind was refused."""
    by_policy = of_policy(policy)
    return by_policy or ACTIVE_DIRECTORY.get(sub_code(diagnostic), WRONG)


def of_policy(value: bytes | None) -> Refusal | None:
    """What the password policy control says: ``[1] ENUMERATED`` in its sequence is the error."""
    if not value:
        return None
    try:
        sequence = ASN1Reader(value).read_sequence()
        while sequence:
            header = sequence.peek_header()
            if header.tag.tag_number == 1:
                return POLICY.get(int.from_bytes(sequence.read_octet_string(header=header), "big"))
            sequence.skip_value(header)
    except (ValueError, NotEnougData):
        return Refusal("the server's password policy control cannot be read")
    return None


def of_entry(entry: Entry, now: float | None = None) -> Refusal | None:
    """What an entry says of its account. A lock that goes by itself does not count: anybody can bring it about."""
    now = time.time() if now is None else now
    if _number(entry, "userAccountControl") & DISABLED_FLAG or entry.first("nsAccountLock").lower() == "true":
        return DISABLED
    if entry.first("pwdAccountLockedTime") == LOCKED_FOR_GOOD:
        return DISABLED
    if _ended(entry, now):
        return EXPIRED
    begins = _moment(entry.first("pwdStartTime"))
    return NOT_YET if begins is not None and begins > now else None


def _ended(entry: Entry, now: float) -> bool:
    ticks = _number(entry, "accountExpires")
    if ticks not in NEVER and ticks / 10_000_000 - FILETIME_EPOCH <= now:
        return True
    days = _number(entry, "shadowExpire", -1)
    if days >= 0 and days * 86400 <= now:
        return True
    ends = _moment(entry.first("pwdEndTime"))
    return ends is not None and ends <= now


def _number(entry: Entry, name: str, otherwise: int = 0) -> int:
    try:
        return int(entry.first(name))
    except ValueError:
        return otherwise


def _moment(text: str) -> float | None:
    """Seconds since the epoch of a generalized time in UTC, to the second."""
    try:
        return datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
