"""The provider ``kreuzwerker/docker``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from docker.auth import resolve_index_name

from stead.api.errors import CredentialsRejected
from stead.api.provider import BlockSchema, Context, Nesting, Provider, attribute, block
from stead_docker.connection import Address, environment_host, from_context
from stead_docker.container import Container
from stead_docker.data_sources import ImageData, NetworkLookup, RegistryImageData
from stead_docker.engine import Engine
from stead_docker.image import Image
from stead_docker.network import Network
from stead_docker.registry import decoded
from stead_docker.settings import DockerSettings
from stead_docker.volume import Volume


class RegistryAuth(BlockSchema):
    """How to log in to a registry."""

    address: str = attribute(required=True, description="Address of the registry.")
    username: str | None = attribute(optional=True, description="Account; DOCKER_REGISTRY_USER where not set.")
    password: str | None = attribute(optional=True, sensitive=True, description="DOCKER_REGISTRY_PASS where not set.")
    config_file: str | None = attribute(optional=True, description="File that docker login has written.")
    config_file_content: str | None = attribute(optional=True, sensitive=True, description="Content of such a file.")
    auth_disabled: bool | None = attribute(optional=True, description="The registry wants no login.")

    def credential(self, context: Context) -> dict[str, str] | None:
        """What the engine gets to log in with; ``None`` where it needs nothing."""
        if self.auth_disabled:
            return None
        text = self._file_text(context)
        if text is not None:
            return self._from_file(text)
        username = self.username or os.environ.get("DOCKER_REGISTRY_USER", "")
        password = self.password or os.environ.get("DOCKER_REGISTRY_PASS", "")
        return {"username": username, "password": password, "serveraddress": self.address} if username else None

    def _file_text(self, context: Context) -> str | None:
        if self.config_file_content:
            return self.config_file_content
        if not self.config_file:
            return None
        try:
            return context.build.resolve(self.config_file).read_text()
        except OSError as error:
            raise CredentialsRejected(
                f"{self.config_file} cannot be read: {error.strerror}.", field="registry_auth"
            ) from error

    def _from_file(self, text: str) -> dict[str, str] | None:
        try:
            entries: dict[str, Any] = json.loads(text).get("auths", {})
            known = {resolve_index_name_of(name): entry for name, entry in entries.items()}
            entry = known.get(resolve_index_name_of(self.address))
            login = decoded(entry["auth"]) if entry and entry.get("auth") else dict(entry or {})
        except (ValueError, AttributeError, TypeError) as error:
            raise CredentialsRejected(
                "The registry configuration is no file that docker login writes.", field="registry_auth"
            ) from error
        return {**login, "serveraddress": self.address} if login else None


def resolve_index_name_of(address: str) -> str:
    """The registry's name without scheme and path, as the SDK looks credentials up."""
    bare = address.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return str(resolve_index_name(bare))


class Docker(
    Provider,
    address="kreuzwerker/docker",
    resources=[Container, Image, Network, Volume],
    data_sources=[ImageData, NetworkLookup, RegistryImageData],
):
    """Containers, images, networks and volumes of a Docker engine."""

    host: str | None = attribute(optional=True, description="unix:///path, tcp://host:port or ssh://user@host.")
    context: str | None = attribute(optional=True, description="Name of a docker context; counts before host.")
    cert_path: str | None = attribute(optional=True, description="Folder with ca.pem, cert.pem and key.pem.")
    ca_material: str | None = attribute(optional=True, description="Certificate of the engine's authority (PEM).")
    cert_material: str | None = attribute(optional=True, description="Own certificate (PEM).")
    key_material: str | None = attribute(optional=True, sensitive=True, description="Its private key (PEM).")
    ssh_opts: list[str] | None = attribute(optional=True, description="Options of ssh, for ssh:// addresses.")
    disable_docker_daemon_check: bool | None = attribute(
        optional=True, description="Accepted: the engine is asked only when something needs it."
    )
    registry_auth: list[RegistryAuth] = block(RegistryAuth, nesting=Nesting.SET)

    def __init__(self, **values: Any) -> None:
        self.settings: DockerSettings = values.pop("settings", None) or DockerSettings()
        self._engine: Engine | None = None
        super().__init__(**values)

    def configure(self, context: Context) -> None:
        credentials = {
            resolve_index_name_of(auth.address): credential
            for auth in self.registry_auth
            if (credential := auth.credential(context))
        }
        self._engine = Engine(self._address(context), self.settings, credentials)

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            self.configure(Context(provider=self))
        assert self._engine is not None  # noqa: S101 - configure has set it
        return self._engine

    def _address(self, context: Context) -> Address:
        named = self.context or os.environ.get("DOCKER_CONTEXT")
        if self.context or (named and named != "default" and not self.host and not self.settings.host):
            return from_context(str(named), tuple(self.ssh_opts or ()))
        materials = {"ca.pem": self.ca_material, "cert.pem": self.cert_material, "key.pem": self.key_material}
        folder = context.build.resolve(self.cert_path) if self.cert_path else self.settings.cert_path
        return Address(
            self.host or self.settings.host or environment_host(),
            cert_path=Path(folder) if folder else _environment_certificates(),
            ssh_options=tuple(self.ssh_opts or ()),
            materials={name: text for name, text in materials.items() if text},
        )


def _environment_certificates() -> Path | None:
    """As Docker's own tools do: DOCKER_CERT_PATH counts where DOCKER_TLS_VERIFY is set."""
    folder = os.environ.get("DOCKER_CERT_PATH")
    return Path(folder) if folder and os.environ.get("DOCKER_TLS_VERIFY") else None
