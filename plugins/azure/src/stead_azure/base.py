"""What the resource types have in common: names, tags, time-outs, and the way of a creation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

from stead.api.errors import ProviderFailure, ResourceConflict, ResourceNotFound, SteadError
from stead.api.provider import BlockSchema, Context, Resource, attribute, is_known, matches
from stead.api.provider.durations import is_duration, seconds
from stead_azure import ids
from stead_azure import tags as tagging
from stead_azure.cloud import Found, cloud_of, limited
from stead_azure.failures import is_refused
from stead_azure.operations import Kind

GROUP_NAME = matches(
    r"[-\w._()]{0,89}[-\w_()]",
    "must have 1 to 90 letters, digits, '-', '_', '.', '(' and ')', and must not end with '.'",
)
NAME = matches(
    r"[a-zA-Z0-9]([-\w._]{0,78}[a-zA-Z0-9_])?",
    "must begin with a letter or digit, end with a letter, digit or '_', and have at most 80 of these, '-' and '.'",
)
GROUP = "Resource group that holds it."
LOCATION = "Region: westeurope, or West Europe."


class Timeouts(BlockSchema):
    """How long to wait."""

    create: str | None = attribute(optional=True, validators=[is_duration], description="For its creation: 30m.")
    read: str | None = attribute(optional=True, validators=[is_duration], description="To be read.")
    update: str | None = attribute(optional=True, validators=[is_duration], description="For a change.")
    delete: str | None = attribute(optional=True, validators=[is_duration], description="For its end.")


class ReadTimeouts(BlockSchema):
    """How long to wait."""

    read: str | None = attribute(optional=True, validators=[is_duration], description="To be read: 5m.")


class FixedTimeouts(BlockSchema):
    """How long to wait."""

    create: str | None = attribute(optional=True, validators=[is_duration], description="For its creation: 30m.")
    read: str | None = attribute(optional=True, validators=[is_duration], description="To be read.")
    delete: str | None = attribute(optional=True, validators=[is_duration], description="For its end.")


def given(value: Any) -> Any:
    """The value where a template gives one; ``None`` where it is null or not known yet."""
    return value if is_known(value) else None


def region(name: str) -> str:
    """Regions as Azure compares them: West Europe is westeurope."""
    return name.replace(" ", "").lower()


def same_region(prior: str, planned: str) -> bool:
    return region(prior) == region(planned)


def same_text(prior: str, planned: str) -> bool:
    """Azure's names and constants do not distinguish case."""
    return prior.lower() == planned.lower()


def pruned(body: Any) -> Any:
    """Without what is ``None``, at every depth."""
    if isinstance(body, dict):
        return {name: pruned(value) for name, value in body.items() if value is not None}
    return [pruned(item) for item in body] if isinstance(body, list) else body


def reference(identity: str | None) -> Found | None:
    """How bodies name another resource."""
    return {"id": identity} if identity else None


def referred(found: Any) -> str:
    """The id in such a reference; empty where there is none."""
    return str((found or {}).get("id") or "")


@contextmanager
def told(resource: Any, identity: str) -> Iterator[None]:
    """Make something that bears no tags, so that no listing finds it.

    Where Azure may have made it although the call failed, the state tells of it, and the next run removes it.
    """
    try:
        yield
    except SteadError as failure:
        if not is_refused(failure.__cause__):
            resource.id = identity
        raise


