"""Which machine an agent runs on: what holds, and everything that must not."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime as dt
import hashlib
import json
import os
import random
import threading
import time
from typing import Any

import pytest
from asn1crypto import algos, cms, core
from asn1crypto import x509 as asn1_x509
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from stead.api import ExpectedInstance, IdentityRejected, MemoryReplays
from stead.api.errors import PluginFailure, Unavailable
from stead_aws import pkcs7, sts_request
from stead_aws.identity import PROFILE, AwsIdentity

DAY = 86400
REGION, ACCOUNT, INSTANCE = "eu-central-1", "123456789012", "i-0123456789abcdef0"
EXPECTED = ExpectedInstance(INSTANCE, ACCOUNT, REGION)


class Authority:
    """A key of a region, as AWS has one, and documents that it signs."""

    def __init__(self, size: int = 2048) -> None:
        self.key = rsa.generate_private_key(65537, size)
        now = dt.datetime.now(dt.UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .sign(self.key, hashes.SHA256())
        )

    def sign(self, content: bytes, **options: Any) -> bytes:
        """A message in the form of the metadata service; options spoil it."""
        digest = options.get("digest", hashlib.sha256(content).digest())
        entries = [
            cms.CMSAttribute({"type": "content_type", "values": ["data"]}),
            cms.CMSAttribute({"type": "message_digest", "values": [digest]}),
        ]
        attributes = cms.CMSAttributes(entries * options.get("twice", 1))
        algorithm = options.get("algorithm", "sha256")
        chosen = hashes.SHA1() if algorithm == "sha1" else hashes.SHA256()
        signature = self.key.sign(attributes.untag().dump(), padding.PKCS1v15(), chosen)
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        certificate = asn1_x509.Certificate.load(der)
        signer = cms.SignerInfo(
            {
                "version": "v1",
                "sid": cms.SignerIdentifier(
                    "issuer_and_serial_number",
                    {"issuer": certificate.issuer, "serial_number": certificate.serial_number},
                ),
                "digest_algorithm": algos.DigestAlgorithm({"algorithm": algorithm}),
                "signed_attrs": attributes,
                "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": "rsassa_pkcs1v15"}),
                "signature": signature,
            }
        )
        signed = cms.SignedData(
            {
                "version": "v1",
                "digest_algorithms": [algos.DigestAlgorithm({"algorithm": algorithm})],
                "encap_content_info": {"content_type": "data", "content": core.OctetString(content)},
                "certificates": [certificate],
                "signer_infos": [signer] * options.get("signers", 1),
            }
        )
        return cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def stranger() -> Authority:
    return Authority()


class Sts:
    """Answers as STS does for the session of a machine."""

    def __init__(self) -> None:
        self.requests: list[sts_request.StsRequest] = []
        self.status, self.account, self.arn = 200, ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/machine/{INSTANCE}"

    def __call__(self, request: sts_request.StsRequest) -> tuple[int, bytes]:
        self.requests.append(request)
        result = f"<Arn>{self.arn}</Arn><UserId>AROA:{INSTANCE}</UserId><Account>{self.account}</Account>"
        return self.status, f"<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>".encode()


class Bench:
    """A verifier whose clock stands at the moment the bench was made: botocore signs requests with the real time."""

    def __init__(self, authority: Authority, **options: Any) -> None:
        self.now = float(int(time.time()))
        self.sts = Sts()
        self.replays = MemoryReplays(lambda: self.now)
        certificates = {REGION: authority.certificate}
        options = {"certificates": certificates, "send": self.sts, "clock": lambda: self.now, **options}
        self.verifier = AwsIdentity(self.replays, **options)
        self.authority = authority

    def document(self, **changes: Any) -> dict[str, Any]:
        pending = dt.datetime.fromtimestamp(self.now + changes.pop("started", 0), dt.UTC)
        facts = {
            "accountId": ACCOUNT,
            "region": REGION,
            "instanceId": INSTANCE,
            "pendingTime": pending.isoformat().replace("+00:00", "Z"),
            "imageId": "ami-1",
        }
        return {**facts, **changes}

    def proof(self, signer: Authority | None = None, spoil: dict[str, Any] | None = None, **changes: Any) -> bytes:
        content = json.dumps(self.document(**changes), indent=2).encode()
        message = (signer or self.authority).sign(content, **(spoil or {}))
        return json.dumps({"kind": "document", "pkcs7": base64.encodebytes(message).decode()}).encode()

    def request(self, challenge: str, host: str = f"sts.{REGION}.amazonaws.com", **options: Any) -> dict[str, Any]:
        """What the agent signs with the machine's own credentials."""
        headers = {"X-Stead-Challenge": challenge, "Content-Type": "application/x-www-form-urlencoded"}
        request = AWSRequest("POST", f"https://{host}/", headers=headers, data=sts_request.BODY)
        credentials = Credentials("ASIAEXAMPLEEXAMPLE00", "secret", "session-token")
        SigV4Auth(credentials, "sts", options.get("region", REGION)).add_auth(request)
        signed = {name: str(value) for name, value in request.headers.items()}
        signed.setdefault("Host", host)
        return {
            "kind": "sts",
            "instance_id": INSTANCE,
            "method": "POST",
            "url": f"https://{host}/",
            "headers": signed,
            "body": sts_request.BODY,
        }

    def verify(self, proof: bytes | dict[str, Any], challenge: str | None = None, expected: Any = EXPECTED) -> Any:
        data = proof if isinstance(proof, bytes) else json.dumps(proof).encode()
        return self.verifier.verify(data, challenge or self.verifier.challenge(), expected)


