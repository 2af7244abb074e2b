"""The main job over the REST API, one function for each step. Each is safe to repeat."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from stead.api.errors import BuildFailure, NotFound, Unavailable

Json = dict[str, Any]
Say = Callable[[str], None]

ENDED = ("succeeded", "failed", "canceled")

BUNDLE_SECONDS = 300.0


class Client:
    """The REST API of one server, as the person who runs the quickstart."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=30.0)

    def sign_in(self, token: str) -> None:
        self._http.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """One request.

        :raises NotFound: 404.
        :raises Unavailable: any other failure, with the server's message.
        """
        response = self._http.request(method, path, **arguments)
        if response.is_success:
            return response.json() if response.content else None
        message = _message(response)
        raise (NotFound if response.status_code == httpx.codes.NOT_FOUND else Unavailable)(message)

    def close(self) -> None:
        self._http.close()


def _message(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"{response.request.method} {response.request.url.path} answered {response.status_code}."


def first_owner(client: Client, password: str) -> None:
    """Create the first owner, ``admin``."""
    body = {
        "username": "admin",
        "email": "admin@localhost.localdomain",
        "password": password,
        "name": "Admin",
    }
    client.call("POST", "/api/v2/users/first", json=body)


def token(client: Client, password: str) -> str:
    """Sign in as ``admin``; returns an API token."""
    answer = client.call("POST", "/api/v2/login", json={"login": "admin", "password": password})
    return str(answer["token"])


def signed_in(client: Client) -> bool:
    """Whether the token that the client carries is still good."""
    try:
        client.call("GET", "/api/v2/users/me")
    except Unavailable:
        return False
    return True


def template(client: Client, platform: str, starter: str, say: Say) -> Json:
    """Import a platform's starter template, unless it was imported before."""
    try:
        return dict(client.call("GET", f"/api/v2/templates/{starter}"))
    except NotFound:
        pass
    body = {"starter": f"{platform}/{starter}", "name": "v1", "message": "Imported by the quickstart"}
    version = client.call("POST", "/api/v2/template-versions", data=body)
    imported(client, version["id"], say)
    return dict(client.call("POST", "/api/v2/templates", json={"name": starter, "version_id": version["id"]}))


def imported(client: Client, version_id: str, say: Say = lambda _text: None) -> Json:
    """Wait until a template version is imported, telling its log."""
    return _finish(client, f"/api/v2/template-versions/{version_id}", say)


def agent_bundle(client: Client, timeout: float = BUNDLE_SECONDS) -> None:
    """Wait until there is an agent to put into workspaces: a new server builds it beside its other work.

    :raises Unavailable: there is none within ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            client.call("GET", "/bin/manifest.json")
            return
        except (NotFound, Unavailable) as error:
            if time.monotonic() > deadline:
                raise Unavailable(f"There is no agent bundle after {timeout:.0f} s: {error}") from error
        time.sleep(0.2)


def workspace(client: Client, name: str, template_id: str, parameters: Mapping[str, str]) -> Json:
    """Queue the start of the workspace, creating it where it does not exist. Returns the build."""
    try:
        found = client.call("GET", f"/api/v2/workspaces/{name}")
    except NotFound:
        body = {"name": name, "template": template_id, "parameters": dict(parameters)}
        return dict(client.call("POST", "/api/v2/workspaces", json=body)["latest_build"])
    build = found["latest_build"]
    if found["status"] in ("running", "starting", "pending"):
        return dict(build)
    return dict(client.call("POST", f"/api/v2/workspaces/{found['id']}/builds", json={"transition": "start"}))


def built(client: Client, build_id: str, say: Say) -> Json:
    """Wait until a build is applied, telling its log."""
    return _finish(client, f"/api/v2/builds/{build_id}", say)


def ready(client: Client, name: str, timeout: float = 120.0) -> Json:
    """Wait until the workspace's agents are ready.

    :raises Unavailable: they are not within ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        found = client.call("GET", f"/api/v2/workspaces/{name}")
        if found["ready"]:
            return dict(found)
        if time.monotonic() > deadline:
            raise Unavailable(f"The agent of {name} is not ready after {timeout:.0f} s: {_agents(found)}.")
        time.sleep(0.03)


def path(client: Client, name: str, timeout: float = 5.0) -> str | None:
    """How streams of the workspace's first agent travel, as soon as that was measured."""
    deadline = time.monotonic() + timeout
    while True:
        measured = agents(client.call("GET", f"/api/v2/workspaces/{name}"))[0]["path"]
        if measured is not None or time.monotonic() > deadline:
            return str(measured) if measured else None
        time.sleep(0.05)


def remove(client: Client, name: str, say: Say) -> None:
    """Delete the workspace and wait until everything of it is gone."""
    found = client.call("GET", f"/api/v2/workspaces/{name}")
    build = client.call("POST", f"/api/v2/workspaces/{found['id']}/builds", json={"transition": "delete"})
    _finish(client, f"/api/v2/builds/{build['id']}", say)


def agents(found: Json) -> list[Json]:
    """All agents of a workspace record."""
    return [agent for resource in found["latest_build"]["resources"] for agent in resource["agents"]]


def _agents(found: Json) -> str:
    return ", ".join(f"{a['name']} is {a['status']}, {a['lifecycle']}" for a in agents(found)) or "no agent"


def _finish(client: Client, path: str, say: Say, timeout: float = 600.0) -> Json:
    deadline = time.monotonic() + timeout
    after = 0
    while True:
        record = client.call("GET", path)
        for line in client.call("GET", f"{path}/logs", params={"after": after})["items"]:
            after = line["id"]
            say(line["text"])
        status = record["job"]["status"]
        if status == "succeeded":
            return dict(record)
        if status in ENDED:
            raise BuildFailure(record["job"]["error"] or f"It ended as {status}.")
        if time.monotonic() > deadline:
            raise Unavailable(f"It did not end within {timeout:.0f} s.")
        time.sleep(0.03)
