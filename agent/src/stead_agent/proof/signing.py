"""AWS's Signature Version 4, as far as one request to STS needs it.

https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Credentials:
    """Of the machine's role, for some hours."""

    key: str
    secret: str = field(repr=False)
    token: str = field(repr=False)


def signed_post(
    host: str, region: str, service: str, body: str, headers: Mapping[str, str], credentials: Credentials, at: float
) -> dict[str, str]:
    """The headers of a signed ``POST https://HOST/``; every one of them is covered by the signature.

    :param at: seconds since the epoch.
    """
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")
    sent = {**headers, "Host": host, "X-Amz-Date": stamp, "X-Amz-Security-Token": credentials.token}
    lower = {name.lower(): " ".join(value.split()) for name, value in sent.items()}
    names = ";".join(sorted(lower))
    lines = "".join(f"{name}:{lower[name]}\n" for name in sorted(lower))
    canonical = f"POST\n/\n\n{lines}\n{names}\n{_digest(body)}"
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = f"{ALGORITHM}\n{stamp}\n{scope}\n{_digest(canonical)}"
    key = f"AWS4{credentials.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    signature = hmac.digest(key, text.encode(), hashlib.sha256).hex()
    value = f"{ALGORITHM} Credential={credentials.key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**sent, "Authorization": value}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
