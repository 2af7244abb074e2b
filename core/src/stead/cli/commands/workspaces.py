"""``stead list`` and ``stead show``."""

from __future__ import annotations

import click

from stead.cli import suggestions
from stead.cli.client import Json, pages, segment
from stead.cli.here import client
from stead.cli.lazy import Command
from stead.cli.names import parse_target
from stead.cli.output import details, show, status, table, when
from stead.cli.plain import brief


@click.command("list", cls=Command)
@click.option("--all", "-a", "everyone", is_flag=True, help="Those of everyone that you may see.")
@click.option("--owner", help="Those of this user.")
@click.option("--template", help="Those of this template.")
@click.option("--search", default="", help="Those whose name matches.")
def list_workspaces(everyone: bool, owner: str | None, template: str | None, search: str) -> None:
    """List your workspaces."""
    server = client()
    owner = owner or (None if everyone else "me")
    found = list(pages(server, "/workspaces", owner=owner, template=template, q=search or None))
    rows = (
        [
            workspace["name"] if owner == "me" else f"{workspace['owner']}/{workspace['name']}",
            workspace["template"],
            state(workspace),
            "outdated" if workspace["outdated"] else "",
            when(workspace["last_used_at"]),
            when(workspace["created_at"]),
        ]
        for workspace in found
    )
    headings = ["name", "template", "status", "", "last used", "created"]
    empty = "No workspaces yet. `stead create NAME` makes one; `stead templates list` shows what from."
    show(found, lambda: table(headings, rows, empty))


@click.command("show", cls=Command)
@click.argument("workspace", shell_complete=suggestions.workspaces)
def show_workspace(workspace: str) -> None:
    """Show a workspace with its resources and agents."""
    found: Json = client().get(f"/workspaces/{segment(parse_target(workspace).ref)}")
    show(found, lambda: f"{_summary(found)}\n\n{_resources(found)}")


def state(workspace: Json) -> str:
    """The status in a word; a workspace whose agents are ready is ``ready`` rather than ``running``."""
    return "ready" if workspace["ready"] else str(workspace["status"])


def _summary(workspace: Json) -> str:
    build = workspace["latest_build"]
    error = build["job"]["error"]
    return details(
        [
            ("Name", f"{workspace['owner']}/{workspace['name']}"),
            ("Status", state(workspace)),
            ("Template", f"{workspace['template']} {build['template_version_name']}"),
            (
                "Build",
                f"#{build['number']} {build['transition']}, {when(build['created_at'])}, {build['initiator']}",
            ),
            ("Error", error or ""),
            ("Deadline", when(build["deadline"])),
            ("Parameters", ", ".join(f"{key}={value}" for key, value in build["parameters"].items())),
        ]
    )


def _resources(workspace: Json) -> str:
    lines = []
    for resource in workspace["latest_build"]["resources"]:
        if resource["hide"] and not resource["agents"]:
            continue
        lines.append(click.style(brief(resource["address"]), bold=True))
        lines += [f"  {brief(item['key'])}: {_value(item)}" for item in resource["metadata"]]
        lines += [line for agent in resource["agents"] for line in _agent(agent)]
    return "\n".join(lines) or "No resources."


def _agent(agent: Json) -> list[str]:
    path = f", {agent['path']}" if agent["path"] else ""
    lines = [f"  agent {agent['name']}: {status(agent['status'])}, {status(agent['lifecycle'])}{path}"]
    lines += [
        f"    {brief(item['display_name'])}: {brief(item['value'])}" for item in agent["metadata"] if item["value"]
    ]
    lines += [f"    app {app['slug']}: {app['health']}" for app in agent["apps"] if not app["hidden"]]
    return lines


def _value(item: Json) -> str:
    return "(sensitive)" if item["sensitive"] else brief(str(item["value"]))
