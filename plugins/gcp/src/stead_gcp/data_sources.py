"""Data sources: what the project and Google Cloud have already."""

from __future__ import annotations

from typing import Any

from stead.api.errors import ProviderFailure, ResourceNotFound
from stead.api.provider import Context, DataSource, ObjectSchema, attribute, one_of
from stead_gcp.base import Found, provider_of
from stead_gcp.cloud import cloud_of
from stead_gcp.links import name_of, relative

PROJECT = "Project; the provider's where not set."


class Projected(DataSource):
    """A data source of a project."""

    project: str | None = attribute(optional=True, computed=True, description=PROJECT)
    id: str = attribute(computed=True)

    def in_project(self, context: Context) -> str:
        if not self.project:
            self.project = provider_of(context).need_project()
        return self.project


class ClientConfig(DataSource, name="google_client_config"):
    """What the provider is configured with."""

    id: str = attribute(computed=True)
    project: str = attribute(computed=True)
    region: str = attribute(computed=True)
    zone: str = attribute(computed=True)
    access_token: str = attribute(computed=True, sensitive=True)
    default_labels: dict[str, str] = attribute(computed=True)

    def read(self, context: Context) -> None:
        provider = provider_of(context)
        self.project, self.region, self.zone = (text or "" for text in provider.places)
        self.default_labels = dict(provider.labels_by_default)
        self.access_token = provider.token(context)
        self.id = f'projects/"{self.project}"/regions/"{self.region}"/zones/"{self.zone}"'


class DefaultServiceAccount(Projected, name="google_compute_default_service_account"):
    """The service account that instances of the project have where none is given."""

    name: str = attribute(computed=True)
    email: str = attribute(computed=True)
    member: str = attribute(computed=True)
    unique_id: str = attribute(computed=True)
    display_name: str = attribute(computed=True)

    def read(self, context: Context) -> None:
        project = self.in_project(context)
        cloud, doing = cloud_of(context), f"The default service account of {project} could not be read"
        self.email = cloud.ask(context, doing, "projects.get", project=project).get("defaultServiceAccount", "")
        if not self.email:
            raise ResourceNotFound(
                f"Project {project} has no default service account.",
                field="project",
                remedy="Make a service account and name it in the template.",
            )
        url = f"{cloud.settings.iam_endpoint}/v1/projects/-/serviceAccounts/{self.email}"
        account = cloud.rest(context, doing, "GET", url)
        self.id = self.name = account.get("name", "")
        self.unique_id, self.display_name = account.get("uniqueId", ""), account.get("displayName", "")
        self.member = f"serviceAccount:{self.email}"


class ImageData(Projected, name="google_compute_image"):
    """An image, by name, as the newest of a family, or by a filter."""

    name: str | None = attribute(optional=True, computed=True, description="Name.")
    family: str | None = attribute(optional=True, computed=True, description="Family: debian-12.")
    filter: str | None = attribute(optional=True, description="Filter as the API takes it.")
    most_recent: bool | None = attribute(optional=True, description="The newest of those that the filter finds.")
    archive_size_bytes: int = attribute(computed=True)
    creation_timestamp: str = attribute(computed=True)
    description: str = attribute(computed=True)
    disk_size_gb: int = attribute(computed=True)
    image_encryption_key_sha256: str = attribute(computed=True)
    image_id: str = attribute(computed=True)
    label_fingerprint: str = attribute(computed=True)
    labels: dict[str, str] = attribute(computed=True)
    licenses: list[str] = attribute(computed=True)
    self_link: str = attribute(computed=True)
    source_disk: str = attribute(computed=True)
    source_disk_encryption_key_sha256: str = attribute(computed=True)
    source_disk_id: str = attribute(computed=True)
    source_image_id: str = attribute(computed=True)
    status: str = attribute(computed=True)

    def validate(self, context: Context) -> None:
        del context
        if sum(item is not None for item in (self.name, self.family, self.filter)) != 1:
            raise ProviderFailure("Exactly one of name, family and filter must be given.", field="name")

    def read(self, context: Context) -> None:
        found = self._find(context, self.in_project(context))
        self.name, self.family = found.get("name", ""), found.get("family", "")
        self.self_link, self.status = found.get("selfLink", ""), found.get("status", "")
        self.id = relative(self.self_link)
        self.archive_size_bytes = int(found.get("archiveSizeBytes", 0))
        self.disk_size_gb = int(found.get("diskSizeGb", 0))
        self.creation_timestamp, self.description = found.get("creationTimestamp", ""), found.get("description", "")
        self.image_id, self.label_fingerprint = found.get("id", ""), found.get("labelFingerprint", "")
        self.labels, self.licenses = found.get("labels", {}), found.get("licenses", [])
        self.source_disk, self.source_disk_id = found.get("sourceDisk", ""), found.get("sourceDiskId", "")
        self.source_image_id = found.get("sourceImageId", "")
        self.image_encryption_key_sha256 = found.get("imageEncryptionKey", {}).get("sha256", "")
        self.source_disk_encryption_key_sha256 = found.get("sourceDiskEncryptionKey", {}).get("sha256", "")

    def _find(self, context: Context, project: str) -> Found:
        cloud, doing = cloud_of(context), "The image could not be read"
        if self.name:
            found = cloud.find(context, doing, "images.get", project=project, image=self.name)
        elif self.family:
            found = cloud.find(context, doing, "images.getFromFamily", project=project, family=self.family)
        else:
            found = self._filtered(
                list(cloud.items(context, doing, "images.list", project=project, filter=self.filter))
            )
        if found is None:
            wanted = self.name or self.family or self.filter
            raise ResourceNotFound(
                f"Project {project} has no image {wanted}.",
                field="name" if self.name else "family" if self.family else "filter",
                remedy=f"gcloud compute images list --project {project} shows what there is.",
            )
        return found

    def _filtered(self, found: list[Found]) -> Found | None:
        if len(found) > 1 and not self.most_recent:
            raise ProviderFailure(
                f"The filter finds {len(found)} images.", field="filter", remedy="Narrow it, or set most_recent = true."
            )
        return max(found, key=lambda item: str(item.get("creationTimestamp", "")), default=None)


