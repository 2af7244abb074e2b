"""The life of one resource as the engine leads it, for tests of what goes wrong on the way.

The engine itself takes seconds for a life; a table of every type and every fault has hundreds of them. This keeps to
what the engine does with keys, states (``stead.terraform.serving.lifecycle``) and leftovers
(``stead.provisioner.recovery``).
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stead.api import OwnedResource, Platform
from stead.api.errors import SteadError
from stead.api.provider import Context, Plan, Resource
from stead.terraform.serving.planning import changed_fields, planned


@dataclass
class Life:
    """One resource of a template, through applies that fail or not.

    :param config: with the arguments that a template gives.
    :param context: makes a context for a key.
    :param state: what the last apply has left in the state.
    :param failed: keys of creations that failed, as the journal knows them.
    """

    config: Resource
    context: Callable[[str], Context]
    platform: Platform
    deployment: str
    state: Resource | None = None
    key: str = ""
    tainted: bool = False
    failed: set[str] = field(default_factory=set)

    def apply(self) -> Resource:
        """Refresh, take away what a failed creation has left in the state, and create or change what is to be."""
        self.refresh()
        if self.state is not None and self.tainted:
            self.destroy()
        return self._create() if self.state is None else self._update(self.state)

    def refresh(self) -> None:
        if self.state is not None and not self.state.read(self.context(self.key)):
            self.state = None

    def _create(self) -> Resource:
        self.key, self.tainted = secrets.token_hex(16), False
        made = planned(None, copy.deepcopy(self.config))
        context = self.context(self.key)
        made.plan(context, Plan("create"))
        try:
            made.create(context)
        except SteadError:
            if made.identity:
                self.state, self.tainted = made, True
            else:
                self.failed.add(self.key)
            raise
        self.state = made
        return made

    def _update(self, prior: Resource) -> Resource:
        wanted, context = planned(prior, copy.deepcopy(self.config)), self.context(self.key)
        changed = changed_fields(prior, wanted)
        wanted.plan(context, Plan("update" if changed else "none", prior=prior, changed=changed))
        if changed:
            wanted.update(context, prior)
            self.state = wanted
        return wanted

    def differences(self) -> set[str]:
        """What a second plan would change; ``{"all of it"}`` where it is gone."""
        self.refresh()
        if self.state is None:
            return {"all of it"}
        return changed_fields(self.state, planned(self.state, copy.deepcopy(self.config)))

    def destroy(self) -> None:
        """Remove it; what is not in the state is not removed."""
        if self.state is not None:
            self.state.delete(self.context(self.key))
            self.state = None

    def owned(self) -> Sequence[OwnedResource]:
        """What the platform tells of creations that failed."""
        return [item for item in self.platform.owned_resources(self.deployment) if item.key in self.failed]

    def sweep(self) -> None:
        """Remove what failed creations have left, once for each key, as the provisioner does."""
        for item in {item.key: item for item in self.owned()}.values():
            self.platform.destroy_owned(item)
