"""A deployment with one person of each role, a template and a workspace, behind the real web application."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from stead.config import Settings
from stead.domain.records import Actor, Build, Template, TemplateVersion, User, Workspace
from stead.domain.states import JobKind, Role
from stead.services import authentication, deployment, groups, jobs, templates, tokens, users, workspaces
from stead.services.core import Core, close_core, open_core
from stead.store.templates import Imported
from stead.web.app import create_app

PASSWORD = "correct horse battery staple"

# Who makes a request, as the columns of the route table name them. ``member`` owns the workspace, ``other`` nothing.
PEOPLE: dict[str, tuple[Role, ...]] = {
    "other": (Role.MEMBER,),
    "member": (Role.MEMBER,),
    "template-admin": (Role.TEMPLATE_ADMIN,),
    "user-admin": (Role.USER_ADMIN,),
    "auditor": (Role.AUDITOR,),
}


def make_archive(files: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in (files or {"main.tf": 'resource "null_resource" "x" {}\n'}).items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


@dataclass(frozen=True)
class World:
    """A running core and what is in it. ``tokens`` are secrets by the name of a person."""

    core: Core
    app: Flask
    tokens: dict[str, str]
    version: TemplateVersion
    workspace: Workspace
    spare_user: User

    @property
    def build(self) -> Build:
        return self.workspace.latest_build

    def client(self) -> FlaskClient:
        return self.app.test_client()

    def call(self, person: str | None, method: str, path: str, **options: Any) -> TestResponse:
        headers = dict(options.pop("headers", {}))
        if person is not None:
            headers["Authorization"] = f"Bearer {self.tokens[person]}"
        return self.client().open(f"/api/v2{path}", method=method, headers=headers, **options)

    def actor(self, person: str) -> Actor:
        return authentication.actor_for_token(self.core, self.tokens[person])

    password = PASSWORD

    @property
    def archive(self) -> bytes:
        return make_archive()

    def upload(self) -> TemplateVersion:
        """A version whose import waits."""
        return templates.create_version(self.core, self.actor("owner"), make_archive())

    def imported(self) -> TemplateVersion:
        """An imported version that belongs to no template."""
        version = self.upload()
        finish_imports(self.core)
        return version

    def make_template(self, name: str) -> Template:
        return templates.create(self.core, self.actor("owner"), name, self.imported().id)

    def token_id(self, person: str) -> str:
        return tokens.list(self.core, self.actor(person))[0].id


def finish_imports(core: Core) -> None:
    """What a provisioner does with imports of templates that have no parameters."""
    while (claim := jobs.claim(core, "test", [JobKind.TEMPLATE_IMPORT])) is not None:
        jobs.complete_import(core, claim, Imported("", (), (), (), ()))


def _open(folder: Path) -> Core:
    return open_core(Settings(data_dir=folder, http_address="127.0.0.1:3000"))


def populate(core: Core) -> tuple[dict[str, str], str, str, str]:
    """Fill a fresh core; returns tokens by person, and the ids of version, workspace and a further user."""
    owner = deployment.create_first_owner(core, "owner", "owner@example.com", PASSWORD)
    actor = authentication.actor_for_user(core, owner.id)
    accounts = {"owner": owner}
    for name, roles in {**PEOPLE, "spare": (Role.MEMBER,)}.items():
        accounts[name] = users.create(core, actor, name, f"{name}@example.com", PASSWORD, roles=roles)
    groups.add_member(core, actor, groups.create(core, actor, "crew").id, "owner")
    version = templates.create_version(core, actor, make_archive(), name="v1")
    finish_imports(core)
    templates.create(core, actor, "plain", version.id)
    member = authentication.actor_for_user(core, accounts["member"].id)
    workspace = workspaces.create(core, member, "plain", "dev")
    secrets = {
        name: tokens.create(core, authentication.actor_for_user(core, user.id), "test")[1]
        for name, user in accounts.items()
    }
    return secrets, version.id, workspace.id, accounts["spare"].id


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[dict[str, str], str, str, str]]:
    folder = tmp_path_factory.mktemp("filled") / "data"
    core = _open(folder)
    try:
        return folder, populate(core)
    finally:
        close_core(core)


def world_of(core: Core, filling: tuple[dict[str, str], str, str, str]) -> World:
    secrets, version_id, workspace_id, spare_id = filling
    owner = authentication.actor_for_token(core, secrets["owner"])
    return World(
        core=core,
        app=create_app(core),
        tokens=secrets,
        version=templates.version(core, owner, version_id),
        workspace=workspaces.get(core, owner, workspace_id),
        spare_user=users.get(core, owner, spare_id),
    )


@pytest.fixture
def new_world(
    filled: tuple[Path, tuple[dict[str, str], str, str, str]], tmp_path: Path
) -> Iterator[Callable[[], World]]:
    """Makes worlds that all start out the same and share nothing."""
    cores: list[Core] = []

    def make() -> World:
        folder = tmp_path / f"data{len(cores)}"
        shutil.copytree(filled[0], folder, ignore=shutil.ignore_patterns("run"))
        cores.append(_open(folder))
        return world_of(cores[-1], filled[1])

    yield make
    for core in cores:
        close_core(core)


@pytest.fixture
def world(new_world: Callable[[], World]) -> World:
    return new_world()


@pytest.fixture
def empty(database_url: str, tmp_path: Path) -> Iterator[Core]:
    """A core that nobody has used, on SQLite and on PostgreSQL."""
    settings = Settings(data_dir=tmp_path / "data")
    if database_url.startswith("postgres"):
        settings = Settings(data_dir=tmp_path / "data", pg_connection_url=database_url)
    core = open_core(settings)
    yield core
    close_core(core)
