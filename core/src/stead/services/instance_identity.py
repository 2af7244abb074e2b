"""Agents without a token: they prove which machine they run on, and get one.

1. :func:`challenge`: the agent says how it wants to prove itself, and is told what its document has to answer.
2. :func:`prove`: it sends the document. The instance that this claims to be names the agent, the workspace's state
   says what must stand in the document, and the platform's verifier decides.

The session is the agent's token, as if the template had passed it: it ends with the build, and a later proof of the
same machine replaces it. Nobody gets one while the agent is connected, nor right after somebody got one.

To whoever sends documents every refusal is the same. Why is said to those who run the server (its log), and to those
who may see the workspace (its audit trail and the agent's log), where the machine is known at all.
"""

from __future__ import annotations

import ipaddress
import logging
import secrets as random
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from stead.api.errors import (
    Conflict,
    InvalidInput,
    NotAuthenticated,
    PluginFailure,
    RateLimited,
    SteadError,
    Unavailable,
)
from stead.api.identity import ExpectedInstance, Identity, IdentityRejected, InstanceIdentity, Replays
from stead.services import agents, authentication, secrets, states
from stead.services.authentication import AgentIdentity
from stead.services.core import SYSTEM, Core, new_id
from stead.store import identity as store
from stead.store import resources, workspaces
from stead.store.jobs import NewLine

log = logging.getLogger(__name__)

PLATFORMS = {
    "aws-instance-identity": "aws",
    "google-instance-identity": "gcp",
    "azure-instance-identity": "azure",
}
CHALLENGE_LIFETIME = timedelta(minutes=1)
SETTLING = timedelta(seconds=30)  # a session that was just given out is not taken away again
QUIET = timedelta(minutes=5)  # between two notes that say the same
LONGEST_DOCUMENT = 96 * 1024  # bytes; Azure's have about 10,000
SOURCE = "identity"  # of lines in the agent's log


@dataclass(frozen=True)
class AgentSession:
    """What an agent that proved itself gets. It shows ``token`` as others show theirs."""

    agent_id: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class _Machine:
    """The agent that was provisioned for an instance, and what a document of that instance must say."""

    agent: AgentIdentity
    expected: ExpectedInstance


class DatabaseReplays:
    """:class:`stead.api.identity.Replays` of a whole deployment."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def once(self, key: str, until: float | None) -> bool:
        end = None if until is None else datetime.fromtimestamp(until, UTC)
        try:
            with self._core.database.write():
                store.insert_replay(key, end, self._core.clock.now())
        except Conflict:
            return False
        return True


class Verifiers:
    """The platforms' verifiers, each made when it is first asked for."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._replays: Replays = DatabaseReplays(core)
        self._lock = threading.Lock()
        self._made: dict[str, InstanceIdentity] = {}

    def get(self, auth: str) -> InstanceIdentity:
        """The verifier for an agent's ``auth``.

        :raises InvalidInput: there is no such way.
        :raises Unavailable: this server has no plugin for it, or one that does not work.
        """
        platform = PLATFORMS.get(auth)
        if platform is None:
            raise InvalidInput(f"auth is one of {', '.join(PLATFORMS)}.", field="auth")
        with self._lock:
            if platform not in self._made:
                self._made[platform] = self._make(platform)
            return self._made[platform]

    def _make(self, platform: str) -> InstanceIdentity:
        for spec, settings in self._core.plugins.platforms():
            if spec.name != platform or spec.identity is None:
                continue
            try:
                return spec.identity(settings, self._replays)
            except Exception as error:  # boundary: a plugin call
                log.exception("The plugin of %s cannot verify machines.", platform)
                raise Unavailable(
                    f"This server cannot verify machines of {platform} now.", remedy="Its log says why."
                ) from error
        raise Unavailable(
            f"This server cannot verify machines of {platform}.", remedy=f"Install the plugin stead-{platform} there."
        )


def challenge(core: Core, verifiers: Verifiers, auth: str, address: str) -> store.Challenge:
    """What the document of an agent has to answer: good for one attempt, for one minute.

    :raises RateLimited: too many from this address.
    """
    made = verifiers.get(auth).challenge()
    now, source = core.clock.now(), source_of(address)
    new = store.Challenge(new_id(), auth, made, source, now, now + CHALLENGE_LIFETIME)
    with core.database.write():
        if store.challenges_from(source, now - timedelta(minutes=1)) >= core.settings.proof_attempts:
            raise RateLimited("Too many machines begin to prove themselves here.", remedy="Try again in a minute.")
        store.insert_challenge(new)
    return new


