"""What providers are told of a run."""

from __future__ import annotations

import functools

from stead.api.provider import BuildContext
from stead.domain.states import Transition
from stead.services import work as works
from stead.services.core import Core
from stead.services.work import BuildWork, ImportWork

_TRANSITIONS = {Transition.START: "start", Transition.STOP: "stop", Transition.DELETE: "destroy"}


def _no_script(os: str, arch: str) -> str:
    """Nothing is built in an import, so the script is not needed, and its bundle need not be there."""
    del os, arch
    return ""


def import_context(core: Core, work: ImportWork, workspace_id: str) -> BuildContext:
    """An import sees a workspace named ``default`` of whoever uploaded the template."""
    return BuildContext(
        deployment=core.deployment_id,
        transition="start",
        importing=True,
        workspace_id=workspace_id,
        workspace_name="default",
        build_id=work.claim.job.id,
        build_number=1,
        owner=work.owner,
        template_id=work.template_id,
        template_name=work.template_name,
        template_version=work.version_name,
        access_url=core.settings.access_url,
        agent_url=core.settings.access_url,
        init_scripts=_no_script,
        allow_host=core.settings.allow_host,
    )


def build_context(core: Core, work: BuildWork) -> BuildContext:
    return BuildContext(
        deployment=core.deployment_id,
        transition=_TRANSITIONS[work.transition],
        workspace_id=work.workspace_id,
        workspace_name=work.workspace_name,
        build_id=work.build_id,
        build_number=work.number,
        owner=work.owner,
        template_id=work.template_id,
        template_name=work.template_name,
        template_version=work.version_name,
        access_url=core.settings.access_url,
        parameters=work.parameters,
        previous_parameters=work.previous_parameters,
        agent_url=core.settings.access_url,
        init_scripts=functools.partial(works.require_bundle, core),
        allow_host=core.settings.allow_host,
    )
