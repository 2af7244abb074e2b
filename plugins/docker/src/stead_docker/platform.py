"""Docker as a place where workspaces run: does it answer, what on it is ours, how to try it here."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from stead.api import CredentialsReport, OwnedResource, Platform, Trial
from stead.api.errors import PermissionMissing, ProviderFailure
from stead.api.provider import BuildContext, Context
from stead_docker.engine import Engine
from stead_docker.failures import NO_ACCESS
from stead_docker.labels import DEPLOYMENT, KEY
from stead_docker.provider import Docker
from stead_docker.settings import DockerSettings
from stead_docker.trial import trial_image

LOCAL = "unix://"
Labels = dict[str, str]


class DockerPlatform(Platform):
    """The engine that the settings name."""

    def __init__(self, settings: DockerSettings) -> None:
        self._settings = settings
        self._provider = Docker(settings=settings)

    def _context(self) -> Context:
        return Context(provider=self._provider, build=BuildContext())

    @property
    def _engine(self) -> Engine:
        return self._provider.engine

    def check_credentials(self) -> CredentialsReport:
        try:
            version = self._engine.ask(self._context(), "The engine's version could not be read", lambda c: c.version())
        except PermissionMissing as failure:
            return CredentialsReport(False, failure.message, (failure.remedy or NO_ACCESS,))
        except ProviderFailure as failure:
            return CredentialsReport(False, failure.message, tuple(filter(None, [failure.remedy])))
        return CredentialsReport(True, _summary(version, self._engine.address.host))

    def trial(self) -> Trial:
        host = self._engine.address.host
        if not host.startswith(LOCAL):
            raise ProviderFailure(
                f"The engine at {host} is not on this machine: its containers may not reach a server here.",
                remedy="Start the server with an access URL that they reach, and use the starter template.",
            )
        context = self._context()
        bridge = self._engine.ask(
            context, "The default network could not be read", lambda c: c.inspect_network("bridge")
        )
        listen = tuple(_gateway(item) for item in bridge["IPAM"]["Config"] or ())
        return Trial("docker", {"image": trial_image(context, self._settings.trial_image)}, listen)

    def owned_resources(self, deployment: str) -> Sequence[OwnedResource]:
        """Containers first: what they use cannot go before them."""
        return tuple(self._owned(deployment))

    def _list(self, doing: str, call: Callable[[Any], Any]) -> Any:
        return self._engine.ask(self._context(), f"{doing} could not be listed", call)

    def _owned(self, deployment: str) -> Iterator[OwnedResource]:
        filters = {"label": f"{DEPLOYMENT}={deployment}"}
        images = self._list("Images", lambda c: c.images(filters=filters))
        containers = self._list("Containers", lambda c: c.containers(all=True, filters=filters))
        volumes = self._list("Volumes", lambda c: c.volumes(filters=filters))["Volumes"] or ()
        networks = self._list("Networks", lambda c: c.networks(filters=filters))
        built_in = {item["Id"]: item["Labels"][KEY] for item in images if KEY in (item["Labels"] or {})}
        for item in containers:
            # Whoever runs an image that we built has its labels without being ours.
            if item["Labels"].get(KEY) != built_in.get(item["ImageID"]) or _of_builder(item):
                yield from _owned("docker_container", item["Id"], item["Labels"])
        for item in volumes:
            yield from _owned("docker_volume", item["Name"], item["Labels"])
        for item in networks:
            yield from _owned("docker_network", item["Id"], item["Labels"])
        for item in images:
            tags = [tag for tag in item["RepoTags"] or () if tag != "<none>:<none>"]
            for name in tags or [item["Id"]]:
                yield from _owned("docker_image", name, item["Labels"])

    def destroy_owned(self, resource: OwnedResource) -> None:
        identity, doing = resource.identity, f"{resource.type_name} {resource.identity} could not be removed"
        calls: dict[str, Callable[[Any], Any]] = {
            "docker_container": lambda c: c.remove_container(identity, v=True, force=True),
            "docker_volume": lambda c: c.remove_volume(identity),
            "docker_network": lambda c: c.remove_network(identity),
            "docker_image": lambda c: c.remove_image(identity),
        }
        if resource.type_name not in calls:
            raise ProviderFailure(f"{resource.type_name} is nothing that Docker has.")
        self._engine.remove(self._context(), doing, calls[resource.type_name])


def _of_builder(container: dict[str, Any]) -> bool:
    """Whether it is a step of a build, of which the engine lets go only if it lives to the end of it."""
    return container["State"] == "created" and "#(nop)" in container["Command"]


def _owned(type_name: str, identity: str, labels: Labels | None) -> Iterator[OwnedResource]:
    if labels and labels.get(KEY):
        yield OwnedResource(labels[KEY], type_name, identity, labels[DEPLOYMENT], dict(labels))


def _gateway(ipam: dict[str, str]) -> str:
    """The engine's own address in a network; by default the first one."""
    subnet = ipaddress.ip_network(ipam["Subnet"])
    return ipam.get("Gateway") or str(next(subnet.hosts()))


def _summary(version: dict[str, Any], host: str) -> str:
    return (
        f"Docker Engine {version['Version']} answers at {host} "
        f"(API {version['ApiVersion']}, {version['Os']}/{version['Arch']})."
    )
