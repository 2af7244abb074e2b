"""Which machine an agent runs on: a presigned request to STS, or the signed identity document of the machine.

The agent sends JSON, in one of two forms::

    {"kind": "sts", "instance_id": "i-…", "method": "POST", "url": "https://sts.eu-central-1.amazonaws.com/",
     "headers": {"Authorization": "…", "X-Amz-Date": "…", "X-Amz-Security-Token": "…", "X-Stead-Challenge": "…"},
     "body": "Action=GetCallerIdentity&Version=2011-06-15"}
    {"kind": "document", "pkcs7": "what /latest/dynamic/instance-identity/rsa2048 gives"}

The second answers no challenge. So it serves once for each start of a machine, and only right after that start.

The first asks STS, which knows the role's session: for a machine's own credentials its name is the instance id. Give
``ec2.amazonaws.com`` alone the right to assume such roles: who else may assume one can choose that name.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace as changed
from datetime import datetime
from pathlib import Path
from typing import Any

import urllib3
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from stead.api import ExpectedInstance, Identity, IdentityRejected, InstanceIdentity, Replays
from stead.api.errors import PluginFailure, Unavailable
from stead_aws import pkcs7, sts_request
from stead_aws.sts_request import StsRequest

BUNDLED = Path(__file__).parent / "certificates"
LONGEST = 65536  # bytes of what an agent sends, and of what STS answers
FRESH = 300.0  # seconds since the machine was started
FUTURE = 60.0  # seconds that its clock may be ahead
CHALLENGE_TIME = 60.0  # seconds
REMEMBERED = 86400.0  # seconds that the document of a start is remembered
INSTANCE = re.compile(r"i-[0-9a-f]{8,17}", re.ASCII)
ROLE = re.compile(r"arn:aws[a-z-]*:sts::(\d{12}):assumed-role/([\w+=,.@-]+)/(i-[0-9a-f]{8,17})", re.ASCII)
PROFILE = "aws_iam_instance_profile"
INSTANCES = {"aws_instance": "id", "aws_spot_instance_request": "spot_instance_id"}
Send = Callable[[StsRequest], tuple[int, bytes]]


class AwsIdentity(InstanceIdentity):
    """The verifier.

    :param replays: remembers challenges and machines.
    :param certificates: folder with certificates besides the bundled ones, or the certificates by region (tests).
    :param roles: names of roles that machines may have; empty is any.
    :param send: sends a checked request to STS; returns status and body.
    :param endpoint: address of STS in place of the one that the request names, for private endpoints.
    :param ca_bundle: certificates (PEM) to trust there, in place of the system's.
    """

    def __init__(
        self,
        replays: Replays,
        *,
        certificates: Path | Mapping[str, x509.Certificate] | None = None,
        roles: tuple[str, ...] = (),
        send: Send | None = None,
        endpoint: str | None = None,
        ca_bundle: Path | None = None,
        clock: Callable[[], float] = time.time,
        timeout: float = 10.0,
    ) -> None:
        self._replays = replays
        self._certificates = certificates
        self._roles = roles
        self._send = send or _Sender(timeout, endpoint, ca_bundle)
        self._clock = clock

    def challenge(self) -> str:
        return secrets.token_urlsafe(32)

    def expected(self, type_name: str, attributes: Mapping[str, Any]) -> ExpectedInstance:
        """From the state: account and region stand in the machine's ARN."""
        name = INSTANCES.get(type_name)
        parts = str(attributes.get("arn") or "").split(":")
        instance = str(attributes.get(name) or "") if name else ""
        if not INSTANCE.fullmatch(instance) or len(parts) < 6:
            raise IdentityRejected(f"{type_name} is no machine that could prove itself.")
        return ExpectedInstance(instance, account=parts[4], region=parts[3])

    def provisioned(
        self, instance_id: str, resources: Sequence[tuple[str, Mapping[str, Any]]]
    ) -> ExpectedInstance | None:
        """With the machine's role, where its instance profile stands in the state too."""
        expected = super().provisioned(instance_id, resources)
        if expected is None:
            return None
        machines = (found for kind, found in resources if found.get(INSTANCES.get(kind, "")) == instance_id)
        profile = str(next(machines, {}).get("iam_instance_profile") or "")
        roles = [
            str(found.get("role") or "")
            for kind, found in resources
            if kind == PROFILE and profile and profile in (found.get("name"), found.get("id"), found.get("arn"))
        ]
        return changed(expected, role=roles[0] if roles else "")

    def claimed_instance(self, document: bytes) -> str:
        claim = _decoded(document)
        found = claim.get("instance_id")
        if claim.get("kind") == "document":
            found = _content(_message(claim)).get("instanceId")
        if not isinstance(found, str) or not INSTANCE.fullmatch(found):
            raise IdentityRejected("The proof names no machine.")
        return found

    def verify(self, document: bytes, challenge: str, expected: ExpectedInstance) -> Identity:
        now = self._clock()
        mark = hashlib.sha256(challenge.encode("utf-8", "replace")).hexdigest()
        if not challenge or not self._replays.once(f"aws:challenge:{mark}", now + 2 * CHALLENGE_TIME):
            raise IdentityRejected("The challenge has been used.")
        claim = _decoded(document)
        if claim.get("kind") == "sts":
            return self._by_request(claim, challenge, expected, now)
        if claim.get("kind") == "document":
            return self._by_document(claim, expected, now)
        raise IdentityRejected("The proof is of no known kind.")

    def _by_request(self, claim: Mapping[str, Any], challenge: str, expected: ExpectedInstance, now: float) -> Identity:
        request = _request(claim, challenge, now)
        if request.region != expected.region and request.host != "sts.amazonaws.com":
            raise IdentityRejected("The request is for another region than the machine's.")
        if not self._replays.once(f"aws:request:{request.signature}", now + 4 * sts_request.SKEW):
            raise IdentityRejected("The request has been used.")
        status, body = self._send(request)
        if status >= 500 or status == 429:
            raise Unavailable("AWS STS does not answer now. Try again.")
        if status != 200:
            raise IdentityRejected("AWS does not know who has signed the request.")
        account, role, instance = _caller(body)
        if (account, instance) != (expected.account, expected.instance_id):
            raise IdentityRejected("The request comes from another machine.")
        if role not in (self._roles or (role,)) or (expected.role and role != expected.role):
            raise IdentityRejected("The machine has another role than it should have.")
        return Identity("aws", instance, account, expected.region, now)

    def _by_document(self, claim: Mapping[str, Any], expected: ExpectedInstance, now: float) -> Identity:
        message = _message(claim)
        content = _content(message)
        region = content.get("region")
        if region == expected.region and self._certificate(expected.region) is None:
            raise IdentityRejected(
                "There is no certificate of AWS for the region of this machine.",
                remedy="Put it as REGION.pem into the folder identity_certificates of [plugins.aws], "
                "or give the machine a role: then STS says which machine it is.",
            )
        key = self._key(region, now) if isinstance(region, str) else None
        if key is None or not message.signed_by(key):
            raise IdentityRejected("The document is not signed by AWS for its region.")
        at = _time(content.get("pendingTime"))
        if not now - FRESH <= at <= now + FUTURE:
            raise IdentityRejected("The document is not of a machine that was started just now.")
        found = (content.get("accountId"), region, content.get("instanceId"))
        if found != (expected.account, expected.region, expected.instance_id):
            raise IdentityRejected("The document is of another machine.")
        # A start has one time, to the second; a document of it is too old long before it is forgotten here.
        once = f"aws:document:{expected.account}:{expected.instance_id}:{at:.0f}"
        if not self._replays.once(once, at + REMEMBERED):
            raise IdentityRejected("The machine has proven itself already since it was started.")
        return Identity("aws", expected.instance_id, expected.account, expected.region, at)

    def _key(self, region: str, now: float) -> rsa.RSAPublicKey | None:
        """The pinned key of exactly this region; ``None`` for regions without one."""
        certificate = self._certificate(region)
        if certificate is None:
            return None
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        key = certificate.public_key()
        if not begin.timestamp() <= now <= end.timestamp():
            return None
        return key if isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048 else None

    def _certificate(self, region: str) -> x509.Certificate | None:
        if isinstance(self._certificates, Mapping):
            return self._certificates.get(region)
        if not re.fullmatch(r"[a-z0-9-]{1,32}", region, re.ASCII):
            return None
        if self._certificates is not None and not self._certificates.is_dir():
            raise PluginFailure(f"{self._certificates}, the setting identity_certificates, is no folder.")
        for folder in filter(None, (self._certificates, BUNDLED)):
            path = folder / f"{region}.pem"
            if path.is_file():
                try:
                    return x509.load_pem_x509_certificate(path.read_bytes())
                except ValueError as error:
                    raise PluginFailure(f"{path} holds no certificate (PEM).") from error
        return None


