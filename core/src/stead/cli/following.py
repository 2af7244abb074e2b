"""The logs of a workspace as they grow: one build after the other, and its agents beside them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

from stead.cli.client import Client, Json
from stead.cli.events import follow
from stead.cli.failures import CliError
from stead.cli.progress import agents_of, finished, patiently, wait_for_change
from stead.cli.session import Session

_LINES = 1000


class Follower:
    """Follows a workspace from its latest build on, until it is deleted or nobody asks for lines any more.

    :param agent: name of the only agent to hear; None for all.
    """

    def __init__(
        self, session: Session, workspace: Json, *, builds: bool, agents: bool, agent: str | None = None
    ) -> None:
        self._session = session
        self._path = f"/workspaces/{workspace['id']}"
        self._workspace = workspace
        self._builds = builds
        self._agents = agents
        self._agent = agent
        self._heard: set[str] = set()
        self._lines: queue.Queue[Json | CliError | None] = queue.Queue(_LINES)

    def lines(self) -> Iterator[Json]:
        """Every line as it comes.

        :raises CliError: the server refuses, or stays away.
        """
        threading.Thread(target=self._run, daemon=True).start()
        while (line := self._lines.get()) is not None:
            if isinstance(line, CliError):
                raise line
            yield line

    def _run(self) -> None:
        try:
            self._follow()
            self._lines.put(None)
        except CliError as error:
            # It was there at the beginning: what is not found any more was deleted.
            self._lines.put(None if error.reason == "not_found" else error)

    def _follow(self) -> None:
        server = Client.of(self._session)
        number = self._workspace["latest_build"]["number"]
        while True:
            # Several builds may have come since the last look, as at a restart.
            while number <= self._workspace["latest_build"]["number"]:
                if self._ends_with(server, numbered(server, self._workspace, number)):
                    return
                number += 1
            seen = self._look(server)
            if seen["latest_build"]["number"] < number:
                self._hear_agents(seen)
                wait_for_change(server, f"{self._path}/watch", seen)
                self._look(server)

    def _look(self, server: Client) -> Json:
        self._workspace = patiently(server, self._path)
        return self._workspace

    def _ends_with(self, server: Client, build: Json) -> bool:
        """Follow a build to its end; whether it deleted the workspace."""
        path = f"/builds/{build['id']}"
        for line in followed(server, f"{path}/logs"):
            if self._builds:
                self._lines.put(line)
        if build["transition"] != "delete":
            return False
        return str(finished(server, path)["job"]["status"]) == "succeeded"

    def _hear_agents(self, workspace: Json) -> None:
        for agent in agents_of(workspace) if self._agents else ():
            if self._agent in (None, agent["name"]) and agent["id"] not in self._heard:
                self._heard.add(agent["id"])
                threading.Thread(target=self._hear, args=(agent["id"],), daemon=True).start()

    def _hear(self, agent_id: str) -> None:
        try:
            for line in followed(Client.of(self._session), f"/agents/{agent_id}/logs"):
                self._lines.put(line)
        except CliError as error:
            # An agent goes with its build: the next one has another.
            if error.reason != "not_found":
                self._lines.put(error)


def followed(server: Client, path: str) -> Iterator[Json]:
    """The lines of the log at ``path``, from its first to its last."""
    return (event.data for event in follow(server, f"{path}/stream") if event.name == "line")


def numbered(server: Client, workspace: Json, number: int) -> Json:
    """The build of a workspace with a number.

    :raises CliError: it has none.
    """
    newest = workspace["latest_build"]["number"]
    if number == newest:
        return dict(workspace["latest_build"])
    if 1 <= number < newest:
        page = server.get(f"/workspaces/{workspace['id']}/builds", limit=1, offset=newest - number)
        for build in page["items"]:
            if build["number"] == number:
                return dict(build)
    raise CliError(f"{workspace['name']} has no build {number}; the latest is {newest}.", reason="not_found")
