"""The nested blocks of an instance."""

from __future__ import annotations

from stead.api.provider import BlockSchema, Nesting, ObjectSchema, attribute, between, block, one_of
from stead_gcp.disk import EncryptionKey
from stead_gcp.images import same_image
from stead_gcp.links import same_link, same_name
from stead_gcp.scopes import same_scopes

MODES = ("READ_WRITE", "READ_ONLY")


class SourceEncryptionKey(EncryptionKey):
    """The key of what the disk starts from."""

    rsa_encrypted_key: str | None = attribute(
        optional=True, force_new=True, sensitive=True, description="The key, wrapped with Google's certificate."
    )


class InitializeParams(BlockSchema):
    """A disk that is made together with the instance."""

    size: int | None = attribute(
        optional=True, computed=True, force_new=True, validators=[between(1)], description="Size in GB."
    )
    type: str | None = attribute(
        optional=True, computed=True, force_new=True, normalize=same_name, description="pd-balanced …"
    )
    image: str | None = attribute(
        optional=True, computed=True, force_new=True, normalize=same_image, description="Image: debian-cloud/debian-12."
    )
    snapshot: str | None = attribute(
        optional=True, force_new=True, normalize=same_link, description="Snapshot to start from."
    )
    architecture: str | None = attribute(optional=True, computed=True, force_new=True, description="X86_64 or ARM64.")
    labels: dict[str, str] | None = attribute(
        optional=True, computed=True, force_new=True, description="Labels of the disk."
    )
    resource_manager_tags: dict[str, str] | None = attribute(optional=True, force_new=True, description="Tags to bind.")
    resource_policies: list[str] | None = attribute(
        optional=True, computed=True, force_new=True, description="Policies of the disk; one at most."
    )
    provisioned_iops: int | None = attribute(
        optional=True, computed=True, force_new=True, description="Operations a second."
    )
    provisioned_throughput: int | None = attribute(
        optional=True, computed=True, force_new=True, description="MB a second."
    )
    enable_confidential_compute: bool | None = attribute(
        optional=True, force_new=True, description="Confidential mode."
    )
    storage_pool: str | None = attribute(
        optional=True, force_new=True, normalize=same_name, description="Storage pool."
    )
    source_image_encryption_key: list[SourceEncryptionKey] = block(SourceEncryptionKey, max_items=1, force_new=True)
    source_snapshot_encryption_key: list[SourceEncryptionKey] = block(SourceEncryptionKey, max_items=1, force_new=True)


class BootDisk(BlockSchema):
    """The disk that the instance starts from."""

    auto_delete: bool = attribute(default=True, force_new=True, description="It goes with the instance.")
    device_name: str | None = attribute(
        optional=True, computed=True, force_new=True, description="Name in /dev/disk/by-id."
    )
    mode: str = attribute(
        default="READ_WRITE", force_new=True, validators=[one_of(*MODES)], description="READ_WRITE or READ_ONLY."
    )
    source: str | None = attribute(
        optional=True,
        computed=True,
        force_new=True,
        normalize=same_link,
        description="Name or link of a disk that is there.",
    )
    interface: str | None = attribute(
        optional=True, force_new=True, description="SCSI or NVME.", validators=[one_of("SCSI", "NVME")]
    )
    force_attach: bool | None = attribute(
        optional=True, force_new=True, description="Also where it is attached (regional disks)."
    )
    guest_os_features: list[str] | None = attribute(
        optional=True, computed=True, force_new=True, description="What its system can do."
    )
    disk_encryption_key_raw: str | None = attribute(
        optional=True, force_new=True, sensitive=True, description="Key, in base64."
    )
    disk_encryption_key_rsa: str | None = attribute(
        optional=True, force_new=True, sensitive=True, description="Key, wrapped."
    )
    disk_encryption_key_sha256: str = attribute(computed=True)
    disk_encryption_service_account: str | None = attribute(
        optional=True, force_new=True, description="Who uses the key."
    )
    kms_key_self_link: str | None = attribute(
        optional=True, computed=True, force_new=True, normalize=same_link, description="Key of Cloud KMS."
    )
    initialize_params: list[InitializeParams] = block(InitializeParams, max_items=1, force_new=True)


