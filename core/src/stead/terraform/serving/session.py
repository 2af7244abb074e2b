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


class Link:
    """One connection of Terraform to one provider. Each alias of a provider has a connection of its own."""

    def __init__(self, spec: ProviderSpec, settings: Any, session: Session) -> None:
        self.spec = spec
        self.session = session
        self._settings = settings
        self.provider = self._make()
        self.configured = False

    def _make(self) -> Provider:
        try:
            return self.spec.factory(self._settings)
        except SteadError:
            raise
        except Exception as error:  # boundary: a plugin's factory
            logger.exception("The factory of provider %s failed", self.spec.address)
            raise PluginFailure(
                f"The plugin of {self.spec.title} could not make its provider ({type(error).__name__}).",
                remedy="The server's log has the details.",
            ) from error

    @property
    def kind(self) -> type[Provider]:
        return type(self.provider)

    def context(self, key: str = "") -> Context:
        return self.session.context(self.provider, key)
