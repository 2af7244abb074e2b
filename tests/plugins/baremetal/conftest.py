"""One deployment with an inventory of machines, for each test."""

from __future__ import annotations

import json
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from stead.api.provider import BuildContext, Context, Owner
from stead.testing.debian import DebianUnavailable
from stead.testing.engine_guardian import guarded
from stead.testing.left_out import leave_out
from stead_baremetal.platform import BaremetalPlatform
from stead_baremetal.provider import Baremetal
from stead_baremetal.settings import BaremetalSettings

sys.path.insert(0, str(Path(__file__).parent / "peer"))

from baremetal_farm import LABEL, Box, Farm
from baremetal_farm import machine_image as made_image


@pytest.fixture(scope="session")
def machine_image(docker_engine: str) -> str:
    """Tag of the machines' image."""
    try:
        return made_image(docker_engine)
    except DebianUnavailable as error:
        leave_out("machine image", str(error))


@pytest.fixture(scope="session")
def farm(docker_engine: str, machine_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    if shutil.which("ssh-keygen") is None:
        leave_out("OpenSSH", "there is no ssh-keygen here")
    with guarded(docker_engine, LABEL):
        made = Farm(docker_engine, machine_image, tmp_path_factory.mktemp("farm"))
        try:
            yield made
        finally:
            made.close()


@dataclass
class Rig:
    """One deployment with an inventory of its own."""

    farm: Farm
    folder: Path
    boxes: list[Box]
    name: str = field(default_factory=lambda: f"stead-test-{secrets.token_hex(5)}")
    log: list[str] = field(default_factory=list)
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.entries = {box.name: box.entry() for box in self.boxes}
        self.path = self.folder / "machines.json"
        self.settings = BaremetalSettings(
            inventory=self.path,
            key_file=self.farm.key_file,
            connect_timeout=20,
            patience=60,
            read_patience=20,
            stop_grace=5,
        )
        self.write()

    def describe(self, box: Box, **facts: Any) -> None:
        """Change what the inventory says of a machine."""
        self.entries[box.name].update(facts)
        self.write()

    def write(self) -> None:
        content = {"as_of": "2026-01-31", "currency": "EUR", "machines": list(self.entries.values())}
        self.path.write_text(json.dumps(content))
        # Each reads the inventory anew.
        self.provider = Baremetal(settings=self.settings)
        self.platform = BaremetalPlatform(self.settings)

    def tune(self, **settings: Any) -> None:
        self.settings = self.settings.model_copy(update=settings)
        self.write()

    @property
    def build(self) -> BuildContext:
        return BuildContext(
            deployment=self.name,
            workspace_id=f"{self.name}-w",
            workspace_name="tester",
            build_id="build-1",
            owner=Owner(name="alice"),
            init_scripts=lambda os, arch: AGENT,
        )

    def context(self, key: str = "", **options: Any) -> Context:
        options = {"provider": self.provider, "build": self.build, **options}
        return Context(key=key or secrets.token_hex(8), sink=lambda _, text: self.log.append(text), **options)

    def keeper(self, box: Box) -> Any:
        return self.provider.fleet.keeper(self.provider.fleet.inventory(self.context()).by_name()[box.name])

    def status(self, box: Box) -> Any:
        return self.keeper(box).status(self.context())

    def state(self, box: Box) -> str:
        return str(self.status(box).state)

    @property
    def agent(self) -> str:
        return AGENT

    def owned(self) -> list[str]:
        return [item.identity for item in self.platform.owned_resources(self.name)]


# Stands in for the agent where a test is not about it: says what it was given, and ends politely.
AGENT = (
    'echo "agent of $USER in $PWD with $CODER_AGENT_TOKEN"; trap "date >ended; exit 0" TERM; : >started; '
    'echo "$CODER_AGENT_TOKEN" >token; while :; do sleep 0.2; done'
)


@pytest.fixture
def make_rig(farm: Farm, tmp_path: Path) -> Iterator[Callable[[int], Rig]]:
    taken: list[Box] = []

    def make(count: int) -> Rig:
        boxes = farm.take(count)
        taken.extend(boxes)
        folder = tmp_path / f"rig-{secrets.token_hex(3)}"
        folder.mkdir()
        return Rig(farm, folder, boxes)

    yield make
    for box in taken:
        if box in farm.boxes:
            farm.give_back(box)


@pytest.fixture
def rig(make_rig: Callable[[int], Rig]) -> Rig:
    """A rig with two machines."""
    return make_rig(2)
