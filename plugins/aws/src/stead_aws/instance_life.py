"""Creating, changing, starting, stopping and terminating machines."""

from __future__ import annotations

from typing import Any

from stead.api.errors import ProviderFailure, ResourceConflict
from stead.api.provider import Context, is_known
from stead_aws import instance_request as request
from stead_aws import instance_view as view
from stead_aws import tags as tagging
from stead_aws.base import given, key_filter
from stead_aws.cloud import Found, cause_code, cloud_of, token_of
from stead_aws.failures import by_code
from stead_aws.instance_fields import InstanceFields

# What a call may name that was made a moment ago, and that EC2 does not know yet.
FRESH = r"Invalid IAM Instance Profile|InvalidGroup\.NotFound|InvalidSubnetID\.NotFound|InvalidNetworkInterfaceID"

CHANGING = ("IncorrectInstanceState", "InvalidInstanceID.NotFound")


def own_instance(machine: InstanceFields, context: Context) -> Found | None:
    """What an earlier try of the same creation has made."""
    if not context.key:
        return None
    answer = machine.ask(context, "Instances could not be listed", "DescribeInstances", Filters=key_filter(context))
    items = [item for group in answer.get("Reservations", ()) for item in group["Instances"]]
    return next((item for item in items if item["State"]["Name"] not in view.GONE), None)


def launch(machine: InstanceFields, context: Context) -> Found:
    """Make the machine, and come back when it runs."""
    arguments = {**request.run(machine, context), **root_mappings(machine, context)}
    market = request.market(machine) if hasattr(machine, "instance_market_options") else None
    if market:
        arguments["InstanceMarketOptions"] = market
    found = cloud_of(context).make(
        context,
        "The instance could not be created",
        lambda: own_instance(machine, context),
        "ec2",
        "RunInstances",
        accept=lambda answer: answer["Instances"][0],
        region=machine.where(context),
        field=_field_of,
        unsettled=FRESH,
        ClientToken=token_of(context),
        **arguments,
    )
    machine.id = found["InstanceId"]
    context.log(f"Instance {machine.id} is being started.")
    return running(machine, context)


def _field_of(failure: ProviderFailure) -> str | None:
    """The argument that AWS refuses, by the code of its refusal."""
    code, words = cause_code(failure), failure.message
    pointers = {
        "InvalidAMIID": "ami",
        "InvalidSubnetID": "subnet_id",
        "InvalidGroup": "vpc_security_group_ids",
        "InvalidKeyPair": "key_name",
        "InsufficientInstanceCapacity": "instance_type",
        "Unsupported": "instance_type",
        "VcpuLimitExceeded": "instance_type",
        "InstanceLimitExceeded": "instance_type",
    }
    for prefix, field in pointers.items():
        if code.startswith(prefix):
            return field
    if "nstance type" in words or "InstanceType" in words:
        return "instance_type"
    return "iam_instance_profile" if "IAM Instance Profile" in words else None


def root_mappings(machine: InstanceFields, context: Context) -> dict[str, Any]:
    """Mappings with the root disk: its name is the image's."""
    if not given(machine.root_block_device) or not given(machine.ami):
        return {}
    answer = machine.ask(
        context, f"Image {machine.ami} could not be read", "DescribeImages", field="ami", ImageIds=[machine.ami]
    )
    images = answer.get("Images") or [{}]
    mapping = request.root_device(machine, images[0].get("RootDeviceName") or "/dev/sda1")
    others = request.specification(machine, encode=True).get("BlockDeviceMappings", [])
    return {"BlockDeviceMappings": [mapping, *others]}


def running(machine: InstanceFields, context: Context) -> Found:
    """Wait until the machine runs; say why where it does not come up."""
    seen: list[Found] = []

    def look() -> Found | None:
        answer = machine.settle(
            context,
            f"Instance {machine.id} could not be read",
            "DescribeInstances",
            InstanceIds=[machine.id],
        )
        items = [item for group in answer["Reservations"] for item in group["Instances"]]
        seen[:] = items[:1]
        return items[0] if items else None

    found = cloud_of(context).until(
        context,
        f"The start of instance {machine.id}",
        look,
        lambda item: item is not None and item["State"]["Name"] not in ("pending", "stopping"),
    )
    if found is None or found["State"]["Name"] in view.GONE:
        raise _ended(machine.id, seen[0] if seen else {})
    if found["State"]["Name"] == "stopped":
        return start(machine, context, machine.id)
    return found


def _ended(identity: str, found: Found) -> ProviderFailure:
    reason = found.get("StateReason") or {}
    code = str(reason.get("Code", "")).rpartition(".")[2]
    rule = by_code(code)
    words = str(reason.get("Message") or "AWS does not say why").rstrip(".")
    kind = rule.failure if rule else ProviderFailure
    return kind(f"Instance {identity} has ended while it was starting: {words}.", remedy=rule.remedy if rule else None)


