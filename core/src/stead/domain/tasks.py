"""What a provisioner is given to do a job. All of it may hold secrets: of this one job, and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stead.api.provider import Owner
from stead.domain.records import ProviderChoice
from stead.domain.states import Transition


@dataclass(frozen=True)
class ImportTask:
    """A template version to import. ``variables`` may hold secrets."""

    version_id: str
    version_name: str
    template_id: str
    template_name: str
    archive: bytes = field(repr=False)
    variables: Mapping[str, str] = field(repr=False)
    owner: Owner


@dataclass(frozen=True)
class Leftover:
    """Something that a dead or failed run may have left on a platform, outside of any state."""

    key: str
    provider: str
    type_name: str
    identity: str = ""
    state_json: str = field(default="", repr=False)
    age: float = 0.0  # seconds since the journal last heard of it


@dataclass(frozen=True)
class BuildTask:
    """A build to run, with everything that decides its outcome."""

    build_id: str
    number: int
    transition: Transition
    orphan: bool
    workspace_id: str
    workspace_name: str
    version_id: str
    version_name: str
    template_id: str
    template_name: str
    archive: bytes = field(repr=False)
    variables: Mapping[str, str] = field(repr=False)
    graph: str | None = field(repr=False)
    lock: bytes | None = field(repr=False)
    providers: tuple[ProviderChoice, ...]
    parameters: Mapping[str, str]
    previous_parameters: Mapping[str, str]
    state: bytes | None = field(repr=False)
    leftovers: tuple[Leftover, ...]
    owner: Owner

    @property
    def needs_no_run(self) -> bool:
        """A delete that forgets everything, or of a workspace that never came to be."""
        never = self.state is None and not self.leftovers
        return self.transition is Transition.DELETE and (self.orphan or never)
