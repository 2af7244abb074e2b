"""What dead runs left: found by key on a platform, removed once, and never taken from the living."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from stead.api import OwnedResource, Platform, PlatformSpec, hookimpl
from stead.api.errors import BuildFailure, PlatformUnreachable
from stead.broker import leftovers
from stead.domain.records import Actor, Template
from stead.domain.tasks import BuildTask
from stead.plugins import PluginRegistry, discovery
from stead.protocol.messages import Claim
from stead.provisioner import recovery, workdirs
from stead.provisioner.held import HeldJob
from stead.services import builds, jobs, work, workspaces
from stead.services.clock import ManualClock
from stead.services.core import Core
from stead.store.journal import EntryStatus, JournalEntry
from stead.testing.provisioning import connected


class Cloud(Platform):
    """A platform in memory; ``broken`` does not answer."""

    def __init__(self) -> None:
        self.things: dict[str, OwnedResource] = {}
        self.broken = False

    def add(self, key: str, deployment: str) -> None:
        self.things[key] = OwnedResource(key, "cloud_disk", f"id-{key}", deployment)

    def owned_resources(self, deployment: str) -> Sequence[OwnedResource]:
        if self.broken:
            raise PlatformUnreachable("The cloud does not answer.")
        return [thing for thing in self.things.values() if thing.deployment == deployment]

    def destroy_owned(self, resource: OwnedResource) -> None:
        self.things.pop(resource.key, None)


class CloudPlugin:
    def __init__(self, cloud: Cloud, name: str = "cloud") -> None:
        self._cloud = cloud
        self._name = name

    @hookimpl
    def stead_platforms(self) -> list[PlatformSpec]:
        return [PlatformSpec(self._name, "A cloud", lambda settings: self._cloud)]


def only(**plugins: CloudPlugin) -> PluginRegistry:
    """A registry of these plugins, whatever is installed here."""
    installed = [found.name for found in discovery.installed()]
    registry = PluginRegistry(builtins=plugins, disabled=installed)
    registry.load()
    return registry


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def cloudy(core: Core, cloud: Cloud) -> Core:
    return replace(core, plugins=only(cloud=CloudPlugin(cloud)))


def begin(core: Core, owner: Actor, make_template: Callable[..., Template]) -> jobs.Claim:
    make_template("box")
    workspaces.create(core, owner, "box", "dev")
    claim = jobs.claim(core, "p")
    assert claim is not None
    return claim


def intend(core: Core, owner: Actor, claim: jobs.Claim, key: str) -> None:
    workspace = workspaces.get(core, owner, "dev")
    entry: dict[str, Any] = {"job_id": claim.job.id, "workspace_id": workspace.id, "status": EntryStatus.INTENDED}
    build_id = workspace.latest_build.id
    named = {"build_id": build_id, "provider": "cloud", "type_name": "disk", "address": ""}
    jobs.journal_intend(core, claim, JournalEntry(key, **entry, **named))


def sweep(core: Core) -> int:
    with connected(core) as (shop, _):
        return recovery.sweep(shop)


def test_the_sweep_takes_what_is_old_and_belongs_to_nobody(
    cloudy: Core, cloud: Cloud, owner: Actor, make_template: Callable[..., Template], clock: ManualClock
) -> None:
    claim = begin(cloudy, owner, make_template)
    for key in ("made", "unsure", "never"):
        intend(cloudy, owner, claim, key)
    jobs.journal_created(cloudy, workspaces.get(cloudy, owner, "dev").id, "made", "id-made", "{}")
    cloud.add("made", cloudy.deployment_id)
    cloud.add("unsure", cloudy.deployment_id)
    cloud.add("theirs", "another deployment")
    cloud.add("unknown", cloudy.deployment_id)
    clock.advance(10)
    assert sweep(cloudy) == 0, "a job is about to look after them"
    jobs.fail(cloudy, claim, BuildFailure("broken"))
    assert sweep(cloudy) == 0, "they are too young"
    clock.advance(recovery.LATECOMER + 1)
    cloud.broken = True
    assert sweep(cloudy) == 0, "nobody knows what is there"
    cloud.broken = False
    assert sweep(cloudy) == 3
    assert set(cloud.things) == {"theirs", "unknown"}
    assert work.abandoned(cloudy) == ()
    assert sweep(cloudy) == 0


def test_a_platform_that_does_not_answer_keeps_no_other_from_being_cleaned(
    core: Core, owner: Actor, make_template: Callable[..., Template], clock: ManualClock
) -> None:
    good, bad = Cloud(), Cloud()
    bad.broken = True
    cloudy = replace(core, plugins=only(bad=CloudPlugin(bad, "bad"), good=CloudPlugin(good, "good")))
    claim = begin(cloudy, owner, make_template)
    for key in ("there", "perhaps"):
        intend(cloudy, owner, claim, key)
    good.add("there", cloudy.deployment_id)
    jobs.fail(cloudy, claim, BuildFailure("broken"))
    clock.advance(recovery.LATECOMER + 1)
    assert sweep(cloudy) == 1
    assert good.things == {}
    assert [leftover.key for leftover in work.abandoned(cloudy)] == ["perhaps"]


def test_all_that_carries_a_key_goes(
    core: Core, owner: Actor, make_template: Callable[..., Template], clock: ManualClock
) -> None:
    """One creation may have made several things: an image, and the container of a step of its build."""
    clouds = {"first": Cloud(), "second": Cloud()}
    cloudy = replace(core, plugins=only(**{name: CloudPlugin(cloud, name) for name, cloud in clouds.items()}))
    claim = begin(cloudy, owner, make_template)
    intend(cloudy, owner, claim, "several")
    for cloud in clouds.values():
        cloud.add("several", cloudy.deployment_id)
    jobs.fail(cloudy, claim, BuildFailure("broken"))
    clock.advance(recovery.LATECOMER + 1)
    assert sweep(cloudy) == 1
    assert [cloud.things for cloud in clouds.values()] == [{}, {}]
    assert work.abandoned(cloudy) == ()


def test_a_dead_provisioner_on_this_machine_is_noticed_at_once(
    cloudy: Core, owner: Actor, make_template: Callable[..., Template]
) -> None:
    make_template("box")
    build = workspaces.create(cloudy, owner, "box", "dev").latest_build
    with leftovers.alive(cloudy, "p"):
        jobs.provisioner_seen(cloudy, "p")
        assert jobs.claim(cloudy, "p") is not None
        assert leftovers.reap_dead(cloudy) == 0
        path = cloudy.settings.data_dir / "run" / "provisioners" / "p.lock"
        died_without_cleaning_up = path.parent / "gone.lock"
        died_without_cleaning_up.touch()
        jobs.provisioner_seen(cloudy, "gone")
        jobs.provisioner_seen(cloudy, "elsewhere")
    assert leftovers.reap_dead(cloudy) == 0
    assert set(jobs.provisioners(cloudy)) == {"p", "elsewhere"}
    assert builds.get(cloudy, owner, build.id).job.attempt == 1


def _die_while_applying(core: Core, job: HeldJob) -> None:
    with workdirs.workdir(core.settings.data_dir / "work", job) as folder:
        template = folder / "run" / "template"
        template.mkdir(parents=True)
        (template / "terraform.tfstate").write_bytes(b'{"serial": 3, "resources": []}')
        raise KeyboardInterrupt


def test_a_leftover_work_directory_gives_its_state_to_the_next_run(
    cloudy: Core, owner: Actor, make_template: Callable[..., Template]
) -> None:
    make_template("box")
    workspaces.create(cloudy, owner, "box", "dev")
    work_dir = cloudy.settings.data_dir / "work"
    with connected(cloudy) as (shop, _):
        grant = shop.link.call(Claim()).job
        assert grant is not None
        job = HeldJob(shop.link, grant)
        with pytest.raises(KeyboardInterrupt):
            _die_while_applying(cloudy, job)
        folder = work_dir / job.id
        assert folder.exists()
        with workdirs.workdir(work_dir, job) as again:
            assert list(again.iterdir()) == []
            loaded = job.load()
    assert isinstance(loaded, BuildTask)
    assert loaded.state == b'{"serial": 3, "resources": []}'
    assert not folder.exists()
    leftovers.harvest_all(cloudy)
    assert list(work_dir.iterdir()) == []
