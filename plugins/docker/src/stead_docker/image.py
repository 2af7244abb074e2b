"""``docker_image``."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from stead.api.errors import ResourceConflict, ResourceNotFound
from stead.api.provider import BlockSchema, Context, Nesting, Plan, Resource, attribute, block, is_known
from stead_docker.durations import is_duration, nanoseconds
from stead_docker.engine import engine_of
from stead_docker.image_build import Build, build_image
from stead_docker.pulling import ensure_image, inspect_image, pull

MAKING = ("build", "platform", "pull_triggers", "triggers")  # what only matters while the image is made


class Timeouts(BlockSchema):
    """How long the steps may take."""

    create: str | None = attribute(optional=True, validators=[is_duration], description="20m and the like.")
    update: str | None = attribute(
        optional=True, validators=[is_duration], description="Accepted: an update is immediate."
    )
    delete: str | None = attribute(optional=True, validators=[is_duration], description="20m and the like.")


def limited(context: Context, duration: str | None) -> Context:
    """The context with a nearer deadline, where a duration gives one."""
    if not duration:
        return context
    deadline = time.monotonic() + nanoseconds(duration) / 1e9
    return replace(context, deadline=min(deadline, context.deadline or deadline))


class Image(Resource, name="docker_image"):
    """An image of the engine: built from a context, present already, or pulled."""

    id: str = attribute(computed=True)
    name: str = attribute(required=True, force_new=True, description="Name with tag or digest.")
    image_id: str = attribute(computed=True, description="sha256:… of the image's configuration.")
    repo_digest: str = attribute(computed=True, description="name@sha256:… by which its registry knows it.")
    platform: str | None = attribute(optional=True, force_new=True, description="linux/arm64 and the like.")
    keep_locally: bool | None = attribute(optional=True, description="Keep the image when the resource is destroyed.")
    force_remove: bool | None = attribute(optional=True, description="Remove it although it is tagged or used.")
    pull_triggers: set[str] | None = attribute(
        optional=True, force_new=True, conflicts_with=["build"], description="A change pulls the image anew."
    )
    triggers: dict[str, str] | None = attribute(
        optional=True, force_new=True, description="A change makes the image anew."
    )
    build: list[Build] = block(Build, nesting=Nesting.SET, max_items=1, force_new=True)
    timeouts: Timeouts | None = block(Timeouts, nesting=Nesting.SINGLE)

    def plan(self, context: Context, plan: Plan) -> None:
        """An imported image does not tell how it came to be: what the template says of that is taken over once."""
        prior = plan.prior
        if prior is None or context.key or any(getattr(prior, name) for name in MAKING):
            return
        if self.build and prior.repo_digest:
            return  # it came from a registry, and is to be built now
        digest = prior.repo_digest.partition("@")[2]
        if self.pull_triggers and digest not in self.pull_triggers:
            return  # there is a newer one
        for name in MAKING:
            plan.allow_in_place(name)

    def create(self, context: Context) -> None:
        context = limited(context, self.timeouts.create if self.timeouts else None)
        if self.build:
            build_image(context, self.name, self.build[0], self.platform)
            built = inspect_image(context, self.name)
            if built is None:
                raise ResourceConflict(f"Image {self.name} was removed while it was being built.", field="name")
            self._assign(built)
            return
        if self.pull_triggers:
            pull(context, self.name, field="name", platform=self.platform)
        self._assign(ensure_image(context, self.name, field="name", platform=self.platform))

    def _assign(self, found: dict[str, Any]) -> None:
        self.image_id = found["Id"]
        self.id = f"{found['Id']}{self.name}"
        repository = self.name.partition("@")[0].rpartition(":")[0] or self.name
        digests = found.get("RepoDigests") or []
        own = [digest for digest in digests if digest.partition("@")[0].endswith(repository)]
        self.repo_digest = next(iter(own or digests), "")

    def read(self, context: Context) -> bool:
        found = inspect_image(context, self.name)
        if found is None or (is_known(self.image_id) and self.image_id and found["Id"] != self.image_id):
            return False  # gone, or another image has the name now
        self._assign(found)
        return True

    def update(self, context: Context, prior: Image) -> None:
        """Only what counts at destroy has changed."""

    def delete(self, context: Context) -> None:
        if self.keep_locally:
            return
        context = limited(context, self.timeouts.delete if self.timeouts else None)
        force = bool(self.force_remove)
        try:
            engine_of(context).remove(
                context,
                f"Image {self.name} could not be removed",
                lambda c: c.remove_image(self.name, force=force),
            )
        except ResourceConflict as conflict:
            # An image may serve many workspaces: the last one that uses it takes it away.
            context.log(f"Image {self.name} stays: {conflict.message}")

    @property
    def identity(self) -> str:
        """Its name, once there is an image of that name: a build that failed has made nothing."""
        return self.name if is_known(self.image_id) and self.image_id else ""

    @classmethod
    def import_(cls, context: Context, identity: str) -> Image | None:
        found = inspect_image(context, identity)
        if found is None:
            return None
        named = [tag for tag in found.get("RepoTags") or () if not identity.startswith("sha256:")]
        image = cls(name=identity if named or identity.startswith("sha256:") else found["Id"])
        image._assign(found)
        return image


def find_image(context: Context, name: str) -> dict[str, Any]:
    """An image that must be there already."""
    found = inspect_image(context, name)
    if found is None:
        raise ResourceNotFound(
            f"The engine has no image {name}.",
            field="name",
            remedy="Pull or build it first, or use the resource docker_image, which does.",
        )
    return found
