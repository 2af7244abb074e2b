"""Every message, as a schema that is checked when it arrives.

A call names its job by the token of the lease; no message of the provisioner has the id of a job, a workspace or a
build in it. Each call has one answer, of the type ``answer``, or :class:`Failure`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from stead.api import errors
from stead.api.errors import SteadError
from stead.api.policies import Plan
from stead.domain import records
from stead.domain.policies import Verdict
from stead.domain.states import JobKind
from stead.domain.tasks import BuildTask, ImportTask, Leftover
from stead.protocol.frames import Violation
from stead.terraform.document import Document

Answer = TypeVar("Answer")
Token = Annotated[str, Field(min_length=1, max_length=64)]
Name = Annotated[str, Field(max_length=256)]
Text = Annotated[str, Field(max_length=16 * 1024)]
Word = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,48}\z")]

LONGEST_LINE = 16 * 1024  # characters
MOST_LINES = 1000  # of one message


class Size(Enum):
    """How large the body of a message may be."""

    SMALL = "small"
    LOG = "log"
    STATE = "state"


_SMALL = 1024 * 1024
_LOG = 8 * 1024 * 1024
_BESIDE_STATE = 64 * 1024 * 1024  # of documents, graphs, archives and what else goes with a state


@dataclass(frozen=True)
class Bounds:
    """Bytes by :class:`Size`. A state travels as base64, and within JSON its text may be quoted."""

    state: int

    def of(self, size: Size) -> int:
        return {Size.SMALL: _SMALL, Size.LOG: _LOG, Size.STATE: 2 * self.state + _BESIDE_STATE}[size]


@dataclass(frozen=True)
class Message:
    """Base of all. Bytes travel as base64."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", ser_json_bytes="base64", val_json_bytes="base64", hide_input_in_errors=True
    )
    size: ClassVar[Size] = Size.SMALL


# Answers


@dataclass(frozen=True)
class Done(Message):
    """It is done, and committed where there is something to commit."""


@dataclass(frozen=True)
class Failure(Message):
    """It was refused, or failed in an expected way. ``kind`` is a class of :mod:`stead.api.errors`."""

    kind: Name
    reason: Word
    message: Text
    field: Text | None = None
    remedy: Text | None = None


@dataclass(frozen=True)
class Grant(Message):
    """A job that is the receiver's while the lease lasts. ``job_id`` names its work directory."""

    lease: Token = field(repr=False)
    job_id: Name
    kind: JobKind


@dataclass(frozen=True)
class Granted(Message):
    job: Grant | None = None


@dataclass(frozen=True)
class Beaten(Message):
    """Leases whose jobs were asked to stop, and leases that are lost."""

    canceled: tuple[Token, ...] = ()
    lost: tuple[Token, ...] = ()


@dataclass(frozen=True)
class Loaded(Message):
    """What the job needs: one of the two."""

    size: ClassVar[Size] = Size.STATE
    build: BuildTask | None = None
    imported: ImportTask | None = None


@dataclass(frozen=True)
class Leftovers(Message):
    size: ClassVar[Size] = Size.STATE
    items: tuple[Leftover, ...] = ()


@dataclass(frozen=True)
class Names(Message):
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Script(Message):
    text: str


@dataclass(frozen=True)
class Judged(Message):
    verdict: Verdict


# Calls of the provisioner


@dataclass(frozen=True)
class Call(Message, Generic[Answer]):
    """``answer`` is the type of its answer."""

    answer: ClassVar[type[Message]] = Done


@dataclass(frozen=True)
class Claim(Call[Granted]):
    """The oldest job that waits."""

    answer = Granted


@dataclass(frozen=True)
class Beat(Call[Beaten]):
    """The provisioner is alive, and works on these."""

    answer = Beaten
    leases: tuple[Token, ...] = ()


@dataclass(frozen=True)
class OfJob(Call[Answer]):
    """A call that concerns a job, which the lease names."""

    lease: Token = field(repr=False)


