"""``google_compute_disk``."""

from __future__ import annotations

import time
from typing import Any

from stead.api.provider import (
    BlockSchema,
    Context,
    Nesting,
    ObjectSchema,
    Plan,
    Unknown,
    attribute,
    block,
    is_known,
    one_of,
)
from stead_gcp import images
from stead_gcp import labels as labelling
from stead_gcp.base import (
    Found,
    Labelled,
    Params,
    Timeouts,
    fill_defaults,
    given,
    is_name,
    limit_of,
    missing,
    observe,
    observe_all,
    provider_of,
    without_nothing,
)
from stead_gcp.cloud import cloud_of, limited
from stead_gcp.links import link, name_of, parsed, part, relative, same_link, same_name

READY = ("READY", "FAILED")
SOURCES = {
    "image": "sourceImage",
    "snapshot": "sourceSnapshot",
    "source_disk": "sourceDisk",
    "source_instant_snapshot": "sourceInstantSnapshot",
    "storage_pool": "storagePool",
}


class EncryptionKey(BlockSchema):
    """A key of the customer's."""

    kms_key_self_link: str | None = attribute(
        optional=True, force_new=True, normalize=same_link, description="Key of Cloud KMS."
    )
    kms_key_service_account: str | None = attribute(
        optional=True, force_new=True, description="Service account that uses the key."
    )
    raw_key: str | None = attribute(optional=True, force_new=True, sensitive=True, description="The key, in base64.")
    sha256: str = attribute(computed=True)


class DiskEncryptionKey(EncryptionKey):
    """The key that encrypts the disk."""

    rsa_encrypted_key: str | None = attribute(
        optional=True, force_new=True, sensitive=True, description="The key, wrapped with Google's certificate."
    )


class AsyncPrimaryDisk(BlockSchema):
    """The disk that this one follows."""

    disk: str = attribute(required=True, force_new=True, description="Link of the primary disk.")


class GuestOsFeature(ObjectSchema):
    """Something that the operating system on the disk can do."""

    type: str = attribute(required=True, force_new=True, description="UEFI_COMPATIBLE, GVNIC …")


def only_grows(before: Any, after: Any) -> bool:
    return not isinstance(before, int) or not isinstance(after, int) or after >= before


