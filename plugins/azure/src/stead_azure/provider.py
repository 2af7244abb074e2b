"""The provider ``hashicorp/azurerm``."""

from __future__ import annotations

import threading
from typing import Any

from stead.api.provider import Context, Provider, attribute, block, one_of
from stead_azure.address import PublicIp
from stead_azure.attachment import DiskAttachment
from stead_azure.cloud import Cloud
from stead_azure.credentials import AzureAccount, gather
from stead_azure.data_sources import ClientConfig, ResourceGroupData
from stead_azure.disk import ManagedDisk
from stead_azure.failures import SDK_ERRORS, is_passing, translate
from stead_azure.features import Features, chosen
from stead_azure.group import ResourceGroup
from stead_azure.interface import NetworkInterface, SecurityGroupAssociation
from stead_azure.machine import LinuxMachine
from stead_azure.network import Subnet, VirtualNetwork
from stead_azure.polling import backoff
from stead_azure.security_group import SecurityGroup
from stead_azure.settings import AzureSettings

RESOURCES = [
    ResourceGroup,
    VirtualNetwork,
    Subnet,
    SecurityGroup,
    PublicIp,
    NetworkInterface,
    SecurityGroupAssociation,
    ManagedDisk,
    LinuxMachine,
    DiskAttachment,
]
ACCEPTED = "Accepted: Stead does without it."


class Azure(
    Provider,
    address="hashicorp/azurerm",
    resources=RESOURCES,
    data_sources=[ClientConfig, ResourceGroupData],
):
    """Machines, disks and networks on Azure."""

    subscription_id: str | None = attribute(optional=True, description="Subscription.")
    tenant_id: str | None = attribute(optional=True, description="Directory of the account.")
    client_id: str | None = attribute(optional=True, description="Application, or managed identity.")
    client_id_file_path: str | None = attribute(optional=True, description="File that holds client_id.")
    client_secret: str | None = attribute(optional=True, sensitive=True, description="Secret of the application.")
    client_secret_file_path: str | None = attribute(optional=True, description="File that holds client_secret.")
    client_certificate: str | None = attribute(optional=True, sensitive=True, description=ACCEPTED)
    client_certificate_path: str | None = attribute(optional=True, description="Certificate in place of a secret.")
    client_certificate_password: str | None = attribute(optional=True, sensitive=True, description="Its password.")
    auxiliary_tenant_ids: list[str] | None = attribute(optional=True, description=ACCEPTED)
    environment: str | None = attribute(
        optional=True, validators=[one_of("public", "usgovernment", "china")], description="Which of Azure's clouds."
    )
    metadata_host: str | None = attribute(optional=True, description="Accepted: see endpoint in [plugins.azure].")
    use_cli: bool | None = attribute(optional=True, description="Use the login of the az program; true.")
    use_msi: bool | None = attribute(optional=True, description="Use the machine's managed identity.")
    msi_endpoint: str | None = attribute(optional=True, description=ACCEPTED)
    msi_api_version: str | None = attribute(optional=True, description=ACCEPTED)
    use_oidc: bool | None = attribute(optional=True, description="Use a token of an identity provider.")
    use_aks_workload_identity: bool | None = attribute(optional=True, description="Use a pod's identity.")
    oidc_token: str | None = attribute(optional=True, sensitive=True, description="That token.")
    oidc_token_file_path: str | None = attribute(optional=True, description="File that holds it.")
    oidc_request_token: str | None = attribute(optional=True, sensitive=True, description=ACCEPTED)
    oidc_request_url: str | None = attribute(optional=True, description=ACCEPTED)
    ado_pipeline_service_connection_id: str | None = attribute(optional=True, description=ACCEPTED)
    resource_provider_registrations: str | None = attribute(
        optional=True, description="Accepted: Azure's services are registered when one is first needed."
    )
    resource_providers_to_register: list[str] | None = attribute(optional=True, description=ACCEPTED)
    skip_provider_registration: bool | None = attribute(optional=True, description=ACCEPTED)
    storage_use_azuread: bool | None = attribute(optional=True, description=ACCEPTED)
    partner_id: str | None = attribute(optional=True, description=ACCEPTED)
    disable_correlation_request_id: bool | None = attribute(optional=True, description=ACCEPTED)
    disable_terraform_partner_id: bool | None = attribute(optional=True, description=ACCEPTED)
    features: list[Any] = block(Features, max_items=1)

    def __init__(self, **values: Any) -> None:
        self.settings: AzureSettings = values.pop("settings", None) or AzureSettings()
        self._cloud: Cloud | None = None
        self._lock = threading.Lock()
        super().__init__(**values)

    def configure(self, context: Context) -> None:
        with self._lock:
            self._cloud = self._made(context)

    def _made(self, context: Context) -> Cloud:
        def account() -> AzureAccount:
            return AzureAccount(gather(self, self.settings, context.build.resolve), self.settings)

        return Cloud(account, self.settings)

    @property
    def cloud(self) -> Cloud:
        with self._lock:
            if self._cloud is None:
                self._cloud = self._made(Context(provider=self))
            return self._cloud

    def token(self, context: Context) -> str:
        """A token as every call carries one."""
        account: Any = self.cloud.account
        for attempt in range(self.settings.attempts):
            context.check()
            try:
                return str(account.credential.get_token(account.scope).token)
            except SDK_ERRORS as error:
                if attempt + 1 == self.settings.attempts or not is_passing(error):
                    raise translate(error, "Azure gave no token") from error
            backoff(context, self.settings.pause, attempt)
        raise AssertionError("attempts is at least 1")

    @property
    def keeps_filled_groups(self) -> bool:
        return chosen(self.features, "resource_group", "prevent_deletion_if_contains_resources", True)

    @property
    def deletes_os_disks(self) -> bool:
        return chosen(self.features, "virtual_machine", "delete_os_disk_on_deletion", True)

    @property
    def forces_machines(self) -> bool:
        return chosen(self.features, "virtual_machine", "skip_shutdown_and_force_delete", False)
