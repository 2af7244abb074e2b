"""``stead audit``."""

from __future__ import annotations

import click

from stead.cli.client import Json, segment
from stead.cli.failures import Exit
from stead.cli.here import client
from stead.cli.lazy import Group
from stead.cli.output import show, table, when


@click.group(cls=Group)
def audit() -> None:
    """Read and verify the audit log."""


@audit.command("list")
@click.option("--actor", metavar="USER", help="Only what this user did.")
@click.option("--action", help="Only this action, as it stands in the column WHAT.")
@click.option("--target-type", help="Only what was done to these: user, token, template, workspace.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many.")
def list_audit(actor: str | None, action: str | None, target_type: str | None, limit: int) -> None:
    """List what was done, newest first."""
    server = client()
    actor_id = server.get(f"/users/{segment(actor)}")["id"] if actor else None
    found = server.get("/audit", actor=actor_id, action=action, target_type=target_type, limit=limit)["items"]
    rows = ([when(row["at"]), row["actor"], row["action"], _target(row), row["address"]] for row in found)
    show(found, lambda: table(["when", "who", "what", "to", "from"], rows, "Nothing matches."))


def _target(row: Json) -> str:
    return f"{row['target_type']} {row['target'] or row['target_id']}"


@audit.command("verify")
def verify() -> int:
    """Check the chain of hashes: finds any entry that was altered or removed."""
    result = client().get("/audit/verify")
    show(
        result,
        lambda: (
            f"The audit log is whole: {result['rows']} entries."
            if result["ok"]
            else f"The audit log is broken at entry {result['broken_at']}: {result['why']}"
        ),
    )
    return Exit.OK if result["ok"] else Exit.FAILED
