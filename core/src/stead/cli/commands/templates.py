"""``stead templates``."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import click

from stead.api.errors import InvalidInput
from stead.cli.archive import pack, unpack
from stead.cli.client import Client, Json, pages, segment
from stead.cli.failures import CliError, usage_error
from stead.cli.here import client
from stead.cli.lazy import Group
from stead.cli.output import confirm, is_interactive, say, show, table, when
from stead.cli.parameters import parse_pairs
from stead.cli.progress import finish_job
from stead.domain.names import check_template_name


@click.group(cls=Group)
def templates() -> None:
    """Templates and their versions."""


@templates.command("list")
def list_templates() -> None:
    """List templates."""
    found = list(pages(client(), "/templates"))
    rows = (
        [
            template["name"],
            template["display_name"],
            str(template["workspace_count"]),
            when(template["updated_at"]),
            template["deprecated"] or "",
        ]
        for template in found
    )
    headings = ["name", "title", "workspaces", "updated", "deprecated"]
    empty = "No templates yet. `stead templates init` makes a folder to start from."
    show(found, lambda: table(headings, rows, empty))


@templates.command("init")
@click.argument("directory", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--starter", "-s", metavar="PLATFORM/NAME", help="Starter template to begin with.")
@click.option("--list", "list_only", is_flag=True, help="List the starter templates.")
@click.option("--yes", "-y", is_flag=True, help="Overwrite files that are there already.")
def init(directory: Path | None, starter: str | None, list_only: bool, yes: bool) -> None:
    """Make a folder with a starter template to edit and push."""
    server = client()
    starters = server.get("/starters")["items"]
    if list_only:
        rows = ([item["id"], item["title"], item["description"]] for item in starters)
        show(starters, lambda: table(["starter", "title", "description"], rows, "No platform brings one."))
        return
    chosen = _chosen_starter(starters, starter)
    folder = directory or Path(chosen["name"])
    content = server.download(f"/starters/{segment(chosen['id'])}/archive")
    files = unpack(content, folder, overwrite=yes)
    show(
        {"starter": chosen["id"], "directory": str(folder), "files": files},
        lambda: f"Made {folder} from {chosen['id']}. Next: stead templates push --directory {folder}",
    )


def _chosen_starter(starters: list[Json], wanted: str | None) -> Json:
    by_id = {item["id"]: item for item in starters}
    if wanted in by_id:
        return by_id[wanted]
    known = ", ".join(sorted(by_id)) or "none"
    if wanted is not None:
        raise CliError(f"There is no starter {wanted}.", reason="not_found", remedy=f"There are: {known}.")
    if not is_interactive():
        raise usage_error("Which starter?", field="--starter", remedy=f"There are: {known}.")
    for number, item in enumerate(starters, 1):
        click.echo(f"{number}. {item['title']} ({item['id']}) - {item['description']}", err=True)
    number = click.prompt("Number", type=click.IntRange(1, len(starters)), err=True)
    return starters[number - 1]


@templates.command("push")
@click.argument("name", required=False)
@click.option(
    "--directory",
    "-d",
    default=".",
    type=click.Path(path_type=Path),
    help="Folder of the template.",
    show_default="the current folder",
)
@click.option("--starter", metavar="PLATFORM/NAME", help="Push a starter template as it is instead of a folder.")
@click.option("--version", "version_name", default="", help="Name of the version; one is made up otherwise.")
@click.option("--message", "-m", default="", help="What changed.")
@click.option("--variable", "variables", multiple=True, metavar="NAME=VALUE", help="Terraform input variable.")
@click.option("--activate/--no-activate", default=True, show_default=True, help="Make it the active version.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before a new template is created.")
def push(
    name: str | None,
    directory: Path,
    starter: str | None,
    version_name: str,
    message: str,
    variables: tuple[str, ...],
    activate: bool,
    yes: bool,
) -> None:
    """Import a folder as a version of the template NAME, and create the template where there is none.

    NAME defaults to the folder's name.
    """
    server = client()
    name = name or (starter.rpartition("/")[2] if starter else directory.resolve().name)
    template = _find(server, name)
    if template is None:
        _check_name(name)
        confirm_new(name, yes)
    fields = {
        "name": version_name,
        "message": message,
        "variables": json.dumps(parse_pairs(variables, "--variable")),
    }
    fields = {key: value for key, value in fields.items() if value}
    if template is not None:
        fields["template"] = template["id"]
    version = _upload(server, directory, starter, fields)
    version = finish_job(server, f"/template-versions/{version['id']}")
    if template is None:
        template = server.post("/templates", {"name": name, "version_id": version["id"]})
    elif activate:
        server.post(f"/template-versions/{version['id']}/promote")
    show(
        {"template": server.get(f"/templates/{template['id']}"), "version": version},
        lambda: f"Pushed {version['name']} of {name}. Next: stead create NAME --template {name}",
    )


def _check_name(name: str) -> None:
    """Before the import, which takes its time and would leave a version without a template."""
    try:
        check_template_name(name)
    except InvalidInput as error:
        raise CliError(error.message, reason=error.reason, field=error.field, remedy=error.remedy) from None


def confirm_new(name: str, yes: bool) -> None:
    """Ask before a template is created, which a mistyped name would do; scripts are not asked."""
    if is_interactive():
        confirm(f"There is no template {name}. Create it?", yes=yes)


def _find(server: Client, name: str) -> Json | None:
    try:
        found: Json = server.get(f"/templates/{segment(name)}")
    except CliError as error:
        if error.reason != "not_found":
            raise
        return None
    return found


def _upload(server: Client, directory: Path, starter: str | None, fields: dict[str, str]) -> Json:
    if starter:
        body = {**fields, "starter": starter}
        return dict(server.post("/template-versions", body))
    with tempfile.TemporaryFile() as archive:
        count = pack(directory, archive)
        say(f"Uploading {count} file{'' if count == 1 else 's'}, {max(archive.tell() // 1024, 1)} KiB.")
        return dict(server.upload("/template-versions", archive, "template.tar.gz", fields))


@templates.command("pull")
@click.argument("name")
@click.argument("directory", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--version", "version_name", help="Version to get instead of the active one.")
@click.option("--tar", is_flag=True, help="Write the archive to stdout.")
@click.option("--yes", "-y", is_flag=True, help="Overwrite files that are there already.")
def pull(name: str, directory: Path | None, version_name: str | None, tar: bool, yes: bool) -> None:
    """Download the files of a template."""
    server = client()
    version_id = _version_id(server, name, version_name)
    content = server.download(f"/template-versions/{version_id}/archive")
    if tar:
        sys.stdout.buffer.write(content)
        return
    folder = directory or Path(name)
    files = unpack(content, folder, overwrite=yes)
    show({"directory": str(folder), "files": files}, lambda: f"Wrote {len(files)} files to {folder}.")


def _version_id(server: Client, name: str, version_name: str | None) -> str:
    if version_name is None:
        active = server.get(f"/templates/{segment(name)}")["active_version_id"]
        if not active:
            raise CliError(f"The template {name} has no active version.", reason="not_found")
        return str(active)
    for version in pages(server, f"/templates/{segment(name)}/versions"):
        if version_name in (version["name"], version["id"]):
            return str(version["id"])
    raise CliError(
        f"The template {name} has no version {version_name}.",
        reason="not_found",
        remedy=f"stead templates versions {name} lists them.",
    )


@templates.command("versions")
@click.argument("name")
def versions(name: str) -> None:
    """List the versions of a template, newest first."""
    server = client()
    active = server.get(f"/templates/{segment(name)}")["active_version_id"]
    found = list(pages(server, f"/templates/{segment(name)}/versions"))
    rows = (
        [
            version["name"],
            "active" if version["id"] == active else "",
            version["job"]["status"],
            version["message"],
            version["created_by"],
            when(version["created_at"]),
        ]
        for version in found
    )
    show(found, lambda: table(["version", "", "import", "message", "by", "created"], rows, "No versions."))


@templates.command("promote")
@click.argument("name")
@click.argument("version")
def promote(name: str, version: str) -> None:
    """Make a version the one that new workspaces use."""
    server = client()
    template = server.post(f"/template-versions/{_version_id(server, name, version)}/promote")
    show(template, lambda: f"{version} is the active version of {name}.")


@templates.command("delete")
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Delete a template that no workspace uses."""
    server = client()
    server.get(f"/templates/{segment(name)}")
    confirm(f"Delete the template {name} with all of its versions?", yes=yes)
    server.call("DELETE", f"/templates/{segment(name)}")
    show({"name": name}, lambda: f"Deleted the template {name}.")