@pytest.fixture
def bench(authority: Authority) -> Bench:
    return Bench(authority)


def test_a_signed_document_proves_a_machine_once(bench: Bench) -> None:
    proof = bench.proof()
    assert bench.verifier.claimed_instance(proof) == INSTANCE
    identity = bench.verify(proof)
    assert (identity.platform, identity.instance_id, identity.account, identity.region) == (
        "aws",
        INSTANCE,
        ACCOUNT,
        REGION,
    )
    assert identity.at == bench.now
    with pytest.raises(IdentityRejected, match="already"):
        bench.verify(proof)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"region": "us-east-1"}, "for its region"),
        ({"region": "../eu-central-1"}, "for its region"),
        ({"region": None}, "for its region"),
        ({"accountId": "999999999999"}, "another machine"),
        ({"instanceId": "i-0000000000000000f"}, "another machine"),
        ({"started": -301}, "just now"),
        ({"started": 61}, "just now"),
        ({"pendingTime": "soon"}, "when the machine was started"),
        ({"pendingTime": 5}, "when the machine was started"),
        ({"pendingTime": "2026-01-01T00:00:00"}, "when the machine was started"),
        ({"spoil": {"digest": b"0" * 32}}, "not signed by AWS"),
        ({"spoil": {"algorithm": "sha1"}}, "SHA-256"),
        ({"spoil": {"signers": 2}}, "one signer"),
        ({"spoil": {"twice": 2}}, "once"),
    ],
)
def test_a_document_that_is_wrong_is_refused(bench: Bench, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(IdentityRejected, match=words):
        bench.verify(bench.proof(**changes))
    assert bench.verify(bench.proof()).instance_id == INSTANCE, "nothing was used up"


def test_a_substituted_certificate_proves_nothing(bench: Bench, stranger: Authority) -> None:
    with pytest.raises(IdentityRejected, match="not signed by AWS"):
        bench.verify(bench.proof(signer=stranger))


def test_every_altered_byte_is_refused(bench: Bench) -> None:
    message = base64.b64decode(json.loads(bench.proof())["pkcs7"])
    signed = message.index(b'"accountId"')
    signature = len(message) - 256
    for place in [*range(signed, signed + 60), *range(signature, signature + 40)]:
        altered = bytes([*message[:place], message[place] ^ 1, *message[place + 1 :]])
        proof = json.dumps({"kind": "document", "pkcs7": base64.b64encode(altered).decode()}).encode()
        with pytest.raises(IdentityRejected):
            bench.verify(proof)


def test_a_certificate_out_of_its_time_or_too_weak_is_not_used(authority: Authority) -> None:
    late = Bench(authority)
    late.now += 3 * DAY
    with pytest.raises(IdentityRejected, match="not signed by AWS"):
        late.verify(late.proof())
    weak = Bench(Authority(1024))
    with pytest.raises(IdentityRejected, match="not signed by AWS"):
        weak.verify(weak.proof())


def test_certificates_come_from_a_folder_by_region(authority: Authority, tmp_path: Any) -> None:
    pem = authority.certificate.public_bytes(serialization.Encoding.PEM)
    (tmp_path / f"{REGION}.pem").write_bytes(pem)
    bench = Bench(authority, certificates=tmp_path)
    assert bench.verify(bench.proof()).region == REGION


def test_a_region_without_a_certificate_says_what_to_do(authority: Authority, tmp_path: Any) -> None:
    bench = Bench(authority, certificates=tmp_path)
    with pytest.raises(
        IdentityRejected, match=r"REGION\.pem into the folder identity_certificates.*give the machine a role"
    ):
        bench.verify(bench.proof())
    gone = Bench(authority, certificates=tmp_path / "missing")
    with pytest.raises(PluginFailure, match="is no folder"):
        gone.verify(gone.proof())


def test_a_machine_that_was_started_again_proves_itself_again(bench: Bench) -> None:
    bench.verify(bench.proof())
    bench.now += 3600
    assert bench.verify(bench.proof()).instance_id == INSTANCE
    with pytest.raises(IdentityRejected, match="already"):
        bench.verify(bench.proof())
    with pytest.raises(IdentityRejected, match="just now"):
        bench.verify(bench.proof(started=-3600))


@pytest.mark.parametrize("host", [f"sts.{REGION}.amazonaws.com", "sts.amazonaws.com"])
def test_a_presigned_request_proves_a_machine(bench: Bench, host: str) -> None:
    challenge = bench.verifier.challenge()
    region = sts_request.HOSTS[host]
    request = bench.request(challenge, host, region=region)
    assert bench.verifier.claimed_instance(json.dumps(request).encode()) == INSTANCE
    assert bench.verify(request, challenge).instance_id == INSTANCE
    (sent,) = bench.sts.requests
    assert sent.host == host
    assert "session-token" not in repr(sent)


def test_a_challenge_and_a_request_are_good_once(bench: Bench) -> None:
    challenge = bench.verifier.challenge()
    request = bench.request(challenge)
    bench.verify(request, challenge)
    with pytest.raises(IdentityRejected, match="challenge has been used"):
        bench.verify(request, challenge)
    with pytest.raises(IdentityRejected, match="another challenge"):
        bench.verify(request, bench.verifier.challenge())
    assert len(bench.sts.requests) == 1


def test_of_many_attempts_at_once_one_wins(bench: Bench) -> None:
    challenge = bench.verifier.challenge()
    request, won, start = bench.request(challenge), [], threading.Barrier(8)

    def race() -> None:
        start.wait(10)
        try:
            bench.verify(request, challenge)
            won.append(True)
        except IdentityRejected:
            won.append(False)

    racers = [threading.Thread(target=race) for _ in range(8)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(30)
    assert sorted(won) == [False] * 7 + [True]


def _without_challenge(request: dict[str, Any]) -> None:
    text = request["headers"]["Authorization"]
    request["headers"]["Authorization"] = text.replace(";x-stead-challenge", "")


BAD: dict[str, Any] = {
    "another method": lambda r: r.update(method="GET"),
    "another host": lambda r: r.update(url="https://sts.evil.test/"),
    "a host that ends alike": lambda r: r.update(url="https://evil.test/sts.amazonaws.com"),
    "a user in the address": lambda r: r.update(url="https://sts.amazonaws.com@evil.test/"),
    "a port": lambda r: r.update(url=f"https://sts.{REGION}.amazonaws.com:8443/"),
    "plain http": lambda r: r.update(url=f"http://sts.{REGION}.amazonaws.com/"),
    "a query": lambda r: r.update(url=f"https://sts.{REGION}.amazonaws.com/?Action=GetSessionToken"),
    "a path": lambda r: r.update(url=f"https://sts.{REGION}.amazonaws.com/x"),
    "a broken address": lambda r: r.update(url="https://[::1"),
    "another call": lambda r: r.update(body="Action=GetSessionToken&Version=2011-06-15"),
    "a longer body": lambda r: r.update(body=r["body"] + "&X=1"),
    "a header more": lambda r: r["headers"].update({"X-Forwarded-Host": "evil.test"}),
    "the same header twice": lambda r: r["headers"].update({"x-amz-date": "20260101T000000Z"}),
    "a line break": lambda r: r["headers"].update({"User-Agent": "a\r\nHost: evil.test"}),
    "a host header": lambda r: r["headers"].update({"Host": "evil.test"}),
    "a length": lambda r: r["headers"].update({"Content-Length": "0"}),
    "no signature": lambda r: r["headers"].pop("Authorization"),
    "a challenge that is not signed": _without_challenge,
    "no date": lambda r: r["headers"].pop("X-Amz-Date"),
    "headers that are a list": lambda r: r.update(headers=[]),
    "a header that is a number": lambda r: r["headers"].update({"User-Agent": 1}),
    "another kind": lambda r: r.update(kind="gcp"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_request_that_is_not_the_one_form_is_never_sent(bench: Bench, name: str) -> None:
    challenge = bench.verifier.challenge()
    request = bench.request(challenge)
    BAD[name](request)
    with pytest.raises(IdentityRejected):
        bench.verify(request, challenge)
    assert bench.sts.requests == []


def test_another_region_and_an_old_request_are_refused(bench: Bench) -> None:
    challenge = bench.verifier.challenge()
    with pytest.raises(IdentityRejected, match="another region"):
        bench.verify(bench.request(challenge, "sts.us-west-2.amazonaws.com", region="us-west-2"), challenge)
    challenge = bench.verifier.challenge()
    with pytest.raises(IdentityRejected, match="another region"):
        bench.verify(bench.request(challenge, region="us-west-2"), challenge)
    challenge = bench.verifier.challenge()
    request = bench.request(challenge)
    bench.now += 3600
    with pytest.raises(IdentityRejected, match="too old"):
        bench.verify(request, challenge)


@pytest.mark.parametrize(
    ("account", "arn"),
    [
        ("999999999999", f"arn:aws:sts::999999999999:assumed-role/machine/{INSTANCE}"),
        (ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/machine/i-0000000000000000f"),
        (ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/machine/{INSTANCE}x"),
        (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/{INSTANCE}"),
        ("999999999999", f"arn:aws:sts::{ACCOUNT}:assumed-role/machine/{INSTANCE}"),
    ],
)
def test_what_sts_says_must_match(bench: Bench, account: str, arn: str) -> None:
    bench.sts.account, bench.sts.arn = account, arn
    challenge = bench.verifier.challenge()
    with pytest.raises(IdentityRejected):
        bench.verify(bench.request(challenge), challenge)


def test_the_role_must_be_one_of_those_that_are_allowed(authority: Authority) -> None:
    for roles, good in ((("machine",), True), (("other",), False)):
        bench = Bench(authority, roles=roles)
        challenge = bench.verifier.challenge()
        if good:
            assert bench.verify(bench.request(challenge), challenge)
        else:
            with pytest.raises(IdentityRejected, match="role"):
                bench.verify(bench.request(challenge), challenge)


@pytest.mark.parametrize(("status", "failure"), [(403, IdentityRejected), (500, Unavailable), (429, Unavailable)])
def test_what_sts_refuses_and_when_it_is_away(bench: Bench, status: int, failure: type[Exception]) -> None:
    bench.sts.status = status
    challenge = bench.verifier.challenge()
    with pytest.raises(failure):
        bench.verify(bench.request(challenge), challenge)


def test_what_is_expected_comes_from_the_state(bench: Bench) -> None:
    arn = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{INSTANCE}"
    assert bench.verifier.expected("aws_instance", {"id": INSTANCE, "arn": arn}) == EXPECTED
    for kind, attributes in (("aws_ebs_volume", {"id": INSTANCE, "arn": arn}), ("aws_instance", {"id": "x"})):
        with pytest.raises(IdentityRejected):
            bench.verifier.expected(kind, attributes)


@pytest.mark.parametrize("profile", ["dev", "arn:aws:iam::123456789012:instance-profile/dev"])
def test_the_role_comes_from_the_instance_profile_in_the_state(bench: Bench, profile: str) -> None:
    arn = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{INSTANCE}"
    machine = {"id": INSTANCE, "arn": arn, "iam_instance_profile": profile}
    own = {"id": "dev", "name": "dev", "arn": "arn:aws:iam::123456789012:instance-profile/dev", "role": "machine"}
    other = {"id": "other", "name": "other", "arn": "arn:aws:iam::123456789012:instance-profile/other", "role": "x"}
    state = [(PROFILE, other), ("aws_instance", {**machine, "id": "i-00000000"}), ("aws_instance", machine)]
    assert bench.verifier.provisioned(INSTANCE, state) == EXPECTED, "a profile from elsewhere says nothing of its role"
    expected = bench.verifier.provisioned(INSTANCE, [*state, (PROFILE, own)])
    assert expected == dataclasses.replace(EXPECTED, role="machine")
    assert bench.verifier.provisioned("i-0000000000000000f", state) is None
    challenge = bench.verifier.challenge()
    assert bench.verify(bench.request(challenge), challenge, expected).instance_id == INSTANCE
    challenge = bench.verifier.challenge()
    with pytest.raises(IdentityRejected, match="another role"):
        bench.verify(bench.request(challenge), challenge, dataclasses.replace(EXPECTED, role="else"))


def mutated(source: random.Random, seeds: list[bytes]) -> bytes:
    """A stranger's bytes: a good proof with some bytes changed, cut, doubled or swapped, or none at all."""
    data = bytearray(source.choice(seeds))
    for _ in range(source.randint(1, 8)):
        place = source.randrange(len(data)) if data else 0
        act = source.randrange(5)
        if act == 0 and data:
            data[place] = source.randrange(256)
        elif act == 1:
            del data[place : place + source.randint(1, 20)]
        elif act == 2:
            data[place:place] = source.randbytes(source.randint(1, 10))
        elif act == 3:
            data[place:place] = data[place : place + 30]
        elif data:
            data[place] ^= 1 << source.randrange(8)
    return bytes(data)


def fuzz(bench: Bench, count: int, seed: int) -> int:
    """Give the parsers so many inputs; how many of them held. Whatever comes, it is an answer or a refusal."""
    source = random.Random(seed)
    message = base64.b64decode(json.loads(bench.proof())["pkcs7"])
    request = json.dumps(bench.request("challenge-of-the-fuzz")).encode()
    proof = bench.proof()
    held = 0
    for number in range(count):
        kind = number % 3
        if kind == 0:
            data = mutated(source, [message])
            with contextlib.suppress(pkcs7.Malformed):
                pkcs7.parse(data)
            data = json.dumps({"kind": "document", "pkcs7": base64.b64encode(data).decode()}).encode()
        elif kind == 1:
            data = mutated(source, [request])
        else:
            data = mutated(source, [proof, b"", b"[" * 5000, b'{"kind": "document", "pkcs7": 1}'][:4])
        for attempt in (
            lambda data=data: bench.verifier.claimed_instance(data),
            lambda data=data, number=number: bench.verifier.verify(data, f"fuzz-{seed}-{number}", EXPECTED),
        ):
            try:
                attempt()
                held += 1
            except IdentityRejected:
                pass
    return held


def test_strangers_bytes_never_crash_it(bench: Bench) -> None:
    fuzz(bench, 1500, seed=int.from_bytes(os.urandom(4), "big"))
    assert all(request.host in sts_request.HOSTS for request in bench.sts.requests)


@pytest.mark.slow
@pytest.mark.skipif("STEAD_FUZZ" not in os.environ, reason="STEAD_FUZZ=1000000 runs so many inputs")
@pytest.mark.timeout(0)
def test_a_million_inputs(bench: Bench) -> None:
    count = int(os.environ["STEAD_FUZZ"])
    for part in range(0, count, 10000):
        bench.replays = MemoryReplays()
        bench.verifier._replays = bench.replays
        fuzz(bench, min(10000, count - part), seed=part)
