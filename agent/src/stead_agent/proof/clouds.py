"""What the metadata service of each cloud gives as proof of which machine this is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from urllib.parse import quote

from stead_agent.errors import ProofError
from stead_agent.proof.signing import Credentials, signed_post
from stead_agent.proof.web import ask_metadata

METADATA = "http://169.254.169.254"
CALLER_IDENTITY = "Action=GetCallerIdentity&Version=2011-06-15"
FORM = "application/x-www-form-urlencoded"
GLOBAL_REGION = "us-east-1"  # where the one STS without a region in its name is
AWS_TOKEN_SECONDS = "60"  # noqa: S105 - a lifetime
AZURE_VERSION = "2021-02-01"

# Metadata service, challenge, number of the attempt.
Document = Callable[[str, str, int], bytes]


def aws(service: str, challenge: str, attempt: int) -> bytes:
    """A request to STS that the machine's role signed; without a role, the signed identity document.

    The document serves once, and only for some minutes after the machine has started. So it is for machines without
    a role, and for every other attempt where STS does not help (the server may not reach it).
    """
    token = ask_metadata(
        f"{service}/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": AWS_TOKEN_SECONDS}, "PUT"
    )
    held = {"X-aws-ec2-metadata-token": _text(token)}
    credentials = _role(service, held) if attempt % 2 == 0 else None
    if credentials is None:
        return _aws_document(service, held)
    region = _aws(service, "meta-data/placement/region", held)
    domain = _aws(service, "meta-data/services/domain", held)
    instance = _aws(service, "meta-data/instance-id", held)
    host = f"sts.{region}.{domain}"
    headers = {"Content-Type": FORM, "X-Stead-Challenge": challenge}
    signed = signed_post(host, region, "sts", CALLER_IDENTITY, headers, credentials, time.time())
    return _json(
        kind="sts", instance_id=instance, method="POST", url=f"https://{host}/", headers=signed, body=CALLER_IDENTITY
    )


def _aws_document(service: str, held: dict[str, str]) -> bytes:
    return _json(kind="document", pkcs7=_aws(service, "dynamic/instance-identity/rsa2048", held))


def _aws(service: str, path: str, held: dict[str, str]) -> str:
    return _text(ask_metadata(f"{service}/latest/{path}", held))


def _role(service: str, held: dict[str, str]) -> Credentials | None:
    """Credentials of the machine's role; ``None`` where it has none."""
    folder = f"{service}/latest/meta-data/iam/security-credentials/"
    names = _text(ask_metadata(folder, held, missing=b"")).split()
    if not names:
        return None
    try:
        found = json.loads(ask_metadata(folder + quote(names[0], safe=""), held))
        return Credentials(str(found["AccessKeyId"]), str(found["SecretAccessKey"]), str(found["Token"]))
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise ProofError("The machine's metadata service gives no credentials of the machine's role.") from error


def google(service: str, challenge: str, attempt: int) -> bytes:
    """A token of Google's with the challenge as its audience."""
    del attempt
    path = "computeMetadata/v1/instance/service-accounts/default/identity"
    query = f"audience={quote(challenge, safe='')}&format=full"
    return ask_metadata(f"{service}/{path}?{query}", {"Metadata-Flavor": "Google"})


def azure(service: str, challenge: str, attempt: int) -> bytes:
    """The attested document with the challenge as its nonce."""
    del attempt
    query = f"api-version={AZURE_VERSION}&nonce={quote(challenge, safe='')}"
    return ask_metadata(f"{service}/metadata/attested/document?{query}", {"Metadata": "true"})


DOCUMENTS: dict[str, Document] = {
    "aws-instance-identity": aws,
    "google-instance-identity": google,
    "azure-instance-identity": azure,
}


def _text(data: bytes) -> str:
    try:
        return data.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise ProofError("The machine's metadata service answers with something else than text.") from error


def _json(**values: object) -> bytes:
    return json.dumps(values).encode()
