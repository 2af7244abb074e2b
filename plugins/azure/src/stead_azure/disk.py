"""``azurerm_managed_disk``."""

from __future__ import annotations

from stead.api.provider import BlockSchema, Context, Nesting, Plan, attribute, between, block, is_known, one_of
from stead_azure import ids
from stead_azure.base import (
    GROUP,
    GROUP_NAME,
    LOCATION,
    NAME,
    Tagged,
    Timeouts,
    given,
    pruned,
    reference,
    referred,
    region,
    same_region,
    same_text,
)
from stead_azure.cloud import Found, cloud_of
from stead_azure.operations import DISK_KIND, DISK_UPDATE

TYPES = (
    "Standard_LRS",
    "StandardSSD_ZRS",
    "Premium_LRS",
    "PremiumV2_LRS",
    "Premium_ZRS",
    "StandardSSD_LRS",
    "UltraSSD_LRS",
)
OPTIONS = ("Attach", "Copy", "Empty", "FromImage", "Import", "ImportSecure", "Restore", "Upload")
SECURITY = (
    "ConfidentialVM_VMGuestStateOnlyEncryptedWithPlatformKey",
    "ConfidentialVM_DiskEncryptedWithPlatformKey",
    "ConfidentialVM_DiskEncryptedWithCustomerKey",
)
POLICIES = ("AllowAll", "AllowPrivate", "DenyAll")
SPEEDS = {
    "disk_iops_read_write": "diskIOPSReadWrite",
    "disk_iops_read_only": "diskIOPSReadOnly",
    "disk_mbps_read_write": "diskMBpsReadWrite",
    "disk_mbps_read_only": "diskMBpsReadOnly",
}


class SecretUrl(BlockSchema):
    """A secret in a key vault."""

    secret_url: str = attribute(required=True, description="Its address.")
    source_vault_id: str = attribute(required=True, description="Id of the vault.")


class KeyUrl(BlockSchema):
    """A key in a key vault."""

    key_url: str = attribute(required=True, description="Its address.")
    source_vault_id: str = attribute(required=True, description="Id of the vault.")


class EncryptionSettings(BlockSchema):
    """Encryption within the machine (Azure Disk Encryption)."""

    disk_encryption_key: list[SecretUrl] = block(SecretUrl, min_items=1, max_items=1)
    key_encryption_key: list[KeyUrl] = block(KeyUrl, max_items=1)

    def body(self) -> Found:
        secret = self.disk_encryption_key[0]
        key = self.key_encryption_key[0] if self.key_encryption_key else None
        settings = {
            "diskEncryptionKey": {"secretUrl": secret.secret_url, "sourceVault": {"id": secret.source_vault_id}},
            "keyEncryptionKey": {"keyUrl": key.key_url, "sourceVault": {"id": key.source_vault_id}} if key else None,
        }
        return {"enabled": True, "encryptionSettings": [settings]}