def prove(core: Core, verifiers: Verifiers, challenge_id: str, document: bytes, address: str) -> AgentSession:
    """A session for the agent of the machine that sent ``document``.

    :raises IdentityRejected: it does not prove to be one; the message says nothing more.
    :raises Unavailable: an authority that has to be asked does not answer.
    """
    with core.database.write():
        held = store.take_challenge(challenge_id, core.clock.now())
    if held is None:
        raise _refused(address, "the challenge is unknown, over, or was used")
    if len(document) > LONGEST_DOCUMENT:
        raise _refused(address, "the document is too long")
    verifier = verifiers.get(held.auth)
    try:
        claimed = verifier.claimed_instance(document)
        machine = _machine(core, verifier, held.auth, claimed)
    except NotAuthenticated as error:
        raise _refused(address, f"{held.auth}: {error}") from None
    except SteadError:
        raise
    except Exception as error:  # noqa: BLE001 - boundary: a plugin call; its words could hold a part of the document
        raise _broken(held.auth, error) from None
    try:
        _check_absent(core, machine)
        proven = _verified(verifier, held, document, machine)
        return _let_in(core, machine, proven, address)
    except IdentityRejected as error:
        _note_refusal(core, machine, held.auth, str(error), address)
        raise _refused(address, f"{held.auth}, agent {_label(machine.agent)}: {error}") from None


def _verified(verifier: InstanceIdentity, held: store.Challenge, document: bytes, machine: _Machine) -> Identity:
    try:
        return verifier.verify(document, held.challenge, machine.expected)
    except PluginFailure as error:
        raise IdentityRejected(error.message, remedy=error.remedy) from error
    except SteadError:
        raise
    except Exception as error:  # noqa: BLE001 - boundary: a plugin call; its words could hold a part of the document
        raise _broken(held.auth, error) from None


def _machine(core: Core, verifier: InstanceIdentity, auth: str, claimed: str) -> _Machine:
    """The one agent that was provisioned for this instance and may prove itself in this way.

    :raises IdentityRejected: there is none, or more than one.
    """
    found: list[_Machine] = []
    for agent_id, sealed in _candidates(core, auth, claimed):
        state = states.open_state(core, *sealed)
        expected = verifier.provisioned(claimed, states.resources(state))
        if expected is not None:
            found.append(_Machine(authentication.agent_of(core, agent_id), expected))
    if len(found) != 1:
        # Never a guess: an instance that two templates claim would let one take over the other's machine.
        many = "more than one agent was" if found else "no agent was"
        raise IdentityRejected(f"{many} provisioned for the instance {claimed[:64]!r}")
    return found[0]


def _candidates(core: Core, auth: str, claimed: str) -> list[tuple[str, tuple[str, bytes]]]:
    """Agents of that instance in builds that run now, with the build's sealed state."""
    found = []
    with core.database.read():
        rows = resources.builds_of_instance(claimed)
        running = {workspace_id: workspaces.running_build(workspace_id) for _, _, workspace_id in rows}
        for agent_id, build_id, workspace_id in rows:
            if running[workspace_id] != build_id:
                continue
            stored, state = resources.agent(agent_id), workspaces.state(build_id)
            if stored is not None and state is not None and stored.secrets.settings.get("auth") == auth:
                found.append((agent_id, (build_id, state)))
    return found


def _check_absent(core: Core, machine: _Machine) -> None:
    if core.presence.get(machine.agent.agent_id) is not None:
        raise IdentityRejected("The agent is connected already.")


def _let_in(core: Core, machine: _Machine, proven: Identity, address: str) -> AgentSession:
    agent, now = machine.agent, core.clock.now()
    token = random.token_urlsafe(32)
    with core.change(replace(agent.actor, address=address[:64])) as change:
        if not resources.give_token(agent.agent_id, secrets.digest(token), now, now - SETTLING):
            raise IdentityRejected("The machine has proven itself a moment ago.")
        facts = {"agent": agent.name, "platform": proven.platform, "instance": proven.instance_id}
        change.record(
            "proved identity",
            "workspace",
            agent.workspace_id,
            f"{agent.owner}/{agent.workspace}",
            after={**facts, "account": proven.account, "region": proven.region},
        )
    log.info("The agent %s proved to run on %s of %s.", _label(agent), proven.instance_id, proven.platform)
    return AgentSession(agent.agent_id, token)


def _note_refusal(core: Core, machine: _Machine, auth: str, reason: str, address: str) -> None:
    """Tell those who may see the workspace; the same thing once in a while, however often it happens."""
    agent, now = machine.agent, core.clock.now()
    if not DatabaseReplays(core).once(f"noted:{agent.agent_id}:{reason}", (now + QUIET).timestamp()):
        return
    target = f"{agent.owner}/{agent.workspace}"
    with core.change(replace(SYSTEM, address=address[:64])) as change:
        after = {"agent": agent.name, "auth": auth, "reason": reason}
        change.record("refused identity", "workspace", agent.workspace_id, target, after=after)
    line = NewLine(now, "error", SOURCE, f"The proof of the machine's identity was refused: {reason}")
    agents.append_logs(core, SYSTEM, agent.agent_id, [line])


def _refused(address: str, why: str) -> NotAuthenticated:
    log.warning("Refused the identity of a machine at %s: %s", address, why)
    return IdentityRejected(
        "The document does not prove that this machine has an agent here.", remedy="The server's log says why."
    )


def _broken(auth: str, error: Exception) -> Unavailable:
    log.error("The plugin for %s failed on a document: %s.", auth, type(error).__name__)
    return Unavailable("The document could not be verified.", remedy="The server's log says more.")


def _label(agent: AgentIdentity) -> str:
    return f"{agent.name} of {agent.owner}/{agent.workspace}"


def source_of(address: str) -> str:
    """What counts as one source: an IPv4 address, or the 64 bits that an IPv6 site has at its disposal."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
