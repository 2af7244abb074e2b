"""``coder_ai_task`` and ``coder_task``: a workspace that was made to work on a prompt."""

from __future__ import annotations

from stead.api.provider import BlockSchema, Context, DataSource, Nesting, Plan, attribute, block, is_known
from stead.terraform.coder import checks
from stead.terraform.coder.records import StateOnly, stable_id

#: The parameter through which a prompt reaches a build.
PROMPT_PARAMETER = "AI Prompt"


class SidebarApp(BlockSchema):
    id: str = attribute(required=True, force_new=True, validators=[checks.uuid_text])


class AITask(StateOnly, name="coder_ai_task"):
    """Says which app shows the work on the prompt."""

    sidebar_app: list[SidebarApp] = block(
        SidebarApp,
        nesting=Nesting.SET,
        max_items=1,
        conflicts_with=["app_id"],
        deprecated="Use app_id instead.",
    )
    app_id: str | None = attribute(
        optional=True,
        computed=True,
        force_new=True,
        validators=[checks.uuid_text],
        conflicts_with=["sidebar_app"],
    )
    prompt: str = attribute(computed=True)
    enabled: bool = attribute(computed=True, description="Whether this build has a prompt.")

    def plan(self, context: Context, plan: Plan) -> None:
        del context, plan
        if self.sidebar_app and is_known(self.sidebar_app[0].id):
            self.app_id = self.sidebar_app[0].id

    def create(self, context: Context) -> None:
        super().create(context)
        self._set_prompt(context)
        if self.sidebar_app:
            self.app_id = self.sidebar_app[0].id
        elif not is_known(self.app_id):
            self.app_id = None

    def read(self, context: Context) -> bool:
        self._set_prompt(context)
        return True

    def _set_prompt(self, context: Context) -> None:
        self.prompt = prompt_of(context)
        self.enabled = bool(self.prompt)


class Task(DataSource, name="coder_task"):
    """The prompt of the build, where it has one."""

    id: str = attribute(computed=True)
    prompt: str = attribute(computed=True)
    enabled: bool = attribute(computed=True, description="Whether this build has a prompt.")

    def read(self, context: Context) -> None:
        self.id = stable_id(context.build, "task")
        self.prompt = prompt_of(context)
        self.enabled = bool(self.prompt)


def prompt_of(context: Context) -> str:
    return context.build.parameters.get(PROMPT_PARAMETER, "")
