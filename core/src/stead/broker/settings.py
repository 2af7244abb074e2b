"""What provisioner processes are told of the settings: what they need, and nothing that is the server's."""

from __future__ import annotations

from typing import Any

from stead.protocol.messages import ProcessSettings
from stead.services.core import Core, plugin_sections


def process_settings(core: Core) -> ProcessSettings:
    settings = core.settings
    return ProcessSettings(
        access_url=settings.access_url,
        work_dir=settings.data_dir.absolute() / "work",
        allow_host=settings.allow_host,
        log_level=settings.log_level,
        trace=settings.trace,
        concurrency=settings.provisioner_concurrency,
        poll=settings.provisioner_poll,
        grace=settings.provisioner_grace,
        job_lease=settings.job_lease,
        build_timeout=settings.build_timeout,
        sweep_interval=settings.sweep_interval,
        shutdown_timeout=settings.agent_shutdown_timeout,
        max_state_bytes=settings.max_state_bytes,
        terraform_binary=settings.terraform_binary,
        plugin_cache=settings.plugin_cache,
        terraform_mirror=settings.terraform_mirror,
        terraform_network=settings.terraform_network,
        terraform_cli_config=settings.terraform_cli_config,
        terraform_warm=settings.terraform_warm,
        terraform_environment=tuple(settings.terraform_environment),
        plugins_disabled=tuple(settings.plugins.disabled),
        sections=_sections(core),
    )


def _sections(core: Core) -> dict[str, dict[str, Any]]:
    """Of the plugins that serve providers or platforms: the others have nothing to do there."""
    needed = {status.name for status in core.plugins.status() if status.providers or status.platforms}
    return {name: section for name, section in plugin_sections(core.settings).items() if name in needed}
