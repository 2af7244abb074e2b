"""The nested blocks of ``azurerm_linux_virtual_machine``."""

from __future__ import annotations

from stead.api.provider import BlockSchema, Nesting, attribute, between, block, matches, one_of
from stead_azure import ids

DISK_TYPES = ("Standard_LRS", "StandardSSD_LRS", "Premium_LRS", "StandardSSD_ZRS", "Premium_ZRS")
PLACEMENTS = ("CacheDisk", "ResourceDisk", "NvmeDisk")
SSH_KEY = matches(r"(?s)\s*(ssh-rsa|ssh-ed25519)\s+\S+.*", "must be a public key, ssh-rsa … or ssh-ed25519 …")


def same_key(prior: str, planned: str) -> bool:
    return " ".join(prior.split()) == " ".join(planned.split())


class AdminSshKey(BlockSchema):
    """A public key that may log in."""

    username: str = attribute(required=True, force_new=True, description="Account; the admin_username.")
    public_key: str = attribute(
        required=True, force_new=True, validators=[SSH_KEY], normalize=same_key, description="The key."
    )


class DiffDisk(BlockSchema):
    """An ephemeral disk, on the host."""

    option: str = attribute(required=True, force_new=True, validators=[one_of("Local")], description="Local.")
    placement: str = attribute(
        default="CacheDisk", force_new=True, validators=[one_of(*PLACEMENTS)], description="Where on the host."
    )


class OsDisk(BlockSchema):
    """The disk that the machine starts from."""

    caching: str = attribute(required=True, validators=[one_of("None", "ReadOnly", "ReadWrite")], description="None …")
    storage_account_type: str | None = attribute(
        optional=True, force_new=True, validators=[one_of(*DISK_TYPES)], description="Premium_LRS and the like."
    )
    disk_size_gb: int | None = attribute(
        optional=True, computed=True, validators=[between(1, 4095)], description="Size; it can only grow."
    )
    name: str | None = attribute(optional=True, computed=True, force_new=True, description="Name of the disk.")
    id: str | None = attribute(computed=True)
    disk_encryption_set_id: str | None = attribute(optional=True, normalize=ids.same, description="Own keys.")
    secure_vm_disk_encryption_set_id: str | None = attribute(optional=True, force_new=True, description="Own keys.")
    security_encryption_type: str | None = attribute(
        optional=True,
        force_new=True,
        validators=[one_of("VMGuestStateOnly", "DiskWithVMGuestState")],
        description="Of confidential machines.",
    )
    write_accelerator_enabled: bool = attribute(default=False, description="For M series.")
    diff_disk_settings: list[DiffDisk] = block(DiffDisk, max_items=1, force_new=True)


class ImageReference(BlockSchema):
    """An image of the marketplace."""

    publisher: str = attribute(required=True, force_new=True, description="Canonical")
    offer: str = attribute(required=True, force_new=True, description="ubuntu-24_04-lts")
    sku: str = attribute(required=True, force_new=True, description="server")
    version: str = attribute(required=True, force_new=True, description="latest")


class Identity(BlockSchema):
    """Managed identities: what the machine is allowed without a password."""

    type: str = attribute(
        required=True,
        validators=[one_of("SystemAssigned", "UserAssigned", "SystemAssigned, UserAssigned")],
        description="SystemAssigned and the like.",
    )
    identity_ids: set[str] | None = attribute(optional=True, description="Ids of user-assigned ones.")
    principal_id: str | None = attribute(computed=True)
    tenant_id: str | None = attribute(computed=True)


class BootDiagnostics(BlockSchema):
    """Serial console and screenshot."""

    storage_account_uri: str | None = attribute(optional=True, description="Storage of your own.")


class Plan(BlockSchema):
    """Marketplace plan of an image that costs money."""

    name: str = attribute(required=True, force_new=True, description="Plan.")
    product: str = attribute(required=True, force_new=True, description="Product.")
    publisher: str = attribute(required=True, force_new=True, description="Publisher.")


class Capabilities(BlockSchema):
    """What is not there by default."""

    ultra_ssd_enabled: bool = attribute(default=False, description="Ultra disks.")
    hibernation_enabled: bool | None = attribute(optional=True, description="Hibernation.")


class Certificate(BlockSchema):
    """A certificate in a vault."""

    url: str = attribute(required=True, description="Its address.")


class Secret(BlockSchema):
    """Certificates from a vault."""

    key_vault_id: str = attribute(required=True, description="Id of the vault.")
    certificate: list[Certificate] = block(Certificate, nesting=Nesting.SET, min_items=1)


class TerminationNotification(BlockSchema):
    """A warning to the machine before it is deleted."""

    enabled: bool = attribute(required=True, description="Whether it is warned.")
    timeout: str = attribute(default="PT5M", description="How long before: PT5M to PT15M.")


class OsImageNotification(BlockSchema):
    """A warning to the machine before its system is replaced."""

    timeout: str = attribute(default="PT15M", validators=[one_of("PT15M")], description="How long before.")


class GalleryApplication(BlockSchema):
    """An application from a gallery."""

    version_id: str = attribute(required=True, description="Id of its version.")
    automatic_upgrade_enabled: bool = attribute(default=False, description="Newer ones come by themselves.")
    configuration_blob_uri: str | None = attribute(optional=True, description="Its configuration.")
    order: int = attribute(default=0, validators=[between(0, 2147483647)], description="Order of installation.")
    tag: str | None = attribute(optional=True, description="Passed on.")
    treat_failure_as_deployment_failure_enabled: bool = attribute(default=False, description="A failure counts.")