class Disk(Labelled, name="google_compute_disk"):
    """A persistent disk of a zone. It outlives the instances that use it."""

    name: str = attribute(required=True, force_new=True, validators=[is_name], description="Name.")
    zone: str | None = attribute(
        optional=True,
        computed=True,
        force_new=True,
        normalize=same_link,
        description="Zone; the provider's where not set.",
    )
    type: str = attribute(
        default="pd-standard", force_new=True, normalize=same_name, description="pd-balanced, pd-ssd …"
    )
    size: int | None = attribute(optional=True, computed=True, description="Size in GB. It can grow in place.")
    image: str | None = attribute(
        optional=True, force_new=True, normalize=images.same_image, description="Image to start from."
    )
    snapshot: str | None = attribute(
        optional=True, force_new=True, normalize=same_link, description="Snapshot to start from."
    )
    source_disk: str | None = attribute(optional=True, force_new=True, normalize=same_link, description="Disk to copy.")
    source_instant_snapshot: str | None = attribute(
        optional=True, force_new=True, normalize=same_link, description="Instant snapshot to start from."
    )
    source_storage_object: str | None = attribute(
        optional=True, force_new=True, description="Image in Cloud Storage to start from."
    )
    description: str | None = attribute(optional=True, force_new=True, description="What it is for.")
    architecture: str | None = attribute(
        optional=True,
        computed=True,
        force_new=True,
        description="X86_64 or ARM64.",
        validators=[one_of("X86_64", "ARM64")],
    )
    access_mode: str | None = attribute(optional=True, computed=True, description="READ_WRITE_SINGLE … (Hyperdisk).")
    provisioned_iops: int | None = attribute(
        optional=True, computed=True, description="Operations a second (Hyperdisk)."
    )
    provisioned_throughput: int | None = attribute(optional=True, computed=True, description="MB a second (Hyperdisk).")
    physical_block_size_bytes: int | None = attribute(
        optional=True, computed=True, force_new=True, description="4096 or 16384."
    )
    enable_confidential_compute: bool | None = attribute(
        optional=True, computed=True, force_new=True, description="Confidential mode (Hyperdisk)."
    )
    licenses: list[str] | None = attribute(optional=True, computed=True, force_new=True, description="Licences.")
    storage_pool: str | None = attribute(
        optional=True, force_new=True, normalize=same_name, description="Storage pool."
    )
    create_snapshot_before_destroy: bool = attribute(default=False, description="Keep a snapshot when it is destroyed.")
    create_snapshot_before_destroy_prefix: str | None = attribute(
        optional=True, description="What the snapshot's name starts with; the disk's name where not set."
    )
    disk_id: str = attribute(computed=True)
    users: list[str] = attribute(computed=True)
    last_attach_timestamp: str = attribute(computed=True)
    last_detach_timestamp: str = attribute(computed=True)
    source_disk_id: str = attribute(computed=True)
    source_image_id: str = attribute(computed=True)
    source_instant_snapshot_id: str = attribute(computed=True)
    source_snapshot_id: str = attribute(computed=True)
    guest_os_features: list[GuestOsFeature] | None = attribute(
        optional=True, computed=True, force_new=True, as_blocks=True, description="What its system can do."
    )
    disk_encryption_key: list[DiskEncryptionKey] = block(DiskEncryptionKey, max_items=1, force_new=True)
    source_image_encryption_key: list[EncryptionKey] = block(EncryptionKey, max_items=1, force_new=True)
    source_snapshot_encryption_key: list[EncryptionKey] = block(EncryptionKey, max_items=1, force_new=True)
    async_primary_disk: list[AsyncPrimaryDisk] = block(AsyncPrimaryDisk, max_items=1, force_new=True)
    params: list[Params] = block(Params, max_items=1, force_new=True)
    timeouts: Timeouts | None = block(Timeouts, nesting=Nesting.SINGLE)

    def plan(self, context: Context, plan: Plan) -> None:
        super().plan(context, plan)
        if plan.prior is not None and not only_grows(plan.prior.size, self.size):
            plan.require_replace("size")

    def place(self, context: Context) -> Found:
        """Project and zone; fixed at the first use."""
        if not given(self.zone):
            self.zone = provider_of(context).need_zone()
        return {"project": self.in_project(context), "zone": name_of(self.zone)}

    def _find(self, context: Context) -> Found | None:
        doing = f"Disk {self.name} could not be read"
        return cloud_of(context).find(context, doing, "disks.get", disk=self.name, **self.place(context))

    def create(self, context: Context) -> None:
        with limited(context, limit_of(self.timeouts, "create")) as bound:
            found = cloud_of(context).make(
                bound,
                f"Disk {self.name} could not be created",
                self._settled,
                lambda disk: labelling.carries(disk.get("labels"), context.key),
                "disks.insert",
                discard=self._discard,
                taken=f"A disk {self.name} exists already, and Stead did not make it for this.",
                diskResource=self._body(bound),
                **self.place(bound),
            )
        self._assign(context, found, refresh=False)

    def _settled(self, context: Context) -> Found | None:
        """The disk as it is when nobody is making or changing it any more."""
        pause = min(0.2, cloud_of(context).settings.poll)
        while (found := self._find(context)) is not None and found.get("status", "READY") not in READY:
            cloud_of(context).pause(context, pause, f"Disk {self.name} is not ready")
            pause = min(pause * 1.5, cloud_of(context).settings.poll)
        return found

    def _discard(self, context: Context) -> None:
        found = self._settled(context)
        if found is not None and labelling.carries(found.get("labels"), context.key):
            self._remove(context)

    def _body(self, context: Context) -> Found:
        project, zone = self.place(context).values()
        here = f"zones/{zone}"

        def linked(text: str | None, where: str, kind: str) -> str | None:
            return link(text, project, where, kind) if text else None

        image = images.resolve(context, self.image, project, "image") if self.image else None
        return without_nothing(
            {
                "name": self.name,
                "description": self.description,
                "labels": self.labels_to_make(context),
                "type": linked(self.type, here, "diskTypes"),
                "sizeGb": str(self.size) if given(self.size) else None,
                "sourceImage": image,
                "sourceSnapshot": linked(self.snapshot, "global", "snapshots"),
                "sourceDisk": linked(self.source_disk, here, "disks"),
                "sourceInstantSnapshot": linked(self.source_instant_snapshot, here, "instantSnapshots"),
                "sourceStorageObject": self.source_storage_object,
                "storagePool": linked(self.storage_pool, here, "storagePools"),
                "architecture": given(self.architecture),
                "accessMode": given(self.access_mode),
                "provisionedIops": _number(self.provisioned_iops),
                "provisionedThroughput": _number(self.provisioned_throughput),
                "physicalBlockSizeBytes": _number(self.physical_block_size_bytes),
                "enableConfidentialCompute": given(self.enable_confidential_compute),
                "licenses": given(self.licenses),
                "guestOsFeatures": [{"type": item.type} for item in given(self.guest_os_features) or ()],
                "diskEncryptionKey": images.encryption_key(_only(self.disk_encryption_key)),
                "sourceImageEncryptionKey": images.encryption_key(_only(self.source_image_encryption_key)),
                "sourceSnapshotEncryptionKey": images.encryption_key(_only(self.source_snapshot_encryption_key)),
                "asyncPrimaryDisk": {"disk": self.async_primary_disk[0].disk} if self.async_primary_disk else None,
                "params": {"resourceManagerTags": self.params[0].resource_manager_tags} if self.params else None,
            }
        )

    def read(self, context: Context) -> bool:
        found = self._find(context)
        if found is None or found.get("status") == "DELETING":
            return False
        self._assign(context, found, refresh=True)
        return True

    def _assign(self, context: Context, found: Found, *, refresh: bool) -> None:
        project, zone = self.place(context).values()
        self.id = f"projects/{project}/zones/{zone}/disks/{self.name}"
        links = {"zone": zone, "type": name_of(found.get("type"))}
        observe_all(self, links, refresh=refresh, same=same_name)
        observe_all(
            self,
            {
                "self_link": found.get("selfLink", ""),
                "creation_timestamp": found.get("creationTimestamp", ""),
                "size": int(found.get("sizeGb", 0)),
                "architecture": found.get("architecture", ""),
                "access_mode": found.get("accessMode", ""),
                "provisioned_iops": int(found.get("provisionedIops", 0)),
                "provisioned_throughput": int(found.get("provisionedThroughput", 0)),
                "physical_block_size_bytes": int(found.get("physicalBlockSizeBytes", 0)),
                "enable_confidential_compute": found.get("enableConfidentialCompute", False),
                "description": found.get("description", ""),
                "disk_id": found.get("id", ""),
                "users": sorted(found.get("users", ())),
                "last_attach_timestamp": found.get("lastAttachTimestamp", ""),
                "last_detach_timestamp": found.get("lastDetachTimestamp", ""),
                "source_disk_id": found.get("sourceDiskId", ""),
                "source_image_id": found.get("sourceImageId", ""),
                "source_instant_snapshot_id": found.get("sourceInstantSnapshotId", ""),
                "source_snapshot_id": found.get("sourceSnapshotId", ""),
            },
            refresh=refresh,
        )
        features = [GuestOsFeature(type=item.get("type", "")) for item in found.get("guestOsFeatures", ())]
        observe(self, "licenses", list(found.get("licenses", ())), refresh=False)
        observe(self, "guest_os_features", features, refresh=False)
        for key in (*self.disk_encryption_key, *self.source_image_encryption_key, *self.source_snapshot_encryption_key):
            observe(key, "sha256", (found.get("diskEncryptionKey") or {}).get("sha256", ""), refresh=False)
        self.observe_labels(context, found, refresh=refresh)

    def update(self, context: Context, prior: Disk) -> None:
        cloud, doing = cloud_of(context), f"Disk {self.name} could not be changed"
        with limited(context, limit_of(self.timeouts, "update")) as bound:
            here = {**self.place(bound), "disk": self.name}
            if is_known(self.size) and self.size != prior.size:
                body = {"sizeGb": str(self.size)}
                resource: Found = {"disksResizeRequestResource": body}
                cloud.do(bound, doing, "disks.resize", field="size", **here, **resource)
            changes = self._changes(prior)
            if changes:
                mask = ",".join(changes)
                cloud.do(
                    bound, doing, "disks.update", **here, updateMask=mask, diskResource={"name": self.name, **changes}
                )
            if self.terraform_labels != prior.terraform_labels:
                self._relabel(bound, prior, doing)
            found = self._find(bound)
        if found is None:
            raise missing("Disk", self.name)
        self._assign(context, found, refresh=False)
        self.label_fingerprint = found.get("labelFingerprint", "")

    def _changes(self, prior: Disk) -> Found:
        fields = {
            "accessMode": (self.access_mode, prior.access_mode),
            "provisionedIops": (_number(self.provisioned_iops), _number(prior.provisioned_iops)),
            "provisionedThroughput": (_number(self.provisioned_throughput), _number(prior.provisioned_throughput)),
        }
        return {name: new for name, (new, old) in fields.items() if is_known(new) and new is not None and new != old}

    def _relabel(self, context: Context, prior: Disk, doing: str) -> None:
        found = self._find(context)
        if found is None:
            raise missing("Disk", self.name)
        body = {
            "labels": self.labels_to_set(context, found, prior),
            "labelFingerprint": found.get("labelFingerprint", ""),
        }
        cloud_of(context).do(
            context,
            doing,
            "disks.setLabels",
            field="labels",
            resource=self.name,
            zoneSetLabelsRequestResource=body,
            **self.place(context),
        )

    def delete(self, context: Context) -> None:
        with limited(context, limit_of(self.timeouts, "delete")) as bound:
            if self.create_snapshot_before_destroy:
                self._snapshot(bound)
            self._remove(bound)

    def _snapshot(self, context: Context) -> None:
        if self._find(context) is None:
            return
        prefix = self.create_snapshot_before_destroy_prefix or self.name
        name = f"{prefix[:48]}-{time.strftime('%Y%m%d-%H%M', time.gmtime())}"
        doing = f"A snapshot of disk {self.name} could not be made"
        body = without_nothing(
            {"name": name, "snapshotEncryptionKey": images.encryption_key(_only(self.disk_encryption_key))}
        )
        cloud_of(context).do(
            context, doing, "disks.createSnapshot", disk=self.name, snapshotResource=body, **self.place(context)
        )
        context.log(f"Snapshot {name} of disk {self.name} was made.")

    def _remove(self, context: Context) -> None:
        """Take it from the instances that use it, then delete it."""
        found = self._find(context)
        for user in (found or {}).get("users", ()):
            self._detach(context, relative(user))
        doing = f"Disk {self.name} could not be deleted"
        cloud_of(context).remove(context, doing, "disks.delete", disk=self.name, **self.place(context))

    def _detach(self, context: Context, user: str) -> None:
        cloud, doing = cloud_of(context), f"Disk {self.name} could not be detached"
        here = {"project": part(user, "projects"), "zone": part(user, "zones"), "instance": name_of(user)}
        instance = cloud.find(context, doing, "instances.get", **here)
        for attached in (instance or {}).get("disks", ()):
            if same_link(attached.get("source"), self.id) and not attached.get("boot"):
                cloud.remove(context, doing, "instances.detachDisk", deviceName=attached["deviceName"], **here)

    @classmethod
    def import_(cls, context: Context, identity: str) -> Disk | None:
        project, zone, name = parsed(identity, "disks", "zones")
        disk = cls(name=name, project=project or None, zone=zone or None)
        found = disk._find(context)
        if found is None:
            return None
        disk.import_labels(context, found)
        for name, wire in SOURCES.items():
            setattr(disk, name, relative(found[wire]) if found.get(wire) else None)
        key = found.get("diskEncryptionKey") or {}
        if key.get("kmsKeyName"):
            disk.disk_encryption_key = [DiskEncryptionKey(kms_key_self_link=key["kmsKeyName"], sha256=Unknown)]
        disk._assign(context, found, refresh=True)
        fill_defaults(disk)
        return disk


def _only(items: list[Any]) -> Any:
    return items[0] if items else None


def _number(value: Any) -> str | None:
    """64-bit numbers travel as text."""
    return str(value) if is_known(value) and value else None
