"""The provider's ``features`` block: what the original provider lets one choose. Most is about what is not covered."""

from __future__ import annotations

from typing import Any

from stead.api.provider import BlockSchema, attribute, block

# Accepted as they stand: they concern resource types that this provider does not have.
ACCEPTED: dict[str, tuple[str, ...]] = {
    "api_management": ("purge_soft_delete_on_destroy", "recover_soft_deleted"),
    "app_configuration": ("purge_soft_delete_on_destroy", "recover_soft_deleted"),
    "application_insights": ("disable_generated_rule",),
    "cognitive_account": ("purge_soft_delete_on_destroy",),
    "databricks_workspace": ("force_delete",),
    "key_vault": (
        "purge_soft_delete_on_destroy",
        "purge_soft_deleted_certificates_on_destroy",
        "purge_soft_deleted_hardware_security_module_keys_on_destroy",
        "purge_soft_deleted_hardware_security_modules_on_destroy",
        "purge_soft_deleted_keys_on_destroy",
        "purge_soft_deleted_secrets_on_destroy",
        "recover_soft_deleted_certificates",
        "recover_soft_deleted_hardware_security_module_keys",
        "recover_soft_deleted_key_vaults",
        "recover_soft_deleted_keys",
        "recover_soft_deleted_secrets",
    ),
    "log_analytics_workspace": ("permanently_delete_on_destroy",),
    "machine_learning": ("purge_soft_deleted_workspace_on_destroy",),
    "managed_disk": ("expand_without_downtime",),
    "netapp": ("delete_backups_on_backup_vault_destroy", "prevent_volume_destruction"),
    "postgresql_flexible_server": ("restart_server_on_configuration_value_change",),
    "recovery_service": (
        "purge_protected_items_from_vault_on_destroy",
        "vm_backup_stop_protection_and_retain_data_on_destroy",
        "vm_backup_suspend_protection_and_retain_data_on_destroy",
    ),
    "recovery_services_vaults": ("recover_soft_deleted_backup_protected_vm",),
    "storage": ("data_plane_available",),
    "subscription": ("prevent_cancellation_on_destroy",),
    "template_deployment": ("delete_nested_items_during_deletion",),
    "virtual_machine_scale_set": (
        "force_delete",
        "reimage_on_manual_upgrade",
        "roll_instances_when_required",
        "scale_to_zero_before_deletion",
    ),
}


class GroupFeatures(BlockSchema):
    """Of resource groups."""

    prevent_deletion_if_contains_resources: bool | None = attribute(
        optional=True, description="Refuse to delete a group that still holds something; true where not set."
    )


class MachineFeatures(BlockSchema):
    """Of virtual machines."""

    delete_os_disk_on_deletion: bool | None = attribute(
        optional=True, description="The system's disk goes with the machine; true where not set."
    )
    skip_shutdown_and_force_delete: bool | None = attribute(optional=True, description="Delete without shutdown.")
    graceful_shutdown: bool | None = attribute(optional=True, description="Accepted: Azure shuts down by itself.")
    detach_implicit_data_disk_on_deletion: bool | None = attribute(
        optional=True, description="Accepted: data disks are always detached."
    )


def _accepted(names: tuple[str, ...]) -> type[BlockSchema]:
    fields = {name: attribute(optional=True, description="Accepted.") for name in names}
    body = {"__annotations__": dict.fromkeys(names, bool), "__doc__": "Accepted.", "__module__": __name__, **fields}
    return type("AcceptedFeatures", (BlockSchema,), body)


def _features() -> type[BlockSchema]:
    blocks: dict[str, Any] = {name: block(_accepted(fields), max_items=1) for name, fields in ACCEPTED.items()}
    blocks["resource_group"] = block(GroupFeatures, max_items=1)
    blocks["virtual_machine"] = block(MachineFeatures, max_items=1)
    body = {"__doc__": "What the provider does in cases where tastes differ.", "__module__": __name__, **blocks}
    return type("Features", (BlockSchema,), body)


Features = _features()


def chosen(features: list[Any], part: str, name: str, default: bool) -> bool:
    """What the block says, or the default."""
    for item in features:
        for inner in getattr(item, part):
            value = getattr(inner, name)
            if isinstance(value, bool):
                return value
    return default
