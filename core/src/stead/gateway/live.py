"""The event streams of services.md: logs of builds, imports and agents, and watched workspaces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from stead.domain import rbac
from stead.domain.records import Actor, Job, LogLine
from stead.domain.transitions import ENDED
from stead.gateway.events import HEARTBEAT_SECONDS, Batch, Changes, Event, Listener, resume_point
from stead.gateway.failures import answering
from stead.gateway.state import Gateway
from stead.services import agents, builds, templates, workspaces

PAGE = 1000

Read = Callable[[int], Awaitable[tuple[LogLine, ...]]]
State = Callable[[], Awaitable[Job | None]]


class LiveStreams:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    @answering
    async def build_log(self, request: Request) -> Response:
        return await self._job_log(request, builds.get)

    @answering
    async def import_log(self, request: Request) -> Response:
        return await self._job_log(request, templates.version)

    @answering
    async def agent_log(self, request: Request) -> Response:
        agent_id, after = request.path_params["id"], resume_point(request)
        listener = await Listener.of(self._gateway, request)

        async def read(after: int) -> tuple[LogLine, ...]:
            return await self._gateway.calls(
                agents.logs, self._gateway.core, listener.actor, agent_id, after=after, limit=PAGE
            )

        async def endless() -> None:
            return None

        try:
            await read(after)
        except BaseException:
            listener.abandon()
            raise
        changes = Changes(self._gateway, f"agent:{agent_id}", wanted=lambda _, payload: "log" in payload)
        return await listener.respond(_follow(changes, read, endless, after))

    @answering
    async def workspace(self, request: Request) -> Response:
        ref = request.path_params["ref"]
        listener = await Listener.of(self._gateway, request)
        try:
            found = await self._gateway.calls(workspaces.get, self._gateway.core, listener.actor, ref)
        except BaseException:
            listener.abandon()
            raise
        return await listener.respond(self._watch_workspace(listener, found.id))

    @answering
    async def all_workspaces(self, request: Request) -> Response:
        listener = await Listener.of(self._gateway, request)
        return await listener.respond(self._watch_all(listener))

    async def _job_log(self, request: Request, get: Callable[..., object]) -> Response:
        """Lines of the job behind a build or a template version, until it has ended."""
        after = resume_point(request)
        thing_id = request.path_params["id"]
        gateway = self._gateway
        listener = await Listener.of(gateway, request)

        async def state() -> Job:
            thing = await gateway.calls(get, gateway.core, listener.actor, thing_id)
            job: Job = thing.job  # type: ignore[attr-defined]
            return job

        async def read(after: int) -> tuple[LogLine, ...]:
            return await gateway.calls(builds.logs, gateway.core, listener.actor, job_id, after=after, limit=PAGE)

        try:
            job_id = (await state()).id
        except BaseException:
            listener.abandon()
            raise
        return await listener.respond(_follow(Changes(gateway, f"job:{job_id}"), read, state, after))

    async def _watch_workspace(self, listener: Listener, workspace_id: str) -> AsyncIterator[Event | None]:
        core, calls = self._gateway.core, self._gateway.calls
        known = await calls(workspaces.get, core, listener.actor, workspace_id)
        topics = [f"workspace:{workspace_id}", "agent:*", "job:*"]
        interesting: set[str] = set()

        def wanted(topic: str, payload: object) -> bool:
            del payload
            return topic.startswith("workspace:") or topic in interesting

        with Changes(self._gateway, *topics, wanted=wanted).listening() as changes:
            while True:
                known = await calls(workspaces.get, core, listener.actor, workspace_id)
                interesting.clear()
                interesting.add(f"job:{known.latest_build.job.id}")
                interesting.update(f"agent:{a.id}" for r in known.latest_build.resources for a in r.agents)
                yield Event("workspace", known)
                while not await changes.wait(HEARTBEAT_SECONDS):
                    yield None

    async def _watch_all(self, listener: Listener) -> AsyncIterator[Event | None]:
        topic = _topic_of(listener.actor)
        with Changes(self._gateway, topic).listening() as changes:
            yield None
            # Whose roles have changed comes back for what they may see now.
            while _topic_of(listener.actor) == topic:
                if await changes.wait(HEARTBEAT_SECONDS):
                    ids, changes.ids = changes.ids, set()
                    for workspace_id in sorted(ids):
                        yield Event("workspaces", {"id": workspace_id})
                else:
                    yield None


async def _follow(changes: Changes, read: Read, state: State, after: int) -> AsyncIterator[Event | Batch | None]:
    """Lines as they come, and the job where there is one and it has ended."""
    with changes.listening():
        yield None
        while True:
            # The state first: what was written before the job ended is then surely read after it.
            job = await state()
            lines = await read(after)
            if lines:
                yield Batch(tuple(Event("line", line, line.id) for line in lines))
                after = lines[-1].id
            if len(lines) == PAGE:
                continue
            if job is not None and job.status in ENDED:
                yield Event("end", job)
                return
            if not await changes.wait(HEARTBEAT_SECONDS):
                yield None


def _topic_of(actor: Actor) -> str:
    """The topic of the lists that the actor may see: everybody's, or the own one."""
    everything = rbac.allows(actor, rbac.Resource.WORKSPACE, rbac.Action.READ)
    return "workspaces:*" if everything else f"workspaces:{actor.user_id}"
