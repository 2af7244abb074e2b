"""Who opened a connection, and whether they still may."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from stead.api.errors import Forbidden, NotAuthenticated, NotFound, SteadError
from stead.domain.records import Actor
from stead.gateway.calls import ServiceCalls
from stead.services import authentication, rights
from stead.services.core import Core

logger = logging.getLogger(__name__)

SESSION_COOKIE = "stead_session"
RECHECK_SECONDS = 10.0
_DENIALS = (NotAuthenticated, Forbidden, NotFound)


@dataclass(frozen=True)
class Credential:
    """What a connection showed: an API token, or a browser's session."""

    token: str | None
    session: str | None
    address: str

    def __repr__(self) -> str:
        return f"Credential({'token' if self.token else 'session'}, address={self.address!r})"

    def actor(self, core: Core) -> Actor:
        """Blocking. A token wins over a cookie: a bad token is refused, whatever cookie came along."""
        if self.token is not None:
            return authentication.actor_for_token(core, self.token, self.address)
        if self.session is not None:
            return authentication.actor_for_session(core, self.session, self.address)
        raise NotAuthenticated("You are not signed in.", remedy="Sign in, or send a token in the Authorization header.")


def bearer_token(connection: HTTPConnection) -> str | None:
    scheme, _, value = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    return connection.headers.get("coder-session-token")


def credential_of(connection: HTTPConnection) -> Credential:
    """The credential of a request or WebSocket.

    :raises Forbidden: a WebSocket that a page of another origin opened with the person's cookie.
    """
    token = bearer_token(connection)
    session = connection.cookies.get(SESSION_COOKIE)
    if token is None and session is not None and connection.scope["type"] == "websocket":
        _check_origin(connection)
    return Credential(token, session, connection.client.host if connection.client else "")


def _check_origin(connection: HTTPConnection) -> None:
    origin = connection.headers.get("origin", "")
    if not origin or urlsplit(origin).netloc != connection.headers.get("host"):
        raise Forbidden("A page of another site tried to open this connection.")


@contextlib.contextmanager
def rights_of(core: Core, user_id: str) -> Iterator[asyncio.Event]:
    """An event that is set each time somebody's rights change."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()

    def hear(topic: str, payload: object) -> None:
        del topic, payload
        # The loop may be closing while a service still announces.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(event.set)

    with core.bus.subscribe(f"{rights.TOPIC}:{user_id}", hear):
        yield event


@contextlib.asynccontextmanager
async def rechecked(
    calls: ServiceCalls,
    allowed: Callable[[], object],
    denied: Callable[[SteadError], Awaitable[None]],
    interval: float = RECHECK_SECONDS,
    *,
    hurry: asyncio.Event | None = None,
) -> AsyncIterator[None]:
    """While the block runs, ask again and again whether it still may.

    :param allowed: blocking; raises where the right has ended.
    :param denied: ends the connection.
    :param hurry: ask at once where this is set.
    """
    nudge = hurry or asyncio.Event()

    async def watch() -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(nudge.wait(), interval)
            nudge.clear()
            try:
                await calls(allowed)
            except _DENIALS as error:
                await denied(error)
                return
            except Exception:  # boundary: the database may be away for a moment; rights have not ended by that
                logger.warning("could not check a connection's rights", exc_info=True)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