def start(machine: Any, context: Context, identity: str) -> Found:
    """Start a stopped machine, and come back when it runs."""
    doing = f"Instance {identity} could not be started"
    _settled(machine, context, identity, ("stopping", "pending"))
    machine.settle(context, doing, "StartInstances", unsettled=CHANGING, InstanceIds=[identity])
    found = _settled(machine, context, identity, ("pending", "stopped"))
    if view.state_of(found) != "running" or found is None:
        raise ResourceConflict(f"{doing}: it is {view.state_of(found)}.")
    return found


def stop(machine: Any, context: Context, identity: str, *, force: bool = False) -> Found:
    """Stop a machine; its disks stay."""
    doing = f"Instance {identity} could not be stopped"
    found = _settled(machine, context, identity, ("pending",))
    if view.state_of(found) == "running":
        machine.settle(context, doing, "StopInstances", unsettled=CHANGING, InstanceIds=[identity], Force=force)
        found = _settled(machine, context, identity, ("running", "stopping"))
    if view.state_of(found) == "stopping":
        found = _settled(machine, context, identity, ("stopping",))
    if found is None or view.state_of(found) != "stopped":
        raise ResourceConflict(f"{doing}: it is {view.state_of(found)}.")
    return found


def _settled(machine: Any, context: Context, identity: str, passing: tuple[str, ...]) -> Found | None:
    """The machine, when it is in none of these states any more."""
    return cloud_of(context).until(
        context,
        f"The change of instance {identity}",
        lambda: view.expect(machine, context, identity),
        lambda found: view.state_of(found) not in passing,
    )


# Argument, parameter of ModifyInstanceAttribute, whether its value is wrapped.
IN_PLACE = {
    "disable_api_stop": "DisableApiStop",
    "disable_api_termination": "DisableApiTermination",
    "instance_initiated_shutdown_behavior": "InstanceInitiatedShutdownBehavior",
    "source_dest_check": "SourceDestCheck",
}


def change(machine: InstanceFields, context: Context, prior: InstanceFields) -> None:
    """Bring the machine from ``prior`` to what is planned; stop it for what can only change at rest."""
    machine.retag(context, machine.id, prior)
    doing = f"Instance {machine.id} could not be changed"
    for name, parameter in IN_PLACE.items():
        value = getattr(machine, name)
        if is_known(value) and value is not None and value != getattr(prior, name):
            machine.ask(
                context,
                doing,
                "ModifyInstanceAttribute",
                field=name,
                InstanceId=machine.id,
                **{parameter: {"Value": value}},
            )
    groups = given(machine.vpc_security_group_ids)
    if groups and groups != prior.vpc_security_group_ids:
        machine.ask(context, doing, "ModifyInstanceAttribute", InstanceId=machine.id, Groups=sorted(groups))
    monitoring = given(machine.monitoring)
    if monitoring is not None and monitoring != prior.monitoring:
        if monitoring:
            machine.ask(context, doing, "MonitorInstances", InstanceIds=[machine.id])
        else:
            machine.ask(context, doing, "UnmonitorInstances", InstanceIds=[machine.id])
    _options(machine, context, prior, doing)
    _profile(machine, context, prior)
    _disks(machine, context, prior)
    _at_rest(machine, context, prior)


def _options(machine: InstanceFields, context: Context, prior: InstanceFields, doing: str) -> None:
    if machine.metadata_options and machine.metadata_options != prior.metadata_options:
        options = request.metadata_options(machine)
        machine.ask(context, doing, "ModifyInstanceMetadataOptions", InstanceId=machine.id, **options)
    if machine.credit_specification and machine.credit_specification != prior.credit_specification:
        credits_ = machine.credit_specification[0].cpu_credits or "standard"
        specification = [{"InstanceId": machine.id, "CpuCredits": credits_}]
        machine.ask(context, doing, "ModifyInstanceCreditSpecification", InstanceCreditSpecifications=specification)
    recovery = [given(item.auto_recovery) for item in machine.maintenance_options]
    if recovery and recovery[0] and machine.maintenance_options != prior.maintenance_options:
        machine.ask(context, doing, "ModifyInstanceMaintenanceOptions", InstanceId=machine.id, AutoRecovery=recovery[0])


def _profile(machine: InstanceFields, context: Context, prior: InstanceFields) -> None:
    """Exchange the instance profile, also where an earlier try got halfway."""
    wanted = given(machine.iam_instance_profile)
    if not is_known(machine.iam_instance_profile) or (wanted or "") == (prior.iam_instance_profile or ""):
        return
    doing = f"The instance profile of {machine.id} could not be changed"
    filters = [{"Name": "instance-id", "Values": [machine.id]}]
    answer = machine.ask(context, doing, "DescribeIamInstanceProfileAssociations", Filters=filters)
    present = [
        item for item in answer["IamInstanceProfileAssociations"] if item["State"] in ("associating", "associated")
    ]
    new = request.profile(wanted)
    where = machine.where(context)
    cloud = cloud_of(context)
    if present and new:
        cloud.settle(
            context, doing, "ec2", "ReplaceIamInstanceProfileAssociation", region=where,
            unsettled=("InvalidParameterValue",), AssociationId=present[0]["AssociationId"], IamInstanceProfile=new,
        )  # fmt: skip
    elif present:
        association = present[0]["AssociationId"]
        machine.ask(context, doing, "DisassociateIamInstanceProfile", AssociationId=association)
    elif new:
        cloud.settle(
            context, doing, "ec2", "AssociateIamInstanceProfile", region=where,
            unsettled=("InvalidParameterValue",), InstanceId=machine.id, IamInstanceProfile=new,
        )  # fmt: skip


