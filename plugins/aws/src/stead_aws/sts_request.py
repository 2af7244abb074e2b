"""A presigned ``GetCallerIdentity`` request that an agent hands over: what it may look like, and nothing else.

The server sends it on to STS, which tells whose it is. So nothing may be sent on that somebody could make use of: any
other host, call or header is refused.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

BODY = "Action=GetCallerIdentity&Version=2011-06-15"
CHALLENGE = "x-stead-challenge"
GLOBAL_REGION = "us-east-1"
_REGIONS = (
    "af-south-1 ap-east-1 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 "
    "ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-7 ca-central-1 ca-west-1 eu-central-1 "
    "eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 "
    "me-south-1 mx-central-1 sa-east-1 us-east-1 us-east-2 us-gov-east-1 us-gov-west-1 us-west-1 us-west-2"
)
REGIONS = tuple(_REGIONS.split())
HOSTS = {
    "sts.amazonaws.com": GLOBAL_REGION,
    **{f"sts.{region}.amazonaws.com": region for region in REGIONS},
    **{f"sts.{region}.amazonaws.com.cn": region for region in ("cn-north-1", "cn-northwest-1")},
}
ALLOWED = frozenset(
    {
        "accept",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "x-amz-date",
        "x-amz-security-token",
        CHALLENGE,
    }
)
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>\w{16,128})/(?P<day>\d{8})/(?P<region>[a-z0-9-]{1,32})/sts/aws4_request, ?"
    r"SignedHeaders=(?P<signed>[a-z0-9;-]{1,512}), ?Signature=(?P<signature>[0-9a-f]{64})",
    re.ASCII,
)
VALUE = re.compile(r"[\x20-\x7e]{0,8192}")
SKEW = 300.0  # seconds


class Refused(ValueError):
    """The request is not the one form that is sent on."""


@dataclass(frozen=True)
class StsRequest:
    """A request that may be sent on as it is. ``repr`` holds no credential."""

    host: str
    headers: Mapping[str, str]
    region: str
    signature: str

    def __repr__(self) -> str:
        return f"StsRequest(host={self.host!r}, region={self.region!r})"


def check(method: str, url: str, headers: Mapping[str, str], body: str, challenge: str, now: float) -> StsRequest:
    """The request, where it is one that STS answers with whose it is, and was signed for this challenge.

    :raises Refused: it is not.
    """
    host = _host(method, url, body)
    names = _headers(headers, host)
    found = AUTHORIZATION.fullmatch(names.get("authorization", ""))
    if found is None:
        raise Refused("The request is not signed.")
    signed = found["signed"].split(";")
    if not {"host", "x-amz-date", CHALLENGE} <= set(signed):
        raise Refused("The challenge is not among the signed headers.")
    if not challenge or not hmac.compare_digest(names.get(CHALLENGE, "").encode(), challenge.encode()):
        raise Refused("The request is for another challenge.")
    if found["region"] != HOSTS[host]:
        raise Refused("The request is signed for another region than it goes to.")
    _check_date(names.get("x-amz-date", ""), found["day"], now)
    return StsRequest(host, names, HOSTS[host], found["signature"])


def _host(method: str, url: str, body: str) -> str:
    if method != "POST" or body != BODY:
        raise Refused("The request is no GetCallerIdentity.")
    parts = urlsplit(url)
    if parts.netloc not in HOSTS or url not in (f"https://{parts.netloc}/", f"https://{parts.netloc}"):
        raise Refused("The request does not go to STS.")
    return parts.netloc


def _headers(headers: Mapping[str, str], host: str) -> dict[str, str]:
    names: dict[str, str] = {}
    for name, value in headers.items():
        lower = name.lower()
        if lower not in ALLOWED or lower in names or not VALUE.fullmatch(value):
            raise Refused("The request has a header that it should not have.")
        names[lower] = value
    if names.get("host", host) != host:
        raise Refused("The request does not go to STS.")
    if names.get("content-length", str(len(BODY))) != str(len(BODY)):
        raise Refused("The request has another length than it says.")
    return names


def _check_date(text: str, day: str, now: float) -> None:
    try:
        at = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise Refused("The request has no date.") from None
    if not text.startswith(day) or abs(now - at) > SKEW:
        raise Refused("The request is too old, or its clock is wrong.")
