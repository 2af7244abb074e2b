"""Machines of the clouds to test with: their metadata services over HTTP, with documents that a test's authority signs.

A :class:`Machine` answers as the metadata service of one machine; :class:`Http` puts it on a port. ``facts`` is what
the machine truly is, ``spoil`` changes what its documents say.
"""

from __future__ import annotations

import base64
import datetime
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Answer = tuple[int, bytes]
DAY = datetime.timedelta(days=1)
NOT_FOUND: Answer = (404, b"not found")


@dataclass(frozen=True)
class Asked:
    """A request; the names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Handler = Callable[[Asked], Answer]


class Http:
    """A handler behind a free port of this machine; ``requests`` is what was asked."""

    def __init__(self, handler: Handler) -> None:
        self.requests: list[tuple[str, str]] = []
        outer = self

        class Serve(BaseHTTPRequestHandler):
            def log_message(self, *arguments: Any) -> None:
                """Nothing on standard error."""

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.requests.append((self.command, self.path))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, content = handler(Asked(self.command, self.path, headers, body))
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = _serve  # noqa: N815 - names of the base class

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Serve)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class Signer:
    """A key with its certificate.

    :param by: who has signed the certificate; itself where there is nobody.
    :param san: the name of a service, where the certificate is one of a service and not of an authority.
    """

    def __init__(self, name: str, by: Signer | None = None, san: str = "") -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer, now = by or self, datetime.datetime.now(datetime.UTC)
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
        ) | {"encipher_only": False, "decipher_only": False}
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(by.certificate.subject if by else subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 30 * DAY)
            .not_valid_after(now + 300 * DAY)
            .add_extension(x509.BasicConstraints(ca=not san, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
            .add_extension(
                x509.KeyUsage(digital_signature=bool(san), key_cert_sign=not san, crl_sign=not san, **usage),
                critical=True,
            )
        )
        if san:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(san)]), critical=False
            ).add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        self.certificate: x509.Certificate = builder.sign(issuer.key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def message(self, content: bytes, *more: Signer) -> bytes:
        """A signed message (PKCS#7, DER) that carries its content and these certificates too."""
        builder = pkcs7.PKCS7SignatureBuilder().set_data(content)
        builder = builder.add_signer(self.certificate, self.key, hashes.SHA256())
        for signer in more:
            builder = builder.add_certificate(signer.certificate)
        return builder.sign(Encoding.DER, [pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCapabilities])

    def token(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> bytes:
        """A JSON web token, RS256."""
        signed = b".".join(_url64(json.dumps(dict(part)).encode()) for part in (header, claims))
        return signed + b"." + _url64(self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))

    def jwk(self, kid: str) -> dict[str, str]:
        numbers = self.key.public_key().public_numbers()
        modulus = _url64(numbers.n.to_bytes(256, "big")).decode()
        return {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid, "n": modulus, "e": "AQAB"}


def _url64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Machine:
    """The metadata service of one machine.

    :param signer: signs its documents.
    """

    auth = ""

    def __init__(self, signer: Signer, **facts: str) -> None:
        self.signer = signer
        self.facts = facts
        self.spoil: dict[str, Any] = {}

    def __call__(self, asked: Asked) -> Answer:
        raise NotImplementedError

    @property
    def instance_id(self) -> str:
        """What the state names the machine."""
        return self.facts["instance"]

    def state(self) -> bytes:
        """A Terraform state that has this machine."""
        resources = [
            {"mode": "managed", "type": kind, "name": "dev", "instances": [{"attributes": attributes}]}
            for kind, attributes in self.resources()
        ]
        return json.dumps({"version": 4, "serial": 1, "resources": resources}).encode()

    def resources(self) -> list[tuple[str, dict[str, Any]]]:
        raise NotImplementedError


class AwsMachine(Machine):
    """Facts: account, region, instance; ``role`` where it has one."""

    auth = "aws-instance-identity"
    key, secret, token = "ASIAEXAMPLEEXAMPLE00", "the role's secret key", "the role's session token"

    def __init__(self, signer: Signer, **facts: str) -> None:
        super().__init__(signer, **facts)
        self.started = time.time()
        self.held = secrets.token_urlsafe(24)

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/latest/api/token":
            return (200, self.held.encode()) if asked.method == "PUT" else (405, b"")
        if asked.headers.get("x-aws-ec2-metadata-token") != self.held:
            return 401, b"IMDSv2 only"
        texts = {
            "meta-data/placement/region": self.facts["region"],
            "meta-data/services/domain": "amazonaws.com",
            "meta-data/instance-id": str(self.spoil.get("instanceId", self.facts["instance"])),
        }
        name = asked.path.removeprefix("/latest/")
        if name in texts:
            return 200, texts[name].encode()
        if name == "dynamic/instance-identity/rsa2048":
            return 200, base64.encodebytes(self.document())
        return self._role(name)

    def _role(self, name: str) -> Answer:
        role, folder = self.facts.get("role"), "meta-data/iam/security-credentials/"
        if role and name == folder:
            return 200, role.encode()
        if role and name == folder + role:
            credentials = {"AccessKeyId": self.key, "SecretAccessKey": self.secret, "Token": self.token}
            return 200, json.dumps({"Code": "Success", **credentials}).encode()
        return NOT_FOUND

    def document(self) -> bytes:
        started = datetime.datetime.fromtimestamp(self.spoil.get("started", self.started), datetime.UTC)
        content = {
            "accountId": self.facts["account"],
            "region": self.facts["region"],
            "instanceId": self.facts["instance"],
            "pendingTime": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            **{name: value for name, value in self.spoil.items() if name != "started"},
        }
        return self.signer.message(json.dumps(content).encode())

    def resources(self) -> list[tuple[str, dict[str, Any]]]:
        account, region, instance = (self.facts[name] for name in ("account", "region", "instance"))
        role = self.facts.get("provisioned_role", self.facts.get("role"))
        arn = f"arn:aws:ec2:{region}:{account}:instance/{instance}"
        machine = {"id": instance, "arn": arn, "iam_instance_profile": "dev" if role else ""}
        profile = {"id": "dev", "name": "dev", "role": role}
        return [("aws_instance", machine), *([("aws_iam_instance_profile", profile)] if role else [])]


class GoogleMachine(Machine):
    """Facts: project, zone, instance."""

    auth = "google-instance-identity"

    def __call__(self, asked: Asked) -> Answer:
        parts = urlsplit(asked.path)
        query = parse_qs(parts.query)
        if parts.path != "/computeMetadata/v1/instance/service-accounts/default/identity":
            return NOT_FOUND
        if asked.headers.get("metadata-flavor") != "Google" or query.get("format") != ["full"]:
            return 403, b"no"
        return 200, self.document(query["audience"][0])

    def document(self, audience: str) -> bytes:
        now = int(time.time())
        machine = {
            "project_id": self.facts["project"],
            "zone": self.facts["zone"],
            "instance_id": self.facts["instance"],
            **self.spoil.get("machine", {}),
        }
        claims = {
            "iss": "https://accounts.google.com",
            "aud": audience,
            "iat": now,
            "exp": now + 3600,
            "google": {"compute_engine": machine},
            **{name: value for name, value in self.spoil.items() if name != "machine"},
        }
        return self.signer.token({"alg": "RS256", "kid": "k1", "typ": "JWT"}, claims)

    def resources(self) -> list[tuple[str, dict[str, Any]]]:
        facts = {"instance_id": self.facts["instance"], "project": self.facts["project"], "zone": self.facts["zone"]}
        return [("google_compute_instance", {"id": "projects/p/zones/z/instances/dev", **facts})]


class AzureMachine(Machine):
    """Facts: subscription, location, instance. The signer's issuer goes with each document."""

    auth = "azure-instance-identity"

    def __init__(self, signer: Signer, issuer: Signer, **facts: str) -> None:
        super().__init__(signer, **facts)
        self.issuer = issuer

    def __call__(self, asked: Asked) -> Answer:
        parts = urlsplit(asked.path)
        if parts.path != "/metadata/attested/document" or asked.headers.get("metadata") != "true":
            return NOT_FOUND
        return 200, self.document(parse_qs(parts.query)["nonce"][0])

    def document(self, nonce: str) -> bytes:
        content = {
            "nonce": nonce,
            "subscriptionId": self.facts["subscription"],
            "timeStamp": {"createdOn": _stamp(0), "expiresOn": _stamp(6 * 3600)},
            "vmId": self.facts["instance"],
            **self.spoil,
        }
        message = self.signer.message(json.dumps(content).encode(), self.issuer)
        return json.dumps({"encoding": "pkcs7", "signature": base64.b64encode(message).decode()}).encode()

    def resources(self) -> list[tuple[str, dict[str, Any]]]:
        group = f"/subscriptions/{self.facts['subscription']}/resourceGroups/g"
        path = f"{group}/providers/Microsoft.Compute/virtualMachines/dev"
        facts = {"virtual_machine_id": self.facts["instance"].upper(), "location": self.facts["location"]}
        return [("azurerm_linux_virtual_machine", {"id": path, **facts})]


def _stamp(seconds: float) -> str:
    at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return at.strftime("%m/%d/%y %H:%M:%S -0000")
