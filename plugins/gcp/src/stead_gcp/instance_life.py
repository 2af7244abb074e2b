"""Creating, changing and removing instances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stead.api.errors import CapacityExhausted, PermissionMissing, ProviderFailure, QuotaExceeded, ResourceNotFound
from stead.api.provider import Context, is_known
from stead_gcp import instance_body as body
from stead_gcp import labels as labelling
from stead_gcp.base import Found, given, limit_of, missing
from stead_gcp.cloud import cloud_of, limited
from stead_gcp.instance_state import assign, attached_as, pairs_of
from stead_gcp.links import link, parsed, same_link

if TYPE_CHECKING:
    from stead_gcp.instance import Machine

ON_ITS_WAY = ("PROVISIONING", "STAGING", "STOPPING", "SUSPENDING", "REPAIRING", "DEPROVISIONING", "PENDING")
RUNNING, TERMINATED, SUSPENDED = "RUNNING", "TERMINATED", "SUSPENDED"
# What these say, the start of a message tells at which argument to look.
FIELDS = {
    "machinetype": "machine_type",
    "/images/": "boot_disk",
    "/disktypes/": "boot_disk",
    "/disks/": "attached_disk",
    "/networks/": "network_interface",
    "/subnetworks/": "network_interface",
    "service account": "service_account",
    "serviceaccount": "service_account",
    "zone": "zone",
}


def find(machine: Machine, context: Context) -> Found | None:
    doing = f"Instance {machine.name} could not be read"
    return cloud_of(context).find(context, doing, "instances.get", instance=machine.name, **machine.place(context))


def settled(machine: Machine, context: Context) -> Found | None:
    """The instance as it is when it is neither coming nor going."""
    cloud = cloud_of(context)
    pause = min(0.2, cloud.settings.poll)
    while (found := find(machine, context)) is not None and found.get("status") in ON_ITS_WAY:
        cloud.pause(context, pause, f"Instance {machine.name} is {found['status'].lower()}")
        pause = min(pause * 1.5, cloud.settings.poll)
    return found


def _field(failure: ProviderFailure) -> str | None:
    """At which argument a refusal points."""
    if isinstance(failure, QuotaExceeded):
        return "machine_type"
    if isinstance(failure, CapacityExhausted):
        return "zone"
    if isinstance(failure, PermissionMissing):
        return "service_account" if "serviceAccounts.actAs" in str(failure) else None
    words = failure.message.lower()
    return next((field for word, field in FIELDS.items() if word in words), None)


def create(machine: Machine, context: Context) -> None:
    with limited(context, limit_of(machine.timeouts, "create")) as bound:
        place = machine.place(bound)
        template = _template(machine, bound)
        request = body.whole(machine, bound)
        if template is not None:
            request = _over_template(request, template[1])
        cloud_of(context).make(
            bound,
            f"Instance {machine.name} could not be created",
            lambda late: settled(machine, late),
            lambda found: labelling.carries(found.get("labels"), context.key),
            "instances.insert",
            discard=lambda late: _discard(machine, late),
            taken=f"An instance {machine.name} exists already in {place['zone']}, and Stead did not make it for this.",
            field=_field,
            instanceResource=request,
            sourceInstanceTemplate=template[0] if template else None,
            **place,
        )
        _bring_to(machine, bound)
        found = find(machine, bound)
    if found is None:
        raise missing("Instance", machine.name)
    assign(machine, context, found, refresh=False)


def _template(machine: Machine, context: Context) -> tuple[str, Found] | None:
    """The link of the template that the instance is made from, and what it says."""
    source = getattr(machine, "source_instance_template", None)
    if not source:
        return None
    project = machine.in_project(context)
    path = link(source, project, "global", "instanceTemplates")
    owner, _, name = parsed(path, "instanceTemplates", None)
    found = cloud_of(context).find(
        context,
        f"Instance template {name} could not be read",
        "instanceTemplates.get",
        project=owner,
        instanceTemplate=name,
    )
    if found is None:
        raise ResourceNotFound(
            f"There is no instance template {name} in project {owner}.", field="source_instance_template"
        )
    return path, found.get("properties") or {}


def _over_template(request: Found, properties: Found) -> Found:
    """Labels of a request replace those of the template, so they carry them on."""
    return {**request, "labels": {**(properties.get("labels") or {}), **request["labels"]}}


def _discard(machine: Machine, context: Context) -> None:
    found = settled(machine, context)
    if found is not None and labelling.carries(found.get("labels"), context.key):
        remove(machine, context)


def remove(machine: Machine, context: Context) -> None:
    doing = f"Instance {machine.name} could not be deleted"
    cloud_of(context).remove(context, doing, "instances.delete", instance=machine.name, **machine.place(context))


def delete(machine: Machine, context: Context) -> None:
    if machine.deletion_protection:
        raise ProviderFailure(
            f"Instance {machine.name} is protected against deletion.",
            field="deletion_protection",
            remedy="Set deletion_protection = false and build once more before.",
        )
    with limited(context, limit_of(machine.timeouts, "delete")) as bound:
        remove(machine, bound)


def _act(machine: Machine, context: Context, call: str, **arguments: Any) -> None:
    doing = f"Instance {machine.name} could not be changed"
    here = {**machine.place(context), "instance": machine.name}
    cloud_of(context).do(context, doing, f"instances.{call}", **here, **arguments)


def _bring_to(machine: Machine, context: Context) -> None:
    """Start, stop or suspend it, as ``desired_status`` says."""
    wanted = given(machine.desired_status)
    if not wanted:
        return
    found = settled(machine, context)
    if found is None:
        raise missing("Instance", machine.name)
    status = found.get("status")
    if status == wanted:
        return
    if status == SUSPENDED and wanted == TERMINATED:
        _act(machine, context, "resume")
    calls = {RUNNING: "resume" if status == SUSPENDED else "start", TERMINATED: "stop", SUSPENDED: "suspend"}
    _act(machine, context, calls[wanted])
    settled(machine, context)


def update(machine: Machine, context: Context, prior: Machine) -> None:
    with limited(context, limit_of(machine.timeouts, "update")) as bound:
        found = settled(machine, bound)
        if found is None:
            raise missing("Instance", machine.name)
        _live(machine, bound, prior, found)
        _disks(machine, bound, prior, found)
        _interfaces(machine, bound, prior, found)
        changes = list(_stopped_changes(machine, bound, prior, found))
        if changes:
            with _stopped(machine, bound, found):
                for call, arguments in changes:
                    _apply(machine, bound, call, arguments)
        _bring_to(machine, bound)
        found = find(machine, bound)
    if found is None:
        raise missing("Instance", machine.name)
    assign(machine, context, found, refresh=False)


def _live(machine: Machine, context: Context, prior: Machine, found: Found) -> None:
    """What changes while it runs."""
    if _changed(machine, prior, "metadata"):
        fingerprint = (found.get("metadata") or {}).get("fingerprint", "")
        request = {**body.metadata(machine), "fingerprint": fingerprint}
        if body.metadata(machine)["items"] != body.metadata(prior)["items"] or pairs_of(found) != dict(
            machine.metadata or {}
        ):
            _act(machine, context, "setMetadata", metadataResource=request)
    if _changed(machine, prior, "tags"):
        fingerprint = (found.get("tags") or {}).get("fingerprint", "")
        _act(
            machine, context, "setTags", tagsResource={"items": sorted(machine.tags or ()), "fingerprint": fingerprint}
        )
    if machine.terraform_labels != prior.terraform_labels:
        labels = machine.labels_to_set(context, found, prior)
        request = {"labels": labels, "labelFingerprint": found.get("labelFingerprint", "")}
        _act(machine, context, "setLabels", instancesSetLabelsRequestResource=request)
    if _changed(machine, prior, "deletion_protection"):
        here = {**machine.place(context), "resource": machine.name}
        doing = f"Instance {machine.name} could not be changed"
        protect = bool(machine.deletion_protection)
        cloud_of(context).do(context, doing, "instances.setDeletionProtection", deletionProtection=protect, **here)
    if _changed(machine, prior, "resource_policies"):
        _policies(machine, context, prior)


def _changed(machine: Machine, prior: Machine, name: str) -> bool:
    value = getattr(machine, name)
    return is_known(value) and value != getattr(prior, name)


def _policies(machine: Machine, context: Context, prior: Machine) -> None:
    project, zone = machine.place(context).values()
    before = body.policies(prior.resource_policies, project, zone)
    after = body.policies(machine.resource_policies, project, zone)
    for call, resource, names in (
        (
            "removeResourcePolicies",
            "instancesRemoveResourcePoliciesRequestResource",
            [p for p in before if p not in after],
        ),
        ("addResourcePolicies", "instancesAddResourcePoliciesRequestResource", [p for p in after if p not in before]),
    ):
        if names:
            request: Found = {resource: {"resourcePolicies": names}}
            _act(machine, context, call, **request)


def _disks(machine: Machine, context: Context, prior: Machine, found: Found) -> None:
    """Attach what is new, detach what is gone; what changed is both."""
    project, zone = machine.place(context).values()

    def same(one: Any, other: Any) -> bool:
        names = ("mode", "disk_encryption_key_raw", "disk_encryption_key_rsa")
        renamed = is_known(one.device_name) and is_known(other.device_name) and one.device_name != other.device_name
        return (
            same_link(one.source, other.source)
            and not renamed
            and all(getattr(one, n) == getattr(other, n) for n in names)
        )

    for disk in prior.attached_disk:
        told = attached_as(machine, context, found, disk.source)
        if told is not None and not any(same(disk, item) for item in machine.attached_disk):
            _act(machine, context, "detachDisk", deviceName=told["deviceName"])
    for disk in machine.attached_disk:
        if not any(same(disk, item) for item in prior.attached_disk):
            _act(machine, context, "attachDisk", attachedDiskResource=body.attached(disk, project, zone))


def _interfaces(machine: Machine, context: Context, prior: Machine, found: Found) -> None:
    told = found.get("networkInterfaces", ())
    for item, before, seen in zip(machine.network_interface, prior.network_interface, told, strict=False):
        name = seen.get("name", "nic0")
        if [body.access(config) for config in item.access_config] != [
            body.access(config) for config in before.access_config
        ]:
            for config in seen.get("accessConfigs", ()):
                _act(machine, context, "deleteAccessConfig", networkInterface=name, accessConfig=config.get("name", ""))
            for config in item.access_config:
                _act(
                    machine, context, "addAccessConfig", networkInterface=name, accessConfigResource=body.access(config)
                )
        stack = given(item.stack_type)
        if body.aliases(item) != body.aliases(before) or (stack and stack != before.stack_type):
            request: Found = {"fingerprint": seen.get("fingerprint", ""), "aliasIpRanges": body.aliases(item)}
            if stack:
                request["stackType"] = stack
            _act(machine, context, "updateNetworkInterface", networkInterface=name, networkInterfaceResource=request)


Change = tuple[str, Found]


def _stopped_changes(machine: Machine, context: Context, prior: Machine, found: Found) -> Iterator[Change]:
    """What changes only while it is stopped."""
    project, zone = machine.place(context).values()
    if _changed(machine, prior, "machine_type"):
        kind = link(machine.machine_type or "", project, f"zones/{zone}", "machineTypes")
        yield "setMachineType", {"instancesSetMachineTypeRequestResource": {"machineType": kind}}
    if _changed(machine, prior, "min_cpu_platform"):
        request = {"minCpuPlatform": machine.min_cpu_platform or ""}
        yield "setMinCpuPlatform", {"instancesSetMinCpuPlatformRequestResource": request}
    accounts = body.service_accounts(machine)
    if accounts != body.service_accounts(prior) and not _are_accounts(accounts, found.get("serviceAccounts") or ()):
        account = next(iter(accounts), {"email": "", "scopes": []})
        yield "setServiceAccount", {"instancesSetServiceAccountRequestResource": account}
    if _changed(machine, prior, "enable_display"):
        yield "updateDisplayDevice", {"displayDeviceResource": {"enableDisplay": bool(machine.enable_display)}}
    shield = body.shielded(machine)
    if shield and shield != body.shielded(prior) and not _is_so(shield, found.get("shieldedInstanceConfig")):
        yield "updateShieldedInstanceConfig", {"shieldedInstanceConfigResource": shield}
    if machine.scheduling and machine.scheduling != prior.scheduling:
        plan = body.scheduling(machine.scheduling[0])
        if not _is_so(plan, found.get("scheduling")):
            yield "setScheduling", {"schedulingResource": plan}
    features = body.features(machine) or {}
    if features != (body.features(prior) or {}) and features != (found.get("advancedMachineFeatures") or {}):
        yield "update", {"advancedMachineFeatures": features}
    if _changed(machine, prior, "can_ip_forward"):
        yield "update", {"canIpForward": bool(machine.can_ip_forward)}


def _is_so(wanted: Found, told: Found | None) -> bool:
    """Whether the instance is as it is wanted, which it may be without the state saying so: after an import."""
    seen = told or {}
    return all(value == seen.get(name) or (not value and name not in seen) for name, value in wanted.items())


def _are_accounts(wanted: list[Found], told: Sequence[Found]) -> bool:
    pairs = list(zip(wanted, told, strict=False))
    same = all(
        one["email"] in ("default", other.get("email")) and set(one["scopes"]) == set(other.get("scopes", ()))
        for one, other in pairs
    )
    return same and len(pairs) == len(wanted) == len(told)


def _apply(machine: Machine, context: Context, call: str, arguments: Found) -> None:
    if call == "update":  # takes the whole instance
        found = find(machine, context)
        if found is None:
            raise missing("Instance", machine.name)
        arguments = {"instanceResource": {**found, **arguments}}
    _act(machine, context, call, **arguments)


@contextmanager
def _stopped(machine: Machine, context: Context, found: Found) -> Iterator[None]:
    """Stop it for a change where the template allows that, and start it again."""
    running = found.get("status") not in (TERMINATED, "STOPPED")
    stops = given(machine.desired_status) == TERMINATED
    if running and not machine.allow_stopping_for_update and not stops:
        raise ProviderFailure(
            f"Instance {machine.name} must be stopped for this change, and the template does not allow that.",
            field="allow_stopping_for_update",
            remedy='Set allow_stopping_for_update = true, or desired_status = "TERMINATED".',
        )
    if running:
        context.log(f"Instance {machine.name} is stopped for a change.")
        _act(machine, context, "stop")
        settled(machine, context)
    try:
        yield
    finally:
        if running and not stops:
            _act(machine, context, "start")
            settled(machine, context)


def importable(machine_class: type[Machine], context: Context, identity: str) -> tuple[Machine, Found] | None:
    """An instance that exists, from an identity as ``terraform import`` takes it."""
    project, zone, name = parsed(identity, "instances", "zones")
    machine = machine_class(name=name, project=project or None, zone=zone or None)
    found = find(machine, context)
    return None if found is None else (machine, found)
