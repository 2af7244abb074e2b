"""What Azure is told of a machine."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from stead.api.provider import Context
from stead_azure.base import given, pruned, reference, region
from stead_azure.cloud import Found

if TYPE_CHECKING:
    from stead_azure.machine import LinuxMachine

RESOURCE_IDS = {
    "availabilitySet": "availability_set_id",
    "virtualMachineScaleSet": "virtual_machine_scale_set_id",
    "proximityPlacementGroup": "proximity_placement_group_id",
    "host": "dedicated_host_id",
    "hostGroup": "dedicated_host_group_id",
}


def whole(machine: LinuxMachine, context: Context) -> Found:
    """The body of a creation."""
    plan = machine.plan_block[0] if machine.plan_block else None
    body: Found = pruned(
        {
            "location": region(machine.location),
            "extendedLocation": {"type": "EdgeZone", "name": machine.edge_zone} if machine.edge_zone else None,
            "zones": [machine.zone] if machine.zone else None,
            "plan": {"name": plan.name, "product": plan.product, "publisher": plan.publisher} if plan else None,
            "identity": identity(machine),
            "tags": machine.all_tags(context),
            "properties": {
                **changeable(machine),
                "storageProfile": {
                    "imageReference": image(machine),
                    "osDisk": os_disk(machine, context),
                    "diskControllerType": given(machine.disk_controller_type),
                },
                "osProfile": os_profile(machine) if not given(machine.os_managed_disk_id) else None,
                "securityProfile": security(machine),
                "priority": machine.priority,
                "evictionPolicy": given(machine.eviction_policy),
                "platformFaultDomain": machine.platform_fault_domain if machine.platform_fault_domain >= 0 else None,
            },
        }
    )
    return body


def changeable(machine: LinuxMachine) -> Found:
    """The properties that may be put and patched alike."""
    names = {wire: reference(given(getattr(machine, name))) for wire, name in RESOURCE_IDS.items()}
    reserved = given(machine.capacity_reservation_group_id)
    return {
        **names,
        "hardwareProfile": {"vmSize": machine.size},
        "networkProfile": {"networkInterfaces": interfaces(machine)},
        "userData": given(machine.user_data),
        "licenseType": given(machine.license_type),
        "extensionsTimeBudget": machine.extensions_time_budget,
        "billingProfile": {"maxPrice": machine.max_bid_price} if machine.priority == "Spot" else None,
        "capacityReservation": {"capacityReservationGroup": {"id": reserved}} if reserved else None,
        "diagnosticsProfile": diagnostics(machine),
        "additionalCapabilities": capabilities(machine),
        "applicationProfile": applications(machine),
        "scheduledEventsProfile": notifications(machine),
    }


def interfaces(machine: LinuxMachine) -> list[Found]:
    return [
        {"id": identity, "properties": {"primary": index == 0}}
        for index, identity in enumerate(machine.network_interface_ids)
    ]


def image(machine: LinuxMachine) -> Found | None:
    if machine.source_image_reference:
        found = machine.source_image_reference[0]
        return {"publisher": found.publisher, "offer": found.offer, "sku": found.sku, "version": found.version}
    identity = given(machine.source_image_id)
    if not identity:
        return None
    if identity.lower().startswith("/communitygalleries/"):
        return {"communityGalleryImageId": identity}
    if identity.lower().startswith("/sharedgalleries/"):
        return {"sharedGalleryImageId": identity}
    return {"id": identity}


def os_disk(machine: LinuxMachine, context: Context) -> Found:
    disk = machine.os_disk[0]
    local = disk.diff_disk_settings[0] if disk.diff_disk_settings else None
    existing = given(machine.os_managed_disk_id)
    goes = context.provider.deletes_os_disks and not existing  # type: ignore[union-attr]
    sealed = given(disk.security_encryption_type)
    return {
        "createOption": "Attach" if existing else "FromImage",
        "osType": "Linux",
        "name": given(disk.name) or disk_name(machine, context),
        "caching": disk.caching,
        "diskSizeGB": given(disk.disk_size_gb),
        "writeAcceleratorEnabled": disk.write_accelerator_enabled,
        "diffDiskSettings": {"option": local.option, "placement": local.placement} if local else None,
        # Azure removes it with the machine, so that no end of ours can leave it behind.
        "deleteOption": "Delete" if goes or local else "Detach",
        "managedDisk": {
            "id": existing or None,
            "storageAccountType": given(disk.storage_account_type),
            "diskEncryptionSet": reference(given(disk.disk_encryption_set_id)),
            "securityProfile": {
                "securityEncryptionType": sealed,
                "diskEncryptionSet": reference(given(disk.secure_vm_disk_encryption_set_id)),
            }
            if sealed
            else None,
        },
    }


def disk_name(machine: LinuxMachine, context: Context) -> str | None:
    """The same at every try of one creation: where Azure made the name up, a second try might make a second disk."""
    if not context.key or given(machine.os_managed_disk_id):
        return None
    return f"{machine.name[:40]}_OsDisk_{hashlib.sha256(context.key.encode()).hexdigest()[:24]}"


def os_profile(machine: LinuxMachine) -> Found:
    extensions = given(machine.allow_extension_operations)
    return {
        "computerName": given(machine.computer_name) or machine.name,
        "adminUsername": machine.admin_username,
        "adminPassword": given(machine.admin_password),
        "customData": given(machine.custom_data),
        "allowExtensionOperations": machine.provision_vm_agent if extensions is None else extensions,
        "linuxConfiguration": {
            "disablePasswordAuthentication": machine.disable_password_authentication,
            "provisionVMAgent": machine.provision_vm_agent,
            "patchSettings": patches(machine),
            "ssh": {
                "publicKeys": [
                    {"path": f"/home/{key.username}/.ssh/authorized_keys", "keyData": key.public_key.strip()}
                    for key in machine.admin_ssh_key
                ]
            }
            if machine.admin_ssh_key
            else None,
        },
        "secrets": secrets(machine),
    }


def patches(machine: LinuxMachine) -> Found:
    own = machine.patch_mode == "AutomaticByPlatform"
    automatic: dict[str, Any] = {
        "rebootSetting": given(machine.reboot_setting),
        "bypassPlatformSafetyChecksOnUserSchedule": machine.bypass_platform_safety_checks_on_user_schedule_enabled,
    }
    return {
        "patchMode": machine.patch_mode,
        "assessmentMode": machine.patch_assessment_mode,
        "automaticByPlatformSettings": automatic if own else None,
    }


def secrets(machine: LinuxMachine) -> list[Found] | None:
    return [
        {
            "sourceVault": {"id": secret.key_vault_id},
            "vaultCertificates": [{"certificateUrl": item.url} for item in secret.certificate],
        }
        for secret in machine.secret
    ] or None


def identity(machine: LinuxMachine) -> Found | None:
    if not machine.identity_block:
        return None
    found = machine.identity_block[0]
    return {"type": found.type, "userAssignedIdentities": {item: {} for item in found.identity_ids or ()} or None}


def security(machine: LinuxMachine) -> Found | None:
    boot, chip = given(machine.secure_boot_enabled), given(machine.vtpm_enabled)
    sealed = given(machine.os_disk[0].security_encryption_type)
    settings = {"secureBootEnabled": boot, "vTpmEnabled": chip} if boot is not None or chip is not None else None
    kind = "ConfidentialVM" if sealed else "TrustedLaunch" if boot or chip else None
    host = given(machine.encryption_at_host_enabled)
    if kind is None and host is None:
        return None
    return {"encryptionAtHost": host, "securityType": kind, "uefiSettings": settings if kind else None}


def diagnostics(machine: LinuxMachine) -> Found | None:
    if not machine.boot_diagnostics:
        return None
    return {"bootDiagnostics": {"enabled": True, "storageUri": given(machine.boot_diagnostics[0].storage_account_uri)}}


def capabilities(machine: LinuxMachine) -> Found | None:
    if not machine.additional_capabilities:
        return None
    found = machine.additional_capabilities[0]
    return {"ultraSSDEnabled": found.ultra_ssd_enabled, "hibernationEnabled": given(found.hibernation_enabled)}


def applications(machine: LinuxMachine) -> Found | None:
    items = [
        {
            "packageReferenceId": item.version_id,
            "configurationReference": given(item.configuration_blob_uri),
            "order": item.order,
            "tags": given(item.tag),
            "enableAutomaticUpgrade": item.automatic_upgrade_enabled,
            "treatFailureAsDeploymentFailure": item.treat_failure_as_deployment_failure_enabled,
        }
        for item in machine.gallery_application
    ]
    return {"galleryApplications": items} if items else None


def notifications(machine: LinuxMachine) -> Found | None:
    end = machine.termination_notification[0] if machine.termination_notification else None
    image_ = machine.os_image_notification[0] if machine.os_image_notification else None
    if end is None and image_ is None:
        return None
    return {
        "terminateNotificationProfile": {"enable": end.enabled, "notBeforeTimeout": end.timeout} if end else None,
        "osImageNotificationProfile": {"enable": True, "notBeforeTimeout": image_.timeout} if image_ else None,
    }
