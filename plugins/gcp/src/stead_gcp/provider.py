"""The provider ``hashicorp/google``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.auth.transport.requests import Request

from stead.api.errors import ProviderFailure
from stead.api.provider import BlockSchema, Context, Provider, attribute, block
from stead.api.provider.durations import is_duration
from stead_gcp import credentials
from stead_gcp.address import Address
from stead_gcp.cloud import Cloud
from stead_gcp.data_sources import ClientConfig, DefaultServiceAccount, ImageData, MachineTypes, Regions, Zones
from stead_gcp.disk import Disk
from stead_gcp.failures import SDK_ERRORS, translate
from stead_gcp.firewall import Firewall
from stead_gcp.instance import Instance, InstanceFromTemplate
from stead_gcp.links import region_of
from stead_gcp.settings import GcpSettings

ACCEPTED = "Accepted, and without effect."


class Batching(BlockSchema):
    """How the original provider gathers requests; without effect."""

    send_after: str | None = attribute(optional=True, validators=[is_duration], description=ACCEPTED)
    enable_batching: bool | None = attribute(optional=True, description=ACCEPTED)


class Google(
    Provider,
    address="hashicorp/google",
    resources=[Address, Disk, Firewall, Instance, InstanceFromTemplate],
    data_sources=[ClientConfig, DefaultServiceAccount, ImageData, MachineTypes, Regions, Zones],
):
    """Instances, disks, addresses and firewall rules of Google Cloud."""

    project: str | None = attribute(optional=True, description="Project of what names none.")
    region: str | None = attribute(optional=True, description="Region of what names none.")
    zone: str | None = attribute(optional=True, description="Zone of what names none.")
    credentials: str | None = attribute(
        optional=True, sensitive=True, description="Path or content of a key file (JSON)."
    )
    access_token: str | None = attribute(
        optional=True, sensitive=True, description="Access token in place of credentials."
    )
    impersonate_service_account: str | None = attribute(optional=True, description="Service account to act as.")
    impersonate_service_account_delegates: list[str] | None = attribute(
        optional=True, description="Service accounts on the way to it."
    )
    scopes: list[str] | None = attribute(optional=True, description="Scopes to ask for.")
    default_labels: dict[str, str] | None = attribute(
        optional=True, description="Labels of everything that bears labels."
    )
    add_terraform_attribution_label: bool | None = attribute(optional=True, description=ACCEPTED)
    terraform_attribution_label_addition_strategy: str | None = attribute(optional=True, description=ACCEPTED)
    billing_project: str | None = attribute(optional=True, description="Project that pays for the requests.")
    user_project_override: bool | None = attribute(optional=True, description="Use billing_project.")
    request_reason: str | None = attribute(optional=True, description=ACCEPTED)
    request_timeout: str | None = attribute(optional=True, validators=[is_duration], description=ACCEPTED)
    universe_domain: str | None = attribute(optional=True, description=ACCEPTED)
    compute_custom_endpoint: str | None = attribute(optional=True, description="Address of the Compute Engine API.")
    batching: list[Batching] = block(Batching, max_items=1)

    def __init__(self, **values: Any) -> None:
        self.settings: GcpSettings = values.pop("settings", None) or GcpSettings()
        self._cloud: Cloud | None = None
        super().__init__(**values)

    def configure(self, context: Context) -> None:
        given = self.credentials or credentials.from_environment()
        content = given if given and given.lstrip().startswith("{") else None
        path = None if content or not given else context.build.resolve(given)
        self._cloud = Cloud(lambda: self._credentials(content, path), self.settings, self._endpoint())

    def _credentials(self, content: str | None, path: Path | None) -> Any:
        """The block counts first, then the settings, then the environment."""
        own = self.settings.access_token.get_secret_value() if self.settings.access_token else None
        blockless = not self.credentials
        token = self.access_token or (own if blockless else None)
        found = credentials.make(
            access_token=token
            or (credentials.first_of("GOOGLE_OAUTH_ACCESS_TOKEN") if not (content or path) else None),
            content=None if blockless and self.settings.credentials else content,
            file=self.settings.credentials if blockless and self.settings.credentials else path,
            impersonate=self.impersonate_service_account
            or self.settings.impersonate_service_account
            or credentials.first_of("GOOGLE_IMPERSONATE_SERVICE_ACCOUNT"),
            delegates=self.impersonate_service_account_delegates or [],
            scopes=self.scopes or [],
        )
        payer = self.billing_project if self.user_project_override else None
        return found.with_quota_project(payer) if payer and hasattr(found, "with_quota_project") else found

    def _endpoint(self) -> str | None:
        """Without the path, which the SDK adds."""
        given = self.compute_custom_endpoint or self.settings.compute_endpoint
        return given.partition("/compute/v1")[0].rstrip("/") if given else None

    @property
    def cloud(self) -> Cloud:
        if self._cloud is None:
            self.configure(Context(provider=self))
        assert self._cloud is not None  # noqa: S101 - configure has set it
        return self._cloud

    @property
    def labels_by_default(self) -> dict[str, str]:
        return self.default_labels or {}

    @property
    def places(self) -> tuple[str | None, str | None, str | None]:
        """Project, region and zone: of the block, the settings, the environment."""
        names = ("GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT")
        project = self.project or self.settings.project or credentials.first_of(*names)
        zone = (
            self.zone
            or self.settings.zone
            or credentials.first_of("GOOGLE_ZONE", "GCLOUD_ZONE", "CLOUDSDK_COMPUTE_ZONE")
        )
        region = self.region or self.settings.region
        region = region or credentials.first_of("GOOGLE_REGION", "GCLOUD_REGION", "CLOUDSDK_COMPUTE_REGION")
        return project, region or (region_of(zone) if zone else None), zone

    def need_project(self) -> str:
        return self._need(0, "project", "my-project")

    def need_region(self) -> str:
        return self._need(1, "region", "europe-west1")

    def need_zone(self) -> str:
        return self._need(2, "zone", "europe-west1-b")

    def _need(self, index: int, name: str, example: str) -> str:
        found = self.places[index]
        if not found:
            raise ProviderFailure(
                f"No {name} is set.",
                field=name,
                remedy=f'Set {name} in the resource, in the provider block ({name} = "{example}") or in [plugins.gcp].',
            )
        return found

    def token(self, context: Context) -> str:
        """A fresh access token."""
        context.check()
        found = self.cloud.credentials
        if not found.token or found.expired:
            try:
                found.refresh(Request())
            except SDK_ERRORS as error:
                raise translate(error, "An access token could not be got") from error
        return str(found.token)
