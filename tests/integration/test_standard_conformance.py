"""The providers that every template uses pass what every provider must do.

Those of random values are missing: their identities for an import are no attributes (``RESULT,MIN,MAX`` and the like),
as with the originals, and ``test_standard_random_and_time.py`` imports each of them.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from stead.api import ProviderSpec
from stead.terraform.standard.cloudinit_provider import CloudinitConfig, Part, cloudinit_provider
from stead.terraform.standard.local_provider import LocalFile, LocalSensitiveFile, local_provider
from stead.terraform.standard.null_provider import NullResource, null_provider
from stead.terraform.standard.tls_certificates import Subject, TlsCertRequest, TlsSelfSignedCert
from stead.terraform.standard.tls_keys import TlsPrivateKey
from stead.terraform.standard.tls_provider import tls_provider
from stead.testing.conformance import ProviderConformance, Rig, Sample


def plugin_of(spec: ProviderSpec) -> ModuleType:
    """A plugin that brings one of them."""
    made: Any = ModuleType("standard")
    made.stead_terraform_providers = lambda: [spec]
    return made


class TestNull(ProviderConformance):
    plugin = plugin_of(null_provider())
    samples = {"null_resource": Sample(lambda rig: NullResource(triggers={"a": "1"}), change={"triggers": {"a": "2"}})}


class TestLocal(ProviderConformance):
    plugin = plugin_of(local_provider())
    samples = {
        "local_file": Sample(
            lambda rig: LocalFile(filename=f"{rig.folder}/{rig.unique()}", content="one ${two}"),
            change={"content": "two"},
        ),
        "local_sensitive_file": Sample(
            lambda rig: LocalSensitiveFile(filename=f"{rig.folder}/{rig.unique()}", content="a secret text"),
            change={"content": "another secret text"},
        ),
    }


class TestCloudinit(ProviderConformance):
    plugin = plugin_of(cloudinit_provider())
    samples = {
        "cloudinit_config": Sample(
            lambda rig: CloudinitConfig(part=[Part(content="#cloud-config\n", content_type="text/cloud-config")]),
            change={"gzip": False, "base64_encode": False},
        )
    }


def _key(rig: Rig) -> str:
    return rig.create(TlsPrivateKey(algorithm="ED25519")).private_key_pem


class TestTls(ProviderConformance):
    plugin = plugin_of(tls_provider())
    samples = {
        "tls_private_key": Sample(
            lambda rig: TlsPrivateKey(algorithm="ED25519"), change={"algorithm": "ECDSA", "ecdsa_curve": "P256"}
        ),
        "tls_cert_request": Sample(
            lambda rig: TlsCertRequest(private_key_pem=_key(rig), subject=[Subject(common_name="example.test")]),
            change={"dns_names": ["example.test"]},
        ),
        "tls_self_signed_cert": Sample(
            lambda rig: TlsSelfSignedCert(
                private_key_pem=_key(rig),
                subject=[Subject(common_name="example.test")],
                validity_period_hours=24,
                allowed_uses=["server_auth"],
            ),
            change={"dns_names": ["example.test"]},
        ),
    }
    unsampled = {"tls_locally_signed_cert": "needs an authority; test_standard_outside.py signs with one"}
