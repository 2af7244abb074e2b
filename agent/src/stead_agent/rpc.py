"""The RPC connection: one WebSocket with JSON-RPC 2.0, made again whenever it is lost."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from stead_agent import VERSION
from stead_agent.backoff import Backoff
from stead_agent.errors import ControlPlaneError, Revoked
from stead_agent.log import log
from stead_agent.outbox import Outbox
from stead_agent.settings import AgentSettings
from stead_agent.tls import client_context

PROTOCOL = 1
REPLACED = 4001
REVOKED = 4003
OPEN_TIMEOUT = 10.0
REQUEST_TIMEOUT = 20.0
PING_INTERVAL = 15.0
MAX_MESSAGE = 16 * 1024 * 1024

Notification = Callable[[str, dict[str, Any]], Awaitable[None]]


class RpcConnection:
    """One live WebSocket. Requests run side by side; each waits for its own answer."""

    def __init__(self, websocket: ClientConnection, on_notification: Notification) -> None:
        self._websocket = websocket
        self._on_notification = on_notification
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def request(self, method: str, params: dict[str, Any], patience: float = REQUEST_TIMEOUT) -> dict[str, Any]:
        """Send a request and return its result.

        :raises ControlPlaneError: the control plane refused it, or did not answer in time.
        """
        number = next(self._ids)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        try:
            async with asyncio.timeout(patience):
                await self._websocket.send(json.dumps(message, separators=(",", ":"), ensure_ascii=False))
                return await answer
        except TimeoutError:
            raise ControlPlaneError(f"The control plane did not answer {method} within {patience:g} s.") from None
        except ConnectionClosed as error:
            raise ControlPlaneError("The connection to the control plane was lost.") from error
        finally:
            self._waiting.pop(number, None)

    async def receive(self) -> None:
        """Read until the connection closes; answers wake their requests, notifications are called."""
        try:
            async for text in self._websocket:
                await self._receive(json.loads(text))
        finally:
            lost = ControlPlaneError("The connection to the control plane was lost.")
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(lost)

    async def _receive(self, message: dict[str, Any]) -> None:
        if "method" in message:
            await self._on_notification(message["method"], message.get("params") or {})
            return
        answer = self._waiting.get(message.get("id", 0))
        if answer is None or answer.done():
            return
        if "error" in message:
            text = message["error"].get("message", "unknown error")
            answer.set_exception(RequestRefused(f"The control plane refused the request: {text}"))
        else:
            answer.set_result(message.get("result") or {})


class RequestRefused(ControlPlaneError):
    """The control plane understood the request and said no: sending it again is of no use."""


class ControlPlane:
    """Keeps the RPC connection and delivers the outbox over it.

    :param greeting: gives the parameters of ``hello``.
    :param on_hello: is told each answer to ``hello``.
    """

    def __init__(
        self,
        settings: AgentSettings,
        outbox: Outbox,
        *,
        greeting: Callable[[], Awaitable[dict[str, Any]]],
        on_hello: Callable[[dict[str, Any]], Awaitable[None]],
        on_notification: Notification,
        on_result: Callable[[str, dict[str, Any], dict[str, Any]], None] = lambda _method, _params, _result: None,
    ) -> None:
        self._settings = settings
        self._outbox = outbox
        self._greeting = greeting
        self._on_hello = on_hello
        self._on_notification = on_notification
        self._on_result = on_result
        self._connection: RpcConnection | None = None
        self._said = ""

    @property
    def connected(self) -> bool:
        return self._connection is not None

    async def run(self) -> None:
        """Stay connected until cancelled.

        :raises Revoked: the control plane ended this agent, or its session where that can be had anew.
        """
        backoff = Backoff()
        while True:
            try:
                await self._session(backoff)
            except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ControlPlaneError) as error:
                if isinstance(error, Revoked):
                    raise
                if self._settings.proves and isinstance(error, InvalidStatus) and error.response.status_code == 401:
                    raise Revoked("The control plane has ended this session.") from error
                self._say(_explain(error))
            except Exception:  # noqa: BLE001 - the boundary of a connection: one that cannot be understood is made anew
                log.exception("the connection to the control plane failed; trying again")
            await asyncio.sleep(backoff.next())

    async def request(self, method: str, params: dict[str, Any], patience: float = REQUEST_TIMEOUT) -> dict[str, Any]:
        if self._connection is None:
            raise ControlPlaneError("There is no connection to the control plane right now.")
        return await self._connection.request(method, params, patience)

    async def drain(self, deadline: float) -> None:
        """Wait until everything queued has been delivered, at most ``deadline`` seconds."""
        try:
            async with asyncio.timeout(deadline):
                await self._outbox.wait_empty()
        except TimeoutError:
            log.warning("the control plane did not take the last reports within %g s", deadline)

    async def _session(self, backoff: Backoff) -> None:
        url = self._settings.websocket_url(f"/api/v2/agent/rpc?protocol={PROTOCOL}")
        async with connect(
            url,
            additional_headers=self._settings.authorization,
            user_agent_header=f"stead-agent/{VERSION}",
            ssl=client_context() if url.startswith("wss:") else None,
            compression=None,
            open_timeout=OPEN_TIMEOUT,
            ping_interval=PING_INTERVAL,
            ping_timeout=PING_INTERVAL,
            close_timeout=2,
            max_size=MAX_MESSAGE,
        ) as websocket:
            connection = RpcConnection(websocket, self._on_notification)
            tasks = [
                asyncio.create_task(connection.receive()),
                asyncio.create_task(self._deliver(connection, backoff)),
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._connection = None
                for task in tasks:
                    task.cancel()
                ends = await asyncio.gather(*tasks, return_exceptions=True)
            await websocket.close()
        for end in ends:
            if isinstance(end, Exception) and not isinstance(end, (ControlPlaneError, ConnectionClosed)):
                raise end
        self._judge_close(websocket.close_code)

    async def _deliver(self, connection: RpcConnection, backoff: Backoff) -> None:
        answer = await connection.request("hello", await self._greeting())
        self._connection = connection
        self._outbox.reconnected()
        await self._on_hello(answer)
        backoff.reset()
        self._say("connected to the control plane")
        while True:
            await self._outbox.wait()
            message = self._outbox.next()
            if message is None:
                continue
            try:
                result = await connection.request(message.method, message.params)
                self._on_result(message.method, message.params, result)
            except RequestRefused as error:
                log.warning("%s: %s", message.method, error)
            self._outbox.delivered(message)

    def _judge_close(self, code: int | None) -> None:
        if code == REVOKED:
            raise Revoked("The control plane has ended this agent: its build is gone.")
        if code == REPLACED:
            self._say("another connection of this agent took over; trying again")
        else:
            self._say("the connection to the control plane was lost; trying again")

    def _say(self, text: str) -> None:
        if text != self._said:
            log.info("%s", text)
            self._said = text


def _explain(error: BaseException) -> str:
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        body = bytes(error.response.body or b"")[:300].decode("utf-8", "replace")
        if status == 401:
            return "the control plane does not know this agent's token (401); trying again"
        return f"the control plane answered with HTTP {status}: {body.strip()}; trying again"
    return f"the control plane cannot be reached ({error or type(error).__name__}); trying again"
