"""``azurerm_linux_virtual_machine``."""

from __future__ import annotations

from typing import Any

from stead.api.provider import Context, Nesting, Plan, Unknown, attribute, block, matches, one_of
from stead_azure import ids, machine_body
from stead_azure import machine_blocks as blocks
from stead_azure import machine_life as life
from stead_azure import machine_view as view
from stead_azure.base import GROUP, GROUP_NAME, LOCATION, Tagged, Timeouts, given, same_region, same_text
from stead_azure.base64_text import is_base64
from stead_azure.cloud import Found, cloud_of
from stead_azure.operations import MACHINE_KIND

NAME = matches(
    r"[a-zA-Z0-9]([-\w.]{0,62}[a-zA-Z0-9_])?",
    "must begin with a letter or digit, end with a letter, digit or '_', and have at most 64 of these, '-' and '.'",
)
COMPUTER = matches(r"[^\\/\"\[\]:|<>+=;,?*@&_]{1,63}[^.\-]?", "must be a host name of at most 64 characters")
USER = matches(r"[a-z_][-a-z0-9_.A-Z]{0,63}", "must be an account name of Linux")
RESERVED = ("root", "admin", "administrator", "user", "test", "guest", "sys", "console", "support", "backup", "david")
POWER = {"start": "running", "stop": "deallocated"}


def allowed_user(value: str) -> None:
    """A validator. Azure refuses names that attackers try first."""
    USER(value)
    if value.lower() in RESERVED:
        raise ValueError(f"{value} is a name that Azure does not allow; take another, such as coder")