class _Sender:
    """Sends a request to STS over TLS; follows no redirect, and reads no more than it must."""

    def __init__(self, timeout: float, endpoint: str | None, ca_bundle: Path | None) -> None:
        limit = urllib3.Timeout(total=timeout)
        self._pool = urllib3.PoolManager(timeout=limit, retries=False, ca_certs=str(ca_bundle) if ca_bundle else None)
        self._endpoint = endpoint

    def __call__(self, request: StsRequest) -> tuple[int, bytes]:
        headers = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
        headers["host"] = request.host  # the one that was signed, wherever it goes
        try:
            answer = self._pool.request(
                "POST",
                f"{self._endpoint.rstrip('/')}/" if self._endpoint else f"https://{request.host}/",
                body=sts_request.BODY.encode(),
                headers=headers,
                redirect=False,
                preload_content=False,
            )
            try:
                return answer.status, answer.read(LONGEST)
            finally:
                answer.close()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(f"{request.host} cannot be reached. Check the network of the server.") from error


def _decoded(document: bytes) -> dict[str, Any]:
    if len(document) > LONGEST:
        raise IdentityRejected("The proof is too long.")
    try:
        found = json.loads(document)
    except (ValueError, RecursionError):
        raise IdentityRejected("The proof is no JSON.") from None
    if not isinstance(found, dict):
        raise IdentityRejected("The proof is no JSON object.")
    return found


