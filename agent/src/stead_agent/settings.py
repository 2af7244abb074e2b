"""What the agent is told by its environment."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stead_agent.errors import ConfigurationError


@dataclass(frozen=True)
class AgentSettings:
    """Where the control plane is, and where the agent keeps its files."""

    url: str
    token: str = field(repr=False)
    run_dir: Path = field(default_factory=Path)
    tunnel: bool = True
    owns_container: bool = False  # whether the agent is what the container runs
    shutdown_grace: float = 10.0  # seconds that the control plane has to take the last reports

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def websocket_url(self, path: str) -> str:
        """``path`` at the control plane with the scheme of WebSockets."""
        base = self.url.rstrip("/")
        scheme, _, rest = base.partition("://")
        return f"{'wss' if scheme == 'https' else 'ws'}://{rest}{path}"


def read_settings(environ: Mapping[str, str]) -> AgentSettings:
    """Read ``STEAD_AGENT_*`` and their ``CODER_AGENT_*`` twins.

    :raises ConfigurationError: the address or the token is missing.
    """
    url = _first(environ, "AGENT_URL")
    token = _first(environ, "AGENT_TOKEN")
    token_file = _first(environ, "AGENT_TOKEN_FILE")
    if not token and token_file:
        token = Path(token_file).read_text(encoding="utf-8").strip()
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError("The address of the control plane is missing: set CODER_AGENT_URL to its http(s) URL.")
    if not token:
        raise ConfigurationError("The agent's token is missing: pass coder_agent.NAME.token as CODER_AGENT_TOKEN.")
    return AgentSettings(
        url=url,
        token=token,
        run_dir=choose_run_dir(environ, token),
        tunnel=environ.get("STEAD_AGENT_TUNNEL", "1") not in {"0", "false", "no"},
    )


def choose_run_dir(environ: Mapping[str, str], token: str) -> Path:
    """The private folder of this agent: the first of the usual places that takes one.

    Its name depends on the token, so that a new build starts with a new folder and a restarted agent finds its own.
    """
    name = "stead-agent-" + hashlib.sha256(token.encode()).hexdigest()[:12]
    chosen = _first(environ, "AGENT_RUN_DIR")
    parents = [chosen, environ.get("XDG_RUNTIME_DIR", ""), "/run", "/tmp", "/var/tmp", "/dev/shm"]  # noqa: S108
    for parent in filter(None, [*parents, environ.get("HOME", "")]):
        folder = Path(parent) / name
        if _make_private(folder):
            return folder
    return Path(tempfile.mkdtemp(prefix="stead-agent-"))


def _make_private(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
        if status.st_uid != os.geteuid():
            return False
        if status.st_mode & 0o077:
            folder.chmod(0o700)
        probe = folder / ".probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError:
        return False
    return True


def _first(environ: Mapping[str, str], name: str) -> str:
    return environ.get(f"STEAD_{name}") or environ.get(f"CODER_{name}") or ""
