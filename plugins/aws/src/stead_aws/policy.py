"""The policy that Stead's credentials need: everything that the code calls, and nothing else.

``python -m stead_aws.policy`` prints it. The calls are read from the source of this package, so the document cannot
fall behind the code. What changes or ends a thing is allowed only on things that carry Stead's tag.
"""

from __future__ import annotations

import argparse
import ast
import functools
import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SERVICES = ("ec2", "iam", "sts")
METHODS = ("ask", "find", "settle", "remove", "pages", "make")
READING = ("Describe", "Get", "List")
# What AWS asks for besides the call itself.
IMPLIED = {
    "ec2:RunInstances": ("ec2:CreateTags", "iam:PassRole"),
    "ec2:RequestSpotInstances": ("ec2:CreateTags", "iam:PassRole", "iam:CreateServiceLinkedRole"),
    "iam:CreateRole": ("iam:TagRole",),
    "iam:CreateInstanceProfile": ("iam:TagInstanceProfile",),
}
MAKING = ("RunInstances", "RequestSpotInstances", "CreateVolume", "CreateSecurityGroup", "CreateSnapshot")
# Calls on what templates name but Stead has not made: a template's volume in a foreign machine, say.
TAGGING = ("ec2:CreateTags",)
UNTAGGED = ("ec2:CancelSpotInstanceRequests", "ec2:ModifyInstanceCreditSpecification")


@functools.cache
def actions() -> tuple[str, ...]:
    """Everything that the code calls, as policies name it."""
    found: set[str] = set()
    for path in sorted(FOLDER.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                found |= _called(node)
    implied = {extra for action in found for extra in IMPLIED.get(action, ())}
    return tuple(sorted(found | implied))


def _called(node: ast.Call) -> set[str]:
    """``cloud.ask(context, doing, "ec2", "RunInstances", …)``, or a resource's own short form without a service."""
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in METHODS:
        return set()
    texts = [item.value for item in node.args if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    service = next((text for text in texts if text in SERVICES), "ec2")
    call = next((text for text in texts if text.isalnum() and text[:1].isupper()), None)
    return {f"{service}:{call}"} if call else set()


def document(deployment: str = "*") -> dict[str, Any]:
    """The policy.

    :param deployment: id of the Stead installation, to keep several in one account apart.
    """
    everything = [item for item in actions() if not item.startswith("sts:")]
    groups: dict[str, list[str]] = {"Look": [], "Make": [], "Tag": [], "Change": [], "Roles": [], "Other": []}
    for action in everything:
        groups[_group(action)].append(action)
    tag = {"StringLike": {"aws:ResourceTag/stead.deployment": deployment}}
    made = {"StringLike": {"aws:RequestTag/stead.deployment": deployment}}
    statements = [
        _statement("SteadLook", groups["Look"]),
        _statement("SteadMake", groups["Make"]),
        _statement("SteadTag", groups["Tag"]),
        _statement("SteadChangeItsOwn", groups["Change"], tag),
        _statement("SteadSpot", groups["Other"]),
        _statement("SteadMakeRoles", ["iam:CreateInstanceProfile", "iam:CreateRole"], made),
        _statement("SteadChangeItsOwnRoles", groups["Roles"], tag),
        _statement("SteadTagRoles", ["iam:TagInstanceProfile", "iam:TagRole"]),
        _statement("SteadGiveRoles", ["iam:PassRole"], {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}),
        _statement(
            "SteadSpotRole",
            ["iam:CreateServiceLinkedRole"],
            {"StringEquals": {"iam:AWSServiceName": "spot.amazonaws.com"}},
        ),
    ]
    return {"Version": "2012-10-17", "Statement": [item for item in statements if item["Action"]]}


_APART = (
    "iam:PassRole",
    "iam:CreateServiceLinkedRole",
    "iam:CreateRole",
    "iam:CreateInstanceProfile",
    "iam:TagRole",
    "iam:TagInstanceProfile",
)


def _group(action: str) -> str:
    service, _, call = action.partition(":")
    if call.startswith(READING):
        return "Look"
    if service == "iam":
        return "Roles"
    if call in MAKING:
        return "Make"
    if action in TAGGING:
        return "Tag"
    return "Other" if action in UNTAGGED else "Change"


def _statement(sid: str, names: list[str], condition: dict[str, Any] | None = None) -> dict[str, Any]:
    """One statement; actions that have a statement of their own are left out of the broader ones."""
    special = {"SteadMakeRoles", "SteadTagRoles", "SteadGiveRoles", "SteadSpotRole"}
    kept = names if sid in special else [name for name in names if name not in _APART]
    found: dict[str, Any] = {"Sid": sid, "Effect": "Allow", "Action": sorted(kept), "Resource": "*"}
    return {**found, "Condition": condition} if condition else found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m stead_aws.policy", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--deployment", default="*", help="id of the Stead installation: touch only what is its own")
    options = parser.parse_args(arguments)
    sys.stdout.write(json.dumps(document(options.deployment), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
