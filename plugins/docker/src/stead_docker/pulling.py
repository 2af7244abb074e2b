"""Bringing an image to the engine, with its progress in the build log."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

from docker.utils import parse_repository_tag

from stead.api.provider import Context
from stead_docker.connection import Client
from stead_docker.engine import engine_of
from stead_docker.failures import failure_of

LOOK = 0.5  # seconds between two looks at whether the build was canceled
END = object()
STAGES = frozenset({"Pulling from", "Pull complete", "Already exists", "Digest", "Status", "Pulling repository"})


def split(name: str) -> tuple[str, str]:
    """Repository and tag of an image name, ``latest`` where it names none; a digest counts as a tag."""
    repository, tag = parse_repository_tag(name)
    return repository, tag or "latest"


def inspect_image(context: Context, name: str) -> dict[str, Any] | None:
    return engine_of(context).find(context, f"Image {name} could not be read", lambda c: c.inspect_image(name))


def messages(context: Context, client: Client, start: Callable[[Client], Iterator[Any]]) -> Iterator[Any]:
    """A stream of progress messages that a cancel or a deadline can interrupt while it is silent.

    Errors of the SDK come as they are.
    """
    arrived: queue.Queue[Any] = queue.Queue()
    abandoned = threading.Event()

    def pump() -> None:
        try:
            for message in start(client):
                arrived.put(message)
                if abandoned.is_set():
                    return
            arrived.put(END)
        except Exception as error:  # noqa: BLE001 - the end of a thread: the reader raises it
            arrived.put(error)

    threading.Thread(target=pump, name="docker-stream", daemon=True).start()
    try:
        yield from _arriving(context, arrived)
    finally:
        abandoned.set()


def _arriving(context: Context, arrived: queue.Queue[Any]) -> Iterator[Any]:
    while True:
        try:
            message = arrived.get(timeout=LOOK)
        except queue.Empty:
            context.check()
            continue
        if message is END:
            return
        if isinstance(message, Exception):
            raise message
        yield message


def raise_if_failed(message: dict[str, Any], doing: str, field: str | None) -> None:
    if "error" in message:
        raise failure_of(str(message["error"]), doing, field)


def pull(context: Context, name: str, *, field: str, platform: str | None = None) -> None:
    """Pull an image, whether or not the engine has one of that name."""
    repository, tag = split(name)
    doing = f"Image {name} could not be pulled"
    context.log(f"Pulling image {repository}:{tag}.")

    def start(client: Client) -> Iterator[Any]:
        return iter(client.pull(repository, tag=tag, stream=True, decode=True, platform=platform))

    def pull_once(client: Client) -> None:
        for message in messages(context, client, start):
            raise_if_failed(message, doing, field)
            status = str(message.get("status", ""))
            if any(status.startswith(stage) for stage in STAGES):
                context.log(f"{message['id']}: {status}" if "id" in message else status)

    engine_of(context).do(context, doing, pull_once, field=field, again=True)


def ensure_image(context: Context, name: str, *, field: str, platform: str | None = None) -> dict[str, Any]:
    """The image as the engine has it, pulled where it is missing.

    :raises ProviderFailure: it is nowhere to be had; names the image and what to do.
    """
    found = inspect_image(context, name)
    if found is not None:
        return found
    if name.startswith("sha256:"):
        raise failure_of(f"No such image: {name}", "The image is not on the engine", field)
    pull(context, name, field=field, platform=platform)
    pulled = inspect_image(context, name)
    if pulled is None:
        raise failure_of(f"No such image: {name}", "The image was removed while it was being pulled", field)
    return pulled
