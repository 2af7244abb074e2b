"""Which permissions IAM asks for, after Google's reference: written down apart from the plugin's own table."""

from __future__ import annotations

from typing import Any

VERBS = {
    "get": "get",
    "list": "list",
    "aggregatedList": "list",
    "insert": "create",
    "delete": "delete",
    "update": "update",
}


def needed(method: str, query: dict[str, str], body: Any) -> list[str]:
    """For a call of Compute Engine with this body."""
    _, kind, verb = method.split(".")
    found = [f"compute.{kind}.{VERBS.get(verb, verb)}"]
    if method == "compute.instances.insert":
        found += _insert(query, body)
    if method.startswith("compute.firewalls.") and verb in ("insert", "update", "delete"):
        found.append("compute.networks.updatePolicy")
    if method in ("compute.instances.setServiceAccount", "compute.instances.setMetadata"):
        found.append("iam.serviceAccounts.actAs")
    if method in ("compute.instances.attachDisk", "compute.instances.detachDisk"):
        found.append("compute.disks.use")
    if method == "compute.disks.createSnapshot":
        found.append("compute.snapshots.create")
    if verb == "insert" and kind in ("disks", "addresses") and body.get("labels"):
        found.append(f"compute.{kind}.setLabels")
    if method == "compute.instances.addAccessConfig":
        found.append("compute.subnetworks.useExternalIp")
    return found


def _insert(query: dict[str, str], body: dict[str, Any]) -> list[str]:
    found = ["compute.subnetworks.use"] if body.get("networkInterfaces") else []
    simple = {
        "metadata": "setMetadata",
        "tags": "setTags",
        "labels": "setLabels",
        "serviceAccounts": "setServiceAccount",
    }
    found += [f"compute.instances.{name}" for field, name in simple.items() if body.get(field)]
    if body.get("serviceAccounts"):
        found.append("iam.serviceAccounts.actAs")
    if any(item.get("accessConfigs") for item in body.get("networkInterfaces", ())):
        found.append("compute.subnetworks.useExternalIp")
    for disk in body.get("disks", ()):
        found.append("compute.disks.create" if "initializeParams" in disk else "compute.disks.use")
    if "sourceInstanceTemplate" in query:
        found.append("compute.instanceTemplates.useReadOnly")
    return found
