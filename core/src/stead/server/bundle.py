"""Sees to it that there is an agent to serve under ``/bin/``."""

from __future__ import annotations

import asyncio
import logging
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

from stead.config import Settings

logger = logging.getLogger(__name__)

BUILD_SECONDS = 600.0


async def provide_bundle(settings: Settings) -> None:
    """Build the agent bundle into the data folder, once; a bundle that the settings name is left alone."""
    folder = settings.bundle_dir
    if (folder / "manifest.json").exists():
        return
    if settings.agent_bundle_dir is not None:
        logger.error("no agent bundle in %s: workspaces cannot start; check agent_bundle_dir", folder)
        return
    logger.info("building the agent bundle into %s; workspaces can start when it is done", folder)
    if await _build(folder):
        logger.info("the agent bundle is built")


async def _build(folder: Path) -> bool:
    # The agent is a distribution of its own that nothing of Stead imports: a process builds it.
    command = (sys.executable, "-m", "stead_agent_bundle", str(folder))
    process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE)
    try:
        _, errors = await asyncio.wait_for(process.communicate(), BUILD_SECONDS)
    except TimeoutError:
        logger.error("the agent bundle was not built within %.0f s", BUILD_SECONDS)
        return False
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        logger.error("the agent bundle could not be built: %s", errors.decode(errors="replace").strip()[-1000:])
    return process.returncode == 0
