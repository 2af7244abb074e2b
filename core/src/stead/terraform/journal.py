"""What is written down before and after a provider creates something outside of Terraform's state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


class Journal(Protocol):
    """Given by whoever runs a build. A call is committed when it returns; calls come from several threads.

    ``state_json`` may hold secrets: keep it as the state itself is kept.
    """

    def intend(self, key: str, provider: str, type_name: str, address_hint: str) -> None:
        """A resource is about to be created under ``key``."""

    def created(self, key: str, identity: str, state_json: str) -> None:
        """It exists, and Terraform has not heard of it yet."""

    def failed(self, key: str) -> None:
        """Creation failed: the thing may exist or not."""

    def deleted(self, key: str) -> None:
        """It is gone."""


@dataclass(frozen=True)
class JournalEntry:
    """A resource that the journal knows."""

    key: str
    provider: str
    type_name: str
    identity: str = ""
    state_json: str = field(default="", repr=False)


class NoJournal:
    """Keeps nothing: for template imports, which create nothing."""

    def intend(self, key: str, provider: str, type_name: str, address_hint: str) -> None:
        del key, provider, type_name, address_hint

    def created(self, key: str, identity: str, state_json: str) -> None:
        del key, identity, state_json

    def failed(self, key: str) -> None:
        del key

    def deleted(self, key: str) -> None:
        del key
