"""The role that Stead needs: ``python -m stead_gcp.policy`` prints it.

python -m stead_gcp.policy > stead-role.json
gcloud iam roles create stead --project=PROJECT --file=stead-role.json
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from stead_gcp.calls import permissions


def role() -> dict[str, Any]:
    """A custom role, in the form that ``gcloud iam roles create --file`` takes."""
    return {
        "title": "Stead",
        "description": "What Stead needs to run workspaces on Compute Engine.",
        "stage": "GA",
        "includedPermissions": list(permissions()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m stead_gcp.policy", description="Print the role that Stead needs.")
    parser.parse_args()
    print(json.dumps(role(), indent=2))


if __name__ == "__main__":
    main()
