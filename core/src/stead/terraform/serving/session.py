"""What one run's provider servers share, and the providers as the template configured them."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stead.api.errors import PluginFailure, SteadError
from stead.api.provider.context import BuildContext, Context
from stead.api.provider.resources import Provider
from stead.api.records import ProviderSpec
from stead.terraform.journal import Journal

logger = logging.getLogger(__name__)


def no_log(level: str, text: str) -> None:
    """Until a run has its log."""
    del level, text


@dataclass
class Session:
    """One run: its build, journal, log and end.

    :param stopping: set when the run is being canceled or is out of time.
    :param failures: expected failures of providers, in order; the first is the cause of a failed apply.
    """

    build: BuildContext
    journal: Journal
    deadline: float | None = None
    log: Callable[[str, str], None] = no_log
    stopping: threading.Event = field(default_factory=threading.Event)
    failures: list[SteadError] = field(default_factory=list)

    def context(self, provider: Provider | None, key: str = "") -> Context:
        return Context(
            provider=provider,
            build=self.build,
            key=key,
            deadline=self.deadline,
            canceled=self.stopping,
            sink=self.log,
        )

    @staticmethod
    def new_key() -> str:
        return uuid.uuid4().hex

    @property
    def late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline


def make_provider(spec: ProviderSpec, settings: Any) -> Provider:
    """An unconfigured provider from its plugin."""
    try:
        return spec.factory(settings)
    except SteadError:
        raise
    except Exception as error:  # boundary: a plugin's factory
        logger.exception("The factory of provider %s failed", spec.address)
        raise PluginFailure(
            f"The plugin of {spec.title} could not make its provider ({type(error).__name__}).",
            remedy="The server's log has the details.",
        ) from error


class Link:
    """One connection of Terraform to one provider. Each alias of a provider has a connection of its own.

    :ivar waits_for: arguments of the configuration that are known only after apply; until then the provider is
        not configured, and can plan but neither read nor import.
    """

    def __init__(self, spec: ProviderSpec, settings: Any, session: Session) -> None:
        self.spec = spec
        self.session = session
        self.provider = make_provider(spec, settings)
        self.configured = False
        self.waits_for: tuple[str, ...] = ()

    @property
    def kind(self) -> type[Provider]:
        return type(self.provider)

    def context(self, key: str = "") -> Context:
        return self.session.context(self.provider, key)
