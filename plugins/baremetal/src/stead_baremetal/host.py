"""``baremetal_host``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from stead.api.errors import PlatformUnreachable, ProviderFailure, ResourceConflict
from stead.api.provider import (
    Context,
    Nesting,
    Plan,
    Resource,
    Unknown,
    attribute,
    block,
    each,
    is_known,
    matches,
    one_of,
)
from stead_baremetal.answers import Claim, Status
from stead_baremetal.fleet import ClaimInDoubt, Fleet, Wish
from stead_baremetal.inventory import Machine
from stead_baremetal.keeper import Keeper
from stead_baremetal.matching import is_wanted
from stead_baremetal.timeouts import Timeouts, limited

RUNNING, STOPPED = "running", "stopped"
READY, RELEASING = "ready", "releasing"
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ACCOUNT = matches(r"[a-z_][a-z0-9_-]{0,30}", "must be the name of an account: lower-case letters, digits, - and _")


def fleet_of(context: Context) -> Fleet:
    """The machines of the provider that the resource at hand belongs to."""
    fleet: Fleet = context.provider.fleet  # type: ignore[union-attr]
    return fleet


class Host(Resource, name="baremetal_host"):
    """A machine of the inventory, claimed for a workspace, with an account and an agent on it."""

    id: str = attribute(computed=True)
    labels: dict[str, str] | None = attribute(
        optional=True,
        force_new=True,
        validators=[each(is_wanted)],
        description="What the machine must have: a value, a|b, >=64, !=value, or * for any.",
    )
    machine: str | None = attribute(optional=True, force_new=True, description="Name of one machine, to have no other.")
    user: str = attribute(
        default="coder",
        force_new=True,
        validators=[ACCOUNT],
        description="Account of the workspace; made with the claim, and removed with it.",
    )
    init_script: str | None = attribute(optional=True, description="coder_agent.NAME.init_script.")
    token: str | None = attribute(optional=True, sensitive=True, description="coder_agent.NAME.token.")
    env: dict[str, str] | None = attribute(
        optional=True, sensitive=True, description="Environment of the agent, beside CODER_AGENT_TOKEN."
    )
    desired_status: str = attribute(
        default=RUNNING,
        validators=[one_of(RUNNING, STOPPED)],
        description="Whether the agent runs. While it does not, the machine and its disks stay the workspace's.",
    )
    power_off: bool = attribute(
        default=False, description="Switch the machine off while it is stopped; needs power in the inventory."
    )
    claim: str = attribute(computed=True, description="Key under which the machine has the claim on record.")
    phase: str = attribute(computed=True, description="ready, or how far the machine came.")
    name: str = attribute(computed=True, description="Name of the machine in the inventory.")
    address: str = attribute(computed=True, description="Its address.")
    machine_labels: dict[str, str] = attribute(computed=True, description="All its labels.")
    home: str = attribute(computed=True, description="Home folder of the account.")
    arch: str = attribute(computed=True, description="Its architecture as uname tells it.")
    cpus: int = attribute(computed=True, description="Its processors.")
    memory_mib: int = attribute(computed=True, description="Its memory in MiB.")
    hourly_price: float = attribute(computed=True, description="What it costs per hour, by the inventory.")
    timeouts: Timeouts | None = block(Timeouts, nesting=Nesting.SINGLE)

    def validate(self, context: Context) -> None:
        for name in self.env or {} if is_known(self.env) else {}:
            if not VARIABLE.fullmatch(name):
                context.error("That is no name of an environment variable", repr(name), "env")

    def plan(self, context: Context, plan: Plan) -> None:
        del context
        prior: Host | None = plan.prior
        if prior is None:
            return
        if prior.phase == RELEASING:
            # Half wiped: what is left of it must go, and another machine takes its place.
            self.id = Unknown
            plan.require_replace("id")
        elif self.desired_status == prior.desired_status == STOPPED:
            # Every build brings a new token; while nothing runs that changes nothing.
            for field in ("token", "init_script", "env"):
                if getattr(prior, field) is not None and getattr(self, field) is not None:
                    setattr(self, field, getattr(prior, field))
        elif plan.action == "update":
            self.phase = READY

    # Life

    def create(self, context: Context) -> None:
        context = limited(context, self.timeouts, "create")
        fleet = fleet_of(context)
        machine = self._claimed(context, fleet)
        context.log(f"Claimed {machine.name} ({machine.address}).")
        with fleet.keeper(machine) as keeper:
            self._prepare(context, keeper)
            self._apply(context, keeper)
            self._observe(machine, keeper.status(context, fleet.settings.patience))

    def _claimed(self, context: Context, fleet: Fleet) -> Machine:
        build = context.build
        claim = Claim(
            context.key, build.deployment, build.workspace_id, build.workspace_name, build.owner.name, build.build_id
        )
        try:
            machine = fleet.claim(context, Wish(self.labels or {}, self.machine or ""), claim)
        except ClaimInDoubt as doubt:
            # With an identity it counts as made, so that it will be released.
            self._identify(doubt.machine, context.key)
            raise
        self._identify(machine, context.key)
        return machine

    def _identify(self, machine: Machine, key: str) -> None:
        self.id = self.name = machine.name
        self.claim, self.phase = key, "claimed"
        self.address, self.machine_labels = machine.address, dict(machine.labels)
        self.hourly_price = machine.hourly_price
        self.home = f"/home/{self.user}"
        # Until the machine has told.
        self.arch, self.cpus, self.memory_mib = "", 0, 0

    def _prepare(self, context: Context, keeper: Keeper) -> None:
        context.log(f"Preparing {self.name}: account {self.user}.")
        keeper.prepare(context, self.claim, self.user)

    def _apply(self, context: Context, keeper: Keeper) -> None:
        """Have the agent run, or not."""
        if self.desired_status == RUNNING and self.init_script:
            keeper.start(context, self.claim, self._environment(), self.init_script)
            context.log(f"The agent is supervised on {self.name}.")
        elif self.desired_status == STOPPED:
            keeper.stop(context, self.claim)
            context.log(f"The agent on {self.name} is stopped.")

    def _environment(self) -> str:
        """The agent's environment as the workspace's own shell reads it."""
        values = {**(self.env or {}), **({"CODER_AGENT_TOKEN": self.token} if self.token else {})}
        return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(values.items()))

    def _observe(self, machine: Machine, status: Status) -> None:
        self.arch, self.cpus, self.memory_mib = status.arch, status.cpus, status.memory_mib
        self.phase = status.phase
        self.address, self.machine_labels = machine.address, dict(machine.labels)
        self.hourly_price = machine.hourly_price

    def read(self, context: Context) -> bool:
        fleet = fleet_of(context)
        machine = fleet.find(context, self.id)
        if machine is None:
            context.warn(f"The machine {self.id} is not in the inventory any more", "It counts as gone.")
            return False
        try:
            status = fleet.keeper(machine).status(context, fleet.settings.read_patience)
        except PlatformUnreachable:
            if self.power_off and self.desired_status == STOPPED:
                return True  # switched off, as was wanted
            raise
        if status.claim is None or status.claim.key != self.claim:
            return False
        self._observe(machine, status)
        self._see_agent(context, status)
        return True

    def _see_agent(self, context: Context, status: Status) -> None:
        """An agent that does not run although it should is a difference, which the next apply mends."""
        if status.agent == "absent":
            return
        running = status.agent == RUNNING
        if self.desired_status == RUNNING and not running and status.phase == READY:
            context.log(f"The agent on {self.name} does not run.", "warn")
        self.desired_status = RUNNING if running else STOPPED

    def update(self, context: Context, prior: Host) -> None:
        context = limited(context, self.timeouts, "update")
        fleet = fleet_of(context)
        machine = self._machine(context, fleet)
        if prior.desired_status == STOPPED and prior.power_off:
            self._wake(context, fleet, machine)
        with fleet.keeper(machine) as keeper:
            if keeper.status(context, fleet.settings.patience).phase != READY:
                self._prepare(context, keeper)
            if self._agent_differs(prior):
                self._apply(context, keeper)
            self._observe(machine, keeper.status(context, fleet.settings.patience))
        if self.desired_status == STOPPED and self.power_off:
            self._switch_off(context, fleet, machine)

    def _agent_differs(self, prior: Host) -> bool:
        if self.desired_status != prior.desired_status:
            return True
        return any(getattr(self, name) != getattr(prior, name) for name in ("token", "init_script", "env"))

    def _machine(self, context: Context, fleet: Fleet) -> Machine:
        machine = fleet.find(context, self.id)
        if machine is None:
            raise PlatformUnreachable(f"The machine {self.id} is not in the inventory any more.")
        return machine

    def _wake(self, context: Context, fleet: Fleet, machine: Machine) -> None:
        if machine.power is not None:
            context.log(f"Switching {machine.name} on.")
            fleet.wake(context, machine)

    def _switch_off(self, context: Context, fleet: Fleet, machine: Machine) -> None:
        if machine.power is None:
            context.warn(
                f"{machine.name} stays on", "The inventory does not say how to switch it on again.", "power_off"
            )
            return
        context.log(f"Switching {machine.name} off.")
        fleet.keeper(machine).power_off(context, self.claim)

    def delete(self, context: Context) -> None:
        context = limited(context, self.timeouts, "delete")
        fleet = fleet_of(context)
        machine = fleet.find(context, self.id)
        if machine is None:
            context.log(f"The machine {self.id} is not in the inventory any more: nothing there to release.", "warn")
            return
        release(context, fleet, machine, self.claim)

    @classmethod
    def import_(cls, context: Context, identity: str) -> Host | None:
        fleet = fleet_of(context)
        machine = fleet.find(context, identity)
        if machine is None:
            return None
        status = fleet.keeper(machine).status(context, fleet.settings.read_patience)
        if status.claim is None:
            return None
        build = context.build
        if (status.claim.deployment, status.claim.workspace) != (build.deployment, build.workspace_id):
            raise ResourceConflict(
                f"{identity} belongs to another workspace: {status.claim.name or status.claim.workspace}.",
                remedy="Release it there first.",
            )
        host = cls(id=identity, user=status.user or "coder", power_off=False, desired_status=RUNNING)
        host._identify(machine, status.claim.key)
        host._observe(machine, status)
        host._see_agent(context, status)
        return host


def release(context: Context, fleet: Fleet, machine: Machine, key: str) -> None:
    """Wipe a machine and give it back, switching it on for that where it is off. Not ours any more is success.

    :raises NotWiped: it keeps something, and stays out of use.
    """
    keeper = fleet.keeper(machine)
    try:
        keeper.status(context)
    except PlatformUnreachable as failure:
        if machine.power is None:
            raise _cannot_release(machine, failure) from failure
        context.log(f"{machine.name} does not answer and is being switched on, to be wiped.")
        fleet.wake(context, machine)
    context.log(f"Releasing {machine.name}.")
    try:
        keeper.release(context, key)
    except PlatformUnreachable as failure:
        raise _cannot_release(machine, failure) from failure


def _cannot_release(machine: Machine, failure: ProviderFailure) -> ProviderFailure:
    return PlatformUnreachable(
        f"{machine.name} cannot be released, as it cannot be wiped: {failure.message}",
        remedy="Bring it back, or take it out of the inventory where it is gone for good.",
    )


def facts(machine: Machine) -> Mapping[str, Any]:
    """What the inventory tells of a machine."""
    return {
        "name": machine.name,
        "address": machine.address,
        "labels": dict(machine.labels),
        "hourly_price": machine.hourly_price,
        "drained": bool(machine.drain_reason),
    }
