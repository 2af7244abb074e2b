"""``aws_ebs_volume`` and ``aws_volume_attachment``."""

from __future__ import annotations

import hashlib
from typing import Any

from stead.api.errors import ResourceConflict, ResourceNotFound
from stead.api.provider import Context, Nesting, Plan, attribute, between, block, is_known
from stead_aws import instance_life as life
from stead_aws import instance_view as view
from stead_aws import tags as tagging
from stead_aws.base import (
    CreateDeleteTimeouts,
    Regional,
    RegionalTagged,
    Timeouts,
    effective_tags,
    given,
    key_filter,
    limit_of,
    read_tags,
    told,
)
from stead_aws.cloud import Found, cloud_of, limited, token_of

BUSY = ("VolumeInUse", "IncorrectState")


class Volume(RegionalTagged, name="aws_ebs_volume"):
    """A disk that has a life of its own. It grows in place; it never shrinks."""

    id: str = attribute(computed=True)
    arn: str | None = attribute(computed=True)
    create_time: str | None = attribute(computed=True)
    availability_zone: str = attribute(required=True, force_new=True, description="Zone.")
    size: int | None = attribute(optional=True, computed=True, validators=[between(1)], description="GiB.")
    type: str | None = attribute(optional=True, computed=True, description="gp3, gp2, io1, io2, st1, sc1 or standard.")
    iops: int | None = attribute(optional=True, computed=True, description="Operations per second.")
    throughput: int | None = attribute(
        optional=True, computed=True, validators=[between(125, 2000)], description="MiB per second (gp3)."
    )
    encrypted: bool | None = attribute(optional=True, computed=True, force_new=True, description="Encrypted.")
    kms_key_id: str | None = attribute(optional=True, computed=True, force_new=True, description="Key to encrypt with.")
    snapshot_id: str | None = attribute(
        optional=True, computed=True, force_new=True, description="Snapshot that it begins with."
    )
    final_snapshot: bool = attribute(default=False, description="Take a snapshot before it is deleted.")
    multi_attach_enabled: bool | None = attribute(
        optional=True, force_new=True, description="Several machines may have it."
    )
    outpost_arn: str | None = attribute(optional=True, force_new=True, description="Outpost.")
    volume_initialization_rate: int | None = attribute(
        optional=True, force_new=True, description="MiB per second at which a snapshot is loaded."
    )
    timeouts: Timeouts | None = block(Timeouts, nesting=Nesting.SINGLE)

    def validate(self, context: Context) -> None:
        if self.size is None and self.snapshot_id is None:
            context.error("size is missing", "A disk needs size (GiB) or snapshot_id.", "size")

    def plan(self, context: Context, plan: Plan) -> None:
        super().plan(context, plan)
        prior, size = plan.prior, given(self.size)
        if prior is not None and size is not None and prior.size is not None and size < prior.size:
            if context.build.transition != "start":
                self.size = prior.size  # a workspace that comes down is not kept up by a wrong value
                return
            context.error(
                "Disks do not shrink",
                f"{self.id} has {prior.size} GiB, and AWS cannot make it {size}. Replacing it would lose its data.",
                "size",
            )

    def create(self, context: Context) -> None:
        with limited(context, limit_of(self.timeouts, "create", 300.0)) as inner:
            self.id = cloud_of(inner).make(
                inner,
                "The volume could not be created",
                lambda: self._own(inner),
                "ec2",
                "CreateVolume",
                accept=lambda answer: str(answer["VolumeId"]),
                region=self.where(inner),
                ClientToken=token_of(inner),
                TagSpecifications=tagging.specification("volume", effective_tags(inner, given(self.tags))),
                **self._request(),
            )
            self._assign(inner, self._available(inner))

    def _request(self) -> dict[str, Any]:
        values = {
            "AvailabilityZone": self.availability_zone,
            "Size": given(self.size),
            "VolumeType": given(self.type),
            "Iops": given(self.iops) or None,
            "Throughput": given(self.throughput) or None,
            "Encrypted": given(self.encrypted),
            "KmsKeyId": given(self.kms_key_id) or None,
            "SnapshotId": given(self.snapshot_id) or None,
            "MultiAttachEnabled": self.multi_attach_enabled,
            "OutpostArn": self.outpost_arn,
            "VolumeInitializationRate": self.volume_initialization_rate,
        }
        return {name: value for name, value in values.items() if value is not None}

    def _own(self, context: Context) -> str | None:
        if not context.key:
            return None
        answer = self.ask(context, "Volumes could not be listed", "DescribeVolumes", Filters=key_filter(context))
        return next((item["VolumeId"] for item in answer["Volumes"] if item["State"] != "deleting"), None)

    def _available(self, context: Context) -> Found:
        def look() -> Found | None:
            doing = f"Volume {self.id} could not be read"
            items = self.settle(context, doing, "DescribeVolumes", VolumeIds=[self.id])["Volumes"]
            return items[0] if items else None

        def done(item: Found | None) -> bool:
            return item is not None and item["State"] != "creating"

        found = cloud_of(context).until(context, f"Volume {self.id}", look, done)
        if found is None or found["State"] == "error":
            raise ResourceConflict(f"Volume {self.id} could not be made: AWS says {(found or {}).get('State')}.")
        return found

    def _describe(self, context: Context) -> Found | None:
        answer = self.find(context, f"Volume {self.id} could not be read", "DescribeVolumes", VolumeIds=[self.id])
        items = (answer or {}).get("Volumes") or [None]
        return items[0] if items[0] and items[0]["State"] not in ("deleting", "deleted") else None

    def _assign(self, context: Context, found: Found) -> None:
        self.arn = self.arn_of(context, f"volume/{self.id}")
        self.create_time = found["CreateTime"].isoformat() if found.get("CreateTime") else ""
        self.size, self.type = found["Size"], found.get("VolumeType")
        self.iops, self.throughput = found.get("Iops") or 0, found.get("Throughput") or 0
        self.encrypted = bool(found.get("Encrypted"))
        self.kms_key_id, self.snapshot_id = found.get("KmsKeyId") or "", found.get("SnapshotId") or ""

    def read(self, context: Context) -> bool:
        found = self._describe(context)
        if found is None:
            return False
        self.availability_zone = found["AvailabilityZone"]
        self._assign(context, found)
        read_tags(context, self, found.get("Tags"))
        return True

    def update(self, context: Context, prior: Volume) -> None:
        self.retag(context, self.id, prior)
        names = {"size": "Size", "type": "VolumeType", "iops": "Iops", "throughput": "Throughput"}
        changes = {
            parameter: getattr(self, name)
            for name, parameter in names.items()
            if given(getattr(self, name)) and getattr(self, name) != getattr(prior, name)
        }
        with limited(context, limit_of(self.timeouts, "update", 300.0)) as inner:
            if changes:
                doing = f"Volume {self.id} could not be changed"
                self.ask(inner, doing, "ModifyVolume", VolumeId=self.id, **changes)
            found = self._describe(inner)
        if found is None:
            raise ResourceNotFound(f"Volume {self.id} was deleted by somebody while it was being changed.")
        self._assign(context, {**found, **({"Size": self.size} if "Size" in changes else {})})

    def delete(self, context: Context) -> None:
        with limited(context, limit_of(self.timeouts, "delete", 600.0)) as inner:
            if self.final_snapshot is True and self._describe(inner) is not None:
                self._snapshot(inner)
            self.remove(inner, f"Volume {self.id} could not be deleted", "DeleteVolume", busy=BUSY, VolumeId=self.id)
            doing = f"The end of volume {self.id}"
            cloud_of(inner).until(inner, doing, lambda: self._describe(inner), lambda found: found is None)

    def _snapshot(self, context: Context) -> None:
        """One snapshot for one end, however often the end is tried."""
        mark = {"Name": "tag:stead.final-snapshot", "Values": [self.id]}
        doing = f"The final snapshot of {self.id} could not be taken"
        where = self.where(context)

        def taken() -> str | None:
            owned = self.ask(context, doing, "DescribeSnapshots", OwnerIds=["self"], Filters=[mark])["Snapshots"]
            return owned[0]["SnapshotId"] if owned else None

        tags = {**(given(self.tags) or {}), "stead.final-snapshot": self.id}
        snapshot = cloud_of(context).make(
            context,
            doing,
            taken,
            "ec2",
            "CreateSnapshot",
            accept=lambda answer: str(answer["SnapshotId"]),
            region=where,
            VolumeId=self.id,
            Description=f"Final snapshot of {self.id}",
            TagSpecifications=tagging.specification("snapshot", tags),
        )
        cloud_of(context).until(
            context,
            f"Snapshot {snapshot}",
            lambda: self.settle(
                context, doing, "DescribeSnapshots", unsettled=("InvalidSnapshot.NotFound",), SnapshotIds=[snapshot]
            ),
            lambda answer: answer is not None and answer["Snapshots"][0]["State"] != "pending",
        )

    @classmethod
    def import_(cls, context: Context, identity: str) -> Volume | None:
        volume = cls(id=identity, final_snapshot=False)
        if not volume.read(context):
            return None
        found = volume._describe(context) or {}
        volume.multi_attach_enabled = bool(found.get("MultiAttachEnabled")) or None
        volume.outpost_arn = found.get("OutpostArn") or None
        return volume


