"""The ``coder/coder`` provider: how a template talks with the control plane.

Templates written for it run unchanged. It makes no network call: all answers come from the build's context,
and all that its resources say is read from the plan and the state.
"""

from __future__ import annotations

from stead.api.provider import Provider, attribute
from stead.api.records import NoSettings, ProviderSpec
from stead.terraform.coder import checks
from stead.terraform.coder.access import ExternalAuth, Secret
from stead.terraform.coder.agent import Agent, AgentInstance, ExternalAgent
from stead.terraform.coder.app import App
from stead.terraform.coder.metadata import Metadata
from stead.terraform.coder.parameter import Parameter
from stead.terraform.coder.preset import WorkspacePreset
from stead.terraform.coder.script import Devcontainer, Env, Script
from stead.terraform.coder.tasks import AITask, Task
from stead.terraform.coder.workspace import Provisioner, Workspace, WorkspaceOwner, WorkspaceTags


class Coder(
    Provider,
    address="coder/coder",
    resources=[Agent, AgentInstance, AITask, App, Devcontainer, Env, ExternalAgent, Metadata, Script],
    data_sources=[
        ExternalAuth,
        Parameter,
        Provisioner,
        Secret,
        Task,
        Workspace,
        WorkspaceOwner,
        WorkspacePreset,
        WorkspaceTags,
    ],
):
    """What workspaces are made of beside their infrastructure: agents, apps, scripts, parameters."""

    url: str | None = attribute(
        optional=True,
        validators=[checks.url],
        description="Accepted for templates that set it; the deployment's own access URL is what counts.",
    )


def _make(settings: NoSettings) -> Coder:
    del settings
    return Coder()


def coder_provider() -> ProviderSpec:
    return ProviderSpec(address="coder/coder", title="Workspaces, agents, apps and parameters", factory=_make)
