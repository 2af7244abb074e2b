"""Terraform's CLI configuration: where it may take providers from that no plugin serves."""

from __future__ import annotations

import json
from pathlib import Path

from stead.terraform.options import EngineOptions


def offline(options: EngineOptions) -> str:
    """Only what is here: the mirror and what was downloaded before."""
    return _config(_mirrors(options), cache=None, direct=False, exclude=[])


def online(options: EngineOptions) -> str:
    """The mirror for what it has, registries for the rest. Downloads are kept."""
    return _config(
        [options.mirror] if options.mirror else [],
        cache=options.plugin_cache,
        direct=True,
        exclude=sorted(provided_by(options.mirror)),
    )


def _mirrors(options: EngineOptions) -> list[Path]:
    # Terraform keeps downloads in the layout of a mirror.
    return [path for path in (options.mirror, options.plugin_cache) if path is not None and path.is_dir()]


def provided_by(mirror: Path | None) -> set[str]:
    """Addresses of the providers that a mirror has, from its folders ``host/namespace/type``."""
    if mirror is None or not mirror.is_dir():
        return set()
    return {str(path.relative_to(mirror)) for path in mirror.glob("*/*/*") if path.is_dir()}


def _config(mirrors: list[Path], cache: Path | None, *, direct: bool, exclude: list[str]) -> str:
    lines = ["disable_checkpoint = true"]
    if cache is not None:
        lines += [
            f"plugin_cache_dir = {json.dumps(str(cache))}",
            "plugin_cache_may_break_dependency_lock_file = true",
        ]
    lines.append("provider_installation {")
    lines += [f"  filesystem_mirror {{\n    path = {json.dumps(str(path))}\n  }}" for path in mirrors]
    if direct:
        lines.append(f"  direct {{\n    exclude = {json.dumps(exclude)}\n  }}")
    return "\n".join([*lines, "}", ""])
