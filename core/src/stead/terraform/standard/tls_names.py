"""Names and uses in certificates: subjects, alternative names, key usages."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from stead.api.errors import ProviderFailure
from stead.api.provider import BlockSchema, attribute


class Subject(BlockSchema):
    """A distinguished name."""

    common_name: str | None = attribute(optional=True, force_new=True)
    country: str | None = attribute(optional=True, force_new=True)
    email_address: str | None = attribute(optional=True, force_new=True)
    locality: str | None = attribute(optional=True, force_new=True)
    organization: str | None = attribute(optional=True, force_new=True)
    organizational_unit: str | None = attribute(optional=True, force_new=True)
    postal_code: str | None = attribute(optional=True, force_new=True)
    province: str | None = attribute(optional=True, force_new=True)
    serial_number: str | None = attribute(optional=True, force_new=True)
    street_address: list[str] | None = attribute(optional=True, force_new=True)


_PARTS: tuple[tuple[str, ObjectIdentifier], ...] = (
    ("country", NameOID.COUNTRY_NAME),
    ("province", NameOID.STATE_OR_PROVINCE_NAME),
    ("locality", NameOID.LOCALITY_NAME),
    ("street_address", NameOID.STREET_ADDRESS),
    ("postal_code", NameOID.POSTAL_CODE),
    ("organization", NameOID.ORGANIZATION_NAME),
    ("organizational_unit", NameOID.ORGANIZATIONAL_UNIT_NAME),
    ("common_name", NameOID.COMMON_NAME),
    ("serial_number", NameOID.SERIAL_NUMBER),
    ("email_address", NameOID.EMAIL_ADDRESS),
)

#: Terraform's words for the bits of the extension KeyUsage.
KEY_USES = {
    "digital_signature": "digital_signature",
    "content_commitment": "content_commitment",
    "key_encipherment": "key_encipherment",
    "data_encipherment": "data_encipherment",
    "key_agreement": "key_agreement",
    "cert_signing": "key_cert_sign",
    "crl_signing": "crl_sign",
    "encipher_only": "encipher_only",
    "decipher_only": "decipher_only",
}
#: Terraform's words for the purposes of the extension ExtendedKeyUsage.
EXTENDED_USES = {
    "any_extended": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server_auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client_auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code_signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email_protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec_end_system": ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec_tunnel": ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec_user": ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp_signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft_server_gated_crypto": ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape_server_gated_crypto": ObjectIdentifier("2.16.840.1.113730.4.1"),
    "microsoft_commercial_code_signing": ObjectIdentifier("1.3.6.1.4.1.311.2.1.22"),
    "microsoft_kernel_code_signing": ObjectIdentifier("1.3.6.1.4.1.311.61.1.1"),
}
ALL_USES = (*KEY_USES, *EXTENDED_USES)


def distinguished_name(subjects: Sequence[Subject]) -> x509.Name:
    """The name that a ``subject`` block stands for; an empty one without it."""
    subject = subjects[0] if subjects else Subject()
    attributes = []
    for part, identifier in _PARTS:
        given = getattr(subject, part)
        for value in given if isinstance(given, list) else [given]:
            if value:
                attributes.append(_name_attribute(identifier, value, part))
    return x509.Name(attributes)


def alternative_names(
    dns_names: Iterable[str] | None, ip_addresses: Iterable[str] | None, uris: Iterable[str] | None
) -> x509.SubjectAlternativeName | None:
    names: list[x509.GeneralName] = []
    try:
        names += [x509.DNSName(name) for name in dns_names or ()]
    except ValueError as error:
        raise ProviderFailure(f"A DNS name cannot be used: {error}.", field="dns_names") from None
    try:
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ip_addresses or ()]
    except ValueError as error:
        raise ProviderFailure(f"{error}.", field="ip_addresses") from None
    try:
        names += [x509.UniformResourceIdentifier(uri) for uri in uris or ()]
    except ValueError as error:
        raise ProviderFailure(f"A URI cannot be used: {error}.", field="uris") from None
    return x509.SubjectAlternativeName(names) if names else None


def key_usage(uses: Iterable[str]) -> x509.KeyUsage | None:
    asked = {KEY_USES[use] for use in uses if use in KEY_USES}
    if not asked:
        return None
    if not asked.isdisjoint({"encipher_only", "decipher_only"}):
        asked.add("key_agreement")  # the two bits mean nothing without it
    return x509.KeyUsage(**{bit: bit in asked for bit in KEY_USES.values()})


def extended_key_usage(uses: Iterable[str]) -> x509.ExtendedKeyUsage | None:
    purposes = [EXTENDED_USES[use] for use in uses if use in EXTENDED_USES]
    return x509.ExtendedKeyUsage(purposes) if purposes else None


def _name_attribute(identifier: ObjectIdentifier, value: str, part: str) -> x509.NameAttribute[str]:
    try:
        return x509.NameAttribute(identifier, value)
    except ValueError as error:
        raise ProviderFailure(f"{part} {value!r} cannot be used: {error}.", field=f"subject[0].{part}") from None
