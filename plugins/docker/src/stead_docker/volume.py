"""``docker_volume``."""

from __future__ import annotations

from typing import Any

from stead.api.errors import ResourceConflict
from stead.api.provider import Context, Nesting, Resource, attribute, block, is_known
from stead_docker.engine import engine_of
from stead_docker.labels import KEY, Label, blocks_of, carries, merged, same_workspace


class Volume(Resource, name="docker_volume"):
    """A volume of the engine. It outlives the containers that use it."""

    id: str = attribute(computed=True)
    name: str | None = attribute(
        optional=True,
        computed=True,
        force_new=True,
        description="Name; the engine makes one up where none is given.",
    )
    driver: str = attribute(default="local", force_new=True, description="Volume driver.")
    driver_opts: dict[str, str] | None = attribute(optional=True, force_new=True, description="Options of the driver.")
    mountpoint: str = attribute(computed=True, description="Where the volume is on the engine's machine.")
    labels: list[Label] = block(Label, nesting=Nesting.SET, force_new=True)

    def create(self, context: Context) -> None:
        found = self._own(context)
        if found is None and is_known(self.name) and self.name is not None:
            found = self._taken(context, self.name)
        self._assign(found or self._make(context))

    def _own(self, context: Context) -> dict[str, Any] | None:
        """What an earlier try of the same creation has left."""
        engine = engine_of(context)
        filters = {"label": f"{KEY}={context.key}"}
        found = engine.ask(context, "Volumes could not be listed", lambda c: c.volumes(filters=filters))
        mine = [item for item in found["Volumes"] or () if carries(item["Labels"], context.key)]
        return mine[0] if mine else None

    def _taken(self, context: Context, name: str) -> dict[str, Any] | None:
        """The workspace's own volume of this name, to keep. The engine would silently share anyone's."""
        found = self._inspect(context, name)
        if found is None:
            return None
        if same_workspace(found["Labels"], context.labels):
            context.adopt(found["Labels"].get(KEY) or context.key)
            return found
        if self._is_remnant(context, found):
            context.log(f"Volume {name} is empty and has no labels: an engine left it that died while it made it.")
            self._remove(context, name)
            return None
        raise ResourceConflict(
            f"A volume {name} exists already, and Stead did not make it for this workspace.",
            field="name",
            remedy="Choose another name, import the volume, or remove it (docker volume rm).",
        )

    @staticmethod
    def _is_remnant(context: Context, found: dict[str, Any]) -> bool:
        """Whether it is named after this workspace, and has no label, no option, no content and no user to lose."""
        workspace = context.build.workspace_id
        if found["Labels"] or found["Options"] or not workspace or workspace not in found["Name"]:
            return False
        doing = f"What volume {found['Name']} holds could not be read"
        used = engine_of(context).ask(context, doing, lambda c: c.df())["Volumes"] or ()
        unused = {"Size": 0, "RefCount": 0}
        return any(item["Name"] == found["Name"] and item["UsageData"] == unused for item in used)

    def _make(self, context: Context) -> dict[str, Any]:
        name = self.name if is_known(self.name) else None
        return engine_of(context).make(
            context,
            f"Volume {name or ''} could not be created".replace("  ", " "),
            lambda c: c.create_volume(
                name=name,
                driver=self.driver,
                driver_opts=self.driver_opts,
                labels=merged(self.labels, context.labels),
            ),
            lambda: self._own(context),
        )

    def _inspect(self, context: Context, name: str) -> dict[str, Any] | None:
        return engine_of(context).find(context, f"Volume {name} could not be read", lambda c: c.inspect_volume(name))

    def _assign(self, found: dict[str, Any]) -> None:
        self.id = self.name = found["Name"]
        self.mountpoint = found["Mountpoint"]

    def read(self, context: Context) -> bool:
        found = self._inspect(context, self.id)
        if found is not None:
            self._assign(found)
            self.driver = found["Driver"]
        return found is not None

    def delete(self, context: Context) -> None:
        self._remove(context, self.id)

    @staticmethod
    def _remove(context: Context, name: str) -> None:
        engine_of(context).remove(context, f"Volume {name} could not be removed", lambda c: c.remove_volume(name))

    @classmethod
    def import_(cls, context: Context, identity: str) -> Volume | None:
        volume = cls(id=identity)
        found = volume._inspect(context, identity)
        if found is None:
            return None
        volume._assign(found)
        volume.driver = found["Driver"]
        volume.driver_opts = found["Options"] or None
        volume.labels = blocks_of(found["Labels"])
        return volume
