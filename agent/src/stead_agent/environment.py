"""The environment of everything that runs in the workspace."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from stead_agent.manifest import Manifest
from stead_agent.users import User

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
REFERENCE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
INTERNAL = frozenset({"STEAD_AGENT_RUN_DIR", "STEAD_LD_PRELOAD", "STEAD_BUNDLE", "OLDPWD", "PWD", "SHLVL", "_"})


def workspace_environment(
    base: Mapping[str, str], manifest: Manifest, user: User, bin_dir: Path, url: str
) -> dict[str, str]:
    """The environment for scripts and sessions.

    The container's own comes first, then the user's profile, then what names the workspace, then ``coder_agent.env``
    and ``coder_env`` (in which ``$NAME`` refers to what came before), and the agent's commands stand first on ``PATH``.
    """
    env = {name: value for name, value in base.items() if name not in INTERNAL}
    if "STEAD_LD_PRELOAD" in base:
        env["LD_PRELOAD"] = base["STEAD_LD_PRELOAD"]
    env.update(HOME=user.home, USER=user.name, LOGNAME=user.name, SHELL=user.shell)
    env.setdefault("PATH", DEFAULT_PATH)
    env.setdefault("LANG", "C.UTF-8")
    env.update(_names(manifest, url))
    for name, value in manifest.env.items():
        env[name] = expand(value, env)
    env["PATH"] = with_bin_dir(env.get("PATH", ""), bin_dir)
    return env


def with_bin_dir(path: str, bin_dir: Path) -> str:
    parts = [part for part in path.split(":") if part and part != str(bin_dir)]
    return ":".join([str(bin_dir), *parts])


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace ``$NAME`` and ``${NAME}``; an unknown name becomes nothing, as in a shell."""
    return REFERENCE.sub(lambda match: env.get(match[1] or match[2], ""), text)


def expand_path(path: str, env: Mapping[str, str]) -> Path:
    """A path of a template: ``~`` and variables are filled in, a relative one starts at ``HOME``."""
    home = env.get("HOME", "/")
    text = expand(path, env)
    if text == "~" or text.startswith("~/"):
        text = home + text[1:]
    return Path(home) / text


def _names(manifest: Manifest, url: str) -> dict[str, str]:
    values = {
        "AGENT_URL": url,
        "URL": manifest.access_url or url,
        "WORKSPACE_NAME": manifest.workspace_name,
        "WORKSPACE_ID": manifest.workspace_id,
        "WORKSPACE_OWNER_NAME": manifest.owner,
        "WORKSPACE_AGENT_NAME": manifest.agent_name,
    }
    env = {"CODER": "true", "STEAD": "true"}
    for name, value in values.items():
        env[f"CODER_{name}"] = env[f"STEAD_{name}"] = value
    if manifest.port_proxy_uri:
        env["VSCODE_PROXY_URI"] = manifest.port_proxy_uri
    return env
