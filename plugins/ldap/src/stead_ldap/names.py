"""What people type, made safe to put into filters and distinguished names (RFC 4515, RFC 4514)."""

from __future__ import annotations

import re

import sansldap

from stead_ldap.settings import PLACEHOLDER

_DN_SPECIAL = re.compile(r'[,+"\\<>;=]')
_RDN = re.compile(r"\s*([A-Za-z0-9.-]+)\s*=\s*((?:\\.|[^,+\\])*)")
_HEX = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)")


def escape_filter(text: str) -> str:
    """As a value in a filter: every byte that could mean something is written in hexadecimal."""
    return "".join(
        chr(byte) if (chr(byte).isalnum() and byte < 0x80) or byte in b"@._-" else f"\\{byte:02x}"
        for byte in text.encode("utf-8")
    )


def escape_dn(text: str) -> str:
    """As a value in a distinguished name."""
    escaped = _DN_SPECIAL.sub(lambda found: "\\" + found[0], text).replace("\x00", "\\00")
    if escaped.startswith(("#", " ")):
        escaped = "\\" + escaped
    if escaped.endswith(" ") and not escaped.endswith("\\ "):
        escaped = escaped[:-1] + "\\ "
    return escaped


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
    return found[1].lower(), _unescape(found[2].strip())


def _unescape(value: str) -> str:
    value = _HEX.sub(lambda found: bytes.fromhex(found[1].replace("\\", "")).decode("utf-8", "replace"), value)
    return re.sub(r"\\(.)", r"\1", value)


def same_dn(dn: str) -> str:
    """A form in which two spellings of a distinguished name are mostly equal."""
    return re.sub(r"\s*([,=+])\s*", r"\1", dn.strip()).casefold()
