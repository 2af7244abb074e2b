"""Where a browser of this machine brings its answer back to: a port of the loopback interface, for one sign-in.

Any program of this machine can speak to the port. So only what carries our state counts, once; everything else is
refused and changes nothing, and who connects and says nothing holds nobody up.
"""

from __future__ import annotations

import hmac
import html
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from stead.cli.failures import CliError

HOST = "127.0.0.1"
READ_SECONDS = 10.0  # for a request to come in
OUTCOME_SECONDS = 90.0  # for the code to be exchanged, while the browser waits
SHOWN_SECONDS = 10.0  # for the browser to be told
_PAGE = '<!doctype html><meta charset="utf-8"><title>Stead</title><h1>{title}</h1><p>{text}</p>'


class Callback(ThreadingHTTPServer):
    """Listens as soon as it is made.

    :param state: what the answer must carry.
    :raises OSError: there is no loopback interface to listen at, or it may not be used.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = False  # nobody else may listen here while we do

    def __init__(self, state: str, port: int = 0) -> None:
        super().__init__((HOST, port), _Handler)
        self._state = state
        self._taken = threading.Lock()
        self._answers: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        self._outcome: queue.SimpleQueue[str | CliError] = queue.SimpleQueue()
        self._shown = threading.Event()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def wait(self, seconds: float) -> dict[str, str]:
        """The answer that carries our state.

        :raises CliError: none came in time.
        """
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            raise CliError(
                "Nothing came back from the browser in time.",
                reason="not_authenticated",
                remedy="Run stead login again; with --no-browser where the page opens on another machine.",
            ) from None

    def tell(self, outcome: str | CliError) -> None:
        """Send the waiting browser to a page, or tell it what went wrong."""
        self._outcome.put(outcome)
        self._shown.wait(SHOWN_SECONDS)

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def take(self, query: str) -> bool:
        """Whether this is the answer that we wait for, which it is once."""
        pairs = parse_qsl(query, keep_blank_values=True)
        answer = dict(pairs)
        ours = hmac.compare_digest(answer.get("state", "").encode(), self._state.encode())
        if not ours or len(answer) != len(pairs) or not self._taken.acquire(blocking=False):
            return False
        self._answers.put(answer)
        return True

    def outcome(self) -> str | CliError:
        """What became of the answer."""
        try:
            return self._outcome.get(timeout=OUTCOME_SECONDS)
        except queue.Empty:
            return CliError("The terminal does not answer any more.")

    def shown(self) -> None:
        self._shown.set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is none of the person's business."""


class _Handler(BaseHTTPRequestHandler):
    server: Callback
    timeout = READ_SECONDS
    server_version = "stead"
    sys_version = ""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if self.headers.get("Host") != f"{HOST}:{self.server.port}" or parts.path != "/":
            self._say(404, "There is nothing here", "Go back to your terminal.")
        elif not self.server.take(parts.query):
            self._say(400, "Not what the terminal waits for", "It was answered already, or did not ask for this.")
        else:
            self._finish(self.server.outcome())
            self.server.shown()

    def _finish(self, outcome: str | CliError) -> None:
        if isinstance(outcome, CliError):
            self._say(403, "Your terminal was not signed in", f"{outcome.message} {outcome.remedy or ''}")
            return
        self._head(303)
        self.send_header("Location", outcome)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _say(self, status: int, title: str, text: str) -> None:
        body = _PAGE.format(title=html.escape(title), text=html.escape(text)).encode()
        self._head(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _head(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.send_header("X-Content-Type-Options", "nosniff")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """The terminal shows what matters."""