def _request(claim: Mapping[str, Any], challenge: str, now: float) -> StsRequest:
    texts = [claim.get(name) for name in ("method", "url", "body")]
    headers = claim.get("headers")
    if not isinstance(headers, dict) or not all(isinstance(item, str) for item in [*texts, *headers.values()]):
        raise IdentityRejected("The request is not complete.")
    method, url, body = (str(item) for item in texts)
    try:
        return sts_request.check(method, url, headers, body, challenge, now)
    except ValueError as error:  # that of a URL's parser among them
        known = isinstance(error, sts_request.Refused)
        raise IdentityRejected(str(error) if known else "The request has no address.") from None


def _message(claim: Mapping[str, Any]) -> pkcs7.Message:
    text = claim.get("pkcs7")
    if not isinstance(text, str):
        raise IdentityRejected("The document is missing.")
    try:
        return pkcs7.parse(base64.b64decode("".join(text.split()), validate=True))
    except ValueError as error:
        known = isinstance(error, pkcs7.Malformed)
        raise IdentityRejected(str(error) if known else "The document is no base64.") from None


def _content(message: pkcs7.Message) -> dict[str, Any]:
    try:
        found = json.loads(message.content)
    except (ValueError, RecursionError):
        raise IdentityRejected("The document is no JSON.") from None
    if not isinstance(found, dict):
        raise IdentityRejected("The document is no JSON object.")
    return found


def _time(text: Any) -> float:
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise ValueError("no time zone")
        return found.timestamp()
    except (ValueError, TypeError, OverflowError):
        raise IdentityRejected("The document does not say when the machine was started.") from None


def _caller(body: bytes) -> tuple[str, str, str]:
    """Account, role and instance of STS's answer, which is XML of a known form."""
    text = body.decode("utf-8", "replace")
    arns, accounts = re.findall(r"<Arn>([^<]*)</Arn>", text), re.findall(r"<Account>([^<]*)</Account>", text)
    found = ROLE.fullmatch(arns[0]) if len(arns) == 1 else None
    if found is None or accounts != [found[1]]:
        raise IdentityRejected("The request was not signed by a machine with a role.")
    return found[1], found[2], found[3]
