"""A machine as Stead sees it: asks the program there, installs it, and tells what it refuses."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping
from types import TracebackType
from typing import NoReturn, Self

from stead.api.errors import (
    PermissionMissing,
    PlatformUnreachable,
    ProviderFailure,
    ResourceConflict,
    ResourceNotFound,
    Throttled,
)
from stead.api.provider import Context
from stead_baremetal.answers import Claim, Status, status_of, values_of
from stead_baremetal.failures import AnswerLost, NotConnected
from stead_baremetal.inventory import Machine
from stead_baremetal.program import PROGRAM, PROTOCOL, Code, Word, digest, program
from stead_baremetal.retries import with_retries
from stead_baremetal.settings import BaremetalSettings
from stead_baremetal.ssh import Link, Ran, quoted

UNRECORDED = re.compile(r"[^A-Za-z0-9._:@/+=-]")
MISSING = 127  # exit code of a shell that finds no such program
CLOCK_SKEW = 300  # seconds
SETUP = "Run `python -m stead_baremetal.policy --setup` and execute what it prints on the machine as root."
NEW = f"{PROGRAM}.$$"
INSTALL = (
    f"umask 022 && mkdir -p {PROGRAM.rpartition('/')[0]} && cat >{NEW} && chmod 755 {NEW} && mv -f {NEW} {PROGRAM}"
)
NO_RIGHT = ("a password is required", "a terminal is required", "not allowed to", "may not run", "not in the sudoers")


class Busy(ResourceConflict):
    """Somebody else has the machine."""

    def __init__(self, who: str, claim: Claim) -> None:
        super().__init__(
            f"{who} is claimed by workspace {claim.name or claim.workspace} of {claim.owner or 'somebody'}."
        )
        self.claim = claim


class OutOfUse(ResourceConflict):
    """The machine is drained, unhealthy, or could not be wiped; ``state`` is which."""

    def __init__(self, who: str, state: str, why: str) -> None:
        super().__init__(f"{who} is {state}: {why}.")
        self.state, self.why = state, why


class NotOurs(ResourceNotFound):
    """The machine is not claimed under that key."""


class NotWiped(ProviderFailure):
    """The machine keeps something of the workspace."""


class Keeper:
    """Asks one machine. As a context manager it keeps its connection for several questions."""

    def __init__(self, machine: Machine, settings: BaremetalSettings) -> None:
        self.machine = machine
        self._settings = settings
        self._link: Link | None = None
        self._held = False

    @property
    def who(self) -> str:
        return f"{self.machine.name} ({self.machine.address})"

    def __enter__(self) -> Self:
        self._held = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held = False
        self.close()

    def close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()

    # What can be asked; each may be repeated.

    def status(self, context: Context, patience: float = 0.0) -> Status:
        """How the machine is; installs or replaces the program where we are root there."""
        found = status_of(self._ask(context, Word.STATUS, {}, patience))
        if found.digest != digest():
            self._replace(context, found)
            found = status_of(self._ask(context, Word.STATUS, {}, patience))
        skew = abs(found.time - time.time())
        if skew > CLOCK_SKEW and not found.ailment:
            return _ailing(found, f"its clock is {skew:.0f} seconds off")
        return found

    def claim(self, context: Context, claim: Claim) -> bool:
        """Claim it; the machine itself decides. ``False`` where the key had it already.

        :raises Busy: another key has it. :raises OutOfUse: it is not to be used.
        :raises AnswerLost: it may have been claimed or not.
        """
        names = ("key", "deployment", "workspace", "name", "owner", "build")
        given = {name: _plain(getattr(claim, name)) for name in names}
        return self._ask(context, Word.CLAIM, given, self._settings.connect_timeout)["outcome"] == "claimed"

    def prepare(self, context: Context, key: str, user: str) -> None:
        self._ask(context, Word.PREPARE, {"key": key, "user": user}, self._settings.patience)

    def start(self, context: Context, key: str, environment: str, script: str) -> None:
        """Give the agent its environment (POSIX shell) and its script, and have it supervised."""
        given = {"key": key, "environment": _encoded(environment), "script": _encoded(script), "grace": self._grace}
        self._ask(context, Word.START, given, self._settings.patience)

    def stop(self, context: Context, key: str) -> None:
        self._ask(context, Word.STOP, {"key": key, "grace": self._grace}, self._settings.patience)

    def release(self, context: Context, key: str) -> bool:
        """Wipe it and give it back; ``False`` where the key does not have it any more.

        :raises NotWiped: something stays; the machine remains out of use.
        """
        given = {"key": key, "grace": self._grace}
        try:
            self._ask(context, Word.RELEASE, given, self._settings.patience, self._settings.release_timeout)
        except NotOurs:
            return False
        return True

    def drain(self, context: Context, reason: str) -> None:
        self._ask(context, Word.DRAIN, {"reason": _encoded(reason)})

    def undrain(self, context: Context) -> None:
        self._ask(context, Word.UNDRAIN, {})

    def power_off(self, context: Context, key: str) -> None:
        self._ask(context, Word.POWEROFF, {"key": key})

    def log(self, context: Context) -> str:
        """The last lines of the agent's output."""
        return self._ask(context, Word.LOG, {}).get("log", "")

    @property
    def _grace(self) -> str:
        return str(self._settings.stop_grace)

    # How it is asked

    def _ask(
        self, context: Context, word: Word, given: Mapping[str, str], patience: float = 0.0, within: float | None = None
    ) -> dict[str, str]:
        sent = False

        def once() -> dict[str, str]:
            nonlocal sent
            try:
                return self._answer(word, self._run(context, word, given, within))
            except NotConnected as failure:
                # The answer to the try before may be what was lost.
                raise AnswerLost(failure.message, remedy=failure.remedy) if sent else failure from failure
            except AnswerLost:
                sent = True
                raise
            except Throttled as failure:
                raise PlatformUnreachable(failure.message, remedy=failure.remedy) from failure

        # One more try at least, as a connection that was kept may have died since.
        return with_retries(context, once, max(patience, self._settings.connect_timeout if self._link else 0.0))

    def _run(self, context: Context, word: Word, given: Mapping[str, str], within: float | None) -> Ran:
        data = "".join(f"{name}={value}\n" for name, value in given.items() if value)
        try:
            link = self._opened()
            sudo = () if link.user == "root" else ("sudo", "-n")
            timeout = min(within or self._settings.answer_timeout, context.remaining or float("inf"))
            return link.run(context, quoted(*sudo, PROGRAM, word), data.encode(), timeout)
        except ProviderFailure:
            self.close()
            raise
        finally:
            if not self._held:
                self.close()

    def _opened(self) -> Link:
        if self._link is None:
            self._link = Link(self.machine, self._settings).__enter__()
        return self._link

    def _answer(self, word: Word, ran: Ran) -> dict[str, str]:
        values = values_of(ran.out)
        if ran.code == 0:
            return values
        if str(ran.code) in set(Code):
            _refuse(self.who, word, Code(str(ran.code)), values)
        said = (ran.err.strip().splitlines() or [f"exit code {ran.code}"])[-1]
        missing = ran.code == MISSING or "command not found" in said or "No such file" in said
        if missing and word is Word.STATUS:
            return {}
        if any(text in ran.err for text in NO_RIGHT):
            raise PermissionMissing(
                f"The account {self._user} on {self.who} may not run `sudo -n {PROGRAM} {word}`.", remedy=SETUP
            )
        raise ProviderFailure(f"{self.who} could not do {word}: {said}", remedy=SETUP if missing else None)

    @property
    def _user(self) -> str:
        return self.machine.user or self._settings.user

    def _replace(self, context: Context, found: Status) -> None:
        if found.protocol > PROTOCOL:
            raise ProviderFailure(
                f"{self.who} has the program of a newer release.",
                remedy="Install that release of stead-baremetal here, too.",
            )
        if self._user != "root":
            what = "an older release of" if found.protocol else "not"
            raise PermissionMissing(f"{self.who} has {what} the program {PROGRAM}.", remedy=SETUP)
        try:
            ran = self._opened().run(context, INSTALL, program().encode(), self._settings.answer_timeout)
        finally:
            if not self._held:
                self.close()
        if ran.code:
            said = (ran.err.strip().splitlines() or ["it said nothing"])[-1]
            raise ProviderFailure(f"{PROGRAM} could not be installed on {self.who}: {said}")


def _refuse(who: str, word: Word, code: Code, values: Mapping[str, str]) -> NoReturn:
    why = values.get("reason", "").rstrip(".") or "it did not say why"
    if code is Code.BUSY:
        raise Busy(who, status_of(values).claim or Claim(key=""))
    if code in (Code.DRAINED, Code.UNHEALTHY) or (code is Code.DIRTY and word is not Word.RELEASE):
        raise OutOfUse(who, code.name.lower(), why)
    if code is Code.DIRTY:
        raise NotWiped(
            f"{who} could not be wiped: {why}. It stays out of use until it is.",
            remedy="Mend that on the machine; then delete again, or run `python -m stead_baremetal release`.",
        )
    if code is Code.FOREIGN:
        raise NotOurs(f"{who} is not ours any more: {why}.")
    if code is Code.WORKING:
        raise Throttled(f"{who} is busy: {why}.")
    raise ProviderFailure(f"{who} refuses {word}: {why}.")


def _ailing(found: Status, ailment: str) -> Status:
    return Status(**{**found.__dict__, "ailment": ailment})


def _plain(text: str) -> str:
    """What the machine's record can hold of a name."""
    return UNRECORDED.sub("_", text)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