class Arm(Resource):
    """A thing of Azure's resource manager: put under its name, found and removed by it."""

    kind: ClassVar[Kind]
    path: ClassVar[tuple[str, ...]]  # namespace and kinds, as ids have them
    wait: ClassVar[float] = 1800.0  # seconds that a change may take where ``timeouts`` says nothing

    def names(self) -> tuple[str, ...]:
        """What the SDK's methods take: the group, and the names from the outer to the inner."""
        return (self.resource_group_name, self.name)  # type: ignore[attr-defined]

    def made_id(self, context: Context) -> str:
        group, *names = self.names()
        return str(ids.Id(cloud_of(context).subscription, group, self.path[0], self.path[1:], tuple(names)))

    @property
    def called(self) -> str:
        return f"{self.kind.title} {self.names()[-1]}"

    def limited(self, context: Context, step: str) -> Any:
        text = given(getattr(getattr(self, "timeouts", None), step, None))
        default = 300.0 if step == "read" else self.wait
        return limited(context, seconds(text) if text else default)

    def look(self, context: Context, **options: Any) -> Found | None:
        """What Azure knows of it; ``None`` where there is none."""
        return cloud_of(context).find(
            context, f"{self.called} could not be read", self.kind.get, *self.names(), **options
        )

    def expect(self, context: Context, **options: Any) -> Found | None:
        """As :meth:`look`, of what was made a moment ago: not every server of Azure may know it yet."""
        settings = cloud_of(context).settings
        until = time.monotonic() + settings.settle
        while (found := self.look(context, **options)) is None and time.monotonic() < until:
            context.wait(min(settings.poll, 2.0))
        return found

    def must_look(self, context: Context, **options: Any) -> Found:
        found = self.look(context, **options)
        if found is None:
            raise ResourceNotFound(f"{self.called} was deleted by somebody while it was being changed.")
        return found

    def is_own(self, context: Context, found: Found) -> bool:
        """Whether an earlier try of this very creation has made it."""
        return tagging.carries(found, context.key)

    def make(
        self, context: Context, body: Found, *, field: str | Callable[[ProviderFailure], str | None] | None = None
    ) -> Found:
        """Create it once, and leave nothing behind where that fails."""
        present = self.look(context)
        if present is not None and not self.is_own(context, present):
            raise ResourceConflict(
                f"{self.called} exists already.",
                field="name",
                remedy="Choose another name, or import it: Stead does not take over what it has not made.",
            )
        try:
            doing = f"{self.called} could not be created"
            return cloud_of(context).patient(context, doing, self.kind.put, *self.names(), body, field=field)
        except SteadError as error:
            self.discard(context, error)
            raise

    def discard(self, context: Context, why: SteadError) -> None:
        """Remove what a failed creation has made, whatever else goes wrong; the sweep finds it otherwise."""
        late = self.late(context)
        try:
            found = self.look(late)
            if found is not None and self.is_own(late, found):
                context.log(f"{self.called} is removed again: {why.message}", "warn")
                self.remove(late)
        except SteadError as error:
            context.log(f"{self.called} may be left over: {error}", "warn")

    @staticmethod
    def late(context: Context) -> Context:
        """A context to clean up in, though the build is canceled or out of time."""
        until = time.monotonic() + cloud_of(context).settings.cleanup
        return Context(
            provider=context.provider, build=context.build, key=context.key, sink=context.sink, deadline=until
        )

    def change(self, context: Context, body: Found, **options: Any) -> Found:
        """Put it again with other values."""
        doing = f"{self.called} could not be changed"
        return cloud_of(context).patient(context, doing, self.kind.put, *self.names(), body, **options)

    def remove(self, context: Context, **options: Any) -> bool:
        """Remove it, and come back when it is gone."""
        doing = f"{self.called} could not be deleted"
        return cloud_of(context).remove(context, doing, self.kind.delete, *self.names(), **options)

    def delete(self, context: Context) -> None:
        with self.limited(context, "delete") as inner:
            self.remove(inner)

    @classmethod
    def from_id(cls, identity: str) -> Self | None:
        """An instance that has the names of this id, and nothing else."""
        found = ids.parse(identity)
        if found is None or not found.is_kind(*cls.path):
            return None
        return cls.named(found)

    @classmethod
    def named(cls, found: ids.Id) -> Self:
        return cls(id=str(found), resource_group_name=found.group, name=found.name)

    @classmethod
    def import_(cls, context: Context, identity: str) -> Self | None:
        thing = cls.from_id(identity)
        if thing is None:
            raise ProviderFailure(f"{identity!r} is no id of {cls.type_name}.", remedy="Take it from the portal.")
        # As Azure itself writes it, whatever the case of the letters that were given.
        thing.id = thing.made_id(context)  # type: ignore[attr-defined]
        return thing if thing.read(context) else None


class Tagged(Arm):
    """A thing that bears tags."""

    tags: dict[str, str] | None = attribute(optional=True, validators=[tagging.valid], description="Tags.")

    def all_tags(self, context: Context, present: Found | None = None) -> tagging.Tags:
        return tagging.merged(given(self.tags), (present or {}).get("tags"), context.labels)

    def read_tags(self, found: Found) -> None:
        seen = tagging.visible(found.get("tags"))
        self.tags = seen or ({} if given(self.tags) == {} else None)

    def read_location(self, found: Found) -> None:
        """Keep the way in which the template writes it."""
        prior = given(getattr(self, "location", None))
        if prior is None or not same_region(prior, found["location"]):
            self.location = region(found["location"])