class AttachedDisk(BlockSchema):
    """A disk that is there, to attach."""

    source: str = attribute(required=True, normalize=same_link, description="Name or link of the disk.")
    device_name: str | None = attribute(optional=True, computed=True, description="Name in /dev/disk/by-id.")
    mode: str = attribute(default="READ_WRITE", validators=[one_of(*MODES)], description="READ_WRITE or READ_ONLY.")
    force_attach: bool | None = attribute(optional=True, description="Also where it is attached (regional disks).")
    disk_encryption_key_raw: str | None = attribute(optional=True, sensitive=True, description="Key, in base64.")
    disk_encryption_key_rsa: str | None = attribute(optional=True, sensitive=True, description="Key, wrapped.")
    disk_encryption_key_sha256: str = attribute(computed=True)
    disk_encryption_service_account: str | None = attribute(optional=True, description="Who uses the key.")
    kms_key_self_link: str | None = attribute(
        optional=True, computed=True, normalize=same_link, description="Key of Cloud KMS."
    )


class ScratchDisk(BlockSchema):
    """A local disk that goes with the instance."""

    interface: str = attribute(required=True, validators=[one_of("SCSI", "NVME")], description="SCSI or NVME.")
    device_name: str | None = attribute(optional=True, computed=True, description="Name in /dev/disk/by-id.")
    size: int = attribute(default=375, force_new=True, validators=[between(375)], description="375 or 3000 GB.")


class AccessConfig(BlockSchema):
    """A public address; an empty block takes one that changes with every start."""

    nat_ip: str | None = attribute(optional=True, computed=True, description="Address of a google_compute_address.")
    network_tier: str | None = attribute(optional=True, computed=True, description="PREMIUM or STANDARD.")
    public_ptr_domain_name: str | None = attribute(optional=True, description="Name for the reverse look-up.")


class Ipv6AccessConfig(BlockSchema):
    """A public IPv6 address."""

    network_tier: str = attribute(required=True, description="PREMIUM.")
    public_ptr_domain_name: str | None = attribute(optional=True, description="Name for the reverse look-up.")
    external_ipv6: str | None = attribute(optional=True, computed=True, force_new=True, description="The address.")
    external_ipv6_prefix_length: str | None = attribute(
        optional=True, computed=True, force_new=True, description="Its range."
    )
    name: str | None = attribute(optional=True, computed=True, force_new=True, description="External IPv6.")


class AliasIpRange(BlockSchema):
    """A further range of addresses of the interface."""

    ip_cidr_range: str = attribute(required=True, description="Range, or its length (/24).")
    subnetwork_range_name: str | None = attribute(optional=True, description="Secondary range of the subnetwork.")


class NetworkInterface(BlockSchema):
    """A network that the instance is in."""

    network: str | None = attribute(
        optional=True, computed=True, force_new=True, normalize=same_link, description="Name or link of the network."
    )
    subnetwork: str | None = attribute(
        optional=True, computed=True, force_new=True, normalize=same_link, description="Name or link of the subnetwork."
    )
    subnetwork_project: str | None = attribute(
        optional=True, computed=True, force_new=True, description="Project of the subnetwork."
    )
    network_ip: str | None = attribute(optional=True, computed=True, force_new=True, description="The private address.")
    network_attachment: str | None = attribute(
        optional=True, computed=True, force_new=True, normalize=same_link, description="Network attachment to use."
    )
    name: str = attribute(computed=True)
    nic_type: str | None = attribute(optional=True, force_new=True, description="GVNIC, VIRTIO_NET …")
    stack_type: str | None = attribute(
        optional=True,
        computed=True,
        validators=[one_of("IPV4_ONLY", "IPV4_IPV6", "IPV6_ONLY", "")],
        description="IPV4_ONLY, IPV4_IPV6 or IPV6_ONLY.",
    )
    ipv6_access_type: str = attribute(computed=True)
    ipv6_address: str | None = attribute(optional=True, computed=True, description="The private IPv6 address.")
    internal_ipv6_prefix_length: int | None = attribute(
        optional=True, computed=True, description="Length of its range."
    )
    queue_count: int | None = attribute(optional=True, force_new=True, description="Queues.")
    access_config: list[AccessConfig] = block(AccessConfig)
    ipv6_access_config: list[Ipv6AccessConfig] = block(Ipv6AccessConfig, force_new=True)
    alias_ip_range: list[AliasIpRange] = block(AliasIpRange)


class GuestAccelerator(ObjectSchema):
    """Accelerators of one kind."""

    type: str = attribute(required=True, force_new=True, description="nvidia-tesla-t4 …")
    count: int = attribute(required=True, force_new=True, description="How many.")


class Duration(BlockSchema):
    """A span of time."""

    seconds: int = attribute(required=True, force_new=True, description="Seconds.")
    nanos: int | None = attribute(optional=True, force_new=True, description="And nanoseconds.")


class NodeAffinity(BlockSchema):
    """Which nodes of one's own to use."""

    key: str = attribute(required=True, description="Label of the node.")
    operator: str = attribute(required=True, validators=[one_of("IN", "NOT_IN")], description="IN or NOT_IN.")
    values: set[str] = attribute(required=True, description="Values of the label.")


