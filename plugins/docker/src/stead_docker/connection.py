"""How to reach an engine: the provider's arguments, then the settings, then what Docker's own tools read."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import requests
from docker.context import ContextAPI
from docker.tls import TLSConfig

from stead.api.errors import CredentialsRejected, ResourceNotFound
from stead_docker.failures import translated
from stead_docker.ssh import Tunnel, open_tunnel

DEFAULT_HOST = "unix:///var/run/docker.sock"
TLS_FILES = ("ca.pem", "cert.pem", "key.pem")


@dataclass(frozen=True)
class Address:
    """Where an engine is and how to prove who one is. ``materials`` are PEM texts by their file name."""

    host: str
    cert_path: Path | None = None
    materials: dict[str, str] = field(default_factory=dict, repr=False)
    tls: TLSConfig | None = field(default=None, repr=False)
    ssh_options: tuple[str, ...] = ()


class Client(docker.APIClient):  # type: ignore[misc]  # the SDK has no types
    """The SDK's client, except that no request is without a deadline: pulls and builds pass ``None``."""

    silence: float = 300.0
    tunnel: Tunnel | None = None  # ends with the client
    tls_files: tempfile.TemporaryDirectory[str] | None = None  # read again by every new connection

    def merge_environment_settings(self, *arguments: Any, **options: Any) -> Any:
        """The engine's own authority counts before REQUESTS_CA_BUNDLE, which the library puts first."""
        settings = super().merge_environment_settings(*arguments, **options)
        return {**settings, "verify": self.verify} if isinstance(self.verify, str) else settings

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        if options.get("timeout") is None:
            options["timeout"] = self.silence
        response: requests.Response = super().send(request, **options)
        return response


def from_context(name: str, ssh_options: tuple[str, ...] = ()) -> Address:
    """The address that ``docker context`` keeps under ``name``."""
    with translated(f"Docker context {name} could not be read", "context"):
        found = ContextAPI.get_context(name)
    if found is None:
        raise ResourceNotFound(
            f"There is no Docker context {name} on the machine that runs Stead.",
            field="context",
            remedy="See docker context ls there.",
        )
    tls = found.TLSConfig if isinstance(found.TLSConfig, TLSConfig) else None
    return Address(found.Host or DEFAULT_HOST, tls=tls, ssh_options=ssh_options)


def environment_host() -> str:
    return os.environ.get("DOCKER_HOST") or DEFAULT_HOST


def _written(materials: dict[str, str]) -> tempfile.TemporaryDirectory[str]:
    """The PEM texts as files in a private folder: the TLS library reads nothing else."""
    folder = tempfile.TemporaryDirectory(prefix="stead-docker-tls-")
    for name, text in materials.items():
        file = Path(folder.name, name)
        file.touch(mode=0o600)
        file.write_text(text)
    return folder


def tls_config(folder: Path) -> TLSConfig:
    """TLS with the files ``ca.pem``, ``cert.pem`` and ``key.pem``, as far as they are there."""
    authority, certificate, key = (folder / name for name in TLS_FILES)
    if not authority.exists() and not certificate.exists():
        raise CredentialsRejected(f"{folder} has neither ca.pem nor cert.pem.", field="cert_path")
    if certificate.exists() != key.exists():
        raise CredentialsRejected(f"{folder} has only one of cert.pem and key.pem.", field="cert_path")
    pair = (str(certificate), str(key)) if key.exists() else None
    return TLSConfig(client_cert=pair, ca_cert=str(authority) if authority.exists() else None, verify=True)


def connect(address: Address, timeout: float, silence: float) -> Client:
    """A client that has spoken to its engine.

    :param timeout: seconds that an answer may take.
    :param silence: seconds that a stream of progress messages may pause.
    :raises ProviderFailure: the engine does not answer, or not to us.
    """
    files = _written(address.materials) if address.materials else None
    folder = Path(files.name) if files else address.cert_path
    over_ssh = address.host.startswith("ssh://")
    tunnel = open_tunnel(address.host, address.ssh_options, timeout) if over_ssh else None
    with translated(f"Docker at {address.host} does not answer", "host"):
        tls = address.tls or (tls_config(folder) if folder else None)
        host = f"unix://{tunnel.socket}" if tunnel else address.host
        host = host.replace("tcp://", "https://", 1) if tls else host
        client = Client(base_url=host, tls=tls or False, timeout=timeout)
    client.silence, client.tls_files, client.tunnel = silence, files, tunnel
    return client