class VolumeAttachment(Regional, name="aws_volume_attachment"):
    """A disk in a machine."""

    id: str = attribute(computed=True)
    device_name: str = attribute(required=True, force_new=True, description="Its name in the machine, /dev/sdh.")
    instance_id: str = attribute(required=True, force_new=True, description="The machine.")
    volume_id: str = attribute(required=True, force_new=True, description="The disk.")
    force_detach: bool | None = attribute(optional=True, computed=True, description="Detach it though it is in use.")
    skip_destroy: bool | None = attribute(optional=True, computed=True, description="Leave it attached at the end.")
    stop_instance_before_detaching: bool | None = attribute(
        optional=True, description="Stop the machine before the disk is taken out."
    )
    timeouts: CreateDeleteTimeouts | None = block(CreateDeleteTimeouts, nesting=Nesting.SINGLE)

    def create(self, context: Context) -> None:
        for name in ("force_detach", "skip_destroy"):
            if not is_known(getattr(self, name)):
                setattr(self, name, None)
        with limited(context, limit_of(self.timeouts, "create", 300.0)) as inner:
            self.where(inner)
            self._ready(inner)
            with told(self, self._made_up_id()):
                self._attach(inner)
            self.id = self._made_up_id()
            self._wait(inner, "attached")

    def _attach(self, context: Context) -> None:
        cloud_of(context).make(
            context,
            f"{self.volume_id} could not be attached to {self.instance_id}",
            lambda: self._present(context),
            "ec2",
            "AttachVolume",
            accept=lambda answer: answer,
            region=self.where(context),
            unsettled=r"IncorrectState|IncorrectInstanceState|InvalidVolume\.NotFound|InvalidInstanceID\.NotFound",
            Device=self.device_name,
            InstanceId=self.instance_id,
            VolumeId=self.volume_id,
        )

    def _made_up_id(self) -> str:
        text = f"{self.device_name}-{self.instance_id}-{self.volume_id}-"
        return f"vai-{int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)}"

    def _ready(self, context: Context) -> None:
        """A machine that is starting or stopping takes no disk yet."""

        def state() -> str:
            return view.state_of(view.expect(self, context, self.instance_id))  # type: ignore[arg-type]

        seen = cloud_of(context).until(
            context, f"Instance {self.instance_id}", state, lambda name: name in ("running", "stopped", "terminated")
        )
        if seen == "terminated":
            raise ResourceNotFound(f"There is no instance {self.instance_id} any more.", field="instance_id")

    def _attachments(self, context: Context) -> list[Found]:
        doing = f"Volume {self.volume_id} could not be read"
        answer = self.find(context, doing, "DescribeVolumes", VolumeIds=[self.volume_id])
        return [item for volume in (answer or {}).get("Volumes", ()) for item in volume.get("Attachments") or ()]

    def _present(self, context: Context) -> Found | None:
        """The attachment itself, as it is now. Attaching a disk to a second machine is refused by AWS."""
        for item in self._attachments(context):
            mine = item["InstanceId"] == self.instance_id and item["Device"] == self.device_name
            if mine and item["State"] in ("attaching", "attached", "busy"):
                return item
        return None

    def _wait(self, context: Context, state: str) -> None:
        cloud_of(context).until(
            context,
            f"Attaching {self.volume_id} to {self.instance_id}",
            lambda: self._present(context),
            lambda item: item is None or item["State"] == state,
        )

    def read(self, context: Context) -> bool:
        return self._present(context) is not None

    def update(self, context: Context, prior: VolumeAttachment) -> None:
        """Only how it ends has changed."""

    def delete(self, context: Context) -> None:
        if self.skip_destroy is True:
            return
        with limited(context, limit_of(self.timeouts, "delete", 300.0)) as inner:
            if self._present(inner) is None:
                return
            if self.stop_instance_before_detaching is True:
                life.stop(self, inner, self.instance_id)
            self._detach(inner)
            doing = f"Detaching {self.volume_id}"
            cloud_of(inner).until(inner, doing, lambda: self._here(inner), lambda here: not here)

    def _detach(self, context: Context) -> None:
        doing = f"{self.volume_id} could not be detached from {self.instance_id}"
        pause = cloud_of(context).settings.pause
        # A lost answer is followed by IncorrectState; so look before each try.
        while self._present(context) is not None:
            try:
                self.remove(
                    context,
                    doing,
                    "DetachVolume",
                    Device=self.device_name,
                    InstanceId=self.instance_id,
                    VolumeId=self.volume_id,
                    Force=bool(self.force_detach),
                )
            except ResourceConflict:
                context.wait(pause)
            else:
                return

    def _here(self, context: Context) -> bool:
        return any(item["InstanceId"] == self.instance_id for item in self._attachments(context))

    @classmethod
    def import_(cls, context: Context, identity: str) -> VolumeAttachment | None:
        """``DEVICE:VOLUME:INSTANCE``, as the original provider takes it."""
        parts = identity.split(":")
        if len(parts) != 3:
            return None
        attachment = cls(device_name=parts[0], volume_id=parts[1], instance_id=parts[2])
        attachment.where(context)
        attachment.id = attachment._made_up_id()
        return attachment if attachment.read(context) else None

    @property
    def identity(self) -> str:
        if not is_known(self.id) or not self.id:
            return ""
        return f"{self.device_name}:{self.volume_id}:{self.instance_id}"
