"""The ``build`` block of ``docker_image``: an image from a Dockerfile and a folder."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stead.api.errors import ProviderFailure, ResourceNotFound
from stead.api.provider import BlockSchema, Context, attribute, block
from stead_docker.connection import Client
from stead_docker.engine import engine_of
from stead_docker.failures import failure_of
from stead_docker.pulling import messages

MIB = 1 << 20


class BuildAuth(BlockSchema):
    """A registry that the build may pull from."""

    host_name: str = attribute(required=True, description="The registry.")
    user_name: str | None = attribute(optional=True, description="Account there.")
    password: str | None = attribute(optional=True, sensitive=True, description="Its password.")
    identity_token: str | None = attribute(optional=True, sensitive=True, description="In place of a password.")
    registry_token: str | None = attribute(optional=True, sensitive=True, description="In place of a password.")
    auth: str | None = attribute(optional=True, sensitive=True, description="user:password in base64.")
    email: str | None = attribute(optional=True, description="Of the account.")
    server_address: str | None = attribute(optional=True, description="Where the registry is.")


class Build(BlockSchema):
    """How to build the image. The engine's own builder does it."""

    context: str = attribute(required=True, force_new=True, description="Folder to build in.")
    dockerfile: str = attribute(default="Dockerfile", force_new=True, description="Dockerfile within it.")
    target: str | None = attribute(optional=True, force_new=True, description="Stage to build.")
    build_args: dict[str, str] | None = attribute(optional=True, force_new=True, description="ARG values.")
    label: dict[str, str] | None = attribute(optional=True, force_new=True, description="Labels of the image.")
    labels: dict[str, str] | None = attribute(optional=True, force_new=True, description="Labels of the image.")
    tag: list[str] | None = attribute(optional=True, force_new=True, description="Further names of the image.")
    no_cache: bool | None = attribute(optional=True, force_new=True, description="Build every step anew.")
    cache_from: list[str] | None = attribute(
        optional=True, force_new=True, description="Images whose layers may be used."
    )
    pull_parent: bool | None = attribute(optional=True, force_new=True, description="Pull the base image again.")
    remove: bool = attribute(default=True, force_new=True, description="Remove intermediate containers.")
    force_remove: bool | None = attribute(
        optional=True, force_new=True, description="Accepted: nothing is left after a failure."
    )
    suppress_output: bool | None = attribute(optional=True, force_new=True, description="Keep the log short.")
    squash: bool | None = attribute(optional=True, force_new=True, description="One layer; the engine must allow it.")
    platform: str | None = attribute(optional=True, force_new=True, description="linux/arm64 and the like.")
    network_mode: str | None = attribute(optional=True, force_new=True, description="Network of the RUN steps.")
    extra_hosts: list[str] | None = attribute(optional=True, force_new=True, description="host:ip for /etc/hosts.")
    remote_context: str | None = attribute(optional=True, force_new=True, description="Git or HTTP address to build.")
    memory: int | None = attribute(optional=True, force_new=True, description="Limit in MB.")
    memory_swap: int | None = attribute(optional=True, force_new=True, description="Memory and swap in MB, -1 for any.")
    shm_size: int | None = attribute(optional=True, force_new=True, description="Shared memory in bytes.")
    cpu_shares: int | None = attribute(optional=True, force_new=True, description="Weight.")
    cpu_set_cpus: str | None = attribute(optional=True, force_new=True, description="Processors to use.")
    isolation: str | None = attribute(optional=True, force_new=True, description="Of Windows containers.")
    auth_config: list[BuildAuth] = block(BuildAuth, force_new=True)


def _limits(build: Build) -> dict[str, Any] | None:
    swap = build.memory_swap
    limits = {
        "memory": build.memory * MIB if build.memory else None,
        "memswap": swap * MIB if swap and swap > 0 else swap,
        "cpushares": build.cpu_shares,
        "cpusetcpus": build.cpu_set_cpus,
    }
    return {name: value for name, value in limits.items() if value is not None} or None