class LinuxMachine(Tagged, name="azurerm_linux_virtual_machine"):
    """A virtual machine with Linux. Deallocated, so that it costs nothing, while its workspace is stopped."""

    kind = MACHINE_KIND
    path = (ids.COMPUTE, "virtualMachines")
    wait = 2700.0

    id: str = attribute(computed=True)
    name: str = attribute(required=True, force_new=True, validators=[NAME], description="Name of the machine.")
    resource_group_name: str = attribute(
        required=True, force_new=True, validators=[GROUP_NAME], normalize=same_text, description=GROUP
    )
    location: str = attribute(required=True, force_new=True, normalize=same_region, description=LOCATION)
    size: str = attribute(required=True, normalize=same_text, description="Standard_D2s_v5 and the like.")
    network_interface_ids: list[str] = attribute(required=True, description="Interfaces; the first is the primary one.")
    admin_username: str | None = attribute(
        optional=True, force_new=True, validators=[allowed_user], description="Account that may do everything."
    )
    admin_password: str | None = attribute(
        optional=True, force_new=True, sensitive=True, description="With disable_password_authentication = false."
    )
    disable_password_authentication: bool = attribute(default=True, force_new=True, description="Only keys log in.")
    computer_name: str | None = attribute(
        optional=True, computed=True, force_new=True, validators=[COMPUTER], description="Host name; the name."
    )
    custom_data: str | None = attribute(
        optional=True, force_new=True, sensitive=True, validators=[is_base64], description="cloud-init, in base64."
    )
    user_data: str | None = attribute(
        optional=True, validators=[is_base64], description="What the machine can read of itself, in base64."
    )
    source_image_id: str | None = attribute(
        optional=True, force_new=True, conflicts_with=["source_image_reference"], description="Image of your own."
    )
    os_managed_disk_id: str | None = attribute(
        optional=True, computed=True, force_new=True, description="Existing disk to start from."
    )
    zone: str | None = attribute(optional=True, force_new=True, description="Availability zone.")
    edge_zone: str | None = attribute(optional=True, force_new=True, description="Edge zone.")
    availability_set_id: str | None = attribute(optional=True, force_new=True, description="Availability set.")
    virtual_machine_scale_set_id: str | None = attribute(optional=True, force_new=True, description="Scale set.")
    platform_fault_domain: int = attribute(default=-1, force_new=True, description="In that scale set.")
    capacity_reservation_group_id: str | None = attribute(optional=True, description="Reserved capacity.")
    dedicated_host_id: str | None = attribute(
        optional=True, conflicts_with=["dedicated_host_group_id"], description="Dedicated host."
    )
    dedicated_host_group_id: str | None = attribute(optional=True, description="Group of dedicated hosts.")
    proximity_placement_group_id: str | None = attribute(optional=True, description="Near to others.")
    priority: str = attribute(
        default="Regular", force_new=True, validators=[one_of("Regular", "Spot")], description="Spot is cheaper."
    )
    eviction_policy: str | None = attribute(
        optional=True, force_new=True, validators=[one_of("Deallocate", "Delete")], description="Of Spot machines."
    )
    max_bid_price: float = attribute(default=-1, description="Of Spot machines, in US dollars an hour; -1 is any.")
    license_type: str | None = attribute(optional=True, description="RHEL_BYOS and the like.")
    allow_extension_operations: bool | None = attribute(optional=True, computed=True, description="Extensions.")
    extensions_time_budget: str = attribute(default="PT1H30M", description="Time for all extensions.")
    provision_vm_agent: bool = attribute(default=True, force_new=True, description="With Azure's agent.")
    patch_mode: str = attribute(
        default="ImageDefault", validators=[one_of("ImageDefault", "AutomaticByPlatform")], description="Patching."
    )
    patch_assessment_mode: str = attribute(
        default="ImageDefault", validators=[one_of("ImageDefault", "AutomaticByPlatform")], description="Looking."
    )
    reboot_setting: str | None = attribute(
        optional=True, validators=[one_of("Always", "IfRequired", "Never")], description="After patches."
    )
    bypass_platform_safety_checks_on_user_schedule_enabled: bool = attribute(default=False, description="Of patches.")
    encryption_at_host_enabled: bool | None = attribute(optional=True, description="Encrypts caches too.")
    secure_boot_enabled: bool | None = attribute(optional=True, force_new=True, description="Trusted launch.")
    vtpm_enabled: bool | None = attribute(optional=True, force_new=True, description="Trusted launch.")
    disk_controller_type: str | None = attribute(
        optional=True, computed=True, validators=[one_of("NVMe", "SCSI")], description="NVMe or SCSI."
    )
    vm_agent_platform_updates_enabled: bool | None = attribute(
        optional=True, computed=True, description="Accepted: Azure decides it."
    )
    os_disk: list[blocks.OsDisk] = block(blocks.OsDisk, min_items=1, max_items=1)
    source_image_reference: list[blocks.ImageReference] = block(blocks.ImageReference, max_items=1, force_new=True)
    admin_ssh_key: list[blocks.AdminSshKey] = block(blocks.AdminSshKey, nesting=Nesting.SET, force_new=True)
    identity_block: list[blocks.Identity] = block(blocks.Identity, max_items=1, name="identity")
    boot_diagnostics: list[blocks.BootDiagnostics] = block(blocks.BootDiagnostics, max_items=1)
    plan_block: list[blocks.Plan] = block(blocks.Plan, max_items=1, force_new=True, name="plan")
    additional_capabilities: list[blocks.Capabilities] = block(blocks.Capabilities, max_items=1)
    secret: list[blocks.Secret] = block(blocks.Secret)
    termination_notification: list[blocks.TerminationNotification] = block(blocks.TerminationNotification, max_items=1)
    os_image_notification: list[blocks.OsImageNotification] = block(blocks.OsImageNotification, max_items=1)
    gallery_application: list[blocks.GalleryApplication] = block(blocks.GalleryApplication, max_items=100)
    private_ip_address: str = attribute(computed=True)
    private_ip_addresses: list[str] = attribute(computed=True)
    public_ip_address: str = attribute(computed=True)
    public_ip_addresses: list[str] = attribute(computed=True)
    virtual_machine_id: str = attribute(computed=True, description="By which the machine knows itself.")
    power_state: str = attribute(computed=True, description="running, deallocated … Stead adds this to the original.")
    timeouts: Timeouts | None = block(Timeouts, nesting=Nesting.SINGLE)

    def validate(self, context: Context) -> None:
        image = bool(self.source_image_reference) or self.source_image_id is not None
        if not image and self.os_managed_disk_id is None:
            context.error("No image", "Set source_image_reference or source_image_id.", "source_image_reference")
        keys_only = given(self.disable_password_authentication)
        if self.admin_username is None and self.os_managed_disk_id is None:
            context.error("admin_username is missing", "Name the account that logs in.", "admin_username")
        if keys_only is False and self.admin_password is None:
            context.error("admin_password is missing", "Passwords are allowed, and none is set.", "admin_password")
        if keys_only and not self.admin_ssh_key and self.os_managed_disk_id is None:
            context.error("No key", "Add admin_ssh_key, or allow passwords.", "admin_ssh_key")
        if given(self.priority) == "Regular" and self.eviction_policy is not None:
            context.error("eviction_policy without Spot", 'Set priority = "Spot".', "eviction_policy")
        if given(self.priority) == "Spot" and self.eviction_policy is None:
            context.error("eviction_policy is missing", "Spot machines need one.", "eviction_policy")
        if self.network_interface_ids == []:
            context.error("No interface", "A machine needs one.", "network_interface_ids")

    def plan(self, context: Context, plan: Plan) -> None:
        """Deallocate with the workspace, and start with it."""
        prior = plan.prior
        if not isinstance(prior, LinuxMachine) or plan.action not in ("update", "none"):
            return
        wanted = POWER.get(context.build.transition)
        if wanted is not None and not context.build.importing and prior.power_state != wanted:
            self.power_state = wanted
        if self.power_state != prior.power_state or "network_interface_ids" in plan.changed:
            # Dynamic public addresses come and go with power.
            self.public_ip_address = self.public_ip_addresses = Unknown
        if "network_interface_ids" in plan.changed:
            self.private_ip_address = self.private_ip_addresses = Unknown
        _check_size(self, context, prior)

    def look_whole(self, context: Context) -> Found | None:
        return self.look(context, expand="instanceView")

    def create(self, context: Context) -> None:
        with self.limited(context, "create") as inner:
            self.make(inner, machine_body.whole(self, inner), field=life.field)
            found = self.expect(inner, expand="instanceView")
            view.assign(self, inner, found or self.must_look(inner, expand="instanceView"))

    def read(self, context: Context) -> bool:
        with self.limited(context, "read") as inner:
            found = self.look_whole(inner)
            if found is None:
                return False
            view.refresh(self, found)
            view.assign(self, inner, found)
        return True

    def update(self, context: Context, prior: LinuxMachine) -> None:
        with self.limited(context, "update") as inner, cloud_of(inner).exclusive(inner, self.id):
            life.update(self, inner, prior)
            view.assign(self, inner, self.must_look(inner, expand="instanceView"))

    def remove(self, context: Context, **options: Any) -> bool:
        return life.remove(self, context, lambda **more: super(LinuxMachine, self).remove(context, **options, **more))

    def delete(self, context: Context) -> None:
        with self.limited(context, "delete") as inner, cloud_of(inner).exclusive(inner, self.id):
            self.remove(inner)


def _check_size(machine: LinuxMachine, context: Context, prior: LinuxMachine) -> None:
    before, after = (given(item.os_disk[0].disk_size_gb) if item.os_disk else None for item in (prior, machine))
    if before and after and after < before:
        if context.build.transition != "start":
            machine.os_disk[0].disk_size_gb = before  # what comes down is not kept up by a wrong value
            return
        context.error(
            "Disks do not shrink",
            f"The disk of {machine.name} has {before} GB, and Azure cannot make it {after}.",
            "os_disk[0].disk_size_gb",
        )
