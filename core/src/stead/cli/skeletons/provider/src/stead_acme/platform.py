"""Acme as a place where workspaces run."""

from __future__ import annotations

from collections.abc import Sequence

from stead.api import CredentialsReport, OwnedResource, Platform
from stead.api.errors import ProviderFailure
from stead_acme.cloud import Cloud
from stead_acme.machine import Machine
from stead_acme.settings import AcmeSettings


class AcmePlatform(Platform):
    def __init__(self, settings: AcmeSettings) -> None:
        self._cloud = Cloud(settings)

    def check_credentials(self) -> CredentialsReport:
        try:
            self._cloud.check()
        except ProviderFailure as failure:
            return CredentialsReport(False, failure.message, (failure.remedy or "Check [plugins.acme].",))
        return CredentialsReport(True, "Acme answers.")

    def owned_resources(self, deployment: str) -> Sequence[OwnedResource]:
        return [
            OwnedResource(found["labels"]["stead.key"], Machine.type_name, name, deployment, found["labels"])
            for name, found in self._cloud.all()
            if found["labels"].get("stead.deployment") == deployment
        ]

    def destroy_owned(self, resource: OwnedResource) -> None:
        if resource.type_name != Machine.type_name:
            raise ProviderFailure(f"{resource.type_name} is nothing that Acme has.")
        self._cloud.delete(resource.identity)
