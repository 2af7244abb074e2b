"""What an organisation allows: the contract of policies.

A policy judges twice. First a request for a build, before it is written: who asks, for which workspace, of which
template version, with which parameters. Then the plan that Terraform made, before it is applied: every resource, what
becomes of it, its attributes, and its price where that is known. It answers with findings::

    class OnlyDebian(Policy):
        def judge_plan(self, request, plan):
            for resource in plan.of_type("docker_image"):
                for where, name in resource.values("name"):
                    if not str(name).startswith("debian:"):
                        yield deny(f"The image {name} is no Debian.", where=where, remedy="Choose debian:13.")

    @hookimpl
    def stead_policies():
        return [PolicySpec("only-debian", "Debian images", lambda settings: OnlyDebian())]

Administrators enable it with a table ``[policies.only-debian]``. No finding is consent. An exception, an answer that is
none, and one that takes too long are denials: a policy is not passed by breaking it. Policies are called from many
threads at once, and ask nobody without a deadline of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from stead.api.records import NoSettings

START: frozenset[str] = frozenset({"start"})

#: Names in ``[policies.NAME]`` that the core reads itself; a policy's settings have none of them.
POLICY_CORE_SETTINGS = frozenset({"policy", "enabled", "templates", "mode", "deadline"})


class Severity(StrEnum):
    DENY = "deny"
    WARN = "warn"


@dataclass(frozen=True)
class Finding:
    """One thing that a policy has to say. Made by :func:`deny` and :func:`warn`.

    :param message: what people read; never holds a secret.
    :param where: what it is about: ``parameters.NAME`` of a request, an attribute of a plan as
        :meth:`PlannedResource.values` names it, or the address of a resource.
    :param remedy: what to do, where it is not plain from the message.
    """

    severity: Severity
    message: str
    where: str = ""
    remedy: str = ""


def deny(message: str, *, where: str = "", remedy: str = "") -> Finding:
    """The build must not be."""
    return Finding(Severity.DENY, message, where, remedy)


def warn(message: str, *, where: str = "", remedy: str = "") -> Finding:
    """The build may be, and whoever asked for it reads this in its log."""
    return Finding(Severity.WARN, message, where, remedy)


class Fact(BaseModel):
    """Base of what policies are given: it cannot be changed, and crosses a process as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Who(Fact):
    id: str
    name: str
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class BuildRequest(Fact):
    """A build that somebody asks for.

    :param owner: whose workspace it is; ``initiator`` may be somebody else, or the system.
    :param number: of the build in its workspace; 1 makes the workspace.
    :param other_workspaces: how many the owner has beside this one.
    :param parameters: all values, also those that nobody changed. What people type unseen is in ``masked`` instead.
    :param reason: why it is: ``initiator``, ``restart`` …
    """

    transition: Literal["start", "stop", "delete"]
    initiator: Who
    owner: Who
    template: str
    version: str
    workspace: str
    number: int
    other_workspaces: int = 0
    parameters: Mapping[str, str] = Field(default_factory=dict)
    masked: tuple[str, ...] = ()
    reason: str = "initiator"


class PlannedAction(StrEnum):
    """What becomes of a resource. KEEP: it is there and stays as it is. READ: a data source."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    KEEP = "keep"
    READ = "read"


class Withheld:
    """Stands for a value that is not told: it is sensitive, or known only after the apply."""

    def __repr__(self) -> str:
        return "(not told)"


WITHHELD = Withheld()
_INDEX = re.compile(r"\[[^\]]*\]")


class PlannedResource(Fact):
    """A resource of a plan.

    :param address: ``docker_image.main``, ``module.vm.aws_instance.this[0]``.
    :param provider: full address: ``registry.terraform.io/kreuzwerker/docker``.
    :param attributes: as they will be; as they were, where it goes. Data sources have none.
    :param withheld: paths of attributes that are not in ``attributes`` because they are sensitive, very long, or
        known only after the apply.
    :param hourly: what it costs per hour from a platform's price table; ``None`` where that is not known.
    """

    address: str
    type: str
    provider: str
    action: PlannedAction
    attributes: Mapping[str, Any] = Field(default_factory=dict, repr=False)
    withheld: tuple[str, ...] = ()
    hourly: float | None = None
    currency: str = ""

    @property
    def stays(self) -> bool:
        """Whether it is there after the apply."""
        return self.action not in (PlannedAction.DELETE, PlannedAction.READ)

    def values(self, path: str) -> Iterator[tuple[str, Any]]:
        """Every value at a path through blocks, each with where it is.

        ``values("spec.container.image")`` of a pod gives
        ``("kubernetes_pod.main.spec[0].container[0].image", "debian:13")`` and so on. A value that is not told comes as
        :data:`WITHHELD`; one that is not set does not come.
        """
        for where, value in _at(self.attributes, path.split(".")):
            yield f"{self.address}.{where}", value
        for hidden in self.withheld:
            plain = _INDEX.sub("", hidden)
            if path == plain or path.startswith(f"{plain}."):
                yield f"{self.address}.{hidden}", WITHHELD


def _at(value: Any, path: list[str], where: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _at(item, path, f"{where}[{index}]")
    elif not path:
        if value is not None:
            yield where, value
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _at(value[path[0]], path[1:], f"{where}.{path[0]}" if where else path[0])


class Plan(Fact):
    """What an apply would do.

    :param daily_cost: what the template says that the workspace costs (``coder_metadata``), in its own unit.
    """

    resources: tuple[PlannedResource, ...] = Field(default=(), max_length=10_000)
    daily_cost: int = 0

    def of_type(self, *patterns: str) -> Iterator[PlannedResource]:
        """Resources that are there after the apply, of the types that these patterns name (``aws_*``)."""
        for resource in self.resources:
            if resource.stays and any(fnmatchcase(resource.type, pattern) for pattern in patterns):
                yield resource


class Policy:
    """What a :class:`PolicySpec`'s factory returns. Override one of the two, or both."""

    def judge_request(self, request: BuildRequest) -> Iterable[Finding]:
        """What there is to say to a request for a build."""
        del request
        return ()

    def judge_plan(self, request: BuildRequest, plan: Plan) -> Iterable[Finding]:
        """What there is to say to the plan of a build."""
        del request, plan
        return ()


@dataclass(frozen=True)
class PolicySpec:
    """A policy that administrators can enable, any number of times, each in a ``[policies.NAME]``.

    :param name: slug, unique among all plugins.
    :param title: what people see.
    :param factory: called once for each configured policy, with an instance of ``settings``. Where it raises, the
        server does not start.
    :param settings: pydantic model of what it needs to know. The names in :data:`POLICY_CORE_SETTINGS` are the core's.
    :param transitions: of the builds that it judges. Whoever judges ``stop`` or ``delete`` can keep people from
        getting rid of what costs money.
    """

    name: str
    title: str
    factory: Callable[[Any], Policy]
    settings: type[BaseModel] = NoSettings
    transitions: frozenset[str] = START
