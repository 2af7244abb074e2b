"""``docker_container``."""

from __future__ import annotations

from stead.api.provider import (
    Context,
    Nesting,
    Plan,
    Resource,
    Unknown,
    attribute,
    between,
    block,
    is_known,
    matches,
    one_of,
)
from stead_docker import container_blocks as blocks
from stead_docker import container_life as life
from stead_docker import container_state as state
from stead_docker.engine import engine_of
from stead_docker.labels import Label

NAME = matches(
    r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]*",
    "must begin with a letter or digit, and have letters, digits, '_', '.', '-'",
)
CPUS = matches(r"\d+(\.\d+)?", "must be a number such as 1.5")


class Container(Resource, name="docker_container", version=2):
    """A container. Stopped ones are started again by the next apply where ``must_run`` is true."""

    id: str = attribute(computed=True)
    image: str = attribute(
        required=True, force_new=True, description="Image by name or id; pulled where it is missing."
    )
    name: str = attribute(
        required=True,
        force_new=True,
        validators=[NAME],
        normalize=lambda prior, planned: prior.lstrip("/") == planned.lstrip("/"),
        description="Name of the container.",
    )
    bridge: str = attribute(computed=True, description="Network bridge of the container.")
    network_data: list[blocks.NetworkData] = attribute(computed=True, description="Addresses in its networks.")
    exit_code: int | None = attribute(computed=True, description="Of its main process, where that has ended.")
    container_logs: str | None = attribute(computed=True, description="Its output, with attach and logs.")

    command: list[str] | None = attribute(optional=True, computed=True, force_new=True, description="Command.")
    entrypoint: list[str] | None = attribute(optional=True, computed=True, force_new=True, description="Entrypoint.")
    env: set[str] | None = attribute(optional=True, computed=True, force_new=True, description="NAME=VALUE each.")
    user: str | None = attribute(optional=True, force_new=True, description="user or user:group, by name or number.")
    group_add: set[str] | None = attribute(optional=True, force_new=True, description="Further groups.")
    working_dir: str | None = attribute(optional=True, force_new=True, description="Folder in which the command runs.")
    hostname: str | None = attribute(optional=True, computed=True, force_new=True, description="Host name.")
    domainname: str | None = attribute(optional=True, force_new=True, description="Domain name.")
    tty: bool = attribute(default=False, force_new=True, description="With a terminal.")
    stdin_open: bool = attribute(default=False, force_new=True, description="Keeps its input open.")
    init: bool | None = attribute(optional=True, computed=True, force_new=True, description="With an init process.")
    stop_signal: str | None = attribute(
        optional=True, computed=True, force_new=True, description="SIGTERM where not set."
    )
    stop_timeout: int | None = attribute(
        optional=True, computed=True, force_new=True, description="Seconds until SIGKILL."
    )

    start: bool = attribute(default=True, description="Start it.")
    must_run: bool = attribute(default=True, description="It is an error where it does not run.")
    attach: bool = attribute(default=False, description="Wait until it ends.")
    logs: bool = attribute(default=False, description="Keep its output in container_logs; needs attach.")
    rm: bool = attribute(default=False, force_new=True, description="Removed by the engine when it ends.")
    wait: bool = attribute(default=False, description="Wait until its healthcheck says healthy.")
    wait_timeout: int = attribute(default=60, validators=[between(1)], description="Seconds for that.")
    container_read_refresh_timeout_milliseconds: int = attribute(
        default=15000, validators=[between(1)], description="Time until it has to run after its start."
    )
    remove_volumes: bool = attribute(default=True, description="Remove its anonymous volumes with it.")
    destroy_grace_seconds: int | None = attribute(optional=True, validators=[between(0)], description="Stop it first.")

    restart: str = attribute(
        default="no",
        validators=[one_of("no", "on-failure", "always", "unless-stopped")],
        description="Restart policy.",
    )
    max_retry_count: int | None = attribute(optional=True, description="Restarts with on-failure.")
    memory: int | None = attribute(optional=True, validators=[between(0)], description="Limit in MB.")
    memory_swap: int | None = attribute(optional=True, validators=[between(-1)], description="Memory and swap in MB.")
    shm_size: int | None = attribute(
        optional=True,
        computed=True,
        force_new=True,
        validators=[between(0)],
        description="Shared memory in MB.",
    )
    cpus: str | None = attribute(optional=True, validators=[CPUS], description="So many processors: 1.5.")
    cpu_shares: int | None = attribute(optional=True, validators=[between(0)], description="Weight.")
    cpu_set: str | None = attribute(
        optional=True, validators=[matches(r"[0-9,-]+", "must be a list such as 0-1,3")], description="0-1,3"
    )
    cpu_period: int | None = attribute(
        optional=True, force_new=True, conflicts_with=["cpus"], description="Microseconds."
    )
    cpu_quota: int | None = attribute(
        optional=True, force_new=True, conflicts_with=["cpus"], description="Microseconds."
    )

    network_mode: str = attribute(default="bridge", force_new=True, description="bridge, host, none, container:NAME.")
    publish_all_ports: bool | None = attribute(
        optional=True, force_new=True, description="Publish what the image exposes."
    )
    dns: set[str] | None = attribute(optional=True, force_new=True, description="Name servers.")
    dns_opts: set[str] | None = attribute(optional=True, force_new=True, description="Options of the resolver.")
    dns_search: set[str] | None = attribute(optional=True, force_new=True, description="Domains to search.")
    log_driver: str | None = attribute(optional=True, computed=True, force_new=True, description="Logging driver.")
    log_opts: dict[str, str] | None = attribute(optional=True, force_new=True, description="Its options.")

    privileged: bool | None = attribute(
        optional=True, force_new=True, description="All rights on the engine's machine."
    )
    read_only: bool = attribute(default=False, force_new=True, description="Its root cannot be written.")
    security_opts: set[str] | None = attribute(
        optional=True, computed=True, force_new=True, description="seccomp=… and so on."
    )
    sysctls: dict[str, str] | None = attribute(optional=True, force_new=True, description="Kernel parameters.")
    storage_opts: dict[str, str] | None = attribute(optional=True, force_new=True, description="Of the storage driver.")
    tmpfs: dict[str, str] | None = attribute(optional=True, force_new=True, description="Options by path.")
    runtime: str | None = attribute(optional=True, computed=True, force_new=True, description="Runtime: sysbox-runc …")
    gpus: str | None = attribute(optional=True, force_new=True, validators=[one_of("all")], description="all")
    ipc_mode: str | None = attribute(optional=True, computed=True, force_new=True, description="Sharing of memory.")
    pid_mode: str | None = attribute(optional=True, force_new=True, description="host or container:NAME.")
    userns_mode: str | None = attribute(optional=True, force_new=True, description="User namespace.")
    cgroupns_mode: str | None = attribute(
        optional=True,
        computed=True,
        force_new=True,
        validators=[one_of("private", "host")],
        description="Cgroups.",
    )
    cgroup_parent: str | None = attribute(optional=True, computed=True, force_new=True, description="Parent cgroup.")

    capabilities: list[blocks.Capabilities] = block(blocks.Capabilities, max_items=1, force_new=True)
    devices: list[blocks.Device] = block(blocks.Device, nesting=Nesting.SET, force_new=True)
    healthcheck: list[blocks.Healthcheck] = block(blocks.Healthcheck, max_items=1, force_new=True)
    host: list[blocks.Host] = block(blocks.Host, nesting=Nesting.SET, force_new=True)
    labels: list[Label] = block(Label, nesting=Nesting.SET, force_new=True)
    mounts: list[blocks.Mount] = block(blocks.Mount, nesting=Nesting.SET, force_new=True)
    networks_advanced: list[blocks.NetworkAttachment] = block(
        blocks.NetworkAttachment, nesting=Nesting.SET, force_new=True
    )
    ports: list[blocks.Port] = block(blocks.Port, force_new=True)
    ulimit: list[blocks.Ulimit] = block(blocks.Ulimit, nesting=Nesting.SET, force_new=True)
    upload: list[blocks.Upload] = block(blocks.Upload, nesting=Nesting.SET, force_new=True)
    volumes: list[blocks.VolumeUse] = block(blocks.VolumeUse, nesting=Nesting.SET, force_new=True)

    def validate(self, context: Context) -> None:
        if any(not text or text.startswith("=") for text in known_texts(self.env)):
            context.error("An environment variable has no name.", "Write each as NAME=VALUE.", field="env")
        if is_known(self.wait) and self.wait and not self.healthcheck:
            context.warn("wait without a healthcheck", "Works only where the image brings one.", field="wait")

    def plan(self, context: Context, plan: Plan) -> None:
        """What a restart changes is not known before it."""
        del context
        if plan.action == "update" and plan.changed & {"start", "attach"}:
            self.network_data = self.bridge = self.exit_code = self.container_logs = Unknown

    def create(self, context: Context) -> None:
        life.create(self, context)

    def read(self, context: Context) -> bool:
        found = life.inspect(context, self.id)
        if found is None or found["State"]["Status"] == "removing":
            return False
        state.refresh(self, found)
        return True

    def update(self, context: Context, prior: Container) -> None:
        life.update(self, context, prior)

    def delete(self, context: Context) -> None:
        life.delete(self, context)

    @classmethod
    def import_(cls, context: Context, identity: str) -> Container | None:
        container = cls(id=identity)
        found = life.inspect(context, identity)
        if found is None:
            return None
        image = engine_of(context).find(
            context, f"Image {found['Image']} could not be read", lambda c: c.inspect_image(found["Image"])
        )
        state.fill(container, found, image or {})
        return container


def known_texts(values: object) -> list[str]:
    """The known ones among the elements of a set that may be unknown as a whole."""
    return [item for item in values if isinstance(item, str)] if isinstance(values, (set, list)) else []
