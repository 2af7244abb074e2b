"""What every service is given, and the unit of work that every change goes through."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from stead.api.records import Event
from stead.config import Settings
from stead.domain.records import Actor
from stead.domain.states import Role
from stead.plugins import PluginRegistry
from stead.plugins import builtin as builtin_plugin
from stead.services.bus import Bus
from stead.services.clock import Clock, SystemClock
from stead.services.hub import PostgresCarrier, SocketCarrier
from stead.services.keyring import Keyring
from stead.services.policies.enabled import Policies
from stead.services.policies.enabled import load as load_policies
from stead.services.presence import Presence
from stead.services.signin.providers import Providers, load
from stead.store import audit, system
from stead.store.database import Database

log = logging.getLogger(__name__)

SYSTEM = Actor(user_id="system", username="system", roles=(Role.OWNER,))


@dataclass(frozen=True)
class Core:
    """The parts that services work with. Made by :func:`open_core`."""

    settings: Settings
    database: Database
    clock: Clock
    keyring: Keyring
    bus: Bus
    plugins: PluginRegistry
    deployment_id: str
    presence: Presence = field(default_factory=Presence)
    identity: Providers = field(default_factory=Providers)
    policies: Policies = field(default_factory=Policies)

    @contextmanager
    def change(self, actor: Actor) -> Iterator[Change]:
        """One transaction with its audit rows; what it announces goes out after the commit."""
        change = Change(self, actor)
        with self.database.write():
            yield change
            change.write_audit()
        change.announce_all()


@dataclass
class Change:
    """What a running transaction will leave behind beside its rows."""

    core: Core
    actor: Actor
    _audit: list[audit.NewEntry] = field(default_factory=list)
    _announcements: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def record(
        self,
        action: str,
        target_type: str,
        target_id: str,
        target: str = "",
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """An audit row; ``action`` is in the past tense. Never pass a secret."""
        self._audit.append(
            audit.NewEntry(
                at=self.core.clock.now(),
                actor_id=self.actor.user_id,
                actor=self.actor.username,
                address=self.actor.address,
                action=action,
                target_type=target_type,
                target_id=target_id,
                target=target,
                before=dict(before) if before is not None else None,
                after=dict(after) if after is not None else None,
            )
        )

    def announce(self, topic: str, /, **payload: Any) -> None:
        """Publish on the bus once this is committed."""
        self._announcements.append((topic, payload))

    def event(self, event: str, /, **data: Any) -> None:
        """Tell the plugins once this is committed; ``event`` is dotted and in the past tense."""
        self._events.append((event, data))

    def write_audit(self) -> None:
        if self._audit:
            self.core.database.lock("audit")
            audit.append(self._audit)

    def announce_all(self) -> None:
        for topic, payload in self._announcements:
            self.core.bus.publish(topic, payload)
        for name, data in self._events:
            self.core.plugins.emit(Event(name=name, at=self.core.clock.now().timestamp(), data=data))


def new_id() -> str:
    return str(uuid.uuid4())


def database_url(settings: Settings) -> str:
    """URL of the configured database; the embedded one where PostgreSQL is not set."""
    if settings.pg_connection_url is not None:
        return settings.pg_connection_url.get_secret_value()
    return f"sqlite:///{settings.data_dir / 'stead.db'}"


def open_core(
    settings: Settings,
    *,
    clock: Clock | None = None,
    plugins: PluginRegistry | None = None,
    identity: Providers | None = None,
    policies: Policies | None = None,
) -> Core:
    """Open the database (and bring its schema up to date), the keys, the bus and the plugins.

    :param identity: identity providers to use instead of the configured ones.
    :param policies: policies to use instead of the configured ones.
    :raises InvalidInput: an identity provider or a policy is configured and cannot be made.
    """
    plugins = plugins or load_plugins(settings)
    policies = policies if policies is not None else load_policies(settings.policies.sections, plugins)
    identity = identity if identity is not None else load(settings.identity.sections, plugins)
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = Database(
        database_url(settings), connections=settings.database_connections, timeout=settings.database_timeout
    )
    database.migrate()
    keyring = Keyring(settings.keyring_file or settings.data_dir / "keyring.json")
    carrier = PostgresCarrier(database) if database.is_postgresql else SocketCarrier(settings.data_dir / "run")
    with database.write():
        deployment_id = system.value_or_insert("deployment_id", new_id())
    return Core(
        settings=settings,
        database=database,
        clock=clock or SystemClock(),
        keyring=keyring,
        bus=Bus(carrier),
        plugins=plugins,
        deployment_id=deployment_id,
        identity=identity,
        policies=policies,
    )


def load_plugins(settings: Settings) -> PluginRegistry:
    """The installed plugins, with their sections of the settings."""
    registry = PluginRegistry(
        plugin_sections(settings),
        disabled=settings.plugins.disabled,
        builtins={"builtin": builtin_plugin},
        trace=log.info if settings.trace else None,
    )
    registry.load()
    return registry


def plugin_sections(settings: Settings) -> dict[str, dict[str, Any]]:
    """Settings by the name of the plugin."""
    own = {"host_data_dir": settings.data_dir / "host", **settings.plugins.sections.get("builtin", {})}
    return {**settings.plugins.sections, "builtin": own}


def close_core(core: Core) -> None:
    """Let go of everything that :func:`open_core` opened."""
    core.identity.close()
    core.bus.close()
    core.database.close()
