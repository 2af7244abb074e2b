"""A control plane without its outer layers: a core on each database, people, an imported template."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stead.config import Settings
from stead.domain.records import Actor, Template
from stead.plugins import PluginRegistry
from stead.provisioner.service import Provisioner
from stead.services import authentication, deployment, jobs, templates, users
from stead.services.clock import ManualClock
from stead.services.core import Core, close_core, open_core
from stead.store.templates import Imported
from stead.testing.provisioning import provisioner_in_thread

PASSWORD = "correct horse battery"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 5, 1, 12, tzinfo=UTC))


@pytest.fixture
def make_settings(tmp_path: Path, database_url: str) -> Callable[..., Settings]:
    """Settings of one deployment; called again, of another server of the same one."""

    def make(**values: Any) -> Settings:
        if database_url.startswith("postgresql"):
            values.setdefault("pg_connection_url", database_url)
        return Settings(**{"data_dir": tmp_path / "data", "login_attempts": 3, **values})

    return make


@pytest.fixture
def core(make_settings: Callable[..., Settings], clock: ManualClock) -> Iterator[Core]:
    opened = open_core(make_settings(), clock=clock, plugins=PluginRegistry())
    yield opened
    close_core(opened)


@pytest.fixture
def owner(core: Core) -> Actor:
    user = deployment.create_first_owner(core, "ada", "ada@example.org", PASSWORD, "Ada")
    return authentication.actor_for_user(core, user.id)


@pytest.fixture
def make_person(core: Core, owner: Actor) -> Callable[..., Actor]:
    def make(username: str, *roles: Any) -> Actor:
        user = users.create(core, owner, username, f"{username}@example.org", PASSWORD, roles=roles)
        return authentication.actor_for_user(core, user.id)

    return make


@pytest.fixture
def member(make_person: Callable[..., Actor]) -> Actor:
    return make_person("bob")


@pytest.fixture
def make_template(core: Core, owner: Actor) -> Callable[..., Template]:
    """A template whose import found what is given; Terraform is not asked."""

    def make(name: str = "box", **found: Any) -> Template:
        version = templates.create_version(core, owner, name.encode(), "v1")
        claim = jobs.claim(core, "test")
        assert claim is not None
        assert claim.job.id == version.job.id
        blank = {"readme": "", "parameters": (), "presets": (), "variables": (), "providers": ()}
        jobs.complete_import(core, claim, Imported(**{**blank, **found}))
        return templates.create(core, owner, name, version.id)

    return make


@pytest.fixture
def live_core(make_settings: Callable[..., Settings], tmp_path: Path) -> Iterator[Core]:
    """A core with the real clock and the real plugins, for tests that run Terraform."""
    bundle = tmp_path / "data" / "agent" / "bootstrap"
    bundle.mkdir(parents=True)
    (bundle / "linux-amd64.sh").write_text("#!/bin/sh\necho start ${ACCESS_URL}\n")
    opened = open_core(make_settings(provisioner_grace=20, job_lease=5, terraform_network=False))
    yield opened
    close_core(opened)


@pytest.fixture
def live_owner(live_core: Core) -> Actor:
    user = deployment.create_first_owner(live_core, "ada", "ada@example.org", PASSWORD, "Ada")
    return authentication.actor_for_user(live_core, user.id)


@pytest.fixture
def provisioner(live_core: Core) -> Iterator[Provisioner]:
    """A provisioner in a thread of this process."""
    with provisioner_in_thread(live_core) as running:
        yield running
