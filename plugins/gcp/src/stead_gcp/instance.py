"""``google_compute_instance`` and ``google_compute_instance_from_template``."""

from __future__ import annotations

from stead.api.provider import Context, Nesting, Plan, Unknown, attribute, block, is_known, one_of
from stead_gcp import instance_blocks as blocks
from stead_gcp import instance_import as importing
from stead_gcp import instance_life as life
from stead_gcp import instance_state as state
from stead_gcp.base import Found, Labelled, Params, Timeouts, fill_defaults, given, is_name, provider_of
from stead_gcp.links import name_of, same_link, same_name

STATUSES = ("RUNNING", "TERMINATED", "SUSPENDED")


def same_platform(one: object, other: object) -> bool:
    """Any platform is ``AUTOMATIC`` in a template, and nothing to the API."""
    plain = [str(item or "").lower().replace("automatic", "") for item in (one, other)]
    return plain[0] == plain[1]


class Machine(Labelled):
    """What both types of instances have."""

    name: str = attribute(required=True, force_new=True, validators=[is_name], description="Name.")
    zone: str | None = attribute(
        optional=True,
        computed=True,
        force_new=True,
        normalize=same_link,
        description="Zone; the provider's where not set.",
    )
    machine_type: str | None = attribute(optional=True, computed=True, normalize=same_name, description="e2-medium …")
    allow_stopping_for_update: bool | None = attribute(
        optional=True, description="Stop it for changes that need that, and start it again."
    )
    can_ip_forward: bool | None = attribute(
        optional=True, computed=True, description="It may forward packets of others."
    )
    deletion_protection: bool | None = attribute(optional=True, computed=True, description="It cannot be deleted.")
    description: str | None = attribute(optional=True, computed=True, force_new=True, description="What it is for.")
    desired_status: str | None = attribute(
        optional=True, validators=[one_of(*STATUSES)], description="RUNNING, TERMINATED or SUSPENDED."
    )
    enable_display: bool | None = attribute(optional=True, computed=True, description="A virtual display.")
    hostname: str | None = attribute(optional=True, computed=True, force_new=True, description="Full name of the host.")
    key_revocation_action_type: str | None = attribute(
        optional=True, computed=True, force_new=True, description="STOP or NONE, when its key is revoked."
    )
    metadata: dict[str, str] | None = attribute(
        optional=True, computed=True, description="Values that programs on it can read."
    )
    metadata_startup_script: str | None = attribute(
        optional=True, computed=True, force_new=True, description="Script that runs at every start."
    )
    min_cpu_platform: str | None = attribute(
        optional=True, computed=True, normalize=same_platform, description="The oldest processors that it may get."
    )
    resource_policies: list[str] | None = attribute(
        optional=True, computed=True, description="Policies of the instance; one at most."
    )
    tags: set[str] | None = attribute(optional=True, computed=True, description="Network tags, for firewall rules.")
    guest_accelerator: list[blocks.GuestAccelerator] | None = attribute(
        optional=True, computed=True, force_new=True, as_blocks=True, description="Accelerators."
    )
    cpu_platform: str = attribute(computed=True)
    current_status: str = attribute(computed=True)
    instance_id: str = attribute(computed=True)
    metadata_fingerprint: str = attribute(computed=True)
    tags_fingerprint: str = attribute(computed=True)
    boot_disk: list[blocks.BootDisk] = block(blocks.BootDisk, max_items=1, force_new=True)
    attached_disk: list[blocks.AttachedDisk] = block(blocks.AttachedDisk)
    scratch_disk: list[blocks.ScratchDisk] = block(blocks.ScratchDisk, force_new=True)
    network_interface: list[blocks.NetworkInterface] = block(blocks.NetworkInterface)
    service_account: list[blocks.ServiceAccount] = block(blocks.ServiceAccount, max_items=1)
    scheduling: list[blocks.Scheduling] = block(blocks.Scheduling, max_items=1)
    shielded_instance_config: list[blocks.ShieldedInstanceConfig] = block(blocks.ShieldedInstanceConfig, max_items=1)
    advanced_machine_features: list[blocks.AdvancedMachineFeatures] = block(blocks.AdvancedMachineFeatures, max_items=1)
    confidential_instance_config: list[blocks.ConfidentialInstanceConfig] = block(
        blocks.ConfidentialInstanceConfig, max_items=1, force_new=True
    )
    network_performance_config: list[blocks.NetworkPerformanceConfig] = block(
        blocks.NetworkPerformanceConfig, max_items=1, force_new=True
    )
    reservation_affinity: list[blocks.ReservationAffinity] = block(
        blocks.ReservationAffinity, max_items=1, force_new=True
    )
    instance_encryption_key: list[blocks.InstanceEncryptionKey] = block(
        blocks.InstanceEncryptionKey, max_items=1, force_new=True
    )
    params: list[Params] = block(Params, max_items=1, force_new=True)
    timeouts: Timeouts | None = block(Timeouts, nesting=Nesting.SINGLE)

    def place(self, context: Context) -> Found:
        """Project and zone; fixed at the first use."""
        if not given(self.zone):
            self.zone = provider_of(context).need_zone()
        return {"project": self.in_project(context), "zone": name_of(self.zone)}

    def plan(self, context: Context, plan: Plan) -> None:
        super().plan(context, plan)
        prior: Machine | None = plan.prior
        if prior is None:
            return
        pairs = list(zip(prior.network_interface, self.network_interface, strict=False))
        lost = any(old.alias_ip_range and not new.alias_ip_range for old, new in pairs)
        if lost or len(prior.network_interface) != len(self.network_interface):
            plan.require_replace("network_interface")  # the SDK cannot say that a list is to be empty
        importing.keep(self, plan)
        if plan.changed:
            self._forget(prior)
        _rename_disks(prior.attached_disk, self.attached_disk)

    def _forget(self, prior: Machine) -> None:
        """What an update may change besides what is planned."""
        self.current_status = self.label_fingerprint = self.metadata_fingerprint = self.tags_fingerprint = Unknown
        if self.machine_type != prior.machine_type or self.min_cpu_platform != prior.min_cpu_platform:
            self.cpu_platform = Unknown
        if self.desired_status != prior.desired_status:
            for item in self.network_interface:
                _forget_addresses(item)
            self.cpu_platform = Unknown

    def create(self, context: Context) -> None:
        life.create(self, context)

    def read(self, context: Context) -> bool:
        found = life.find(self, context)
        if found is None:
            return False
        state.assign(self, context, found, refresh=True)
        return True

    def update(self, context: Context, prior: Machine) -> None:
        life.update(self, context, prior)

    def delete(self, context: Context) -> None:
        life.delete(self, context)


