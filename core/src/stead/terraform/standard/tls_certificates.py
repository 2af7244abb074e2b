"""Certificates and requests of ``hashicorp/tls``."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as wire
from cryptography.hazmat.primitives.asymmetric import ed25519

from stead.api.errors import ProviderFailure
from stead.api.provider import Context, Nesting, Plan, attribute, between, block, each, is_known, one_of
from stead.api.provider.model import Model
from stead.terraform.standard.time_points import parse, rfc3339
from stead.terraform.standard.tls_keys import PrivateKey, algorithm_of, load_private
from stead.terraform.standard.tls_names import (
    ALL_USES,
    Subject,
    alternative_names,
    distinguished_name,
    extended_key_usage,
    key_usage,
)
from stead.terraform.standard.virtual import Virtual


class _Validity(Model):
    """How long a certificate holds, and when it is renewed."""

    id: str = attribute(computed=True, description="The serial number.")
    validity_period_hours: int = attribute(required=True, force_new=True, validators=[between(low=0)])
    early_renewal_hours: int = attribute(
        default=0, validators=[between(low=0)], description="How long before its end it is renewed."
    )
    allowed_uses: list[str] = attribute(required=True, force_new=True, validators=[each(one_of(*ALL_USES))])
    is_ca_certificate: bool = attribute(default=False, force_new=True)
    set_subject_key_id: bool = attribute(default=False, force_new=True)
    cert_pem: str = attribute(computed=True)
    validity_start_time: str = attribute(computed=True)
    validity_end_time: str = attribute(computed=True)
    ready_for_renewal: bool = attribute(computed=True)

    def plan(self, context: Context, plan: Plan) -> None:
        """Replace the certificate once its renewal is due."""
        del context
        if plan.prior is None or not is_known(self.early_renewal_hours):
            return
        due = parse(plan.prior.validity_end_time) - timedelta(hours=self.early_renewal_hours)
        if datetime.now(UTC) >= due:
            self.ready_for_renewal = True
            plan.require_replace("ready_for_renewal")

    def sign(self, builder: x509.CertificateBuilder, public: Any, issuer: PrivateKey) -> None:
        """Finish a certificate whose names are set, and take its facts."""
        start = datetime.now(UTC).replace(microsecond=0)
        end = start + timedelta(hours=self.validity_period_hours)
        serial = x509.random_serial_number()
        builder = builder.public_key(public).serial_number(serial).not_valid_before(start).not_valid_after(end)
        for extension, critical in self._extensions(public):
            builder = builder.add_extension(extension, critical=critical)
        certificate = builder.sign(issuer, signature_hash(issuer))
        self.cert_pem = certificate.public_bytes(wire.Encoding.PEM).decode()
        self.id = str(serial)
        self.validity_start_time, self.validity_end_time = rfc3339(start), rfc3339(end)
        self.ready_for_renewal = False

    def _extensions(self, public: Any) -> list[tuple[x509.ExtensionType, bool]]:
        chosen: list[tuple[x509.ExtensionType | None, bool]] = [
            (key_usage(self.allowed_uses), True),
            (extended_key_usage(self.allowed_uses), False),
            (x509.BasicConstraints(ca=bool(self.is_ca_certificate), path_length=None), True),
            (x509.SubjectKeyIdentifier.from_public_key(public) if self.set_subject_key_id else None, False),
        ]
        return [(extension, critical) for extension, critical in chosen if extension is not None]


class TlsSelfSignedCert(_Validity, Virtual, name="tls_self_signed_cert"):
    """A certificate that its own key signed."""

    private_key_pem: str = attribute(required=True, force_new=True, sensitive=True)
    key_algorithm: str = attribute(computed=True)
    subject: list[Subject] = block(Subject, nesting=Nesting.LIST, max_items=1)
    dns_names: list[str] | None = attribute(optional=True, force_new=True)
    ip_addresses: list[str] | None = attribute(optional=True, force_new=True)
    uris: list[str] | None = attribute(optional=True, force_new=True)
    set_authority_key_id: bool = attribute(default=False, force_new=True)

    def create(self, context: Context) -> None:
        del context
        key = load_private(self.private_key_pem, field="private_key_pem")
        name = distinguished_name(self.subject)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
        names = alternative_names(self.dns_names, self.ip_addresses, self.uris)
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        if self.set_authority_key_id:
            authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
            builder = builder.add_extension(authority, critical=False)
        self.sign(builder, key.public_key(), key)
        self.key_algorithm = algorithm_of(key)

    def update(self, context: Context, prior: TlsSelfSignedCert) -> None:
        """Only the time of renewal can change in place."""


class TlsLocallySignedCert(_Validity, Virtual, name="tls_locally_signed_cert"):
    """A certificate that an authority of the template signed."""

    cert_request_pem: str = attribute(required=True, force_new=True)
    ca_private_key_pem: str = attribute(required=True, force_new=True, sensitive=True)
    ca_cert_pem: str = attribute(required=True, force_new=True)
    ca_key_algorithm: str = attribute(computed=True)

    def create(self, context: Context) -> None:
        del context
        request = _load_request(self.cert_request_pem)
        authority = _load_certificate(self.ca_cert_pem)
        key = load_private(self.ca_private_key_pem, field="ca_private_key_pem")
        if _public_bytes(key.public_key()) != _public_bytes(authority.public_key()):
            raise ProviderFailure("The key is not that of the authority's certificate.", field="ca_private_key_pem")
        builder = x509.CertificateBuilder().subject_name(request.subject).issuer_name(authority.subject)
        for extension in request.extensions:
            if isinstance(extension.value, x509.SubjectAlternativeName):
                builder = builder.add_extension(extension.value, critical=extension.critical)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
        self.sign(builder.add_extension(issuer, critical=False), request.public_key(), key)
        self.ca_key_algorithm = algorithm_of(key)

    def update(self, context: Context, prior: TlsLocallySignedCert) -> None:
        """Only the time of renewal can change in place."""


class TlsCertRequest(Virtual, name="tls_cert_request"):
    """A request for a certificate, for an authority to sign."""

    id: str = attribute(computed=True)
    private_key_pem: str = attribute(required=True, force_new=True, sensitive=True)
    key_algorithm: str = attribute(computed=True)
    subject: list[Subject] = block(Subject, nesting=Nesting.LIST, max_items=1)
    dns_names: list[str] | None = attribute(optional=True, force_new=True)
    ip_addresses: list[str] | None = attribute(optional=True, force_new=True)
    uris: list[str] | None = attribute(optional=True, force_new=True)
    cert_request_pem: str = attribute(computed=True)

    def create(self, context: Context) -> None:
        del context
        key = load_private(self.private_key_pem, field="private_key_pem")
        builder = x509.CertificateSigningRequestBuilder().subject_name(distinguished_name(self.subject))
        names = alternative_names(self.dns_names, self.ip_addresses, self.uris)
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        pem = builder.sign(key, signature_hash(key)).public_bytes(wire.Encoding.PEM)
        self.cert_request_pem = pem.decode()
        self.id = hashlib.sha1(pem, usedforsecurity=False).hexdigest()
        self.key_algorithm = algorithm_of(key)


def signature_hash(key: PrivateKey) -> hashes.SHA256 | None:
    """Ed25519 has a hash of its own."""
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _load_request(text: str) -> x509.CertificateSigningRequest:
    try:
        request = x509.load_pem_x509_csr(text.encode())
        genuine = request.is_signature_valid
    except ValueError as error:
        raise ProviderFailure(f"The request cannot be read: {error}.", field="cert_request_pem") from None
    if not genuine:
        raise ProviderFailure("The request's signature is wrong.", field="cert_request_pem")
    return request


def _load_certificate(text: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(text.encode())
    except ValueError as error:
        raise ProviderFailure(f"The authority's certificate cannot be read: {error}.", field="ca_cert_pem") from None


def _public_bytes(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(wire.Encoding.DER, wire.PublicFormat.SubjectPublicKeyInfo)
    return encoded