def _disks(machine: InstanceFields, context: Context, prior: InstanceFields) -> None:
    """Grow the root disk while the machine runs."""
    after, before = given(machine.root_block_device), prior.root_block_device
    if not after or not before:
        return
    names = {"volume_size": "Size", "volume_type": "VolumeType", "iops": "Iops", "throughput": "Throughput"}
    changes = {
        parameter: getattr(after[0], name)
        for name, parameter in names.items()
        if getattr(after[0], name) is not None and getattr(after[0], name) != getattr(before[0], name)
    }
    if not changes:
        return
    found = view.describe(machine, context, machine.id)
    root = (found or {}).get("RootDeviceName")
    mappings = (found or {}).get("BlockDeviceMappings") or ()
    volume = next((item["Ebs"]["VolumeId"] for item in mappings if item["DeviceName"] == root), None)
    if volume:
        doing = f"The root disk of {machine.id} could not be changed"
        machine.ask(context, doing, "ModifyVolume", field="root_block_device", VolumeId=volume, **changes)


def _at_rest(machine: InstanceFields, context: Context, prior: InstanceFields) -> None:
    """Size and user data change only while the machine is stopped."""
    doing = f"Instance {machine.id} could not be changed"
    changes: list[dict[str, Any]] = []
    size = given(machine.instance_type)
    if size and size != prior.instance_type:
        changes.append({"InstanceType": {"Value": size}})
    if machine.encoded_user_data != prior.encoded_user_data:
        changes.append({"UserData": {"Value": request.specification(machine, encode=False).get("UserData", b"")}})
    if not changes:
        return
    found = view.describe(machine, context, machine.id)
    ran = view.state_of(found) in ("pending", "running")
    if ran:
        stop(machine, context, machine.id)
    for arguments in changes:
        field = "instance_type" if "InstanceType" in arguments else "user_data"
        machine.ask(context, doing, "ModifyInstanceAttribute", field=field, InstanceId=machine.id, **arguments)
    # A workspace that stops does not need to come up once more to be stopped again.
    if ran and context.build.transition == "start":
        start(machine, context, machine.id)


def terminate(machine: InstanceFields, context: Context, identity: str) -> None:
    """End a machine, and come back when it has ended."""
    doing = f"Instance {identity} could not be terminated"
    cloud, where = cloud_of(context), machine.where(context)
    found = view.describe(machine, context, identity)
    if found is not None and machine.force_destroy is True:
        for parameter in ("DisableApiTermination", "DisableApiStop"):
            machine.find(
                context, doing, "ModifyInstanceAttribute", InstanceId=identity, **{parameter: {"Value": False}}
            )
    spot = (found or {}).get("SpotInstanceRequestId")
    if spot:
        machine.find(
            context, f"{spot} could not be cancelled", "CancelSpotInstanceRequests", SpotInstanceRequestIds=[spot]
        )
    if not cloud.remove(context, doing, "ec2", "TerminateInstances", region=where, InstanceIds=[identity]):
        return
    cloud.until(
        context,
        f"The end of instance {identity}",
        lambda: machine.find(context, doing, "DescribeInstances", InstanceIds=[identity]),
        _is_over,
    )


def _is_over(answer: Found | None) -> bool:
    items = [item for group in (answer or {}).get("Reservations", ()) for item in group["Instances"]]
    return all(item["State"]["Name"] == "terminated" for item in items)


def tag_disks(machine: InstanceFields, context: Context, prior: InstanceFields) -> None:
    """Bring ``volume_tags`` to the machine's own disks."""
    if machine.volume_tags == prior.volume_tags:
        return
    found = view.describe(machine, context, machine.id)
    mappings = (found or {}).get("BlockDeviceMappings") or ()
    disks = [item["Ebs"]["VolumeId"] for item in mappings if "Ebs" in item]
    gone, changed = tagging.difference(prior.volume_tags or {}, machine.volume_tags or {})
    doing = f"Tags of the disks of {machine.id} could not be changed"
    if disks and gone:
        names = [{"Key": name} for name in gone]
        machine.ask(context, doing, "DeleteTags", Resources=disks, Tags=names)
    if disks and changed:
        machine.ask(context, doing, "CreateTags", Resources=disks, Tags=tagging.to_api(changed))
