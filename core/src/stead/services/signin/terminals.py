"""Letting a terminal in whose browser runs on the same machine: the browser brings it a code (RFC 8252, section 7.3).

The terminal listens at a port of the loopback interface and shows its person a page here. What they allow goes back
as a code that is good for a minute, for once, and only together with the verifier that never left the terminal
(RFC 7636): a program that catches the code at the port, or finds it in the browser, has nothing. The answer goes to
127.0.0.1 whatever the request says, so that it cannot be sent to somebody else's machine, as the code of
:mod:`stead.services.signin.devices` can; and it names this server (RFC 9207), so that no other can pass our code on
as its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlencode

from stead.api.errors import Forbidden, InvalidInput, NotAuthenticated, RateLimited
from stead.domain import names, pairing
from stead.domain.records import Actor
from stead.services import authentication, secrets, users
from stead.services.core import Change, Core, new_id
from stead.services.signin.proof import Proof
from stead.store import signin as store

PATH = "/terminal"
LIFETIME = timedelta(seconds=60)
MOST_PER_ADDRESS = 300  # under way at once, as for providers
LOWEST_PORT = 1024  # below it are services of the system, which no login of a person opens
_PROVIDER = ""  # codes are kept with the sign-ins under way; no provider is named like this
_BAD = "This sign-in is not good: it was used already, took too long, or was begun by another program."


@dataclass(frozen=True)
class Terminal:
    """A terminal that asks, as the link says that it opened.

    :param port: where it listens, on the machine of the browser.
    :param state: what it wants back with the answer.
    :param challenge: hash of its verifier.
    :param client: what it calls itself.
    """

    port: int
    state: str = field(repr=False)
    challenge: str
    client: str

    @property
    def code(self) -> str:
        """What the terminal shows too."""
        return pairing.code_of(self.challenge)


def asking(port: str, state: str, challenge: str, client: str) -> Terminal:
    """The terminal of a link.

    :raises InvalidInput: no terminal makes such a link.
    """
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else 0
    if not LOWEST_PORT <= number <= 65535 or not pairing.is_state(state) or not pairing.is_challenge(challenge):
        raise InvalidInput("This link was made by no terminal.", remedy="Run stead login, which opens one.")
    return Terminal(number, state, challenge, names.program(client))


def page_url(core: Core) -> str:
    """The page that a terminal opens."""
    return f"{core.settings.access_url}{PATH}"


def done_url(core: Core, token: str) -> str:
    """The page that tells the browser what the terminal has got."""
    parts = secrets.split(token)
    return f"{page_url(core)}/done/{parts[0] if parts else ''}"


def approve(core: Core, actor: Actor, terminal: Terminal) -> str:
    """Let the terminal in as the actor; where to send the browser.

    :raises Forbidden: a program asks, not a browser.
    """
    _check_person(actor)
    now, code_id = core.clock.now(), new_id()
    with core.database.read():
        if store.sign_ins_from(actor.address[:64], now - LIFETIME) >= MOST_PER_ADDRESS:
            raise RateLimited("Too many sign-ins were begun from your network.", remedy="Try again in a minute.")
    code, digest = secrets.make(code_id)
    content = json.dumps({"user_id": actor.user_id, "client": terminal.client}).encode()
    with core.change(actor) as change:
        store.insert_sign_in(
            store.StoredSignIn(
                id=code_id,
                provider=_PROVIDER,
                state_hash=digest,
                browser_hash=secrets.digest(terminal.challenge),
                sealed=core.keyring.seal(f"terminal:{code_id}", content),
                address=actor.address[:64],
                created_at=now,
                expires_at=now + LIFETIME,
            )
        )
        _record(change, actor, terminal, "let a program in")
    return _answer(core, terminal, code=code)


def refuse(core: Core, actor: Actor, terminal: Terminal) -> str:
    """Turn the terminal away; where to send the browser, so that it knows."""
    _check_person(actor)
    with core.change(actor) as change:
        _record(change, actor, terminal, "turned a program away")
    return _answer(core, terminal, error="access_denied")


def _check_person(actor: Actor) -> None:
    if actor.token_id is not None:
        raise Forbidden("A program lets no other program in.", remedy="Open the page in your browser.")


def _record(change: Change, actor: Actor, terminal: Terminal, action: str) -> None:
    after = {"client": terminal.client, "address": f"127.0.0.1:{terminal.port}"}
    change.record(action, "user", actor.user_id, actor.username, after=after)


def _answer(core: Core, terminal: Terminal, **answer: str) -> str:
    said = {**answer, "state": terminal.state, "iss": core.settings.access_url}
    return f"http://127.0.0.1:{terminal.port}/?{urlencode(said)}"


def redeem(core: Core, code: str, verifier: str) -> tuple[Proof, str]:
    """Who let the terminal in, and what it called itself; for once, and wrong tries count.

    :raises NotAuthenticated: the code is not good, or not with this verifier.
    """
    parts = secrets.split(code)
    with core.database.read():
        stored = store.sign_in(parts[0]) if parts else None
    if parts is None or stored is None or stored.provider != _PROVIDER:
        raise _bad()
    if not secrets.matches(parts[1], stored.state_hash):
        raise _bad()
    with core.database.write():
        taken = store.take_sign_in(stored.id)
    challenge = pairing.challenge_of(verifier)
    if not taken or stored.expires_at <= core.clock.now() or not secrets.matches(challenge, stored.browser_hash):
        raise _bad()
    content = json.loads(core.keyring.open(f"terminal:{stored.id}", stored.sealed))
    actor = authentication.actor_for_user(core, content["user_id"])
    return Proof(users.get(core, actor, "me")), content["client"]


def _bad() -> NotAuthenticated:
    return NotAuthenticated(_BAD, remedy="Run stead login again.")