class ManagedDisk(Tagged, name="azurerm_managed_disk"):
    """A disk, which outlives the machines that use it."""

    kind = DISK_KIND
    path = (ids.COMPUTE, "disks")

    id: str = attribute(computed=True)
    name: str = attribute(required=True, force_new=True, validators=[NAME], description="Name of the disk.")
    resource_group_name: str = attribute(
        required=True, force_new=True, validators=[GROUP_NAME], normalize=same_text, description=GROUP
    )
    location: str = attribute(required=True, force_new=True, normalize=same_region, description=LOCATION)
    storage_account_type: str = attribute(required=True, validators=[one_of(*TYPES)], description="Premium_LRS …")
    create_option: str = attribute(
        required=True, force_new=True, validators=[one_of(*OPTIONS)], description="Empty, Copy, FromImage …"
    )
    disk_size_gb: int | None = attribute(
        optional=True, computed=True, validators=[between(1, 65536)], description="Size; it can only grow."
    )
    zone: str | None = attribute(optional=True, force_new=True, description="Availability zone.")
    edge_zone: str | None = attribute(optional=True, force_new=True, description="Edge zone.")
    source_resource_id: str | None = attribute(optional=True, force_new=True, description="Disk or snapshot to copy.")
    source_uri: str | None = attribute(optional=True, computed=True, force_new=True, description="Blob to import.")
    storage_account_id: str | None = attribute(optional=True, force_new=True, description="Where that blob is.")
    image_reference_id: str | None = attribute(optional=True, force_new=True, description="Platform image.")
    gallery_image_reference_id: str | None = attribute(optional=True, force_new=True, description="Gallery image.")
    upload_size_bytes: int | None = attribute(optional=True, force_new=True, description="With create_option Upload.")
    os_type: str | None = attribute(optional=True, validators=[one_of("Linux", "Windows")], description="Linux …")
    hyper_v_generation: str | None = attribute(
        optional=True, force_new=True, validators=[one_of("V1", "V2")], description="V1 or V2."
    )
    logical_sector_size: int | None = attribute(
        optional=True, computed=True, force_new=True, validators=[one_of(512, 4096)], description="Of ultra disks."
    )
    disk_iops_read_write: int | None = attribute(
        optional=True, computed=True, validators=[between(1)], description="Of ultra and PremiumV2 disks."
    )
    disk_iops_read_only: int | None = attribute(
        optional=True, computed=True, validators=[between(1)], description="Of shared ultra and PremiumV2 disks."
    )
    disk_mbps_read_write: int | None = attribute(
        optional=True, computed=True, validators=[between(1)], description="Of ultra and PremiumV2 disks."
    )
    disk_mbps_read_only: int | None = attribute(
        optional=True, computed=True, validators=[between(1)], description="Of shared ultra and PremiumV2 disks."
    )
    max_shares: int | None = attribute(
        optional=True, computed=True, validators=[between(2, 10)], description="Machines that may have it at once."
    )
    tier: str | None = attribute(optional=True, computed=True, description="Performance tier, P10.")
    on_demand_bursting_enabled: bool | None = attribute(optional=True, description="Faster for a while, for money.")
    optimized_frequent_attach_enabled: bool = attribute(default=False, description="Moves often between machines.")
    performance_plus_enabled: bool = attribute(default=False, force_new=True, description="Faster from 513 GB on.")
    trusted_launch_enabled: bool | None = attribute(optional=True, force_new=True, description="Trusted launch.")
    security_type: str | None = attribute(
        optional=True, force_new=True, validators=[one_of(*SECURITY)], description="Of confidential machines."
    )
    secure_vm_disk_encryption_set_id: str | None = attribute(optional=True, force_new=True, description="Its keys.")
    disk_encryption_set_id: str | None = attribute(optional=True, normalize=ids.same, description="Own keys.")
    disk_access_id: str | None = attribute(optional=True, normalize=ids.same, description="For private access.")
    network_access_policy: str | None = attribute(
        optional=True, validators=[one_of(*POLICIES)], description="AllowAll, AllowPrivate or DenyAll."
    )
    public_network_access_enabled: bool = attribute(default=True, description="Export from everywhere.")
    encryption_settings: list[EncryptionSettings] = block(EncryptionSettings, max_items=1)
    timeouts: Timeouts | None = block(Timeouts, nesting=Nesting.SINGLE)

    def validate(self, context: Context) -> None:
        option = given(self.create_option)
        if option == "Empty" and self.disk_size_gb is None:
            context.error("disk_size_gb is missing", "An empty disk needs a size.", "disk_size_gb")
        if option in ("Copy", "Restore") and self.source_resource_id is None:
            context.error("source_resource_id is missing", f"{option} needs what to copy.", "source_resource_id")
        if option == "FromImage" and self.image_reference_id is None and self.gallery_image_reference_id is None:
            context.error("No image", "Set image_reference_id or gallery_image_reference_id.", "create_option")
        if option in ("Import", "ImportSecure") and self.source_uri is None:
            context.error("source_uri is missing", f"{option} needs the address of a blob.", "source_uri")

    def plan(self, context: Context, plan: Plan) -> None:
        prior, size = plan.prior, given(self.disk_size_gb)
        had = getattr(prior, "disk_size_gb", None)
        if plan.action == "update" and size is not None and is_known(had) and had and size < had:
            if context.build.transition != "start":
                self.disk_size_gb = had  # a workspace that comes down is not kept up by a wrong value
                return
            context.error(
                "Disks do not shrink",
                f"{self.name} has {had} GB, and Azure cannot make it {size}. Replacing it would lose its data.",
                "disk_size_gb",
            )

    def _body(self, context: Context) -> Found:
        creation = {
            "createOption": self.create_option,
            "sourceResourceId": given(self.source_resource_id),
            "sourceUri": given(self.source_uri) or None,
            "storageAccountId": given(self.storage_account_id),
            "imageReference": reference(given(self.image_reference_id)),
            "galleryImageReference": reference(given(self.gallery_image_reference_id)),
            "uploadSizeBytes": given(self.upload_size_bytes),
            "logicalSectorSize": given(self.logical_sector_size) or None,
            "performancePlus": self.performance_plus_enabled or None,
        }
        body: Found = pruned(
            {
                "location": region(self.location),
                "extendedLocation": {"type": "EdgeZone", "name": self.edge_zone} if self.edge_zone else None,
                "zones": [self.zone] if self.zone else None,
                "sku": {"name": self.storage_account_type},
                "tags": self.all_tags(context),
                "properties": {
                    "creationData": creation,
                    "hyperVGeneration": given(self.hyper_v_generation),
                    "securityProfile": self._security(),
                    **self._changeable(),
                },
            }
        )
        return body

    def _security(self) -> Found | None:
        kind = given(self.security_type) or ("TrustedLaunch" if self.trusted_launch_enabled else None)
        keys = given(self.secure_vm_disk_encryption_set_id)
        return pruned({"securityType": kind, "secureVMDiskEncryptionSetId": keys}) if kind else None

    def _changeable(self) -> Found:
        """What may be put and patched alike."""
        keys = given(self.disk_encryption_set_id)
        settings = self.encryption_settings[0].body() if self.encryption_settings else None
        return {
            "diskSizeGB": given(self.disk_size_gb),
            "osType": given(self.os_type),
            "tier": given(self.tier) or None,
            "maxShares": given(self.max_shares) or None,
            "burstingEnabled": given(self.on_demand_bursting_enabled),
            "optimizedForFrequentAttach": self.optimized_frequent_attach_enabled,
            "networkAccessPolicy": given(self.network_access_policy),
            "diskAccessId": given(self.disk_access_id),
            "publicNetworkAccess": "Enabled" if self.public_network_access_enabled else "Disabled",
            "encryption": {"type": "EncryptionAtRestWithCustomerKey", "diskEncryptionSetId": keys} if keys else None,
            "encryptionSettingsCollection": settings,
            **{wire: given(getattr(self, name)) or None for name, wire in self._speeds().items()},
        }

    def _speeds(self) -> dict[str, str]:
        """Only these types may be told how fast they are to be; of all others Azure tells it."""
        return SPEEDS if self.storage_account_type in ("UltraSSD_LRS", "PremiumV2_LRS") else {}

    def create(self, context: Context) -> None:
        with self.limited(context, "create") as inner:
            self._assign(inner, self.make(inner, self._body(inner)))

    def _assign(self, context: Context, found: Found) -> None:
        properties = found["properties"]
        values = {
            "disk_size_gb": properties.get("diskSizeGB"),
            "tier": properties.get("tier") or "",
            "max_shares": properties.get("maxShares") or 0,
            "logical_sector_size": (properties.get("creationData") or {}).get("logicalSectorSize") or 0,
            "source_uri": (properties.get("creationData") or {}).get("sourceUri") or "",
            **{name: properties.get(wire) or 0 for name, wire in SPEEDS.items()},
        }
        self.id = self.made_id(context)
        for name, value in values.items():
            if not is_known(getattr(self, name)):
                setattr(self, name, value)

    def read(self, context: Context) -> bool:
        with self.limited(context, "read") as inner:
            found = self.look(inner)
        if found is None:
            return False
        properties = found["properties"]
        creation = properties.get("creationData") or {}
        self.read_location(found)
        self.storage_account_type = (found.get("sku") or {}).get("name") or self.storage_account_type
        self.create_option = creation.get("createOption") or self.create_option
        self.zone = next(iter(found.get("zones") or ()), None)
        self.edge_zone = (found.get("extendedLocation") or {}).get("name") or None
        self.source_resource_id = creation.get("sourceResourceId") or None
        self.disk_size_gb, self.tier = properties.get("diskSizeGB"), properties.get("tier") or ""
        self.os_type = properties.get("osType") or None
        self.hyper_v_generation = properties.get("hyperVGeneration") or given(self.hyper_v_generation)
        self.max_shares = properties.get("maxShares") or 0
        for name, wire in SPEEDS.items():
            setattr(self, name, properties.get(wire) or 0)
        self.on_demand_bursting_enabled = properties.get("burstingEnabled", given(self.on_demand_bursting_enabled))
        self.optimized_frequent_attach_enabled = bool(properties.get("optimizedForFrequentAttach"))
        self.performance_plus_enabled = bool(creation.get("performancePlus"))
        self.disk_encryption_set_id = (properties.get("encryption") or {}).get("diskEncryptionSetId") or None
        self.disk_access_id = properties.get("diskAccessId") or None
        policy = properties.get("networkAccessPolicy")
        # Azure says AllowAll where nobody has said anything.
        self.network_access_policy = policy if policy != "AllowAll" or given(self.network_access_policy) else None
        self.public_network_access_enabled = properties.get("publicNetworkAccess", "Enabled") == "Enabled"
        self.image_reference_id = referred(creation.get("imageReference")) or None
        self.gallery_image_reference_id = referred(creation.get("galleryImageReference")) or None
        self.read_tags(found)
        self._assign(context, found)
        return True

    def update(self, context: Context, prior: ManagedDisk) -> None:
        with self.limited(context, "update") as inner:
            found = self.must_look(inner)
            before, after = prior._changeable(), self._changeable()
            body: Found = {"tags": self.all_tags(inner, found)}
            if changed := {name: value for name, value in after.items() if value != before.get(name)}:
                body["properties"] = pruned(changed)
            if self.storage_account_type != prior.storage_account_type:
                body["sku"] = {"name": self.storage_account_type}
            doing = f"{self.called} could not be changed"
            cloud_of(inner).ask(inner, doing, DISK_UPDATE, *self.names(), body, field=_field)
            self._assign(inner, self.must_look(inner))


def _field(failure: Exception) -> str | None:
    return "disk_size_gb" if "size" in str(failure).lower() else None