@dataclass(frozen=True)
class Load(OfJob[Loaded]):
    answer = Loaded


@dataclass(frozen=True)
class Harvest(OfJob[Done]):
    """A state that a dead run of the job left in its work directory."""

    size: ClassVar[Size] = Size.STATE
    state: bytes = field(repr=False)


@dataclass(frozen=True)
class Stage(OfJob[Done]):
    stage: Word


@dataclass(frozen=True)
class Line:
    at: AwareDatetime
    level: Annotated[str, Field(max_length=8)]
    source: Annotated[str, Field(max_length=64)]
    text: Annotated[str, Field(max_length=LONGEST_LINE)]


@dataclass(frozen=True)
class Log(OfJob[Done]):
    size: ClassVar[Size] = Size.LOG
    lines: Annotated[tuple[Line, ...], Field(max_length=MOST_LINES)]


@dataclass(frozen=True)
class Intend(OfJob[Done]):
    """A resource is about to be created under the key."""

    key: Name
    provider: Name
    type_name: Name
    address: Text


@dataclass(frozen=True)
class Created(OfJob[Done]):
    size: ClassVar[Size] = Size.LOG
    key: Name
    identity: Text
    state_json: str = field(repr=False)


@dataclass(frozen=True)
class NotCreated(OfJob[Done]):
    key: Name


@dataclass(frozen=True)
class Deleted(OfJob[Done]):
    key: Name


@dataclass(frozen=True)
class LeftOver(OfJob[Leftovers]):
    """What the journal knows of the job's workspace and no stored state covers."""

    answer = Leftovers


@dataclass(frozen=True)
class Forget(OfJob[Done]):
    """These are gone from the platform, or in the state."""

    keys: tuple[Name, ...]


@dataclass(frozen=True)
class Judge(OfJob[Judged]):
    """What do the policies say to this plan?"""

    size: ClassVar[Size] = Size.STATE
    answer = Judged
    plan: Plan


@dataclass(frozen=True)
class ShutDown(OfJob[Done]):
    """Ask the workspace's agents to run their shutdown scripts."""


@dataclass(frozen=True)
class Outstanding(OfJob[Names]):
    """Names of the agents that have not run theirs."""

    answer = Names


@dataclass(frozen=True)
class InitScript(OfJob[Script]):
    """The bootstrap script of agents."""

    answer = Script
    os: Name
    arch: Name


@dataclass(frozen=True)
class Complete(OfJob[Done]):
    """The build succeeded. ``document`` is what Terraform made; ids and seals are the control plane's."""

    size: ClassVar[Size] = Size.STATE
    state: bytes | None = field(repr=False)
    document: Document = field(repr=False)
    parameters: Mapping[str, str]
    daily_cost: int


@dataclass(frozen=True)
class Found:
    """What an import found."""

    readme: str
    parameters: tuple[records.Parameter, ...]
    presets: tuple[records.Preset, ...]
    variables: tuple[records.Variable, ...]
    providers: tuple[records.ProviderChoice, ...]
    graph: str | None = field(repr=False)
    lock: bytes | None = field(repr=False)


@dataclass(frozen=True)
class CompleteImport(OfJob[Done]):
    size: ClassVar[Size] = Size.STATE
    found: Found


@dataclass(frozen=True)
class Fail(OfJob[Done]):
    """The job ended with an error; ``state`` is how far Terraform got."""

    size: ClassVar[Size] = Size.STATE
    failure: Failure
    state: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Release(OfJob[Done]):
    """The job is given back unfinished."""

    size: ClassVar[Size] = Size.STATE
    state: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Abandoned(Call[Leftovers]):
    """What dead runs may have left of workspaces that no job is about to touch; without what providers knew of it."""

    answer = Leftovers


@dataclass(frozen=True)
class Swept(Call[Done]):
    """Of the last :class:`Abandoned`, these are gone."""

    keys: tuple[Name, ...]


