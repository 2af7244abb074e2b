"""What every job of this process works with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stead.plugins import PluginRegistry
from stead.protocol.messages import ProcessSettings
from stead.provisioner.link import Link
from stead.terraform.engine import Engine


@dataclass(frozen=True)
class Workshop:
    """:param deployment_id: which things on a platform are ours."""

    provisioner_id: str
    deployment_id: str
    settings: ProcessSettings
    link: Link
    plugins: PluginRegistry
    engine: Engine

    @property
    def work_dir(self) -> Path:
        return self.settings.work_dir
