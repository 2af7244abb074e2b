"""Passkeys (Web Authentication, level 3), of any authenticator that a browser offers.

The relying party is the host of ``access_url``: a passkey that is made at one address works at no other.
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from stead.api.errors import InvalidInput, NotAuthenticated
from stead.services.core import Core
from stead.services.factors import webauthn_library as library
from stead.store import factors as store

LARGEST_ANSWER = 32_000  # characters
LONGEST_CREDENTIAL = 1400
REFUSED = "The passkey was not accepted."


@dataclass(frozen=True)
class Site:
    """``host`` is the relying party's id; ``why_not`` says why there can be no passkeys, or is empty."""

    host: str
    origin: str
    why_not: str = ""


def site(core: Core) -> Site:
    """Where passkeys of this deployment are good."""
    url = urlsplit(core.settings.access_url)
    host = url.hostname or ""
    why_not = ""
    if _is_address(host):
        why_not = "Passkeys need a host name, and this server is reached by an IP address."
    elif url.scheme != "https" and host != "localhost" and not host.endswith(".localhost"):
        why_not = "Passkeys need https."
    return Site(host, f"{url.scheme}://{url.netloc}", why_not)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def options_to_add(core: Core, user_id: str, username: str, name: str, challenge: bytes) -> str:
    """JSON for ``navigator.credentials.create``."""
    with core.database.read():
        known = [one.credential for one in store.of(user_id) if one.credential]
    return library.creation_options(site(core).host, user_id, username, name, challenge, known)


def options_to_show(core: Core, user_id: str | None, challenge: bytes) -> str:
    """JSON for ``navigator.credentials.get``: of a user's passkeys, or of whoever comes."""
    known: list[str] = []
    if user_id is not None:
        with core.database.read():
            known = [one.credential for one in store.of(user_id) if one.credential]
    return library.request_options(site(core).host, challenge, known, sole=user_id is None)


def added(core: Core, answer: str, challenge: bytes) -> library.NewPasskey:
    """A passkey that a browser has made.

    :raises InvalidInput: it does not hold.
    """
    here = site(core)
    try:
        made = library.verify_creation(_parse(answer), challenge, here.host, here.origin)
    except library.Refused as refused:
        raise InvalidInput("The passkey could not be added.", field="passkey", remedy="Try it again.") from refused
    if len(made.credential) > LONGEST_CREDENTIAL:
        raise InvalidInput("This passkey's name is too long to be kept.", field="passkey")
    return made


def credential_of(answer: str) -> str:
    """The id that an answer claims to be of: good to find a passkey, and for nothing else."""
    claimed = _parse(answer).get("id")
    return claimed if isinstance(claimed, str) else ""


def shown(core: Core, stored: store.StoredFactor, answer: str, challenge: bytes, *, sole: bool) -> None:
    """Nothing, where the answer is a fresh signature of this passkey.

    :param sole: it stands for the password, too: the authenticator must have made sure of the person.
    :raises NotAuthenticated: anything about it is wrong.
    """
    here = site(core)
    try:
        count = library.verify_assertion(
            _parse(answer), challenge, here.host, here.origin, stored.secret, stored.counter, sole=sole
        )
    except library.Refused as refused:
        raise NotAuthenticated(REFUSED) from refused
    with core.database.write():
        used = store.advance(stored.factor.id, count, core.clock.now(), beyond=stored.counter)
    if not used:
        raise NotAuthenticated(REFUSED)


def _parse(answer: str) -> dict[str, Any]:
    if len(answer) > LARGEST_ANSWER:
        raise InvalidInput("The passkey's answer is too large.", field="passkey")
    try:
        parsed = json.loads(answer)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise InvalidInput("The browser gave no answer of a passkey.", field="passkey", remedy="Try it again.")
    return parsed
