"""What an agent runs or sets: ``coder_script``, ``coder_env`` and ``coder_devcontainer``."""

from __future__ import annotations

from stead.api.errors import ProviderFailure
from stead.api.provider import Context, attribute, between, non_empty, one_of
from stead.terraform.coder import checks
from stead.terraform.coder.records import StateOnly, new_id

MERGE_STRATEGIES = ("replace", "append", "prepend", "error")


class Script(StateOnly, name="coder_script"):
    """A script that the agent runs at start, at stop, or by a schedule."""

    agent_id: str = attribute(required=True, force_new=True)
    display_name: str = attribute(required=True, force_new=True)
    log_path: str | None = attribute(optional=True, force_new=True)
    icon: str | None = attribute(optional=True, force_new=True)
    script: str = attribute(required=True, force_new=True)
    cron: str | None = attribute(
        optional=True,
        force_new=True,
        validators=[checks.script_schedule],
        description="Six fields, seconds first.",
    )
    start_blocks_login: bool = attribute(default=False, force_new=True)
    run_on_start: bool = attribute(default=False, force_new=True)
    run_on_stop: bool = attribute(default=False, force_new=True)
    timeout: int = attribute(
        default=0,
        force_new=True,
        validators=[between(low=1)],
        description="Seconds; without it there is no limit.",
    )

    def validate(self, context: Context) -> None:
        del context
        if not checks.all_known(self.run_on_start, self.run_on_stop, self.cron, self.start_blocks_login):
            return
        if not (self.run_on_start or self.run_on_stop or self.cron):
            raise ProviderFailure(
                "The script never runs.",
                field="run_on_start",
                remedy="Set run_on_start, run_on_stop or cron.",
            )
        if self.start_blocks_login and not self.run_on_start:
            raise ProviderFailure(
                "Only a script that runs on start can hold logins back.",
                field="start_blocks_login",
                remedy="Set run_on_start as well.",
            )


class Env(StateOnly, name="coder_env"):
    """An environment variable of everything that the agent starts."""

    agent_id: str = attribute(required=True, force_new=True)
    name: str = attribute(required=True, force_new=True, validators=[checks.env_name])
    value: str | None = attribute(optional=True, force_new=True)
    merge_strategy: str = attribute(
        default="replace",
        force_new=True,
        validators=[one_of(*MERGE_STRATEGIES)],
        description="Where the variable is set elsewhere too; append and prepend join with a colon.",
    )


class Devcontainer(StateOnly, name="coder_devcontainer"):
    """A development container that the agent builds and starts within the workspace."""

    agent_id: str = attribute(required=True, force_new=True)
    workspace_folder: str = attribute(required=True, force_new=True, validators=[non_empty])
    config_path: str | None = attribute(optional=True, force_new=True)
    subagent_id: str = attribute(computed=True)

    def create(self, context: Context) -> None:
        super().create(context)
        self.subagent_id = new_id()
