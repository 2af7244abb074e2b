"""``aws_instance`` and ``aws_ec2_instance_state``."""

from __future__ import annotations

from stead.api.errors import ResourceNotFound
from stead.api.provider import Context, Nesting, Unknown, attribute, block, one_of
from stead_aws import instance_blocks as blocks
from stead_aws import instance_life as life
from stead_aws import instance_view as view
from stead_aws import tags as tagging
from stead_aws.base import AllTimeouts, Regional, Timeouts, limit_of
from stead_aws.cloud import limited
from stead_aws.instance_fields import InstanceFields


class Instance(InstanceFields, name="aws_instance", version=2):
    """A machine of EC2. Its disk stays when it is stopped; see ``aws_ec2_instance_state``."""

    instance_lifecycle: str | None = attribute(computed=True)
    spot_instance_request_id: str | None = attribute(computed=True)
    primary_network_interface: list[blocks.PrimaryNetworkInterface] = block(blocks.PrimaryNetworkInterface, max_items=1)
    instance_market_options: list[blocks.InstanceMarketOptions] = block(blocks.InstanceMarketOptions, max_items=1)
    timeouts: AllTimeouts | None = block(AllTimeouts, nesting=Nesting.SINGLE)

    def create(self, context: Context) -> None:
        with limited(context, limit_of(self.timeouts, "create", 600.0)) as inner:
            found = life.launch(self, inner)
            view.assign(self, inner, found)
            self._lifecycle(found)
            view.read_attributes(self, inner)

    def _lifecycle(self, found: dict[str, object]) -> None:
        self.instance_lifecycle = str(found.get("InstanceLifecycle") or "")
        self.spot_instance_request_id = str(found.get("SpotInstanceRequestId") or "")

    def read(self, context: Context) -> bool:
        found = view.describe(self, context, self.id)
        if found is None:
            return False
        view.refresh(self, context, found)
        self._lifecycle(found)
        return True

    def update(self, context: Context, prior: Instance) -> None:
        with limited(context, limit_of(self.timeouts, "update", 600.0)) as inner:
            life.change(self, inner, prior)
            life.tag_disks(self, inner, prior)
            found = view.describe(self, inner, self.id)
            if found is None:
                raise ResourceNotFound(f"Instance {self.id} was terminated by somebody while it was being changed.")
            view.assign(self, inner, found)
            self._lifecycle(found)

    def delete(self, context: Context) -> None:
        with limited(context, limit_of(self.timeouts, "delete", 1200.0)) as inner:
            life.terminate(self, inner, self.id)

    @classmethod
    def import_(cls, context: Context, identity: str) -> Instance | None:
        machine = cls(id=identity, force_destroy=False, fetch_password_data=False, user_data_replace_on_change=False)
        found = view.describe(machine, context, identity)
        if found is None:
            return None
        machine.associate_public_ip_address = machine.security_groups = Unknown
        view.import_user_data(machine, context, identity)
        view.refresh(machine, context, found)
        machine.tags = tagging.visible(tagging.of_api(found.get("Tags"))) or None
        machine._lifecycle(found)
        return machine


class InstanceState(Regional, name="aws_ec2_instance_state"):
    """Whether a machine runs. Removing this from a template leaves the machine as it is."""

    id: str = attribute(computed=True)
    instance_id: str = attribute(required=True, force_new=True, description="The machine.")
    state: str = attribute(required=True, validators=[one_of("running", "stopped")], description="running or stopped.")
    force: bool = attribute(default=False, description="Stop it without letting the system shut down.")
    timeouts: Timeouts | None = block(Timeouts, nesting=Nesting.SINGLE)

    def create(self, context: Context) -> None:
        with limited(context, limit_of(self.timeouts, "create", 600.0)) as inner:
            self._reach(inner)
        self.id = self.instance_id

    def _reach(self, context: Context) -> None:
        self.where(context)
        found = view.expect(self, context, self.instance_id)  # type: ignore[arg-type]
        if found is None:
            raise ResourceNotFound(f"There is no instance {self.instance_id} any more.", field="instance_id")
        if self.state == "stopped":
            life.stop(self, context, self.instance_id, force=self.force is True)
        elif view.state_of(found) != "running":
            life.start(self, context, self.instance_id)

    def read(self, context: Context) -> bool:
        found = view.describe(self, context, self.instance_id)  # type: ignore[arg-type]
        if found is None:
            return False
        # On the way counts as there: the next look waits for it.
        self.state = "running" if view.state_of(found) in ("pending", "running") else "stopped"
        return True

    def update(self, context: Context, prior: InstanceState) -> None:
        del prior
        with limited(context, limit_of(self.timeouts, "update", 600.0)) as inner:
            self._reach(inner)

    def delete(self, context: Context) -> None:
        """The machine has a life of its own."""

    @classmethod
    def import_(cls, context: Context, identity: str) -> InstanceState | None:
        state = cls(id=identity, instance_id=identity, force=False)
        state.where(context)
        return state if state.read(context) else None
