"""An instance that Terraform did not make, in the form that a template most likely has.

The API tells what there is, not how it was written. Where several forms say the same, the usual one is taken here, and
:func:`keep` sees to it that another one replaces nothing:

- A boot disk that is named like its instance and was made from an image or a snapshot came with the instance: it has
  ``initialize_params``, as the original provider reads them from the disk. Any other one was there before.
- A start-up script is ``metadata_startup_script``; in ``metadata`` it stays where the template has it there.
- Blocks that the API fills in by itself are left out while they say what it fills in.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from stead.api.provider import Context, Plan, Unknown, is_known
from stead_gcp import instance_blocks as blocks
from stead_gcp import instance_body as body
from stead_gcp.base import Found, fill_defaults, given
from stead_gcp.cloud import cloud_of
from stead_gcp.instance_state import assign, boot_of, pairs_of
from stead_gcp.links import name_of, part, relative

if TYPE_CHECKING:
    from stead_gcp.instance import Machine

STANDARD = "STANDARD"
SHIELD = {"enableSecureBoot": False, "enableVtpm": True, "enableIntegrityMonitoring": True}
PLAIN_INTERFACE = "SCSI"


def fill(machine: Machine, context: Context, found: Found) -> None:
    """Everything that can be told of an instance that Terraform did not make."""
    machine.boot_disk = [_boot_disk(context, found)]
    machine.attached_disk = [
        blocks.AttachedDisk(source=item["source"])
        for item in found.get("disks", ())
        if not item.get("boot") and item.get("source")
    ]
    machine.scratch_disk = [
        blocks.ScratchDisk(
            interface=item.get("interface", PLAIN_INTERFACE),
            size=int(item.get("diskSizeGb", 375)),
            device_name=item.get("deviceName"),
        )
        for item in found.get("disks", ())
        if item.get("type") == "SCRATCH"
    ]
    machine.network_interface = [_interface(item) for item in found.get("networkInterfaces", ())]
    machine.service_account = [
        blocks.ServiceAccount(email=item.get("email"), scopes=set(item.get("scopes", ())))
        for item in found.get("serviceAccounts", ())
    ]
    machine.guest_accelerator = Unknown
    if body.STARTUP in pairs_of(found):
        machine.metadata_startup_script = ""  # it is told in full below
    _special(machine, found)
    machine.import_labels(context, found)
    assign(machine, context, found, refresh=True)
    if not machine.metadata:
        machine.metadata = None


def _boot_disk(context: Context, found: Found) -> blocks.BootDisk:
    boot = boot_of(found)
    interface = boot.get("interface", PLAIN_INTERFACE)
    disk = blocks.BootDisk(
        auto_delete=boot.get("autoDelete", False),
        mode=boot.get("mode", "READ_WRITE"),
        device_name=boot.get("deviceName", ""),
        source=boot.get("source", ""),
        interface=interface if interface != PLAIN_INTERFACE else None,
        guest_os_features=Unknown,
        disk_encryption_key_sha256=Unknown,
        kms_key_self_link=Unknown,
    )
    path = relative(boot.get("source", ""))
    if name_of(path) == found.get("name"):
        here = {"project": part(path, "projects"), "zone": part(path, "zones"), "disk": name_of(path)}
        made = cloud_of(context).find(context, f"Disk {name_of(path)} could not be read", "disks.get", **here) or {}
        if made.get("sourceImage") or made.get("sourceSnapshot"):
            disk.initialize_params = [_parameters(made)]
    return disk


def _parameters(made: Found) -> blocks.InitializeParams:
    """What the template asked for as well; all that is computed is told by the disk."""
    parameters = blocks.InitializeParams(
        snapshot=relative(made.get("sourceSnapshot", "")) or None,
        storage_pool=made.get("storagePool") or None,
        enable_confidential_compute=made.get("enableConfidentialCompute") or None,
    )
    for field in parameters.schema().attributes.values():
        if field.computed:
            setattr(parameters, field.key, Unknown)
    return parameters


def _interface(told: Found) -> blocks.NetworkInterface:
    aliases = [
        blocks.AliasIpRange(
            ip_cidr_range=item.get("ipCidrRange", ""), subnetwork_range_name=item.get("subnetworkRangeName")
        )
        for item in told.get("aliasIpRanges", ())
    ]
    return blocks.NetworkInterface(
        nic_type=told.get("nicType") or None, queue_count=told.get("queueCount") or None, alias_ip_range=aliases
    )


def _special(machine: Machine, found: Found) -> None:
    """Blocks that few templates have."""
    plan = found.get("scheduling") or {}
    spot = plan.get("preemptible") or plan.get("provisioningModel", STANDARD) != STANDARD
    if spot or not plan.get("automaticRestart", True):
        machine.scheduling = [blocks.Scheduling()]
        fill_defaults(machine.scheduling[0])
    shield = found.get("shieldedInstanceConfig") or {}
    if any(shield.get(name, usual) != usual for name, usual in SHIELD.items()):
        machine.shielded_instance_config = [blocks.ShieldedInstanceConfig()]
    features = found.get("advancedMachineFeatures") or {}
    names = {field.key: _wire(field.key) for field in blocks.AdvancedMachineFeatures.schema().attributes.values()}
    given_features = {key: features[wire] for key, wire in names.items() if wire in features}
    if given_features:
        machine.advanced_machine_features = [blocks.AdvancedMachineFeatures(**given_features)]
    confidential = found.get("confidentialInstanceConfig") or {}
    if confidential.get("enableConfidentialCompute") or confidential.get("confidentialInstanceType"):
        machine.confidential_instance_config = [
            blocks.ConfidentialInstanceConfig(
                confidential_instance_type=confidential.get("confidentialInstanceType") or None,
                enable_confidential_compute=confidential.get("enableConfidentialCompute") or None,
            )
        ]
    tier = (found.get("networkPerformanceConfig") or {}).get("totalEgressBandwidthTier", "DEFAULT")
    if tier != "DEFAULT":
        machine.network_performance_config = [blocks.NetworkPerformanceConfig(total_egress_bandwidth_tier=tier)]
    machine.reservation_affinity = _reservation(found.get("reservationAffinity") or {})


def _reservation(told: Found) -> list[blocks.ReservationAffinity]:
    kind = told.get("consumeReservationType", "ANY_RESERVATION")
    if kind == "ANY_RESERVATION":
        return []
    named = [blocks.SpecificReservation(key=told["key"], values=list(told.get("values", ())))] if "key" in told else []
    return [blocks.ReservationAffinity(type=kind, specific_reservation=named)]


def _wire(key: str) -> str:
    """``threads_per_core`` is ``threadsPerCore``."""
    head, *rest = key.split("_")
    return head + "".join(word.capitalize() for word in rest)


def keep(machine: Machine, plan: Plan) -> None:
    """Let another form of the same thing replace nothing."""
    prior: Machine = plan.prior
    if _script(prior) == _script(machine):
        plan.allow_in_place("metadata_startup_script")
    if _same_boot(prior.boot_disk, machine.boot_disk):
        plan.allow_in_place("boot_disk")
    if _bound(prior.scheduling) == _bound(machine.scheduling):
        plan.allow_in_place("scheduling")


def _script(machine: Machine) -> Any:
    if not is_known(machine.metadata_startup_script):
        return Unknown
    return machine.metadata_startup_script or (given(machine.metadata) or {}).get(body.STARTUP, "")


def _same_boot(before: Any, after: Any) -> bool:
    """Whether nothing differs but that one says how the disk was made, and the other does not."""
    if not is_known(before) or not is_known(after) or len(before) != 1 or len(after) != 1:
        return False
    if len(before[0].initialize_params) == len(after[0].initialize_params):
        return False
    one, other = copy.deepcopy(before[0]), copy.deepcopy(after[0])
    one.initialize_params = other.initialize_params = []
    return bool(one == other)


def _bound(plans: Any) -> Any:
    """What of the scheduling an instance keeps for life; without a block it is what the API makes of none."""
    if not is_known(plans):
        return Unknown
    plan = plans[0] if plans else blocks.Scheduling(preemptible=False)
    model = STANDARD if plan.provisioning_model in (None, "", Unknown) and not plan.preemptible else None
    fixed = (plan.termination_time, plan.local_ssd_recovery_timeout, plan.max_run_duration)
    return plan.preemptible, model or plan.provisioning_model, *fixed, plan.on_instance_stop_action
