"""Attested documents: made by an authority of the test's own, and everything that must be refused."""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import os
import random
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from stead.api.errors import Unavailable
from stead.api.identity import ExpectedInstance, IdentityRejected, MemoryReplays
from stead_azure import plugin
from stead_azure.authorities import Authorities
from stead_azure.identity import AzureIdentity
from stead_azure.settings import AzureSettings

VM = "02aab8a4-74ef-476e-8182-f6d2ba4166a6"
SUBSCRIPTION = "8d10da13-8125-4ba9-a717-bf7490507b3d"
EXPECTED = ExpectedInstance(VM, SUBSCRIPTION, "westeurope")
NOW = 1_780_000_000.0
WHEN = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
ISSUER = "http://cacerts.digicert.com/TestIntermediate.crt"


@dataclass
class Signer:
    certificate: x509.Certificate
    key: rsa.RSAPrivateKey


def issue(
    name: str, by: Signer | None, *, authority: bool, days: int = 300, san: str = "", address: str = ISSUER
) -> Signer:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signing = by or Signer(None, key)  # type: ignore[arg-type]
    unused = "content_commitment key_encipherment data_encipherment key_agreement encipher_only decipher_only"
    usage = dict.fromkeys(unused.split(), False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(WHEN - datetime.timedelta(days=30))
        .not_valid_after(WHEN + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **usage),
            critical=True,
        )
    )
    if not authority:
        where = x509.UniformResourceIdentifier(address)
        above = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, where)
        builder = (
            builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(san)]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityInformationAccess([above]), critical=False)
        )
    return Signer(builder.sign(signing.key, hashes.SHA256()), key)


@dataclass
class Cloud:
    root: Signer
    middle: Signer
    signer: Signer


@pytest.fixture(scope="module")
def cloud() -> Cloud:
    root = issue("Test Root", None, authority=True, days=3000)
    middle = issue("Test Intermediate", root, authority=True, days=1000)
    return Cloud(root, middle, issue("metadata.azure.com", middle, authority=False, san="eastus.metadata.azure.com"))


class Bench:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.fetched: list[str] = []
        self.now = NOW
        self.replays = MemoryReplays(lambda: self.now)
        self.verifier = AzureIdentity(
            self.replays, Authorities([cloud.root.certificate], self.fetch), clock=lambda: self.now
        )

    def fetch(self, address: str) -> bytes:
        self.fetched.append(address)
        return self.cloud.middle.certificate.public_bytes(Encoding.DER)

    def document(self, nonce: str, *, signer: Signer | None = None, chain: bool = False, **changes: Any) -> bytes:
        content = {
            "licenseType": "",
            "nonce": nonce,
            "plan": {"name": "", "product": "", "publisher": ""},
            "sku": "server",
            "subscriptionId": SUBSCRIPTION,
            "timeStamp": {"createdOn": stamp(0), "expiresOn": stamp(6 * 3600)},
            "vmId": VM,
            **changes,
        }
        by = signer or self.cloud.signer
        builder = pkcs7.PKCS7SignatureBuilder().set_data(json.dumps(content).encode())
        builder = builder.add_signer(by.certificate, by.key, hashes.SHA256())
        if chain:
            builder = builder.add_certificate(self.cloud.middle.certificate)
        options = [pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCapabilities]
        return wrapped(builder.sign(Encoding.DER, options))


def wrapped(message: bytes) -> bytes:
    return json.dumps({"encoding": "pkcs7", "signature": base64.b64encode(message).decode()}).encode()


def stamp(seconds: float) -> str:
    return (WHEN + datetime.timedelta(seconds=seconds)).strftime("%m/%d/%y %H:%M:%S -0000")


@pytest.fixture
def bench(cloud: Cloud) -> Bench:
    return Bench(cloud)


@pytest.mark.parametrize("chain", [True, False])
def test_a_document_proves_its_machine_once(bench: Bench, chain: bool) -> None:
    challenge = bench.verifier.challenge()
    assert len(challenge) == 10
    assert challenge.isdecimal()
    document = bench.document(challenge, chain=chain)
    assert bench.verifier.claimed_instance(document) == VM
    found = bench.verifier.verify(document, challenge, EXPECTED)
    assert (found.platform, found.instance_id, found.account, found.at) == ("azure", VM, SUBSCRIPTION, NOW)
    assert bench.fetched == ([] if chain else [ISSUER])
    with pytest.raises(IdentityRejected, match="has been used"):
        bench.verifier.verify(document, challenge, EXPECTED)


def test_an_issuer_is_fetched_once(bench: Bench) -> None:
    for nonce in ("0000000001", "0000000002"):
        bench.verifier.verify(bench.document(nonce), nonce, EXPECTED)
    assert bench.fetched == [ISSUER]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nonce": "9999999999"}, "another challenge"),
        ({"vmId": "12aab8a4-74ef-476e-8182-f6d2ba4166a6"}, "another machine"),
        ({"subscriptionId": "another"}, "another machine"),
        ({"timeStamp": {"createdOn": stamp(-9000), "expiresOn": stamp(-10)}}, "not valid now"),
        ({"timeStamp": {"createdOn": stamp(600), "expiresOn": stamp(9000)}}, "not valid now"),
        ({"timeStamp": {"createdOn": "soon", "expiresOn": "later"}}, "does not say when"),
        ({"timeStamp": None}, "does not say when"),
        ({"vmId": None}, "another machine"),
    ],
)
def test_what_it_says_must_be_true(bench: Bench, changes: dict[str, Any], words: str) -> None:
    document = bench.document(**{"nonce": "0123456789", **changes})
    with pytest.raises(IdentityRejected, match=words):
        bench.verifier.verify(document, "0123456789", EXPECTED)


