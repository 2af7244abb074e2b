"""``stead audit``."""

from __future__ import annotations

import click

from stead.cli.failures import Exit
from stead.cli.here import client
from stead.cli.lazy import Group
from stead.cli.output import show, table, when


@click.group(cls=Group)
def audit() -> None:
    """Read and verify the audit log."""


@audit.command("list")
@click.option("--search", default="", help="Only entries that match.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many.")
def list_audit(search: str, limit: int) -> None:
    """List what was done, newest first."""
    found = client().get("/audit", q=search or None, limit=limit)["items"]
    rows = ([when(row["at"]), row["actor"], row["action"], row["target"], row["address"]] for row in found)
    show(found, lambda: table(["when", "who", "what", "target", "from"], rows, "Nothing matches."))


@audit.command("verify")
def verify() -> int:
    """Check the chain of hashes: finds any entry that was altered or removed."""
    result = client().get("/audit/verify")
    show(
        result,
        lambda: (
            f"The audit log is whole: {result['entries']} entries."
            if result["ok"]
            else f"The audit log is broken at entry {result['broken_at']}: {result['why']}"
        ),
    )
    return Exit.OK if result["ok"] else Exit.FAILED