def _forget_addresses(item: blocks.NetworkInterface) -> None:
    """A stopped instance has no public address, but for a reserved one: a start gives it one."""
    for config in item.access_config:
        if not config.nat_ip:
            config.nat_ip = Unknown


def _rename_disks(before: list[blocks.AttachedDisk], after: list[blocks.AttachedDisk]) -> None:
    """Device names that nobody gave belong to the disk, not to its place in the list."""
    names = {name_of(disk.source): disk.device_name for disk in before if is_known(disk.source)}
    for old, new in zip(before, after, strict=False):
        if is_known(new.source) and same_name(old.source, new.source):
            continue
        if new.device_name == old.device_name:
            known = name_of(new.source) if is_known(new.source) else ""
            new.device_name = names.get(known, Unknown)
            new.kms_key_self_link = Unknown
            new.disk_encryption_key_sha256 = Unknown


class Instance(Machine, name="google_compute_instance"):
    """A virtual machine."""

    machine_type: str = attribute(required=True, normalize=same_name, description="e2-medium …")
    can_ip_forward: bool = attribute(default=False, description="It may forward packets of others.")
    deletion_protection: bool = attribute(default=False, description="It cannot be deleted.")
    description: str | None = attribute(optional=True, force_new=True, description="What it is for.")
    enable_display: bool | None = attribute(optional=True, description="A virtual display.")
    hostname: str | None = attribute(optional=True, force_new=True, description="Full name of the host.")
    key_revocation_action_type: str | None = attribute(
        optional=True,
        force_new=True,
        validators=[one_of("STOP", "NONE")],
        description="STOP or NONE, when its key is revoked.",
    )
    metadata: dict[str, str] | None = attribute(optional=True, description="Values that programs on it can read.")
    metadata_startup_script: str | None = attribute(
        optional=True, force_new=True, description="Script that runs at every start."
    )
    resource_policies: list[str] | None = attribute(optional=True, description="Policies of the instance; one at most.")
    tags: set[str] | None = attribute(optional=True, description="Network tags, for firewall rules.")
    boot_disk: list[blocks.BootDisk] = block(blocks.BootDisk, min_items=1, max_items=1, force_new=True)
    network_interface: list[blocks.NetworkInterface] = block(blocks.NetworkInterface, min_items=1)

    @classmethod
    def import_(cls, context: Context, identity: str) -> Instance | None:
        known = life.importable(cls, context, identity)
        if known is None:
            return None
        machine, found = known
        importing.fill(machine, context, found)
        fill_defaults(machine)
        assert isinstance(machine, cls)  # noqa: S101 - importable makes what it is given
        return machine


class InstanceFromTemplate(Machine, name="google_compute_instance_from_template"):
    """A virtual machine made from an instance template; what is given here counts before what the template says."""

    source_instance_template: str = attribute(
        required=True, force_new=True, normalize=same_link, description="Name or link of the instance template."
    )

    def plan(self, context: Context, plan: Plan) -> None:
        super().plan(context, plan)
        if plan.prior is not None and not plan.prior.source_instance_template:
            # Imported: which template it was made from nobody tells, nor what was given besides.
            plan.replacing.clear()
            for name in plan.changed:
                if not getattr(plan.prior, name):
                    plan.allow_in_place(name)

    @classmethod
    def import_(cls, context: Context, identity: str) -> InstanceFromTemplate | None:
        known = life.importable(cls, context, identity)
        if known is None:
            return None
        machine, found = known
        assert isinstance(machine, cls)  # noqa: S101 - importable makes what it is given
        machine.source_instance_template = ""  # which one it was made from, Google Cloud does not tell
        importing.fill(machine, context, found)
        machine.boot_disk, machine.network_interface, machine.service_account = [], [], []
        return machine