def test_who_signs_must_be_azure(bench: Bench, cloud: Cloud) -> None:
    stranger = issue("Stranger", None, authority=True, days=3000)
    signers = {
        "another name": issue("x", cloud.middle, authority=False, san="metadata.azure.com.evil.test"),
        "a look-alike": issue("x", cloud.middle, authority=False, san="evilmetadata.azure.com"),
        "another root": issue("x", stranger, authority=False, san="metadata.azure.com"),
        "expired": issue("x", cloud.middle, authority=False, san="metadata.azure.com", days=-1),
        "issued by a machine": issue("x", cloud.signer, authority=False, san="metadata.azure.com"),
        "an issuer from anywhere": issue(
            "x", stranger, authority=False, san="metadata.azure.com", address="http://169.254.169.254/latest"
        ),
    }
    for name, signer in signers.items():
        nonce = f"{abs(hash(name)) % 10**10:010}"
        with pytest.raises(IdentityRejected, match="not signed by Azure"):
            bench.verifier.verify(bench.document(nonce, signer=signer, chain=True), nonce, EXPECTED)
    assert not any("169.254" in address for address in bench.fetched)


def test_altered_bytes_and_substituted_certificates_are_refused(bench: Bench, cloud: Cloud) -> None:
    document = bench.document("0123456789", chain=True)
    message = base64.b64decode(json.loads(document)["signature"])
    other = "12aab8a4-74ef-476e-8182-f6d2ba4166a6"
    altered = wrapped(message.replace(VM.encode(), other.encode()))
    with pytest.raises(IdentityRejected):
        bench.verifier.verify(altered, "0123456789", ExpectedInstance(other, SUBSCRIPTION, ""))
    own = issue("metadata.azure.com", cloud.middle, authority=False, san="evil.test")
    mine = base64.b64decode(json.loads(bench.document("1", signer=own))["signature"])
    real = cloud.signer.certificate.public_bytes(Encoding.DER)
    swapped = wrapped(mine.replace(own.certificate.public_bytes(Encoding.DER), real))
    with pytest.raises(IdentityRejected):
        bench.verifier.verify(swapped, "1", EXPECTED)


def test_an_authority_that_is_away_is_worth_another_try(bench: Bench, cloud: Cloud) -> None:
    def away(address: str) -> bytes:
        raise OSError("no route")

    verifier = AzureIdentity(bench.replays, Authorities([cloud.root.certificate], away), clock=lambda: NOW)
    with pytest.raises(Unavailable):
        verifier.verify(bench.document("0123456789"), "0123456789", EXPECTED)


def fuzz(bench: Bench, count: int, seed: int) -> None:
    chance = random.Random(seed)
    message = base64.b64decode(json.loads(bench.document("0123456789", chain=True))["signature"])
    for number in range(count):
        bad = bytearray(message)
        for _ in range(chance.randint(1, 8)):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        if chance.random() < 0.3:
            del bad[chance.randrange(len(bad)) :]
        document = wrapped(bytes(bad)) if chance.random() < 0.9 else chance.randbytes(200)
        with contextlib.suppress(IdentityRejected):
            bench.verifier.claimed_instance(document)
        with pytest.raises(IdentityRejected):
            bench.verifier.verify(document, f"{number:010}", EXPECTED)


def test_fuzzed_documents_are_refused(bench: Bench) -> None:
    fuzz(bench, 1000, seed=int.from_bytes(os.urandom(4), "big"))


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.skipif("STEAD_FUZZ" not in os.environ, reason="STEAD_FUZZ=1000000 runs so many inputs")
def test_very_many_fuzzed_documents_are_refused(cloud: Cloud) -> None:
    count = int(os.environ["STEAD_FUZZ"])
    for part in range(0, count, 10_000):
        fuzz(Bench(cloud), min(10_000, count - part), seed=part)


@pytest.mark.parametrize(
    "document",
    [b"", b"{}", b"[]", b"null", b"[" * 100_000, b'{"encoding": "pkcs7", "signature": 5}', b"\xff\xfe", b"x" * 200_000],
)
def test_what_is_no_document_is_refused(bench: Bench, document: bytes) -> None:
    with pytest.raises(IdentityRejected):
        bench.verifier.claimed_instance(document)


def test_the_state_says_what_is_expected(bench: Bench) -> None:
    path = f"/subscriptions/{SUBSCRIPTION.upper()}/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm"
    attributes = {"id": path, "virtual_machine_id": VM.upper(), "location": "westeurope"}
    assert bench.verifier.expected("azurerm_linux_virtual_machine", attributes) == EXPECTED
    for kind, changed in (("azurerm_managed_disk", {}), ("azurerm_linux_virtual_machine", {"virtual_machine_id": ""})):
        with pytest.raises(IdentityRejected):
            bench.verifier.expected(kind, {**attributes, **changed})


def test_the_plugin_brings_it_with_pinned_roots(bench: Bench) -> None:
    (spec,) = plugin.stead_platforms()
    assert spec.identity is not None
    verifier = spec.identity(AzureSettings(), MemoryReplays())
    with pytest.raises(IdentityRejected, match="not signed by Azure"):
        verifier.verify(bench.document("0123456789", chain=True), "0123456789", EXPECTED)
