"""What happens to a container: create, start, wait, change, stop, remove."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

from stead.api.errors import OperationTimedOut, ProviderFailure, ResourceConflict, SteadError
from stead.api.provider import Context
from stead_docker import container_config as config
from stead_docker import container_state as state
from stead_docker.connection import Client
from stead_docker.container_files import upload_all
from stead_docker.engine import engine_of
from stead_docker.labels import KEY, carries
from stead_docker.pulling import ensure_image

if TYPE_CHECKING:
    from stead_docker.container import Container
    from stead_docker.container_blocks import NetworkAttachment

POLL = 0.2  # seconds between two looks at a container
LAST_LINES = 10


def inspect(context: Context, identity: str) -> dict[str, Any] | None:
    return engine_of(context).find(
        context, f"Container {identity[:12]} could not be read", lambda c: c.inspect_container(identity)
    )


def _present(container: Container, context: Context, identity: str) -> dict[str, Any]:
    found = inspect(context, identity)
    if found is None:
        raise ProviderFailure(f"Container {container.name} vanished while it was being created.")
    return found


def create(container: Container, context: Context) -> None:
    """Create and start it, in the state that the template asks for. What fails half-way is removed."""
    _remove_leftover(container, context)
    ensure_image(context, container.image, field="image")
    identity = _make(container, context)
    try:
        _join_networks(container, context, identity)
        upload_all(container, identity, context)
        if container.start:
            _start(container, context, identity)
        state.assign(container, _present(container, context, identity))
    except SteadError:
        _discard(container, identity, context)
        raise


def _remove_leftover(container: Container, context: Context) -> None:
    """An earlier try of the same creation may have died at any point: begin anew, with today's values."""
    for item in _own(container, context):
        _remove(context, item["Id"], container.name, volumes=True)


def _own(container: Container, context: Context) -> list[dict[str, Any]]:
    """What was made under the key of this creation."""
    if not context.key:
        return []
    engine = engine_of(context)
    filters = {"label": f"{KEY}={context.key}"}
    found = engine.ask(context, "Containers could not be listed", lambda c: c.containers(all=True, filters=filters))
    name = f"/{container.name.lstrip('/')}"
    return [item for item in found if carries(item["Labels"], context.key) and name in item["Names"]]


def _make(container: Container, context: Context) -> str:
    body = config.to_api(container, context.labels)
    made = engine_of(context).make(
        context,
        f"Container {container.name} could not be created",
        lambda c: c.create_container_from_config(body, container.name.lstrip("/")),
        lambda: next(iter(_own(container, context)), None),
        fields=lambda failure: "name" if isinstance(failure, ResourceConflict) else None,
    )
    for warning in made.get("Warnings") or ():
        context.warn(f"Docker says of container {container.name}: {warning}")
    return str(made["Id"])


def _join_networks(container: Container, context: Context, identity: str) -> None:
    """All but the first, which the create call named."""
    for network in config.networks(container)[1:]:
        call = functools.partial(_join_call, identity=identity, network=network)
        doing = f"Container {container.name} could not join network {network.name}"
        engine_of(context).do(context, doing, call, field="networks_advanced")


def _join_call(client: Client, identity: str, network: NetworkAttachment) -> None:
    client.connect_container_to_network(
        identity,
        network.name,
        aliases=sorted(network.aliases or ()) or None,
        ipv4_address=network.ipv4_address,
        ipv6_address=network.ipv6_address,
    )


def _start(container: Container, context: Context, identity: str) -> None:
    engine_of(context).do(
        context,
        f"Container {container.name} could not be started",
        lambda c: c.start(identity),
        fields=lambda failure: "ports" if "port" in failure.message else None,
        again=True,
    )
    if container.attach:
        _attach(container, context, identity)
    elif container.must_run:
        _wait_running(container, context, identity)
    if container.wait:
        _wait_healthy(container, context, identity)


def _attach(container: Container, context: Context, identity: str) -> None:
    """Wait for its end, then keep its output."""
    while state.is_running(_present(container, context, identity)):
        context.wait(POLL)
    container.container_logs = output(context, identity) if container.logs else None


def output(context: Context, identity: str, tail: int | str = "all") -> str:
    """What the container has written."""

    def read(client: Client) -> str:
        return bytes(client.logs(identity, tail=tail)).decode(errors="replace")

    return engine_of(context).ask(context, "The container's output could not be read", read)


