"""Which credentials to use, in the order in which the provider's documentation names them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import google.auth
from google.auth import impersonated_credentials
from google.oauth2.credentials import Credentials

from stead.api.errors import CredentialsRejected
from stead_gcp.failures import CREDENTIALS

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
VARIABLES = ("GOOGLE_CREDENTIALS", "GOOGLE_CLOUD_KEYFILE_JSON", "GCLOUD_KEYFILE_JSON")


def make(
    *,
    access_token: str | None,
    content: str | None,
    file: Path | None,
    impersonate: str | None,
    delegates: list[str],
    scopes: list[str],
) -> Any:
    """The SDK's credentials: a token, a key (as text or file), or what the machine has."""
    wanted = scopes or list(SCOPES)
    if access_token:
        found: Any = Credentials(token=access_token)  # type: ignore[no-untyped-call]
    elif content:
        found, _ = google.auth.load_credentials_from_dict(_parsed(content), scopes=wanted)  # type: ignore[no-untyped-call]
    elif file:
        found, _ = google.auth.load_credentials_from_file(str(file), scopes=wanted)  # type: ignore[no-untyped-call]
    else:
        found, _ = google.auth.default(scopes=wanted)
    if impersonate:
        return impersonated_credentials.Credentials(  # type: ignore[no-untyped-call]
            source_credentials=found, target_principal=impersonate, target_scopes=wanted, delegates=delegates
        )
    return found


def _parsed(content: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError as error:
        # The cause would show the text, which is a secret.
        raise CredentialsRejected(
            f"The credentials are no JSON (line {error.lineno}).",  # type: ignore[attr-defined]
            field="credentials",
            remedy=CREDENTIALS,
        ) from None
    if not isinstance(found, dict):
        raise CredentialsRejected("The credentials are no JSON object.", field="credentials", remedy=CREDENTIALS)
    return found


def from_environment() -> str | None:
    """What the variables of the original provider hold: a path or the content of a key."""
    return next((value for name in VARIABLES if (value := os.environ.get(name))), None)


def first_of(*names: str) -> str | None:
    """The first of these environment variables that is set."""
    return next((value for name in names if (value := os.environ.get(name))), None)
