"""From a provider's claims to a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from stead.api import AuthenticationFailed, Trace
from stead.api.errors import Unavailable
from stead_oidc.settings import OidcSettings, WebSettings

_DEPTH = 20
_SHOWN = 100
_UNSHOWN = frozenset({"nonce", "at_hash", "c_hash", "s_hash", "sid", "jti", "aio", "rh", "uti"})

MISSING = object()


def find(claims: object, path: str, depth: int = 0) -> Any:
    """The value at a path with dots; :data:`MISSING` where there is none.

    A claim whose own name has dots is found as well, and the longest name counts first: ``a.b.c`` is the claim
    ``a.b.c``, else ``c`` in ``a.b``, else ``b.c`` in ``a``. In a list the rest is looked for in every entry.
    """
    if depth > _DEPTH:
        return MISSING
    if isinstance(claims, list):
        found = [value for entry in claims if (value := find(entry, path, depth + 1)) is not MISSING]
        return found or MISSING
    if not isinstance(claims, Mapping):
        return MISSING
    if path in claims:
        return claims[path]
    end = path.rfind(".")
    while end > 0:
        inner = claims.get(path[:end], MISSING)
        if inner is not MISSING and (value := find(inner, path[end + 1 :], depth + 1)) is not MISSING:
            return value
        end = path.rfind(".", 0, end)
    return MISSING


def text(documents: Iterable[Mapping[str, Any]], path: str) -> str:
    """The first of the documents' values at ``path`` that is a text or a number."""
    for claims in documents:
        value = find(claims, path) if path else MISSING
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return ""


def names(value: object, most: int) -> tuple[str, ...]:
    """A list of texts as a claim may have it: a list, a nested one, or a single text.

    :raises AuthenticationFailed: more than ``most``.
    """
    found: dict[str, None] = {}
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting.extend(reversed(one))
        elif isinstance(one, str) and one.strip():
            found[one.strip()] = None
        if len(found) > most or len(waiting) > 2 * most:
            raise too_many(most)
    return tuple(found)


def too_many(most: int) -> AuthenticationFailed:
    """What to raise where somebody is in more groups than the settings allow."""
    return AuthenticationFailed(
        "Signing in did not succeed: your account is in too many groups.",
        detail=f"more than {most} groups (max_groups)",
        remedy="Ask an administrator.",
    )


@dataclass(frozen=True)
class Email:
    address: str
    verified: bool


def email(documents: Sequence[Mapping[str, Any]], settings: OidcSettings) -> Email:
    """The address, and whether the provider vouches for it.

    Both come from the same document: that an ID token vouched for one address says nothing of another that userinfo
    has since.
    """
    for claims in documents:
        if address := text((claims,), settings.email_claim):
            vouched = find(claims, settings.email_verified_claim)
            if vouched is MISSING:
                vouched = _vouched_elsewhere(documents, settings, address)
            return Email(address, settings.trust_email if vouched is MISSING else vouched is True or vouched == "true")
    return Email("", verified=False)


def _vouched_elsewhere(documents: Sequence[Mapping[str, Any]], settings: OidcSettings, address: str) -> object:
    for claims in documents:
        if text((claims,), settings.email_claim) == address:
            vouched = find(claims, settings.email_verified_claim)
            if vouched is not MISSING:
                return vouched
    return MISSING


def facts(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What administrators may see of the claims: no values that tie the sign-in to a session, and no endless lists."""
    merged: dict[str, Any] = {}
    for claims in reversed(documents):
        merged |= {name: _short(value) for name, value in claims.items() if name not in _UNSHOWN}
    return merged


def _short(value: object) -> object:
    if isinstance(value, list) and len(value) > _SHOWN:
        return [*value[:_SHOWN], f"… {len(value) - _SHOWN} more"]
    return value


def check_allowed(
    settings: WebSettings, address: Email, groups: tuple[str, ...] | None, trace: Trace, *, later: bool = False
) -> None:
    """Whether the provider's people of this address and these groups may come in.

    :param later: they are in already: what cannot be told now changes nothing.
    :raises AuthenticationFailed: they may not, or it cannot be told.
    :raises Unavailable: it cannot be told, ``later``.
    """
    if settings.allowed_domains:
        _check_domain(settings, address)
        trace.note("Allowed domain", address.address.rpartition("@")[2])
    if settings.allowed_groups:
        if groups is None and later:
            raise Unavailable("The provider did not say which groups they are in.")
        found = sorted(set(settings.allowed_groups) & set(groups or ()))
        if not found:
            raise not_allowed("in none of allowed_groups" if groups is not None else "groups are not known")
        trace.note("Allowed group", ", ".join(found[:_SHOWN]))


def _check_domain(settings: WebSettings, address: Email) -> None:
    domain = address.address.rpartition("@")[2].lower()
    if not address.verified:
        raise AuthenticationFailed(
            "Signing in did not succeed: the provider does not confirm your e-mail address.",
            detail="allowed_domains needs an address that the provider vouches for (email_verified)",
            remedy="Confirm the address there, then try again.",
        )
    if domain not in settings.allowed_domains:
        raise not_allowed(f"{domain[:200]!r} is none of allowed_domains")


def not_allowed(detail: str) -> AuthenticationFailed:
    """What to raise where the provider knows them, and they are none of those who may come in."""
    return AuthenticationFailed(
        "Your account there is not one that may sign in here.", detail=detail, remedy="Ask an administrator."
    )


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """An address with more parameters in its query."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"