def _wait_running(container: Container, context: Context, identity: str) -> None:
    """Come back when it has run for a moment: what cannot work mostly ends at once."""
    limit = container.container_read_refresh_timeout_milliseconds / 1000
    settle = engine_of(context).settings.settle
    began = time.monotonic()
    while True:
        found = inspect(context, identity)
        if found is None or found["State"]["Status"] in ("exited", "dead", "removing"):
            raise _ended(container, context, identity, found)
        waited = time.monotonic() - began
        running = state.is_running(found)
        if running and waited >= settle:
            return
        if not running and waited >= limit:
            raise OperationTimedOut(f"Container {container.name} did not run within {limit:g} s of its start.")
        context.wait(max(settle - waited, 0.01) if running else POLL)


def _ended(container: Container, context: Context, identity: str, found: dict[str, Any] | None) -> ProviderFailure:
    """Why a container that must run does not: its exit code and its last words."""
    if found is None:
        return ProviderFailure(f"Container {container.name} ended at once and was removed.", field="rm")
    for line in output(context, identity, LAST_LINES).splitlines():
        context.log(f"{container.name}: {line}", "error")
    killed = " for want of memory" if found["State"].get("OOMKilled") else ""
    return ProviderFailure(
        f"Container {container.name} ended right after its start{killed}, with exit code {found['State']['ExitCode']}.",
        field="command",
        remedy="Its last output is in the log. Set must_run = false if it is meant to end.",
    )


def _wait_healthy(container: Container, context: Context, identity: str) -> None:
    waited = 0.0
    while waited < container.wait_timeout:
        health = _present(container, context, identity)["State"].get("Health")
        if health is None:
            raise ProviderFailure(
                f"Container {container.name} has no healthcheck to wait for.",
                field="wait",
                remedy="Add a healthcheck block, or leave wait out.",
            )
        if health["Status"] == "healthy":
            return
        if health["Status"] == "unhealthy":
            raise ProviderFailure(f"Container {container.name} is unhealthy.", field="healthcheck")
        context.wait(POLL)
        waited += POLL
    raise OperationTimedOut(
        f"Container {container.name} was not healthy within {container.wait_timeout} s.", field="wait_timeout"
    )


def _discard(container: Container, identity: str, context: Context) -> None:
    """Remove what a failed creation has made, whatever else goes wrong; the sweep finds it otherwise."""
    late = Context(provider=context.provider, build=context.build, key=context.key, sink=context.sink)
    try:
        _remove(late, identity, container.name, volumes=True)
    except SteadError as error:
        context.log(f"Container {container.name} is left over: {error}", "warn")


def update(container: Container, context: Context, prior: Container) -> None:
    """Change limits and restart policy in place; start it where it should run."""
    engine = engine_of(context)
    body = config.to_update(container)
    if body != config.to_update(prior):
        engine.do(
            context,
            f"Container {container.name} could not be changed",
            lambda c: _update_call(c, container.id, body),
            again=True,
        )
    if container.start and not prior.start:
        _start(container, context, container.id)
    if prior.start and not container.start:
        _stop(context, container.id, container)
    state.assign(container, _present(container, context, container.id))


def _update_call(client: Client, identity: str, body: dict[str, Any]) -> None:
    """The SDK's own method cannot lift a limit: it leaves out what is zero."""
    response = client._post_json(client._url("/containers/{0}/update", identity), data=body)
    client._raise_for_status(response)


def _stop(context: Context, identity: str, container: Container) -> None:
    grace = container.destroy_grace_seconds
    doing = f"Container {container.name} could not be stopped"
    engine_of(context).remove(context, doing, lambda c: c.stop(identity, timeout=grace))


def delete(container: Container, context: Context) -> None:
    if container.destroy_grace_seconds:
        _stop(context, container.id, container)
    _remove(context, container.id, container.name, volumes=container.remove_volumes is not False)


def _remove(context: Context, identity: str, name: str, *, volumes: bool) -> None:
    """Remove it by force, and come back when it is gone: also where somebody else is removing it."""
    try:
        engine_of(context).remove(
            context,
            f"Container {name} could not be removed",
            lambda c: c.remove_container(identity, v=volumes, force=True),
        )
    except ResourceConflict as conflict:
        if "already in progress" not in conflict.message:
            raise
    limit = time.monotonic() + engine_of(context).settings.timeout
    while inspect(context, identity) is not None:
        if time.monotonic() > limit:
            raise OperationTimedOut(f"Container {name} is being removed, and is still there.", remedy="Try again.")
        context.wait(POLL)
