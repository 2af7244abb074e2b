"""``stead create``."""

from __future__ import annotations

import click

from stead.cli import suggestions
from stead.cli.client import Client, Json, pages, segment
from stead.cli.failures import CliError, usage_error
from stead.cli.here import client
from stead.cli.lazy import Command
from stead.cli.names import parse_target
from stead.cli.output import is_interactive, say, show
from stead.cli.parameters import check_known, complete, parse_pairs
from stead.cli.plain import brief
from stead.cli.progress import finish_build, wait_until_ready


@click.command(cls=Command)
@click.argument("name")
@click.option(
    "--template", "-t", metavar="NAME", shell_complete=suggestions.templates, help="Template to build it from."
)
@click.option("--version", "version_name", help="Version of the template other than the active one.")
@click.option("--parameter", "-p", "pairs", multiple=True, metavar="NAME=VALUE", help="Value of a parameter.")
@click.option("--preset", help="Preset of the template.")
@click.option("--yes", "-y", is_flag=True, help="Ask nothing: take defaults where a value is not given.")
@click.option("--no-wait", is_flag=True, help="Return as soon as the build is queued.")
def create(
    name: str,
    template: str | None,
    version_name: str | None,
    pairs: tuple[str, ...],
    preset: str | None,
    yes: bool,
    no_wait: bool,
) -> None:
    """Create the workspace NAME (or OWNER/NAME) and start it.

    Waits until it is ready, with the log of its build. Parameters that are not given are asked for.
    """
    server = client()
    target = parse_target(name)
    given = parse_pairs(pairs)
    found = _template(server, template)
    version = _version(server, found, version_name)
    check_known(given, version["parameters"])
    preset_values = _preset_values(version, preset)
    parameters = given if yes else complete(given, version["parameters"], preset_values)
    body: Json = {"template": found["id"], "name": target.workspace, "parameters": parameters}
    body |= {"preset": preset} if preset else {}
    body |= {"owner": target.owner} if target.owner else {}
    body |= {"version": version["id"]} if version_name else {}
    workspace = _created(server, target.ref, body)
    if not no_wait:
        say(f"Building {workspace['name']} from {workspace['template']}.")
        finish_build(server, workspace, workspace["latest_build"])
        workspace = wait_until_ready(server, workspace["id"])
    show(workspace, lambda: _done(workspace, no_wait))


def _created(server: Client, ref: str, body: Json) -> Json:
    try:
        return dict(server.post("/workspaces", body))
    except CliError as error:
        if error.reason == "conflict" and error.field == "name":
            error.remedy = _way_out(server, ref, body["parameters"]) or error.remedy
        raise


def _way_out(server: Client, ref: str, given: dict[str, str]) -> str | None:
    """What to do where the name is taken: a workspace whose build failed can be mended."""
    latest = server.get(f"/workspaces/{segment(ref)}")["latest_build"]
    if latest["job"]["status"] not in {"failed", "canceled"}:
        return None
    names = list(given) or ["NAME"]
    values = " ".join(f"-p {name}=VALUE" for name in names)
    return (
        f"Its latest build is {latest['job']['status']}: stead start {ref} {values} tries again with another value."
        " Or choose another name."
    )


def _done(workspace: Json, no_wait: bool) -> str:
    if no_wait:
        return f"{workspace['name']} is being built. stead logs -f {workspace['name']} follows it."
    return f"{workspace['name']} is ready. Next: stead ssh {workspace['name']}"


def _template(server: Client, name: str | None) -> Json:
    if name:
        return dict(server.get(f"/templates/{segment(name)}"))
    known = list(pages(server, "/templates"))
    if len(known) == 1:
        return known[0]
    names = ", ".join(template["name"] for template in known)
    if not known:
        raise CliError("There is no template yet.", reason="not_found", remedy="See stead templates push.")
    if not is_interactive():
        raise usage_error("Which template?", field="--template", remedy=f"There are: {names}.")
    for number, template in enumerate(known, 1):
        click.echo(f"{number}. {brief(template['display_name'] or template['name'])}", err=True)
    number = click.prompt("Template", type=click.IntRange(1, len(known)), err=True)
    return known[number - 1]


def _version(server: Client, template: Json, name: str | None) -> Json:
    if name is None:
        if not template["active_version_id"]:
            raise CliError(f"The template {template['name']} has no active version.", reason="conflict")
        return dict(server.get(f"/template-versions/{template['active_version_id']}"))
    for version in pages(server, f"/templates/{template['id']}/versions"):
        if name in (version["name"], version["id"]):
            return version
    raise CliError(f"The template {template['name']} has no version {name}.", reason="not_found")


def _preset_values(version: Json, name: str | None) -> dict[str, str]:
    if name is None:
        return {}
    known = {preset["name"]: preset for preset in version["presets"]}
    if name not in known:
        raise usage_error(
            f"The template has no preset {name}.",
            field="--preset",
            remedy=f"It has: {', '.join(known) or 'none'}.",
        )
    return dict(known[name]["parameters"])
