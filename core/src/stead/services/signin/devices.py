"""Signing a program in without giving it a password: it shows a short code, which its person confirms in a browser.

The form of RFC 8628. The code is short because people type it: so it lives ten minutes, is found only by somebody
who is signed in, and few may be tried. What the program itself holds is a secret of full length.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from stead.api.errors import Forbidden, InvalidInput, NotAuthenticated, NotFound, RateLimited
from stead.domain import names
from stead.domain.pairing import LENGTH, LETTERS, new_code, shown
from stead.domain.records import Actor
from stead.services import authentication, secrets, users
from stead.services.core import Core, new_id
from stead.services.signin.proof import Proof
from stead.store import credentials
from stead.store import signin as store

LIFETIME = timedelta(minutes=10)
INTERVAL = 2.0  # seconds between two questions of the program
MOST_PER_ADDRESS = 60  # waiting at once
MOST_TRIES = 10  # wrong codes of one person, in the window of failed logins


class AuthorizationPending(InvalidInput):
    """Nobody has confirmed the code yet."""

    reason = "authorization_pending"


class SlowDown(RateLimited):
    """The program asks more often than it was told to."""

    reason = "slow_down"


@dataclass(frozen=True)
class DeviceCode:
    """What a program is given: the secret to ask with, and the code to show."""

    device_code: str = field(repr=False)
    user_code: str
    verification_url: str
    verification_url_complete: str
    expires_in: int
    interval: float


@dataclass(frozen=True)
class Waiting:
    """A program that waits, as its person sees it before they say yes."""

    user_code: str
    client: str
    address: str


def begin(core: Core, client: str, address: str) -> DeviceCode:
    """A code for a program that wants to be let in.

    :raises RateLimited: too many wait at this address.
    """
    now, device_id = core.clock.now(), new_id()
    with core.database.read():
        waiting = store.devices_from(address[:64], now - LIFETIME)
    if waiting >= MOST_PER_ADDRESS:
        raise RateLimited("Too many programs wait to be let in from your network.", remedy="Try again in ten minutes.")
    secret, digest = secrets.make(device_id)
    code = new_code()
    with core.database.write():
        store.insert_device(
            store.StoredDevice(
                id=device_id,
                secret_hash=digest,
                user_code=code,
                client=names.program(client),
                address=address[:64],
                status="pending",
                user_id=None,
                created_at=now,
                expires_at=now + LIFETIME,
            )
        )
    page = f"{core.settings.access_url}/device"
    return DeviceCode(secret, shown(code), page, f"{page}?code={shown(code)}", int(LIFETIME.total_seconds()), INTERVAL)


def waiting(core: Core, actor: Actor, user_code: str) -> Waiting:
    """The program behind a code that somebody who is signed in typed.

    :raises NotFound: there is none, or its time is over.
    :raises RateLimited: they tried too many.
    """
    found = _find(core, actor, user_code)
    return Waiting(shown(found.user_code), found.client, found.address)


def _find(core: Core, actor: Actor, user_code: str) -> store.StoredDevice:
    if actor.token_id is not None:
        raise Forbidden("A program lets no other program in.", remedy="Open the page in your browser.")
    code = "".join(char for char in user_code.upper()[:40] if char in LETTERS)
    account = f"device:{actor.user_id}"
    since = core.clock.now() - timedelta(seconds=core.settings.login_window)
    with core.database.read():
        tries, _ = credentials.failures(account, "", since)
        found = store.device_of_code(code) if len(code) == LENGTH and tries < MOST_TRIES else None
    if tries >= MOST_TRIES:
        raise RateLimited("Too many wrong codes.", remedy="Try again in a few minutes.")
    if found is None or found.status != "pending" or found.expires_at <= core.clock.now():
        with core.database.write():
            credentials.note_failure(account, "", core.clock.now())
        raise NotFound(
            "No program waits with this code.",
            remedy="Codes live ten minutes. Compare it with the one in the terminal.",
        )
    return found


def answer(core: Core, actor: Actor, user_code: str, *, approve: bool) -> None:
    """Let the program in as the actor, or turn it away."""
    found = _find(core, actor, user_code)
    status = "approved" if approve else "denied"
    with core.change(actor) as change:
        if not store.move_device(found.id, "pending", status, user_id=actor.user_id):
            raise NotFound("This program was answered already.")
        change.record(
            "let a program in" if approve else "turned a program away",
            "user",
            actor.user_id,
            actor.username,
            after={"client": found.client, "address": found.address},
        )


def redeem(core: Core, device_code: str) -> tuple[Proof, str]:
    """Who let the program in, and what it called itself; for once.

    :raises AuthorizationPending: nobody answered yet.
    :raises SlowDown: it asks too often.
    :raises NotAuthenticated: it was turned away, or the code is over.
    """
    parts = secrets.split(device_code)
    with core.database.read():
        found = store.device(parts[0]) if parts else None
    if parts is None or found is None or not secrets.matches(parts[1], found.secret_hash):
        raise InvalidInput("This is no code of ours.", field="device_code")
    now = core.clock.now()
    if found.expires_at <= now or found.status in ("denied", "used"):
        said = {"denied": "You were turned away in the browser.", "used": "The code was used already."}
        raise NotAuthenticated(said.get(found.status, "Nobody confirmed the code in time."), remedy="Begin again.")
    hurried = found.polled_at is not None and now - found.polled_at < timedelta(seconds=INTERVAL / 2)
    with core.database.write():
        store.touch_device(found.id, now)
        taken = found.status == "approved" and store.move_device(found.id, "approved", "used")
    if not taken:
        if hurried:
            raise SlowDown("You ask too often.", remedy=f"Wait {INTERVAL:g} seconds in between.")
        raise AuthorizationPending("Nobody confirmed the code yet.", remedy="Ask again in a moment.")
    actor = authentication.actor_for_user(core, str(found.user_id))
    return Proof(users.get(core, actor, "me")), found.client
