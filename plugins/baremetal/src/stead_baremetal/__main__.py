"""``python -m stead_baremetal``: look at the machines of the inventory, and take some out of use."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stead.api.errors import ResourceNotFound, SteadError
from stead.api.provider import Context
from stead_baremetal.answers import Status
from stead_baremetal.fleet import Fleet, state_of
from stead_baremetal.host import facts, release
from stead_baremetal.inventory import Machine
from stead_baremetal.settings import BaremetalSettings


def _status(fleet: Fleet, given: argparse.Namespace) -> int:
    context = Context()
    machines = fleet.inventory(context).machines
    sights = fleet.survey(context, machines)
    rows = [_row(machine, sights[machine.name]) for machine in machines]
    if given.json:
        print(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        owner = f"{row['owner']}/{row['workspace']}" if row["workspace"] else ""
        print(f"{row['name']:20} {row['state']:12} {owner:30} {row['why']}".rstrip())
    return 0


def _row(machine: Machine, sight: Any) -> dict[str, Any]:
    state, why = state_of(machine, sight)
    claim = sight.claim if isinstance(sight, Status) else None
    return {
        **facts(machine),
        "state": state,
        "why": why,
        "owner": claim.owner if claim else "",
        "workspace": claim.name if claim else "",
        "key": claim.key if claim else "",
    }


def _machine(fleet: Fleet, name: str) -> Machine:
    machine = fleet.find(Context(), name)
    if machine is None:
        raise ResourceNotFound(f"The inventory has no machine {name}.")
    return machine


def _drain(fleet: Fleet, given: argparse.Namespace) -> int:
    keeper = fleet.keeper(_machine(fleet, given.machine))
    status = keeper.status(Context())
    keeper.drain(Context(), given.reason)
    has = f" Workspace {status.claim.name} keeps it until it is deleted." if status.claim else ""
    print(f"{given.machine} is drained: no workspace claims it.{has}")
    return 0


def _undrain(fleet: Fleet, given: argparse.Namespace) -> int:
    fleet.keeper(_machine(fleet, given.machine)).undrain(Context())
    print(f"{given.machine} can be claimed again.")
    return 0


def _release(fleet: Fleet, given: argparse.Namespace) -> int:
    machine = _machine(fleet, given.machine)
    status = fleet.keeper(machine).status(Context())
    if status.claim is None:
        print(f"Nobody has {machine.name}.")
        return 0
    if status.claim.name != given.workspace:
        print(f"{machine.name} belongs to workspace {status.claim.name}, not to {given.workspace}.", file=sys.stderr)
        return 1
    release(Context(), fleet, machine, status.claim.key)
    print(f"{machine.name} is wiped and free.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stead_baremetal", description=__doc__)
    parser.add_argument("--inventory", type=Path, required=True, help="file that lists the machines")
    parser.add_argument("--user", default=None, help="account to sign in with")
    parser.add_argument("--key-file", type=Path, default=None, help="private key to sign in with")
    parser.add_argument("--known-hosts", type=Path, default=None, help="file with the machines' host keys")
    words = parser.add_subparsers(required=True, metavar="COMMAND")

    def word(name: str, run: Callable[[Fleet, argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = words.add_parser(name, help=text)
        added.set_defaults(run=run)
        return added

    word("status", _status, "how each machine is, and whose").add_argument("--json", action="store_true")
    drain = word("drain", _drain, "let no workspace claim a machine")
    drain.add_argument("machine")
    drain.add_argument("--reason", default="drained by hand")
    word("undrain", _undrain, "let workspaces claim it again").add_argument("machine")
    free = word("release", _release, "wipe a machine whose workspace is gone, and give it back")
    free.add_argument("machine")
    free.add_argument("--workspace", required=True, help="name of the workspace that has it, as status shows it")
    return parser


def main(arguments: list[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    names = ("inventory", "user", "key_file", "known_hosts")
    fleet = Fleet(
        BaremetalSettings(**{name: getattr(given, name) for name in names if getattr(given, name) is not None})
    )
    try:
        code: int = given.run(fleet, given)
    except SteadError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
