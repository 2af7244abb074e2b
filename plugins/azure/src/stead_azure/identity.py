"""Which machine an agent runs on: the attested document of Azure's metadata service.

The agent sends what ``/metadata/attested/document?api-version=2021-02-01&nonce=CHALLENGE`` gives, as it is::

    {"encoding": "pkcs7", "signature": "base64 of a signed message"}
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Self

from stead.api.identity import ExpectedInstance, Identity, IdentityRejected, InstanceIdentity, Replays
from stead_azure import ids, pkcs7
from stead_azure.authorities import ROOTS, Authorities, load_roots
from stead_azure.settings import AzureSettings

LONGEST = 131072  # bytes of what an agent sends
CHALLENGE_TIME = 60.0  # seconds
DIGITS = 10  # of a nonce: more Azure does not take
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
TIME = re.compile(r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d [+-]\d{4}", re.ASCII)
MACHINE = "azurerm_linux_virtual_machine"


class AzureIdentity(InstanceIdentity):
    """The verifier."""

    def __init__(self, replays: Replays, authorities: Authorities, *, clock: Callable[[], float] = time.time) -> None:
        self._replays = replays
        self._authorities = authorities
        self._clock = clock

    @classmethod
    def configured(cls, settings: AzureSettings, replays: Replays) -> Self:
        more = [settings.identity_roots] if settings.identity_roots else []
        return cls(replays, Authorities(load_roots(ROOTS, *more)))

    def challenge(self) -> str:
        """Azure's nonces have ten digits: enough for one attempt within a minute."""
        return str(secrets.randbelow(10**DIGITS)).zfill(DIGITS)

    def claimed_instance(self, document: bytes) -> str:
        found = _content(_message(document)).get("vmId")
        if not isinstance(found, str) or not UUID.fullmatch(found):
            raise IdentityRejected("The document names no machine.")
        return found.lower()

    def expected(self, type_name: str, attributes: Mapping[str, Any]) -> ExpectedInstance:
        instance = str(attributes.get("virtual_machine_id") or "").lower()
        found = ids.parse(str(attributes.get("id") or ""))
        if type_name != MACHINE or found is None or not UUID.fullmatch(instance):
            raise IdentityRejected(f"{type_name} is no machine that could prove itself.")
        return ExpectedInstance(instance, found.subscription.lower(), str(attributes.get("location") or ""))

    def verify(self, document: bytes, challenge: str, expected: ExpectedInstance) -> Identity:
        now = self._clock()
        mark = hashlib.sha256(challenge.encode("utf-8", "replace")).hexdigest()
        if not challenge or not self._replays.once(f"azure:challenge:{mark}", now + 2 * CHALLENGE_TIME):
            raise IdentityRejected("The challenge has been used.")
        message = _message(document)
        content = _content(message)
        if not message.holds() or not self._authorities.vouch(message.signer, message.others, now):
            raise IdentityRejected("The document is not signed by Azure's metadata service.")
        if not secrets.compare_digest(str(content.get("nonce")).encode(), challenge.encode()):
            raise IdentityRejected("The document answers another challenge.")
        created, expires = _times(content)
        if not created - CHALLENGE_TIME <= now <= expires:
            raise IdentityRejected("The document is not valid now.")
        found = (_lower(content, "vmId"), _lower(content, "subscriptionId"))
        if found != (expected.instance_id.lower(), expected.account.lower()):
            raise IdentityRejected("The document is of another machine.")
        used = hashlib.sha256(message.signature).hexdigest()
        if not self._replays.once(f"azure:document:{used}", expires + CHALLENGE_TIME):
            raise IdentityRejected("The document has been used.")
        return Identity("azure", expected.instance_id, expected.account, expected.region, created)


def _message(document: bytes) -> pkcs7.Message:
    if len(document) > LONGEST:
        raise IdentityRejected("The document is too long.")
    try:
        found = json.loads(document)
        if not isinstance(found, dict) or found.get("encoding") != "pkcs7" or not isinstance(found["signature"], str):
            raise IdentityRejected("The document is no attested document.")
        return pkcs7.parse(base64.b64decode(found["signature"], validate=True))
    except (ValueError, KeyError, binascii.Error, RecursionError) as error:
        raise IdentityRejected("The document cannot be read.") from error


def _content(message: pkcs7.Message) -> dict[str, Any]:
    try:
        found = json.loads(message.content)
    except (ValueError, RecursionError) as error:
        raise IdentityRejected("The document's content cannot be read.") from error
    if not isinstance(found, dict):
        raise IdentityRejected("The document's content is no object.")
    return found


def _times(content: Mapping[str, Any]) -> tuple[float, float]:
    """When it was made and until when it counts, in seconds since the epoch."""
    stamp = content.get("timeStamp")
    found = [stamp.get(name) for name in ("createdOn", "expiresOn")] if isinstance(stamp, dict) else []
    try:
        if not found or not all(isinstance(item, str) and TIME.fullmatch(item) for item in found):
            raise ValueError("no times")
        created, expires = (datetime.strptime(str(item), "%m/%d/%y %H:%M:%S %z").timestamp() for item in found)
    except (ValueError, OverflowError) as error:
        raise IdentityRejected("The document does not say when it is valid.") from error
    return created, expires


def _lower(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    return value.lower() if isinstance(value, str) else ""
