"""What people type, made safe to put into filters and distinguished names (RFC 4515, RFC 4514)."""

from __future__ import annotations

import re

import sansldap

from stead_ldap.settings import PLACEHOLDER

_DN_SPECIAL = re.compile(r'[,+"\\<>;=]')
_RDN = re.compile(r"\s*([A-Za-z0-9.-]+)\s*=\s*((?:\\.|[^,+\\])*)")
_HEX = re.compile(r"\\[0-9A-Fa-f]{2}")
_TOKEN = re.compile(r"\\[0-9A-Fa-f]{2}|\\.|.", re.DOTALL)


def escape_filter(text: str) -> str:
    """As a value in a filter: every byte that could mean something is written in hexadecimal."""
    return "".join(
        chr(byte) if (chr(byte).isalnum() and byte < 0x80) or byte in b"@._-" else f"\\{byte:02x}"
        for byte in text.encode("utf-8")
    )


def escape_dn(text: str) -> str:
    """As a value in a distinguished name."""
    signs = [_DN_SPECIAL.sub(r"\\\g<0>", sign).replace("\x00", "\\00") for sign in text]
    if text.startswith(("#", " ")):
        signs[0] = f"\\{text[0]}"
    if text.endswith(" "):
        signs[-1] = "\\ "
    return "".join(signs)


def filter_for(template: str, username: str) -> sansldap.LDAPFilter:
    """The filter of the settings for one person."""
    return sansldap.LDAPFilter.from_string(template.replace(PLACEHOLDER, escape_filter(username)))


def filter_for_anybody(template: str) -> sansldap.LDAPFilter:
    """The filter of the settings for whoever it could find."""
    return sansldap.LDAPFilter.from_string(template.replace(PLACEHOLDER, "*"))


def looks_like_dn(template: str) -> bool:
    """Whether a name to bind with is a distinguished name, and not name@domain or DOMAIN\\name."""
    return _RDN.match(template) is not None


def direct_name(template: str, username: str) -> str:
    """What to bind as, of what somebody typed."""
    return template.replace(PLACEHOLDER, escape_dn(username) if looks_like_dn(template) else username)


def first_of(dn: str) -> tuple[str, str]:
    """Attribute (lower-case) and value of a distinguished name's first part; nothing where it has more than one."""
    found = _RDN.match(dn)
    if found is None or dn[found.end() : found.end() + 1] == "+":
        return "", ""
    return found[1].lower(), _unescape(found[2])


def _unescape(value: str) -> str:
    tokens = _TOKEN.findall(value)
    while tokens and tokens[-1] == " ":  # one that belongs to the value is escaped
        tokens.pop()
    plain = (bytes.fromhex(token.replace("\\", "")) if _HEX.fullmatch(token) else token.encode() for token in tokens)
    return b"".join(part.removeprefix(b"\\") if len(part) == 2 else part for part in plain).decode("utf-8", "replace")


def same_dn(dn: str) -> str:
    """A form in which two spellings of a distinguished name are mostly equal."""
    return re.sub(r"\s*([,=+])\s*", r"\1", dn.strip()).casefold()