def _hosts(build: Build) -> dict[str, str] | None:
    pairs = (entry.partition(":") for entry in build.extra_hosts or ())
    return {host: address for host, _, address in pairs} or None


def _folder(build: Build, context: Context) -> str:
    """The context as the SDK takes it: an absolute path that holds the Dockerfile, or an address."""
    if build.remote_context:
        return build.remote_context
    folder = context.build.resolve(build.context)
    if not folder.is_dir():
        raise ResourceNotFound(
            f"There is no folder {build.context} to build in.",
            field="build[0].context",
            remedy="Name a folder of the template, such as ./build or ${path.module}/build.",
        )
    if not Path(folder, build.dockerfile).is_file():
        raise ResourceNotFound(f"{build.context} has no file {build.dockerfile}.", field="build[0].dockerfile")
    return str(folder)


def options(context: Context, name: str, build: Build, platform: str | None) -> dict[str, Any]:
    """The arguments of the SDK's build call."""
    return {
        "path": _folder(build, context),
        "tag": name,
        "dockerfile": build.dockerfile,
        "target": build.target or "",
        "buildargs": build.build_args,
        "labels": {**(build.label or {}), **(build.labels or {}), **context.labels},
        "nocache": bool(build.no_cache),
        "cache_from": build.cache_from,
        "pull": bool(build.pull_parent),
        "rm": build.remove,
        "forcerm": True,  # what a failed build leaves behind carries no label of ours
        "quiet": bool(build.suppress_output),
        "squash": build.squash,
        "platform": build.platform or platform,
        "network_mode": build.network_mode,
        "extra_hosts": _hosts(build),
        "shmsize": build.shm_size,
        "container_limits": _limits(build),
        "isolation": build.isolation,
        "decode": True,
    }


def build_image(context: Context, name: str, build: Build, platform: str | None) -> None:
    """Build, with every line in the build log."""
    doing = f"Image {name} could not be built"
    arguments = options(context, name, build, platform)
    _use_credentials(context, build)
    context.log(f"Building image {name} from {build.remote_context or build.context}.")

    def start(client: Client) -> Iterator[Any]:
        return iter(client.build(**arguments))

    def build_once(client: Client) -> None:
        for message in messages(context, client, start):
            _show(context, message, doing)

    # What the engine has built before the connection broke, it finds in its cache.
    engine_of(context).do(context, doing, build_once, field="build", again=True)
    _tag(context, name, build)


def _use_credentials(context: Context, build: Build) -> None:
    configs = engine_of(context).client._auth_configs
    for auth in build.auth_config:
        values = {
            "username": auth.user_name,
            "password": auth.password,
            "identitytoken": auth.identity_token,
            "registrytoken": auth.registry_token,
            "auth": auth.auth,
            "email": auth.email,
            "serveraddress": auth.server_address or auth.host_name,
        }
        configs.add_auth(auth.host_name, {key: value for key, value in values.items() if value})


def _show(context: Context, message: dict[str, Any], doing: str) -> None:
    if "error" in message:
        failure = failure_of(str(message["error"]), doing, "build")
        raise failure if type(failure) is not ProviderFailure else _step_failed(failure)
    for line in str(message.get("stream", "")).splitlines():
        if line.strip():
            context.log(line.rstrip())


def _step_failed(failure: ProviderFailure) -> ProviderFailure:
    return ProviderFailure(
        failure.message,
        field="build",
        remedy="The output of the failed step is in the build log, just above.",
    )


def _tag(context: Context, name: str, build: Build) -> None:
    engine = engine_of(context)
    for tag in build.tag or ():
        call = functools.partial(_tag_call, name=name, tag=tag)
        engine.do(context, f"Image {name} could not be named {tag}", call, field="build[0].tag", again=True)


def _tag_call(client: Client, name: str, tag: str) -> None:
    client.tag(name, tag, force=True)
