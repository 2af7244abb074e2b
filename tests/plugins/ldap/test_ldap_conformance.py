"""The identity conformance suite against a real slapd, and against Samba's domain controller."""

from __future__ import annotations

from typing import ClassVar

import pytest
from ldap_people import settings_for
from pydantic import BaseModel
from samba_ad import ADMIN, ADMIN_PASSWORD, ActiveDirectory
from samba_ad import BASE as DOMAIN

import stead_ldap.plugin
from stead.testing.conformance import CredentialsConformance
from stead.testing.slapd import Slapd
from stead_ldap.settings import LdapSettings


class TestOpenLdap(CredentialsConformance):
    plugin = stead_ldap.plugin
    sdk_modules = ("sansldap",)
    good = ("alice", "alice-secret")
    refused: ClassVar[tuple[tuple[str, str], ...]] = (("gone", "gone-secret"),)

    @pytest.fixture
    def settings(self, slapd: Slapd) -> BaseModel:
        return settings_for(slapd)

    @pytest.fixture
    def unreachable_settings(self, slapd: Slapd) -> BaseModel:
        return settings_for(slapd, servers=["ldaps://127.0.0.1:1", "ldap://127.0.0.1:1"])


@pytest.mark.timeout(600)
class TestActiveDirectory(CredentialsConformance):
    plugin = stead_ldap.plugin
    sdk_modules = ("sansldap",)
    good = ("alice", "Alice-secret1")
    refused: ClassVar[tuple[tuple[str, str], ...]] = (("disabled", "Disabled-secret1"), ("expired", "Expired-secret1"))

    @pytest.fixture
    def settings(self, domain: ActiveDirectory) -> BaseModel:
        # The suite tries six wrong passwords one after another, which would lock alice out.
        domain.change(f"dn: {DOMAIN}\nchangetype: modify\nreplace: lockoutThreshold\nlockoutThreshold: 0\n-\n")
        return LdapSettings(
            servers=(domain.tls_url,),
            form="active_directory",
            base=DOMAIN,
            bind_dn=ADMIN,
            bind_password=ADMIN_PASSWORD,
            ca_file=domain.authority.certificate,
            connect_timeout=30,
            timeout=30,
            deadline=90,
        )
