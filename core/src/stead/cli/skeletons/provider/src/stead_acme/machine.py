"""``acme_machine``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stead.api.provider import Context, Resource, attribute, between, matches

if TYPE_CHECKING:
    from stead_acme.cloud import Cloud


def cloud_of(context: Context) -> Cloud:
    cloud: Cloud = context.provider.cloud  # type: ignore[union-attr]
    return cloud


class Machine(Resource, name="acme_machine"):
    """A machine."""

    id: str = attribute(computed=True)
    name: str = attribute(
        required=True,
        force_new=True,
        validators=[matches(r"[a-z][a-z0-9-]{0,62}", "must be lower-case letters, digits and hyphens")],
        description="Its name; unique on the platform.",
    )
    memory: int = attribute(default=4, validators=[between(1, 512)], description="Memory, GiB.")
    user_data: str | None = attribute(optional=True, sensitive=True, description="What it runs at its start.")

    def create(self, context: Context) -> None:
        machine = {"memory": self.memory, "user_data": self.user_data, "labels": context.labels}
        cloud_of(context).create(self.name, machine)
        self.id = self.name

    def read(self, context: Context) -> bool:
        found = cloud_of(context).find(self.id)
        if found is None:
            return False
        self.name, self.memory, self.user_data = self.id, found["memory"], found["user_data"]
        return True

    def update(self, context: Context, prior: Machine) -> None:
        del prior
        cloud_of(context).update(self.id, {"memory": self.memory, "user_data": self.user_data})

    def delete(self, context: Context) -> None:
        cloud_of(context).delete(self.id)

    @classmethod
    def import_(cls, context: Context, identity: str) -> Machine | None:
        machine = cls(id=identity)
        return machine if machine.read(context) else None
