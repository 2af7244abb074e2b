"""The one place that touches the library ``webauthn``; it is imported when a passkey is first used."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TIMEOUT_MILLISECONDS = 5 * 60 * 1000
NAME = "Stead"


class Refused(Exception):
    """An answer does not hold; the text is for the log."""


@dataclass(frozen=True)
class NewPasskey:
    credential: str
    public_key: bytes = field(repr=False)
    count: int
    verifies_user: bool


def creation_options(host: str, user_id: str, username: str, name: str, challenge: bytes, known: Sequence[str]) -> str:
    import webauthn
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    options = webauthn.generate_registration_options(
        rp_id=host,
        rp_name=NAME,
        user_id=uuid.UUID(user_id).bytes,
        user_name=username,
        user_display_name=name or username,
        challenge=challenge,
        timeout=TIMEOUT_MILLISECONDS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.PREFERRED
        ),
        exclude_credentials=_descriptors(known),
    )
    return webauthn.options_to_json(options)


def request_options(host: str, challenge: bytes, known: Sequence[str], *, sole: bool) -> str:
    import webauthn
    from webauthn.helpers.structs import UserVerificationRequirement as Verification

    options = webauthn.generate_authentication_options(
        rp_id=host,
        challenge=challenge,
        timeout=TIMEOUT_MILLISECONDS,
        allow_credentials=_descriptors(known),
        user_verification=Verification.REQUIRED if sole else Verification.PREFERRED,
    )
    return webauthn.options_to_json(options)


def verify_creation(answer: Mapping[str, Any], challenge: bytes, host: str, origin: str) -> NewPasskey:
    import webauthn
    from webauthn.helpers import bytes_to_base64url

    try:
        made = webauthn.verify_registration_response(
            credential=dict(answer), expected_challenge=challenge, expected_rp_id=host, expected_origin=origin
        )
    except Exception as error:  # boundary: a parser of bytes that a stranger sent
        raise Refused(f"{type(error).__name__}: {error}"[:300]) from error
    credential = bytes_to_base64url(made.credential_id)
    return NewPasskey(credential, made.credential_public_key, made.sign_count, made.user_verified)


def verify_assertion(
    answer: Mapping[str, Any], challenge: bytes, host: str, origin: str, key: bytes, count: int, *, sole: bool
) -> int:
    """The new count of signatures.

    The library refuses a count that has not grown, where the authenticator counts at all.
    """
    import webauthn

    try:
        found = webauthn.verify_authentication_response(
            credential=dict(answer),
            expected_challenge=challenge,
            expected_rp_id=host,
            expected_origin=origin,
            credential_public_key=key,
            credential_current_sign_count=count,
            require_user_verification=sole,
        )
    except Exception as error:  # boundary: a parser of bytes that a stranger sent
        raise Refused(f"{type(error).__name__}: {error}"[:300]) from error
    return int(found.new_sign_count)


def _descriptors(credentials: Sequence[str]) -> list[Any]:
    from webauthn.helpers import base64url_to_bytes
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(credential)) for credential in credentials]
