"""What providers are told of a run."""

from __future__ import annotations

from stead.api.provider import BuildContext
from stead.domain.states import Transition
from stead.domain.tasks import BuildTask, ImportTask
from stead.provisioner.held import HeldJob
from stead.provisioner.workshop import Workshop

_TRANSITIONS = {Transition.START: "start", Transition.STOP: "stop", Transition.DELETE: "destroy"}


def _no_script(os: str, arch: str) -> str:
    """Nothing is built in an import, so the script is not needed, and its bundle need not be there."""
    del os, arch
    return ""


def import_context(shop: Workshop, job: HeldJob, task: ImportTask, workspace_id: str) -> BuildContext:
    """An import sees a workspace named ``default`` of whoever uploaded the template."""
    return BuildContext(
        deployment=shop.deployment_id,
        transition="start",
        importing=True,
        workspace_id=workspace_id,
        workspace_name="default",
        build_id=job.id,
        build_number=1,
        owner=task.owner,
        template_id=task.template_id,
        template_name=task.template_name,
        template_version=task.version_name,
        access_url=shop.settings.access_url,
        agent_url=shop.settings.access_url,
        init_scripts=_no_script,
        allow_host=shop.settings.allow_host,
    )


def build_context(shop: Workshop, job: HeldJob, task: BuildTask) -> BuildContext:
    return BuildContext(
        deployment=shop.deployment_id,
        transition=_TRANSITIONS[task.transition],
        workspace_id=task.workspace_id,
        workspace_name=task.workspace_name,
        build_id=task.build_id,
        build_number=task.number,
        owner=task.owner,
        template_id=task.template_id,
        template_name=task.template_name,
        template_version=task.version_name,
        access_url=shop.settings.access_url,
        parameters=task.parameters,
        previous_parameters=task.previous_parameters,
        agent_url=shop.settings.access_url,
        init_scripts=job.init_script,
        allow_host=shop.settings.allow_host,
    )
