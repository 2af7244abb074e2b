"""The connection to one provisioner process."""

from __future__ import annotations

import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from stead.api.errors import SteadError, Unavailable
from stead.broker.desk import Desk
from stead.protocol import messages as m
from stead.protocol.frames import Header, LinkLost, Violation, Wire
from stead.services.core import Core

log = logging.getLogger(__name__)

THREADS = 8  # that answer calls of one process
MOST_CALLS = 64  # that wait for an answer; more are not read


class Session:
    """Welcomes a process and answers it until the connection ends.

    :param settings: what the process is told at its start.
    """

    def __init__(self, core: Core, connection: socket.socket, provisioner_id: str, settings: m.ProcessSettings) -> None:
        self._core = core
        self._settings = settings
        self._bounds = m.Bounds(settings.max_state_bytes)
        self._wire = Wire(connection, self._largest)
        self.desk = Desk(core, provisioner_id)
        self._calls = ThreadPoolExecutor(THREADS, "stead-broker")
        self._beats = ThreadPoolExecutor(1, "stead-broker-beat")  # which must not wait behind others
        self._room = threading.BoundedSemaphore(MOST_CALLS)
        self._subscriptions = [
            core.bus.subscribe("jobs", lambda *_: self._notify(m.Wake())),
            core.bus.subscribe("cancel:*", self._cancel),
        ]
        self.violated = False
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stead-broker", daemon=True)

    def start(self) -> None:
        """Begin; does not block."""
        self._thread.start()

    def close(self) -> None:
        """End the connection, and wait for the calls that are being answered."""
        self._wire.close()
        self._thread.join(timeout=30)

    def _largest(self, kind: str) -> int:
        call = m.CALLS.get(kind)
        if call is None:
            raise Violation(f"a call {kind[:40]!r}, which there is not")
        return self._bounds.of(call.size)

    def _run(self) -> None:
        try:
            welcome = m.Welcome(self.desk.provisioner_id, self._core.deployment_id, self._settings)
            self._wire.send(Header(0, m.Welcome.__name__), m.encode(welcome), self._bounds.of(welcome.size))
            while True:
                self._read()
        except LinkLost:
            log.debug("The connection to the provisioner %s ended.", self.desk.provisioner_id)
        except Violation as error:
            self._refuse(error)
        except Exception:  # boundary: a connection
            log.exception("The connection to the provisioner %s failed.", self.desk.provisioner_id)
        finally:
            self._end()

    def _read(self) -> None:
        header, body = self._wire.receive()
        call: m.Call[Any] = m.decode(m.CALLS[header.kind], body)
        if header.number <= 0:
            raise Violation("a call without a number")
        self._room.acquire()
        threads = self._beats if isinstance(call, m.Beat) else self._calls
        threads.submit(self._answer, header.number, call)

    def _answer(self, number: int, call: m.Call[Any]) -> None:
        try:
            self._reply(number, self._ask(call))
        except Violation as error:
            self._refuse(error)
        except LinkLost:
            pass  # nobody is there to be told
        except Exception:  # boundary: a call
            log.exception("An answer to the provisioner %s failed.", self.desk.provisioner_id)
            self._wire.close()
        finally:
            self._room.release()

    def _ask(self, call: m.Call[Any]) -> m.Message:
        try:
            return self.desk.answer(call)
        except Violation:
            raise
        except SteadError as error:
            return m.failure_of(error)
        except Exception:  # boundary: a call
            log.exception("The provisioner's call %s failed for a reason that is a bug.", type(call).__name__)
            return m.failure_of(Unavailable("The control plane failed.", remedy="See the server's log."))

    def _reply(self, number: int, answer: m.Message) -> None:
        try:
            self._wire.send(Header(number, type(answer).__name__), m.encode(answer), self._bounds.of(answer.size))
        except LinkLost:
            raise
        except SteadError as error:  # it is too large, or cannot be written
            failure = m.failure_of(error)
            self._wire.send(Header(number, m.Failure.__name__), m.encode(failure), self._bounds.of(failure.size))

    def _notify(self, notice: m.Message) -> None:
        try:
            self._wire.send(Header(0, type(notice).__name__), m.encode(notice), self._bounds.of(notice.size))
        except SteadError:
            log.debug("The provisioner %s could not be told of something.", self.desk.provisioner_id)

    def _cancel(self, topic: str, payload: object) -> None:
        del payload
        lease = self.desk.lease_of(topic.removeprefix("cancel:"))
        if lease is not None:
            self._notify(m.Cancel(lease))

    def _refuse(self, error: Violation) -> None:
        """It does what no provisioner does: nothing that it says is heard any more."""
        self.violated = True
        log.error("The provisioner %s sent %s; its connection ends.", self.desk.provisioner_id, error)
        self._wire.close()

    def _end(self) -> None:
        self._wire.close()
        for subscription in self._subscriptions:
            subscription.close()
        for threads in (self._calls, self._beats):
            threads.shutdown(wait=True, cancel_futures=True)
        self._wire.release()
        self.ended.set()