class Zones(Projected, name="google_compute_zones"):
    """Zones of a region."""

    region: str | None = attribute(optional=True, computed=True, description="Region; the provider's where not set.")
    status: str | None = attribute(optional=True, validators=[one_of("UP", "DOWN")], description="UP or DOWN.")
    names: list[str] = attribute(computed=True)

    def read(self, context: Context) -> None:
        project = self.in_project(context)
        self.region = self.region or provider_of(context).need_region()
        found = cloud_of(context).items(context, "The zones could not be listed", "zones.list", project=project)
        here = [item for item in found if name_of(item.get("region")) == name_of(self.region)]
        self.names = _names(here, self.status)
        self.id = f"projects/{project}/regions/{self.region}"


class Regions(Projected, name="google_compute_regions"):
    """Regions that the project may use."""

    status: str | None = attribute(optional=True, validators=[one_of("UP", "DOWN")], description="UP or DOWN.")
    names: list[str] = attribute(computed=True)

    def read(self, context: Context) -> None:
        project = self.in_project(context)
        doing = "The regions could not be listed"
        self.names = _names(list(cloud_of(context).items(context, doing, "regions.list", project=project)), self.status)
        self.id = f"projects/{project}"


def _names(found: list[Found], status: str | None) -> list[str]:
    return sorted(item["name"] for item in found if status is None or item.get("status") == status)


class Accelerator(ObjectSchema):
    """Accelerators of a machine type."""

    guest_accelerator_type: str = attribute(computed=True)
    guest_accelerator_count: int = attribute(computed=True)


class Deprecation(ObjectSchema):
    """What to use in place of a machine type."""

    state: str = attribute(computed=True)
    replacement: str = attribute(computed=True)


class MachineType(ObjectSchema):
    """A machine type."""

    name: str = attribute(computed=True)
    description: str = attribute(computed=True)
    guest_cpus: int = attribute(computed=True)
    memory_mb: int = attribute(computed=True)
    is_shared_cpus: bool = attribute(computed=True)
    maximum_persistent_disks: int = attribute(computed=True)
    maximum_persistent_disks_size_gb: int = attribute(computed=True)
    self_link: str = attribute(computed=True)
    accelerators: list[Accelerator] = attribute(computed=True)
    deprecated: list[Deprecation] = attribute(computed=True)


class MachineTypes(Projected, name="google_compute_machine_types"):
    """Machine types of a zone."""

    zone: str | None = attribute(optional=True, computed=True, description="Zone; the provider's where not set.")
    filter: str | None = attribute(optional=True, description="Filter as the API takes it.")
    machine_types: list[MachineType] = attribute(computed=True)

    def read(self, context: Context) -> None:
        project = self.in_project(context)
        self.zone = name_of(self.zone or provider_of(context).need_zone())
        doing = f"The machine types of {self.zone} could not be listed"
        found = cloud_of(context).items(
            context, doing, "machineTypes.list", project=project, zone=self.zone, filter=self.filter
        )
        self.machine_types = [_machine_type(item) for item in sorted(found, key=lambda item: str(item["name"]))]
        self.id = f"projects/{project}/zones/{self.zone}"


def _machine_type(item: dict[str, Any]) -> MachineType:
    old = item.get("deprecated")
    return MachineType(
        name=item["name"],
        description=item.get("description", ""),
        guest_cpus=item.get("guestCpus", 0),
        memory_mb=item.get("memoryMb", 0),
        is_shared_cpus=item.get("isSharedCpu", False),
        maximum_persistent_disks=item.get("maximumPersistentDisks", 0),
        maximum_persistent_disks_size_gb=int(item.get("maximumPersistentDisksSizeGb", 0)),
        self_link=item.get("selfLink", ""),
        accelerators=[
            Accelerator(
                guest_accelerator_type=one.get("guestAcceleratorType", ""),
                guest_accelerator_count=one.get("guestAcceleratorCount", 0),
            )
            for one in item.get("accelerators", ())
        ],
        deprecated=[Deprecation(state=old.get("state", ""), replacement=old.get("replacement", ""))] if old else [],
    )
