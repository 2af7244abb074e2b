"""Event streams: logs that are followed and resumed, and workspaces that are watched."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from stead.domain.records import Actor
from stead.domain.states import JobKind, Role, Transition
from stead.gateway.live import LiveStreams
from stead.services import agents, builds, jobs
from stead.services.bus import Bus
from stead.store.jobs import NewLine
from stead.testing.handmade import PROVISIONER
from stead.testing.waiting import eventually

Event = tuple[str, str, Any]  # id, name, data


def lines(*texts: str) -> list[NewLine]:
    return [NewLine(datetime.now(UTC), "info", "applying", text) for text in texts]


@contextlib.contextmanager
def following(site: Any, path: str, token: str | None = None, **headers: str) -> Iterator[Iterator[Event]]:
    """The events of a stream, as they come."""
    used = token if token is not None else site.deployment.token
    authorization = {"Authorization": f"Bearer {used}"} if used else {}
    url = f"{site.deployment.url}/api/v2{path}"
    with httpx.stream("GET", url, headers={**authorization, **headers}, timeout=20) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield _events(response.iter_lines())


def _events(raw: Iterator[str]) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in raw:
        name, _, value = line.partition(": ")
        if line and name:
            fields[name] = value
        elif "event" in fields:
            yield fields.get("id", ""), fields["event"], json.loads(fields["data"])
            fields = {}


def texts(events: list[Event]) -> list[str]:
    return [data["text"] for _, name, data in events if name == "line"]


@contextlib.contextmanager
def running_build(site: Any) -> Iterator[tuple[Any, jobs.Claim]]:
    """A stop build of a new workspace, claimed by hand."""
    made = site.workspace()
    build = builds.create(site.core, site.owner, made.workspace.id, Transition.STOP)
    claim = jobs.claim(site.core, PROVISIONER, [JobKind.BUILD])
    assert claim is not None
    yield build, claim
    with contextlib.suppress(Exception):
        jobs.fail(site.core, claim, jobs.SteadError("the test is over"))


def test_a_build_log_is_followed_to_its_end(site: Any) -> None:
    with running_build(site) as (build, claim):
        jobs.append_logs(site.core, claim, lines("one", "two"))
        with following(site, f"/builds/{build.id}/logs/stream") as events:
            assert texts([next(events), next(events)]) == ["one", "two"]
            jobs.append_logs(site.core, claim, lines("three"))
            number, name, data = next(events)
            assert (name, data["text"], data["source"]) == ("line", "three", "applying")
            assert int(number) == data["id"]
            jobs.fail(site.core, claim, jobs.SteadError("broken"))
            *rest, (_, end, job) = list(events)
            assert (end, job["status"], job["error"]) == ("end", "failed", "broken")
            assert texts(rest) == []


@pytest.mark.parametrize("how", ["header", "query"])
def test_a_reader_that_comes_back_gets_what_it_missed(site: Any, how: str) -> None:
    with running_build(site) as (build, claim):
        jobs.append_logs(site.core, claim, lines("one", "two", "three"))
        path = f"/builds/{build.id}/logs/stream"
        with following(site, path) as events:
            first = next(events)[0]
        extra = {"Last-Event-ID": first} if how == "header" else {}
        query = "" if how == "header" else f"?after={first}"
        with following(site, path + query, **extra) as events:
            assert texts([next(events), next(events)]) == ["two", "three"]


def test_a_long_log_comes_whole(site: Any) -> None:
    with running_build(site) as (build, claim):
        wanted = [str(n) for n in range(2500)]
        jobs.append_logs(site.core, claim, lines(*wanted))
        jobs.fail(site.core, claim, jobs.SteadError("over"))
        with following(site, f"/builds/{build.id}/logs/stream") as events:
            assert texts(list(events)) == wanted


def test_an_agents_log_is_followed(site: Any) -> None:
    made = site.workspace()
    actor = agents.SYSTEM
    agents.append_logs(site.core, actor, made.agent_id, lines("before"))
    with following(site, f"/agents/{made.agent_id}/logs/stream") as events:
        assert texts([next(events)]) == ["before"]
        agents.append_logs(site.core, actor, made.agent_id, lines("after"))
        assert texts([next(events)]) == ["after"]


def test_a_watched_workspace_tells_every_change(site: Any) -> None:
    made = site.workspace()
    with following(site, f"/workspaces/{made.workspace.id}/watch") as events:
        assert next(events)[2]["status"] == "running"
        build = builds.create(site.core, site.owner, made.workspace.id, Transition.STOP)
        assert next(events)[2]["latest_build"]["id"] == build.id
        builds.cancel(site.core, site.owner, build.id)
        assert next(data for _, _, data in events if data["status"] == "canceled")


def test_everybody_watches_the_own_workspaces_and_the_owner_all(site: Any) -> None:
    member, token = site.member()
    with (
        following(site, "/watch") as all_of_them,
        following(site, "/watch", token=token) as own,
        ThreadPoolExecutor(2) as readers,
    ):
        # Whoever has the answer's status is listening.
        other = site.workspace()
        mine = site.workspace(owner=member)
        # What happens at once comes in no order, and agents of other tests may be leaving still.
        of_all = readers.submit(_ids_until, all_of_them, {other.workspace.id, mine.workspace.id})
        of_own = readers.submit(_ids_until, own, {mine.workspace.id})
        assert other.workspace.id in of_all.result(20)
        assert of_own.result(20) == {mine.workspace.id}


def _ids_until(events: Iterator[Event], wanted: set[str]) -> set[str]:
    ids: set[str] = set()
    while not wanted <= ids:
        ids.add(next(events)[2]["id"])
    return ids


async def test_who_may_no_longer_see_all_is_told_of_no_more() -> None:
    bus, anybody = Bus(), Actor("u", "u", ())
    gateway: Any = SimpleNamespace(core=SimpleNamespace(bus=bus), closing=asyncio.Event())
    listener: Any = SimpleNamespace(actor=replace(anybody, roles=(Role.AUDITOR,)))
    events = LiveStreams(gateway)._watch_all(listener)
    assert await anext(events) is None  # it listens
    coming = asyncio.ensure_future(anext(events))
    bus.publish("workspaces:somebody", {"id": "w"})
    first = await asyncio.wait_for(coming, 10)
    assert first is not None
    assert first.data == {"id": "w"}
    listener.actor = anybody
    bus.publish("workspaces:somebody", {"id": "x"})
    assert [event async for event in events] == []


def test_streams_of_what_one_may_not_see_do_not_exist(site: Any) -> None:
    _, token = site.member()
    made = site.workspace()
    build = made.workspace.latest_build.id
    for path in (
        f"/builds/{build}/logs/stream",
        f"/agents/{made.agent_id}/logs/stream",
        f"/workspaces/{made.workspace.id}/watch",
        "/builds/unknown/logs/stream",
        "/template-versions/unknown/logs/stream",
    ):
        with site.deployment.client(token) as client:
            answer = client.get(path)
        assert (answer.status_code, answer.json()["error"]["reason"]) == (404, "not_found"), path


def test_nobody_listens_without_a_credential_or_with_nonsense(site: Any) -> None:
    build = site.workspace().workspace.latest_build.id
    with site.deployment.client("") as client:
        assert client.get("/watch").status_code == 401
    with site.deployment.client() as client:
        answer = client.get(f"/builds/{build}/logs/stream", params={"after": "minus one"})
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, "after")


def test_one_person_has_so_many_streams_and_not_more(site: Any) -> None:
    _, token = site.member()
    with contextlib.ExitStack() as stack:
        for _ in range(64):
            stack.enter_context(following(site, "/watch", token=token))
        with site.deployment.client(token) as client:
            answer = client.get("/watch")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")

    def free_again() -> bool:
        with (
            site.deployment.client(token) as client,
            client.stream("GET", "/watch") as answer,
        ):
            return answer.status_code == 200

    assert eventually(free_again, 10, what="room for another stream")
