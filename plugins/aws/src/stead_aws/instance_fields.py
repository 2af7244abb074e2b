"""The arguments that ``aws_instance`` and ``aws_spot_instance_request`` have in common."""

from __future__ import annotations

import base64
import binascii

from stead.api.provider import Context, Nesting, Plan, Unknown, attribute, block, is_known, one_of
from stead.api.provider.values import is_wholly_known
from stead_aws import instance_blocks as blocks
from stead_aws.base import RegionalTagged, given

USER_DATA_LIMIT = 16384  # bytes, before base64


class InstanceFields(RegionalTagged):
    """A machine, as a template describes it."""

    id: str = attribute(computed=True)
    arn: str | None = attribute(computed=True)
    ami: str | None = attribute(optional=True, computed=True, force_new=True, description="Image.")
    instance_type: str | None = attribute(optional=True, computed=True, description="Size, such as t3.large.")
    availability_zone: str | None = attribute(optional=True, computed=True, force_new=True, description="Zone.")
    subnet_id: str | None = attribute(optional=True, computed=True, force_new=True, description="Subnet.")
    vpc_security_group_ids: set[str] | None = attribute(optional=True, computed=True, description="Security groups.")
    security_groups: set[str] | None = attribute(
        optional=True, computed=True, force_new=True, description="Security groups by name, in the default network."
    )
    associate_public_ip_address: bool | None = attribute(
        optional=True, computed=True, force_new=True, description="With a public address."
    )
    private_ip: str | None = attribute(optional=True, computed=True, force_new=True, description="Private address.")
    secondary_private_ips: set[str] | None = attribute(
        optional=True, computed=True, force_new=True, description="Further private addresses."
    )
    ipv6_address_count: int | None = attribute(
        optional=True, computed=True, force_new=True, description="How many IPv6 addresses."
    )
    ipv6_addresses: list[str] | None = attribute(
        optional=True, computed=True, force_new=True, description="IPv6 addresses."
    )
    enable_primary_ipv6: bool | None = attribute(
        optional=True, computed=True, force_new=True, description="With a primary IPv6 address."
    )
    source_dest_check: bool = attribute(default=True, description="Refuse packets that are not for the instance.")
    key_name: str | None = attribute(optional=True, computed=True, force_new=True, description="SSH key pair.")
    iam_instance_profile: str | None = attribute(optional=True, computed=True, description="Instance profile.")
    user_data: str | None = attribute(
        optional=True, computed=True, conflicts_with=["user_data_base64"], description="For cloud-init."
    )
    user_data_base64: str | None = attribute(
        optional=True, computed=True, description="As user_data, for data that is not text."
    )
    user_data_replace_on_change: bool = attribute(default=False, description="Other user data is another instance.")
    ebs_optimized: bool | None = attribute(optional=True, computed=True, force_new=True, description="Fast disks.")
    monitoring: bool | None = attribute(optional=True, computed=True, description="Detailed monitoring.")
    tenancy: str | None = attribute(
        optional=True,
        computed=True,
        force_new=True,
        validators=[one_of("default", "dedicated", "host")],
        description="default, dedicated or host.",
    )
    host_id: str | None = attribute(optional=True, computed=True, force_new=True, description="Dedicated host.")
    host_resource_group_arn: str | None = attribute(
        optional=True, computed=True, force_new=True, description="Group of dedicated hosts."
    )
    placement_group: str | None = attribute(optional=True, computed=True, force_new=True, description="Its name.")
    placement_group_id: str | None = attribute(optional=True, computed=True, force_new=True, description="Its id.")
    placement_partition_number: int | None = attribute(
        optional=True, computed=True, force_new=True, description="Partition of the placement group."
    )
    hibernation: bool | None = attribute(optional=True, force_new=True, description="May hibernate.")
    disable_api_stop: bool | None = attribute(optional=True, computed=True, description="Refuse to be stopped.")
    disable_api_termination: bool | None = attribute(
        optional=True, computed=True, description="Refuse to be terminated."
    )
    force_destroy: bool = attribute(default=False, description="Terminate it though it refuses.")
    instance_initiated_shutdown_behavior: str | None = attribute(
        optional=True,
        computed=True,
        validators=[one_of("stop", "terminate")],
        description="What a shutdown from inside means.",
    )
    fetch_password_data: bool = attribute(default=False, description="Wait for the password of Windows.")
    volume_tags: dict[str, str] | None = attribute(optional=True, description="Tags of disks made with it.")

    instance_state: str | None = attribute(computed=True)
    outpost_arn: str | None = attribute(computed=True)
    password_data: str | None = attribute(computed=True)
    primary_network_interface_id: str | None = attribute(computed=True)
    private_dns: str | None = attribute(computed=True)
    public_dns: str | None = attribute(computed=True)
    public_ip: str | None = attribute(computed=True)

    root_block_device: list[blocks.RootBlockDevice] | None = attribute(
        optional=True, computed=True, as_blocks=True, description="The disk that it starts from."
    )
    ebs_block_device: list[blocks.EbsBlockDevice] = block(blocks.EbsBlockDevice, nesting=Nesting.SET, force_new=True)
    ephemeral_block_device: list[blocks.EphemeralBlockDevice] = block(
        blocks.EphemeralBlockDevice, nesting=Nesting.SET, force_new=True
    )
    network_interface: list[blocks.NetworkInterface] = block(
        blocks.NetworkInterface, nesting=Nesting.SET, force_new=True
    )
    metadata_options: list[blocks.MetadataOptions] = block(blocks.MetadataOptions, max_items=1)
    credit_specification: list[blocks.CreditSpecification] = block(blocks.CreditSpecification, max_items=1)
    cpu_options: list[blocks.CpuOptions] = block(blocks.CpuOptions, max_items=1)
    enclave_options: list[blocks.EnclaveOptions] = block(blocks.EnclaveOptions, max_items=1)
    maintenance_options: list[blocks.MaintenanceOptions] = block(blocks.MaintenanceOptions, max_items=1)
    private_dns_name_options: list[blocks.PrivateDnsNameOptions] = block(blocks.PrivateDnsNameOptions, max_items=1)
    capacity_reservation_specification: list[blocks.CapacityReservationSpecification] = block(
        blocks.CapacityReservationSpecification, max_items=1
    )
    launch_template: list[blocks.LaunchTemplate] = block(blocks.LaunchTemplate, max_items=1)

    @property
    def encoded_user_data(self) -> str | None:
        """User data in base64, whichever argument has it; ``None`` where there is none, or it is not known yet."""
        plain, encoded = given(self.user_data), given(self.user_data_base64)
        if plain:
            return base64.b64encode(plain.encode()).decode()
        return encoded or None

    def validate(self, context: Context) -> None:
        if self.ami is None and not self.launch_template:
            context.error("ami is missing", "An image is needed: set ami, or name a launch_template.", "ami")
        if self.instance_type is None and not self.launch_template:
            context.error("instance_type is missing", "Set instance_type, such as t3.large.", "instance_type")
        self._check_user_data(context)
        given = self.root_block_device
        if is_known(given) and given is not None and len(given) > 1:
            context.error("Too many root_block_device blocks", "An instance has one.", "root_block_device")

    def _check_user_data(self, context: Context) -> None:
        if is_known(self.user_data_base64) and self.user_data_base64:
            try:
                base64.b64decode(self.user_data_base64, validate=True)
            except (binascii.Error, ValueError):
                context.error("user_data_base64 is no base64", "Use base64encode(…) or user_data.", "user_data_base64")
        if is_known(self.user_data) and self.user_data and len(self.user_data.encode()) > USER_DATA_LIMIT:
            context.error(
                "user_data is too long",
                f"AWS takes at most {USER_DATA_LIMIT} bytes. Use base64gzip with user_data_base64.",
                "user_data",
            )

    def plan(self, context: Context, plan: Plan) -> None:
        super().plan(context, plan)
        user_data = self._changed_user_data(plan)
        if user_data and self.user_data_replace_on_change:
            plan.require_replace(user_data.pop())
        if plan.prior is not None:
            self._plan_root(plan)
        if plan.action == "update" and (user_data or "instance_type" in plan.changed):
            # The machine rests for it, and comes back with another address.
            self.public_ip = self.public_dns = self.instance_state = Unknown

    def _changed_user_data(self, plan: Plan) -> set[str]:
        """Arguments with other user data than the machine has.

        One of both is set in a template. The other keeps what it was, or what an import found, unless it is dropped.
        """
        changed = {"user_data", "user_data_base64"} & plan.changed
        if len(changed) != 1 or plan.prior is None:
            return changed
        if "user_data" in changed:
            self.user_data_base64 = None
        else:
            self.user_data = None
        same = self.encoded_user_data is not None and self.encoded_user_data == plan.prior.encoded_user_data
        return set() if same else changed

    def _plan_root(self, plan: Plan) -> None:
        before, after = plan.prior.root_block_device, self.root_block_device
        if not is_wholly_known(after) or not before or not after or len(after) != 1:
            return
        for name in ("encrypted", "kms_key_id"):
            old, new = getattr(before[0], name), getattr(after[0], name)
            if new is not None and old is not None and old != new:
                plan.require_replace("root_block_device")
