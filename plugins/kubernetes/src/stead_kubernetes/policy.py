"""The role that Stead needs, made of the calls that it makes.

python -m stead_kubernetes.policy --account NAMESPACE:NAME | kubectl apply -f -
python -m stead_kubernetes.policy --account NAMESPACE:NAME --namespace team-a --namespace team-b | kubectl apply -f -

Without ``--namespace`` it is a ClusterRole. With it, it is a Role in each of them, and Stead can make no namespaces
and must be told of them: ``namespaces`` in ``[plugins.kubernetes]``.

Stead gives nobody what it has not: roles that templates make can allow only what this role allows.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import yaml

from stead_kubernetes.kinds import KINDS, RBAC, Kind

NAME = "stead"
Document = dict[str, Any]


def rules(*, namespaced: bool = False) -> list[Document]:
    """One rule for each set of verbs in each group of the API, in a fixed order."""
    gathered: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for kind in KINDS:
        if kind.namespaced or not namespaced:
            gathered.setdefault((kind.group, kind.verbs), []).append(kind.resource)
    return [
        {"apiGroups": [group], "resources": sorted(resources), "verbs": list(verbs)}
        for (group, verbs), resources in gathered.items()
    ]


def role(namespace: str | None = None) -> Document:
    """A ClusterRole, or a Role in ``namespace``."""
    metadata = {"name": NAME, **({"namespace": namespace} if namespace else {})}
    kind = "Role" if namespace else "ClusterRole"
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": metadata,
        "rules": rules(namespaced=bool(namespace)),
    }


def binding(account: str, namespace: str | None = None) -> Document:
    """Gives the role to the service account ``NAMESPACE:NAME``."""
    place, _, name = account.rpartition(":")
    kind = "Role" if namespace else "ClusterRole"
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": f"{kind}Binding",
        "metadata": {"name": NAME, **({"namespace": namespace} if namespace else {})},
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": NAME},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": place or "default"}],
    }


def documents(account: str | None, namespaces: Sequence[str]) -> list[Document]:
    places: Sequence[str | None] = namespaces or [None]
    return [
        document
        for place in places
        for document in (role(place), *([binding(account, place)] if account else []))
    ]  # fmt: skip


def permissions() -> list[tuple[Kind, str]]:
    """Each verb on each kind."""
    return [(kind, verb) for kind in KINDS for verb in kind.verbs]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m stead_kubernetes.policy", description="Print the role that Stead needs."
    )
    parser.add_argument("--account", help="service account to give it to: NAMESPACE:NAME")
    parser.add_argument("--namespace", action="append", default=[], help="a Role there, in place of a ClusterRole")
    arguments = parser.parse_args(argv)
    print(yaml.safe_dump_all(documents(arguments.account, arguments.namespace), sort_keys=False), end="")


if __name__ == "__main__":
    main()
