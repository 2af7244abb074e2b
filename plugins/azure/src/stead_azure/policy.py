"""The role that Stead needs in a subscription: ``python -m stead_azure.policy [--subscription ID]``.

It follows from :mod:`stead_azure.operations`, which has every call that this plugin makes. Create it with
``az role definition create --role-definition role.json``.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from stead_azure.operations import actions

# The SDK registers a service of Azure with the subscription where nobody has used it before.
REGISTRATION = (
    "Microsoft.Compute/register/action",
    "Microsoft.Network/register/action",
    "Microsoft.Resources/subscriptions/providers/read",
)
NOBODY = "00000000-0000-0000-0000-000000000000"


def role(subscription: str = NOBODY) -> dict[str, Any]:
    """A custom role, as Azure's command line takes it."""
    return {
        "Name": "Stead workspaces",
        "IsCustom": True,
        "Description": "Create, change and remove the machines, disks and networks of Stead's workspaces.",
        "Actions": sorted({*actions(), *REGISTRATION}),
        "NotActions": [],
        "DataActions": [],
        "NotDataActions": [],
        "AssignableScopes": [f"/subscriptions/{subscription}"],
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m stead_azure.policy", description=__doc__)
    parser.add_argument("--subscription", default=NOBODY, help="subscription in which the role can be assigned")
    print(json.dumps(role(parser.parse_args(arguments).subscription), indent=2))


if __name__ == "__main__":
    main()