class OnInstanceStopAction(BlockSchema):
    """What happens when the instance stops."""

    discard_local_ssd: bool | None = attribute(optional=True, force_new=True, description="Forget the local disks.")


class Scheduling(BlockSchema):
    """When Google Cloud may move, stop and restart the instance."""

    automatic_restart: bool = attribute(default=True, description="Start it again after a failure of the host.")
    availability_domain: int | None = attribute(optional=True, description="Domain of a spread placement.")
    instance_termination_action: str | None = attribute(optional=True, description="STOP or DELETE, of spot instances.")
    min_node_cpus: int | None = attribute(optional=True, description="Processors on a node of one's own.")
    on_host_maintenance: str | None = attribute(optional=True, computed=True, description="MIGRATE or TERMINATE.")
    preemptible: bool = attribute(default=False, force_new=True, description="It may be stopped at any time.")
    provisioning_model: str | None = attribute(
        optional=True, computed=True, force_new=True, description="STANDARD or SPOT."
    )
    termination_time: str | None = attribute(optional=True, force_new=True, description="When it ends.")
    node_affinities: list[NodeAffinity] = block(NodeAffinity, nesting=Nesting.SET)
    local_ssd_recovery_timeout: list[Duration] = block(Duration, max_items=1, force_new=True)
    max_run_duration: list[Duration] = block(Duration, max_items=1, force_new=True)
    on_instance_stop_action: list[OnInstanceStopAction] = block(OnInstanceStopAction, max_items=1, force_new=True)


class ServiceAccount(BlockSchema):
    """Whom the programs on the instance are to Google Cloud."""

    email: str | None = attribute(
        optional=True, computed=True, description="Service account; the project's default one."
    )
    scopes: set[str] = attribute(
        required=True, normalize=same_scopes, description="What they may ask for: cloud-platform."
    )


class ShieldedInstanceConfig(BlockSchema):
    """Checks of what the instance starts."""

    enable_secure_boot: bool = attribute(default=False, description="Start signed programs only.")
    enable_vtpm: bool = attribute(default=True, description="A virtual TPM.")
    enable_integrity_monitoring: bool = attribute(default=True, description="Compare each start with the first.")


class AdvancedMachineFeatures(BlockSchema):
    """Of the processors."""

    enable_nested_virtualization: bool | None = attribute(optional=True, description="Virtual machines in it.")
    enable_uefi_networking: bool | None = attribute(
        optional=True, force_new=True, description="Start from the network."
    )
    performance_monitoring_unit: str | None = attribute(
        optional=True, description="ARCHITECTURAL, STANDARD or ENHANCED."
    )
    threads_per_core: int | None = attribute(optional=True, description="1 turns hyper-threading off.")
    turbo_mode: str | None = attribute(optional=True, description="ALL_CORE_MAX.")
    visible_core_count: int | None = attribute(optional=True, description="Cores that it sees.")


class ConfidentialInstanceConfig(BlockSchema):
    """Memory that the host cannot read."""

    confidential_instance_type: str | None = attribute(
        optional=True, force_new=True, description="SEV, SEV_SNP or TDX."
    )
    enable_confidential_compute: bool | None = attribute(optional=True, force_new=True, description="On.")


class NetworkPerformanceConfig(BlockSchema):
    """A faster network."""

    total_egress_bandwidth_tier: str = attribute(
        required=True, force_new=True, validators=[one_of("TIER_1", "DEFAULT")], description="TIER_1 or DEFAULT."
    )


class SpecificReservation(BlockSchema):
    """Which reservation."""

    key: str = attribute(required=True, force_new=True, description="compute.googleapis.com/reservation-name")
    values: list[str] = attribute(required=True, force_new=True, description="Its name.")


class ReservationAffinity(BlockSchema):
    """Whether it uses reserved capacity."""

    type: str = attribute(
        required=True,
        force_new=True,
        validators=[one_of("ANY_RESERVATION", "SPECIFIC_RESERVATION", "NO_RESERVATION")],
        description="ANY_RESERVATION, SPECIFIC_RESERVATION or NO_RESERVATION.",
    )
    specific_reservation: list[SpecificReservation] = block(SpecificReservation, max_items=1, force_new=True)


class InstanceEncryptionKey(BlockSchema):
    """The key that encrypts what is kept of the instance."""

    kms_key_self_link: str | None = attribute(
        optional=True, computed=True, force_new=True, normalize=same_link, description="Key."
    )
    kms_key_service_account: str | None = attribute(optional=True, force_new=True, description="Who uses the key.")
    sha256: str = attribute(computed=True)
