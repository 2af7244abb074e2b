"""One resource, built again and again as the engine does it, for tests in which something goes wrong on the way."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from stead.api.errors import SteadError
from stead.api.provider import Resource
from stead.terraform.serving.lifecycle import settled
from stead.terraform.serving.planning import changed_fields, planned
from stead.testing.conformance.rig import Rig

R = TypeVar("R", bound=Resource)


@dataclass
class Builds:
    """What Terraform and the journal know of one resource, over several builds of it.

    :ivar state: the resource as the state has it between two builds, or ``None``.
    :ivar tainted: its creation failed after it was known: the next build removes it and makes it anew.
    :ivar lost: keys of creations that failed before anything was known. The sweep has them.
    :ivar done: what the last build did: ``create``, ``update``, ``replace``, ``destroy``, or nothing.
    """

    rig: Rig
    state: Resource | None = None
    key: str = ""
    tainted: bool = False
    lost: list[str] = field(default_factory=list)
    done: str = ""

    def apply(self, config: Resource) -> None:
        """Refresh, plan, and do what is planned. Raises what the platform's provider raises."""
        self.done = ""
        self._refresh()
        if self.state is not None and self.tainted:
            self._delete()
        if self.state is None:
            self._create(config)
            return
        planned_now = self._plan(config)
        if planned_now is None:
            self._delete()
            self._create(config)
            self.done = "replace"
        elif changed_fields(self.state, planned_now):
            self.done = "update"
            planned_now.update(self.rig.context(self.key), copy.deepcopy(self.state))
            self.state = _kept(planned_now)

    def destroy(self) -> None:
        self.done = ""
        destroying = replace(self.rig.build, transition="destroy")
        self._refresh(build=destroying)
        if self.state is not None:
            self._delete(build=destroying)

    def attempt(self, step: Callable[[], None]) -> SteadError | None:
        """Take a step; a failure of the provider's is given back. Another exception is a defect of it."""
        try:
            step()
        except SteadError as failure:
            return failure
        return None

    def sweep(self) -> list[str]:
        """Remove what is owned and not in the state, as the server does once builds are over; gives its types."""
        mine = [item for item in self.rig.owned() if item.key != self.key or self.state is None]
        for item in mine:
            if self.rig.platform is not None:
                self.rig.platform.destroy_owned(item)
        return [item.type_name for item in mine]

    @property
    def known(self) -> frozenset[str]:
        """Keys that the state or the journal has: what exists under another one is an orphan."""
        return frozenset({self.key, *self.lost} - {""})

    def _refresh(self, **options: Any) -> None:
        if self.state is None:
            return
        seen = copy.deepcopy(self.state)
        if seen.read(self.rig.context(self.key, **options)):
            self.state = _kept(seen)
        else:
            self.state, self.tainted = None, False

    def _plan(self, config: Resource) -> Resource | None:
        """``None``: it has to be replaced."""
        assert self.state is not None
        same = planned(self.state, copy.deepcopy(config))
        if not changed_fields(self.state, same):
            return same
        return self.rig.planned_change(copy.deepcopy(self.state), copy.deepcopy(config))

    def _create(self, config: Resource) -> None:
        self.done = "create"
        made, key = self.rig.planned(copy.deepcopy(config)), self.rig.key()
        try:
            made.create(self.rig.context(key))
        except SteadError:
            if made.identity:
                self.state, self.key, self.tainted = _kept(made), key, True
            else:
                self.lost.append(key)
            raise
        self.state, self.key, self.tainted = _kept(made), key, False

    def _delete(self, **options: Any) -> None:
        assert self.state is not None
        self.done = "destroy"
        copy.deepcopy(self.state).delete(self.rig.context(self.key, **options))
        self.state, self.tainted = None, False


def _kept(instance: R) -> R:
    """As it comes out of a state: what was left unknown is null."""
    raw: dict[str, Any] = settled(instance)[0]
    kept: R = type(instance).decode(raw)
    return kept