CALLS: Mapping[str, type[Call[Any]]] = {
    kind.__name__: kind
    for kind in (
        *(Claim, Beat, Load, Harvest, Stage, Log, Intend, Created, NotCreated, Deleted, LeftOver, Forget, Judge),
        *(ShutDown, Outstanding, InitScript, Complete, CompleteImport, Fail, Release, Abandoned, Swept),
    )
}


# What the control plane says by itself


class ProcessSettings(BaseModel, frozen=True, extra="forbid"):
    """The settings of a provisioner process: those that it needs, and no others.

    :param sections: ``[plugins.NAME]`` of the plugins that bring providers or platforms.
    """

    access_url: str
    work_dir: Path
    allow_host: bool
    log_level: str
    trace: bool
    concurrency: int
    poll: float
    grace: float
    job_lease: float
    build_timeout: float
    sweep_interval: float
    shutdown_timeout: float
    max_state_bytes: int
    terraform_binary: Path | None
    plugin_cache: Path
    terraform_mirror: Path | None
    terraform_network: bool
    terraform_cli_config: Path | None
    terraform_warm: int
    terraform_environment: tuple[str, ...]
    plugins_disabled: tuple[str, ...]
    sections: Mapping[str, Mapping[str, Any]] = Field(repr=False)


@dataclass(frozen=True)
class Welcome(Message):
    """The first message of all."""

    size: ClassVar[Size] = Size.STATE
    provisioner_id: Name
    deployment_id: Name
    settings: ProcessSettings


@dataclass(frozen=True)
class Wake(Message):
    """There may be a job to claim."""


@dataclass(frozen=True)
class Cancel(Message):
    """Somebody wants the job of this lease to end."""

    lease: Token = field(repr=False)


NOTICES: Mapping[str, type[Message]] = {kind.__name__: kind for kind in (Welcome, Wake, Cancel)}

_ADAPTERS: dict[type[Message], TypeAdapter[Any]] = {}


def _adapter(kind: type[Message]) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


M = TypeVar("M", bound=Message)


def encode(message: Message) -> bytes:
    """The body of a message.

    :raises InvalidInput: a text in it is none that can be written.
    """
    try:
        return bytes(_adapter(type(message)).dump_json(message))
    except PydanticSerializationError as error:
        raise errors.InvalidInput(f"What is to be told to the other process cannot be written ({error}).") from None


def decode(kind: type[M], body: bytes) -> M:
    """The message in a body.

    :raises Violation: it does not fit; says where, and nothing of what it holds.
    """
    try:
        message: M = _adapter(kind).validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part)[:40] for part in first["loc"][:6])
        raise Violation(f"a message {kind.__name__} that does not fit: {where}: {first['type']}") from None
    return message


def check(message: Message) -> None:
    """Whether the other end will take what a template has put into a message.

    :raises InvalidInput: it will not; says where it does not fit.
    """
    try:
        decode(type(message), encode(message))
    except Violation as error:
        raise errors.InvalidInput(f"What the template declares is not acceptable: {error}.") from None


# Errors on their way through the connection

_KINDS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, SteadError)}
_LONGEST = 8 * 1024
_WORD = re.compile(r"[a-z0-9_]{1,48}")


def failure_of(error: SteadError) -> Failure:
    """An error as a message: its nearest public class, its word, its texts."""
    kind = next(known.__name__ for known in type(error).__mro__ if known.__name__ in _KINDS)
    remedy = error.remedy[:_LONGEST] if error.remedy else None
    field_ = error.field[:_LONGEST] if error.field else None
    reason = error.reason if _WORD.fullmatch(error.reason) else _KINDS[kind].reason
    return Failure(kind, reason, error.message[:_LONGEST], field_, remedy)


def error_of(failure: Failure) -> SteadError:
    """The error that a message tells of."""
    error = _KINDS.get(failure.kind, SteadError)(failure.message, field=failure.field, remedy=failure.remedy)
    if error.reason != failure.reason:
        error.reason = failure.reason  # type: ignore[misc]  # of this one error, not of its class
    return error
