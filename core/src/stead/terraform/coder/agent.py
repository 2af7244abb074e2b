"""``coder_agent`` and what names one: ``coder_agent_instance`` and ``coder_external_agent``."""

from __future__ import annotations

from stead.api.provider import BlockSchema, Context, Nesting, Plan, attribute, between, block, one_of
from stead.terraform.coder import checks
from stead.terraform.coder.claims import carry_token
from stead.terraform.coder.records import StateOnly, new_token

ARCHITECTURES = ("amd64", "armv7", "arm64")
OPERATING_SYSTEMS = ("linux", "darwin", "windows")
AUTHENTICATIONS = ("token", "google-instance-identity", "aws-instance-identity", "azure-instance-identity")


class AgentMetadata(BlockSchema):
    """A value that the agent collects again and again, and that the workspace's page shows."""

    key: str = attribute(required=True, force_new=True, description="Names the value; unique within the agent.")
    display_name: str | None = attribute(optional=True, force_new=True)
    script: str = attribute(required=True, force_new=True, description="What it prints is the value.")
    timeout: int | None = attribute(optional=True, force_new=True, description="Seconds after which a run is ended.")
    interval: int = attribute(required=True, force_new=True, description="Seconds between two runs.")
    order: int | None = attribute(optional=True, force_new=True)


class DisplayApps(BlockSchema):
    """Which of the built-in apps the workspace's page offers."""

    vscode: bool = attribute(default=True, force_new=True)
    vscode_insiders: bool = attribute(default=False, force_new=True)
    web_terminal: bool = attribute(default=True, force_new=True)
    port_forwarding_helper: bool = attribute(default=True, force_new=True)
    ssh_helper: bool = attribute(default=True, force_new=True)


class MemoryMonitor(BlockSchema):
    enabled: bool = attribute(required=True, force_new=True)
    threshold: int = attribute(
        required=True, force_new=True, validators=[between(0, 100)], description="Percent in use."
    )


class VolumeMonitor(BlockSchema):
    path: str = attribute(required=True, force_new=True, validators=[checks.absolute_path])
    enabled: bool = attribute(required=True, force_new=True)
    threshold: int = attribute(
        required=True, force_new=True, validators=[between(0, 100)], description="Percent in use."
    )


class ResourcesMonitoring(BlockSchema):
    """When the owner hears that memory or a volume runs short."""

    memory: list[MemoryMonitor] = block(MemoryMonitor, nesting=Nesting.SET, max_items=1)
    volume: list[VolumeMonitor] = block(VolumeMonitor, nesting=Nesting.SET)


class Agent(StateOnly, name="coder_agent"):
    """The process in a workspace that keeps the connection to the control plane."""

    os: str = attribute(required=True, force_new=True, validators=[one_of(*OPERATING_SYSTEMS)])
    arch: str = attribute(required=True, force_new=True, validators=[one_of(*ARCHITECTURES)])
    auth: str = attribute(default="token", force_new=True, validators=[one_of(*AUTHENTICATIONS)])
    api_key_scope: str = attribute(default="all", force_new=True, validators=[one_of("all", "no_user_data")])
    dir: str | None = attribute(
        optional=True, force_new=True, deprecated="Set the folder in the app that opens it instead."
    )
    env: dict[str, str] | None = attribute(optional=True, force_new=True)
    startup_script: str | None = attribute(optional=True, force_new=True)
    shutdown_script: str | None = attribute(optional=True, force_new=True)
    startup_script_behavior: str = attribute(
        default="non-blocking", force_new=True, validators=[one_of("blocking", "non-blocking")]
    )
    connection_timeout: int = attribute(
        default=120, force_new=True, validators=[between(low=0)], description="Seconds; 0 waits for ever."
    )
    troubleshooting_url: str | None = attribute(optional=True, force_new=True, validators=[checks.url])
    motd_file: str | None = attribute(optional=True, force_new=True)
    order: int | None = attribute(optional=True, force_new=True)
    token: str = attribute(
        computed=True,
        force_new=True,
        sensitive=True,
        description="Authenticates the agent; a new one for every build.",
    )
    init_script: str = attribute(computed=True, description="The POSIX script that fetches the agent and starts it.")
    metadata: list[AgentMetadata] = block(AgentMetadata, nesting=Nesting.LIST)
    display_apps: list[DisplayApps] = block(DisplayApps, nesting=Nesting.SET, max_items=1)
    resources_monitoring: list[ResourcesMonitoring] = block(ResourcesMonitoring, nesting=Nesting.SET, max_items=1)

    def validate(self, context: Context) -> None:
        del context
        checks.refuse_repeats((item.key for item in self.metadata), what="The metadata key", field="metadata[{}].key")
        for monitoring in self.resources_monitoring:
            checks.refuse_repeats(
                (volume.path for volume in monitoring.volume),
                what="The volume path",
                field="resources_monitoring",
            )

    def plan(self, context: Context, plan: Plan) -> None:
        """Keep the token of a prebuild's agent where its claim makes the agent anew."""
        if context.build.is_prebuild_claim:
            carry_token(context, self, plan)

    def create(self, context: Context) -> None:
        super().create(context)
        if not isinstance(self.token, str):
            self.token = new_token()
        self._set_init_script(context)

    def read(self, context: Context) -> bool:
        """Every build gives the agent a new token, but the claim of a prebuild: that one replaces nothing."""
        if not context.build.is_prebuild_claim:
            self.token = new_token()
            self._set_init_script(context)
        return True

    def _set_init_script(self, context: Context) -> None:
        """Only a start needs it: stop and delete must be possible where there is no agent for the system."""
        if context.build.transition == "start":
            self.init_script = with_auth(context.build.init_scripts(self.os, self.arch), self.auth)
        elif not isinstance(self.init_script, str):
            self.init_script = ""


def with_auth(script: str, auth: str) -> str:
    """The bootstrap script for an agent that signs in in this way: without a token it has to know how."""
    if auth == "token":
        return script
    first, _, rest = script.partition("\n")
    return f'{first}\nexport CODER_AGENT_AUTH="{auth}"\n{rest}'


class AgentInstance(StateOnly, name="coder_agent_instance"):
    """Ties an agent that signs in by instance identity to the machine it runs on."""

    agent_id: str = attribute(required=True, force_new=True)
    instance_id: str = attribute(required=True, force_new=True)


class ExternalAgent(StateOnly, name="coder_external_agent"):
    """Says that an agent is started by hand, on a machine that the template does not create."""

    agent_id: str = attribute(required=True, force_new=True)
