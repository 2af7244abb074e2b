"""What the agent is told by its environment."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stead_agent.errors import ConfigurationError
from stead_agent.proof.clouds import DOCUMENTS, METADATA

BY_TOKEN = "token"  # noqa: S105 - a kind of authentication


@dataclass(frozen=True)
class AgentSettings:
    """Where the control plane is, and where the agent keeps its files.

    :param auth: ``token``, or how the agent proves which machine it runs on; the token is then that of a session.
    :param metadata_url: where the machine's metadata service is.
    """

    url: str
    token: str = field(repr=False)
    run_dir: Path = field(default_factory=Path)
    tunnel: bool = True
    owns_container: bool = False  # whether the agent is what the container runs
    shutdown_grace: float = 10.0  # seconds that the control plane has to take the last reports
    auth: str = BY_TOKEN
    metadata_url: str = METADATA

    @property
    def proves(self) -> bool:
        """Whether the agent was given no token, and proves which machine it runs on."""
        return self.auth != BY_TOKEN

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

    An agent that proves which machine it runs on has no token yet, and a folder for its session as ``run_dir``.

    :raises ConfigurationError: the address or the token is missing.
    """
    url = _first(environ, "AGENT_URL")
    auth = _first(environ, "AGENT_AUTH") or BY_TOKEN
    token = _token(environ) if auth == BY_TOKEN else ""
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError("The address of the control plane is missing: set CODER_AGENT_URL to its http(s) URL.")
    if auth != BY_TOKEN and auth not in DOCUMENTS:
        raise ConfigurationError(f"CODER_AGENT_AUTH is {BY_TOKEN}, {', '.join(DOCUMENTS)}; not {auth[:64]!r}.")
    if auth == BY_TOKEN and not token:
        raise ConfigurationError("The agent's token is missing: pass coder_agent.NAME.token as CODER_AGENT_TOKEN.")
    return AgentSettings(
        url=url,
        token=token,
        run_dir=choose_run_dir(environ, token or f"{auth} {url}"),
        tunnel=environ.get("STEAD_AGENT_TUNNEL", "1") not in {"0", "false", "no"},
        auth=auth,
        metadata_url=(environ.get("STEAD_AGENT_METADATA_URL") or METADATA).rstrip("/"),
    )


def _token(environ: Mapping[str, str]) -> str:
    token_file = _first(environ, "AGENT_TOKEN_FILE")
    if token_file and not _first(environ, "AGENT_TOKEN"):
        return Path(token_file).read_text(encoding="utf-8").strip()
    return _first(environ, "AGENT_TOKEN")


def choose_run_dir(environ: Mapping[str, str], distinction: str) -> Path:
    """The private folder of this agent: the first of the usual places that takes one.

    :param distinction: what its name depends on: the token, or the agent's id where there is none at first. So a new
        build starts with a new folder and a restarted agent finds its own.
    """
    name = "stead-agent-" + hashlib.sha256(distinction.encode()).hexdigest()[:12]
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
