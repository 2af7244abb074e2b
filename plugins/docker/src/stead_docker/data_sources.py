"""Data sources: images and networks that are there already, and images in a registry."""

from __future__ import annotations

from stead.api.errors import ResourceNotFound
from stead.api.provider import Context, DataSource, ObjectSchema, attribute
from stead_docker.engine import engine_of
from stead_docker.image import find_image
from stead_docker.network import ipam_blocks
from stead_docker.registry import manifest_digest


class ImageData(DataSource, name="docker_image"):
    """An image that the engine has."""

    id: str = attribute(computed=True)
    name: str = attribute(required=True, description="Name with tag or digest.")
    repo_digest: str = attribute(computed=True, description="name@sha256:… by which its registry knows it.")

    def read(self, context: Context) -> None:
        found = find_image(context, self.name)
        self.id = found["Id"]
        self.repo_digest = next(iter(found.get("RepoDigests") or ()), "")


class RegistryImageData(DataSource, name="docker_registry_image"):
    """An image in its registry: tells whether there is a newer one than the engine has."""

    id: str = attribute(computed=True)
    name: str = attribute(required=True, description="Name with tag or digest.")
    insecure_skip_verify: bool | None = attribute(optional=True, description="Do not check the registry's certificate.")
    sha256_digest: str = attribute(computed=True, description="Digest of what the registry has under that name.")

    def read(self, context: Context) -> None:
        self.sha256_digest = manifest_digest(context, self.name, verify=not self.insecure_skip_verify)
        self.id = self.sha256_digest


class IpamConfigData(ObjectSchema):
    """One address range of a network."""

    subnet: str = attribute(computed=True)
    gateway: str = attribute(computed=True)
    ip_range: str = attribute(computed=True)
    aux_address: dict[str, str] = attribute(computed=True)


class NetworkLookup(DataSource, name="docker_network"):
    """A network that the engine has."""

    id: str = attribute(computed=True)
    name: str = attribute(required=True, description="Name of the network.")
    driver: str = attribute(computed=True)
    internal: bool = attribute(computed=True)
    scope: str = attribute(computed=True)
    options: dict[str, str] = attribute(computed=True)
    ipam_config: list[IpamConfigData] = attribute(computed=True)

    def read(self, context: Context) -> None:
        found = engine_of(context).find(
            context, f"Network {self.name} could not be read", lambda c: c.inspect_network(self.name)
        )
        if found is None:
            raise ResourceNotFound(
                f"The engine has no network {self.name}.",
                field="name",
                remedy="Create it (docker network create), or use the resource docker_network.",
            )
        self.id, self.driver, self.internal = found["Id"], found["Driver"], found["Internal"]
        self.scope, self.options = found["Scope"], found["Options"] or {}
        self.ipam_config = [
            IpamConfigData(
                subnet=item.subnet, gateway=item.gateway, ip_range=item.ip_range, aux_address=item.aux_address
            )
            for item in ipam_blocks(found)
        ]
