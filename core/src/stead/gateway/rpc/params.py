"""The parameters of agents' requests, bounded and typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from stead.api.errors import InvalidInput
from stead.domain.states import AgentLifecycle, AppHealth, Path

MAX_LINES = 4096
MAX_TEXT = 256 * 1024
MAX_VALUE = 2048

Short = Annotated[str, Field(max_length=256)]


class Params(BaseModel):
    """Ignores what a newer agent may add."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Hello(Params):
    version: Annotated[str, Field(max_length=64)]
    os: Short = ""
    arch: Short = ""
    hostname: Short = ""
    boot_id: Annotated[str, Field(max_length=64)] = ""
    pid: int = 0
    capabilities: Annotated[list[Short], Field(max_length=32)] = []
    restarted: bool = False
    tunnel_key: Annotated[str, Field(max_length=128)] | None = None
    tunnel_runs: bool = True


class TunnelKey(Params):
    public_key: Annotated[str, Field(max_length=128)]


class LifecycleReport(Params):
    state: AgentLifecycle
    at: AwareDatetime


class Line(Params):
    at: AwareDatetime
    level: Literal["debug", "info", "warn", "error"] = "info"
    source: Short = ""
    script_id: Short | None = None
    text: Annotated[str, Field(max_length=MAX_TEXT)]


class Logs(Params):
    lines: Annotated[list[Line], Field(max_length=MAX_LINES)]


class Value(Params):
    key: Short
    value: str = ""
    error: str = ""
    collected_at: AwareDatetime


class Metadata(Params):
    values: Annotated[list[Value], Field(max_length=256)]


class AppHealths(Params):
    apps: Annotated[dict[Short, AppHealth], Field(max_length=256)]


class Port(Params):
    port: Annotated[int, Field(ge=1, le=65535)]
    process: Short = ""
    address: Short = ""


class Ports(Params):
    ports: Annotated[list[Port], Field(max_length=1024)]


class ScriptDone(Params):
    script_id: Short
    started_at: AwareDatetime
    finished_at: AwareDatetime
    exit_code: int
    stage: Literal["start", "stop", "cron"]
    timed_out: bool = False


class HostCertificate(Params):
    public_key: Annotated[str, Field(max_length=8192)]


class PathReport(Params):
    path: Path
    latency_ms: float | None = None


P = TypeVar("P", bound=Params)


def read(kind: type[P], params: Mapping[str, Any]) -> P:
    """
    :raises InvalidInput: names the first field that is wrong.
    """
    try:
        return kind.model_validate(params)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"{field or 'The parameters'}: {first['msg']}.", field=field or None) from None
