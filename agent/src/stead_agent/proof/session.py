"""The agent's session with the control plane, where no token was given to it.

A session is kept in the private folder of the agent, for as long as the machine runs: an agent that is started again
goes on with it. It does not outlive a reboot, so that no copy of the machine's disk holds one that works.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from stead_agent.backoff import Backoff
from stead_agent.errors import ProofError
from stead_agent.identity import boot_id
from stead_agent.log import log
from stead_agent.proof.clouds import DOCUMENTS
from stead_agent.proof.web import ask_control_plane

CHALLENGE_PATH = "/api/v2/agent/identity/challenge"
SESSION_PATH = "/api/v2/agent/identity/session"
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 15.0


@dataclass(frozen=True)
class Session:
    agent_id: str
    token: str = field(repr=False)
    boot_id: str = ""


class SessionFile:
    """Where the session is between two runs of the agent."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "session.json"

    def load(self) -> Session | None:
        """The session of this boot, if there is one."""
        try:
            found = Session(**json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        if found.boot_id != boot_id():
            self.forget()
            return None
        return found

    def save(self, session: Session) -> None:
        partial = self._path.with_suffix(".new")
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(session), file)
        partial.replace(self._path)

    def forget(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()


def prove(url: str, auth: str, service: str, attempt: int = 0) -> Session:
    """Prove once which machine this is.

    :param service: address of the metadata service.
    :raises ProofError: the cloud gave nothing, or the control plane did not take it.
    """
    base = url.rstrip("/")
    asked = ask_control_plane(base + CHALLENGE_PATH, {"auth": auth})
    try:
        document = DOCUMENTS[auth](service, str(asked["challenge"]), attempt)
        answer = {"id": str(asked["id"]), "document": base64.b64encode(document).decode("ascii")}
        given = ask_control_plane(base + SESSION_PATH, answer)
        return Session(str(given["agent_id"]), str(given["token"]), boot_id())
    except KeyError as error:
        raise ProofError("The control plane answered with something else than was asked.") from error


def prove_until_taken(url: str, auth: str, service: str, pause: Callable[[float], None] = time.sleep) -> Session:
    """Try until the control plane takes the proof: it knows of the machine only when its build has ended."""
    backoff, said, attempt = Backoff(FIRST_PAUSE, LONGEST_PAUSE), "", 0
    while True:
        try:
            session = prove(url, auth, service, attempt)
        except ProofError as error:
            if str(error) != said:
                log.warning("%s Trying again.", error)
                said = str(error)
        else:
            log.info("the control plane knows which machine this is")
            return session
        attempt += 1
        pause(FIRST_PAUSE / 2 + backoff.next())
