"""Who Stead is at Azure: from the provider block, the plugin's settings, the ARM_… variables, or the machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure.core.credentials import TokenCredential
from azure.identity import (
    AzureAuthorityHosts,
    AzureCliCredential,
    CertificateCredential,
    ChainedTokenCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    EnvironmentCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

from stead.api.errors import CredentialsRejected
from stead_azure.failures import CREDENTIALS
from stead_azure.settings import AzureSettings

WHERE = "Set it in the provider block, in [plugins.azure] or as {variable}."
MANAGERS = {
    "public": "https://management.azure.com",
    "usgovernment": "https://management.usgovcloudapi.net",
    "china": "https://management.chinacloudapi.cn",
}
AUTHORITIES = {
    "public": AzureAuthorityHosts.AZURE_PUBLIC_CLOUD,
    "usgovernment": AzureAuthorityHosts.AZURE_GOVERNMENT,
    "china": AzureAuthorityHosts.AZURE_CHINA,
}


@dataclass(frozen=True)
class Wishes:
    """What a provider block, the settings and the environment say together. Secrets stay out of ``repr``."""

    subscription: str
    tenant: str
    client: str
    secret: str
    certificate: Path | None
    certificate_password: str
    token: str
    token_file: Path | None
    use_msi: bool
    use_cli: bool
    use_oidc: bool
    environment: str

    def __repr__(self) -> str:
        return f"Wishes(subscription={self.subscription!r}, tenant={self.tenant!r}, client={self.client!r})"


def gather(provider: Any, settings: AzureSettings, resolve: Any) -> Wishes:
    """The first of block, settings and environment that says something counts, for each wish."""

    def text(name: str, setting: Any = None, variable: str = "") -> str:
        given = getattr(provider, name)
        if hasattr(setting, "get_secret_value"):
            setting = setting.get_secret_value()
        return str(given or setting or os.environ.get(variable or f"ARM_{name.upper()}", ""))

    def flag(name: str, setting: bool, variable: str) -> bool:
        given = getattr(provider, name)
        return bool(given) if given is not None else setting or os.environ.get(variable, "").lower() in ("1", "true")

    def path(text: str) -> Path | None:
        return Path(resolve(text)) if text else None

    def content(name: str) -> str:
        file = path(text(name))
        return _read(file, name).strip() if file else ""

    certificate = text("client_certificate_path", settings.client_certificate_path)
    return Wishes(
        subscription=text("subscription_id", settings.subscription_id),
        tenant=text("tenant_id", settings.tenant_id),
        client=text("client_id", settings.client_id) or content("client_id_file_path"),
        secret=text("client_secret", settings.client_secret) or content("client_secret_file_path"),
        certificate=path(certificate),
        certificate_password=text("client_certificate_password"),
        token=text("oidc_token"),
        token_file=path(text("oidc_token_file_path")),
        use_msi=flag("use_msi", settings.use_msi, "ARM_USE_MSI"),
        use_cli=provider.use_cli is not False,
        use_oidc=flag("use_oidc", False, "ARM_USE_OIDC") or bool(provider.use_aks_workload_identity),
        environment=provider.environment or os.environ.get("ARM_ENVIRONMENT") or settings.environment,
    )


def _read(file: Path, field: str) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise CredentialsRejected(f"{file} cannot be read: {error.strerror}.", field=field) from error


class AzureAccount:
    """How to reach one subscription."""

    def __init__(self, wishes: Wishes, settings: AzureSettings) -> None:
        if not wishes.subscription:
            remedy = WHERE.format(variable="ARM_SUBSCRIPTION_ID")
            raise CredentialsRejected("No subscription is set.", field="subscription_id", remedy=remedy)
        self.subscription = wishes.subscription
        self.tenant, self.client_id = wishes.tenant, wishes.client
        self._settings = settings
        environment = wishes.environment if wishes.environment in MANAGERS else "public"
        self._endpoint = (settings.endpoint or MANAGERS[environment]).rstrip("/")
        self._authority = settings.authority or AUTHORITIES[environment]
        try:
            self.credential = self._credential(wishes)
        except ValueError as error:
            # An id or an address of a form that the SDK does not take.
            raise CredentialsRejected(f"The account cannot be used: {error}", remedy=CREDENTIALS) from error

    @property
    def scope(self) -> str:
        return f"{self._endpoint}/.default"

    def _credential(self, wishes: Wishes) -> TokenCredential:
        common: dict[str, Any] = {
            "authority": self._authority,
            "connection_verify": self._verify,
            "retry_total": 2,
            # A private cloud's authority is not among those that Microsoft publishes.
            "disable_instance_discovery": self._settings.authority is not None,
        }
        known = {"tenant_id": wishes.tenant, "client_id": wishes.client}
        if wishes.use_oidc and wishes.token_file:
            return WorkloadIdentityCredential(**known, token_file_path=str(wishes.token_file), **common)
        if wishes.use_oidc and wishes.token:
            return ClientAssertionCredential(**known, func=lambda: wishes.token, **common)
        if wishes.secret:
            self._need(wishes, "client_secret")
            return ClientSecretCredential(**known, client_secret=wishes.secret, **common)
        if wishes.certificate:
            self._need(wishes, "client_certificate_path")
            return self._certificate(wishes, common)
        if wishes.use_msi:
            return ManagedIdentityCredential(client_id=wishes.client or None)
        last = [AzureCliCredential(process_timeout=30)] if wishes.use_cli else []
        return ChainedTokenCredential(EnvironmentCredential(**common), ManagedIdentityCredential(), *last)

    def _certificate(self, wishes: Wishes, common: dict[str, Any]) -> TokenCredential:
        try:
            return CertificateCredential(
                wishes.tenant,
                wishes.client,
                certificate_path=str(wishes.certificate),
                password=wishes.certificate_password or None,
                **common,
            )
        except (OSError, ValueError) as error:
            raise CredentialsRejected(
                f"{wishes.certificate} is no certificate with a private key that can be used here.",
                field="client_certificate_path",
            ) from error

    @staticmethod
    def _need(wishes: Wishes, given: str) -> None:
        for name, value in (("tenant_id", wishes.tenant), ("client_id", wishes.client)):
            if not value:
                remedy = WHERE.format(variable=f"ARM_{name.upper()}")
                raise CredentialsRejected(f"{given} is set, and {name} is not.", field=name, remedy=remedy)

    @property
    def _verify(self) -> Any:
        return str(self._settings.ca_bundle) if self._settings.ca_bundle else True

    def client(self, name: str) -> Any:
        """A client of the SDK. Repeating failed calls is the caller's, which knows the build's deadline."""
        return _factories()[name](
            self.credential,
            self.subscription,
            base_url=self._endpoint,
            credential_scopes=[self.scope],
            connection_verify=self._verify,
            connection_timeout=min(10.0, self._settings.timeout),
            read_timeout=self._settings.timeout,
            polling_interval=self._settings.poll,
            retry_total=0,
            user_agent="stead-azure",
        )

    def close(self) -> None:
        close = getattr(self.credential, "close", None)
        if close is not None:
            close()


def _factories() -> dict[str, Any]:
    # Each of these takes about a second and 40 MB to import, and many builds need only one of them.
    return {"compute": _compute, "network": _network, "resource": _resource}


def _compute(*args: Any, **options: Any) -> Any:
    from azure.mgmt.compute import ComputeManagementClient

    return ComputeManagementClient(*args, **options)


def _network(*args: Any, **options: Any) -> Any:
    from azure.mgmt.network import NetworkManagementClient

    return NetworkManagementClient(*args, **options)


def _resource(*args: Any, **options: Any) -> Any:
    from azure.mgmt.resource.resources import ResourceManagementClient

    return ResourceManagementClient(*args, **options)
