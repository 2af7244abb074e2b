"""Providers that Terraform installs itself: all builds of a template version use the versions of its import."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stead.config import Settings
from stead.domain.records import Actor, Build
from stead.domain.states import BuildStatus, Transition
from stead.domain.transitions import ACTIVE
from stead.provisioner.service import Provisioner
from stead.services import builds, templates, workspaces
from stead.services.core import Core, close_core, open_core
from stead.testing.packed import PACKED, put_into_mirror
from stead.testing.waiting import eventually

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return put_into_mirror(tmp_path / "mirror", "1.0.2")


@pytest.fixture
def live_core(make_settings: Callable[..., Settings], mirror: Path) -> Iterator[Core]:
    settings = make_settings(provisioner_grace=20, terraform_network=False, terraform_mirror=mirror)
    opened = open_core(settings)
    yield opened
    close_core(opened)


def push(core: Core, owner: Actor, folder: Path, template: str) -> str:
    """A new version of the template; returns its id."""
    folder.mkdir(exist_ok=True)
    (folder / "main.tf").write_text(PACKED)
    made = templates.create_version(core, owner, folder)
    ended = eventually(
        lambda: (v := templates.version(core, owner, made.id)).job.status not in ACTIVE and v, 60, what="the import"
    )
    assert ended.job.status is BuildStatus.SUCCEEDED, ended.job.error
    templates.create(core, owner, template, made.id)
    return made.id


def made_by(core: Core, owner: Actor, build: Build) -> str:
    """The provider's version that made the box, when the build has succeeded."""
    ended = eventually(
        lambda: (b := builds.get(core, owner, build.id)).job.status not in ACTIVE and b, 60, what="the build"
    )
    assert ended.job.status is BuildStatus.SUCCEEDED, ended.job.error
    resources = json.loads(builds.state(core, owner, build.id))["resources"]
    return str(resources[0]["instances"][0]["attributes"]["made_by"]) if resources else ""


def test_builds_use_the_providers_of_the_import_though_newer_ones_came(
    live_core: Core, live_owner: Actor, provisioner: Provisioner, mirror: Path, tmp_path: Path
) -> None:
    core, owner = live_core, live_owner
    push(core, owner, tmp_path / "t", "old")
    put_into_mirror(mirror, "1.0.3")
    assert made_by(core, owner, workspaces.create(core, owner, "old", "one").latest_build) == "1.0.2"
    push(core, owner, tmp_path / "t", "newer")
    assert made_by(core, owner, workspaces.create(core, owner, "newer", "two").latest_build) == "1.0.3"
    assert made_by(core, owner, workspaces.create(core, owner, "old", "three").latest_build) == "1.0.2"
    assert made_by(core, owner, builds.create(core, owner, "one", Transition.DELETE)) == ""


def test_a_provider_that_changed_under_its_version_is_refused(
    live_core: Core, live_owner: Actor, provisioner: Provisioner, mirror: Path, tmp_path: Path
) -> None:
    core, owner = live_core, live_owner
    push(core, owner, tmp_path / "t", "old")
    for program in mirror.rglob("terraform-provider-*"):
        program.write_text(program.read_text() + "# not what was imported")
    build = workspaces.create(core, owner, "old", "one").latest_build
    ended = eventually(
        lambda: (b := builds.get(core, owner, build.id)).job.status not in ACTIVE and b, 60, what="the build"
    )
    assert (ended.job.status, ended.job.reason) == (BuildStatus.FAILED, "provider_unavailable")
    assert "example/packed" in str(ended.job.error)
    assert "checksum" in str(ended.job.error)
