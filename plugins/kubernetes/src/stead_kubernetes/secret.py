"""``kubernetes_secret``."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from stead.api.provider import Context, Nesting, Plan, Resource, attribute, block
from stead_kubernetes.base import Object
from stead_kubernetes.cluster import Found, cluster_of
from stead_kubernetes.kinds import SECRETS
from stead_kubernetes.metadata import Create, NamespacedMetadata
from stead_kubernetes.simple import frozen_changes, seen_map
from stead_kubernetes.waiting import token_secret

TOKEN = "kubernetes.io/service-account-token"  # noqa: S105 - the name of a type


class Secret(Object, name="kubernetes_secret"):
    """What pods need to know and others may not."""

    KIND = SECRETS
    binary_data: dict[str, str] | None = attribute(optional=True, sensitive=True, description="Entries in base64.")
    binary_data_wo: dict[str, str] | None = attribute(
        optional=True, sensitive=True, write_only=True, description="Entries in base64 that no state has."
    )
    binary_data_wo_revision: int | None = attribute(optional=True, description="Raise it to write them again.")
    data: dict[str, str] | None = attribute(optional=True, sensitive=True, description="Entries.")
    data_wo: dict[str, str] | None = attribute(
        optional=True, sensitive=True, write_only=True, description="Entries that no state has."
    )
    data_wo_revision: int | None = attribute(optional=True, description="Raise it to write them again.")
    immutable: bool | None = attribute(optional=True, description="It cannot be changed any more.")
    type: str = attribute(default="Opaque", force_new=True, description="What kind of secret it is.")
    wait_for_service_account_token: bool = attribute(
        default=True, description="Wait for the token, where it is a secret of a service account."
    )
    metadata: list[NamespacedMetadata] = block(NamespacedMetadata, min_items=1, max_items=1)
    timeouts: Create | None = block(Create, nesting=Nesting.SINGLE)

    def plan(self, context: Context, plan: Plan) -> None:
        super().plan(context, plan)
        frozen_changes(plan, {"binary_data", "data", "immutable", "data_wo_revision", "binary_data_wo_revision"})

    def content(self, context: Context) -> Found:
        del context
        plain = {**(self.data or {}), **(self.data_wo or {})}
        encoded = {name: base64.b64encode(text.encode()).decode() for name, text in plain.items()}
        data = {**encoded, **(self.binary_data or {}), **(self.binary_data_wo or {})}
        frozen = {} if self.immutable is None else {"immutable": self.immutable}
        return {"type": self.type, **({"data": data} if data else {}), **frozen}

    def settle(self, context: Context, found: Found) -> Found:
        if found.get("type") == TOKEN and self.wait_for_service_account_token:
            return token_secret(cluster_of(context), context, found)
        return found

    def observe(self, context: Context, found: Found, *, refresh: bool) -> None:
        del context
        if not refresh:
            return
        seen = found.get("data") or {}
        binary = set(self.binary_data or ())
        # What was only written, and what the cluster puts in by itself, is not in the state.
        hidden = self.data_wo_revision is not None or self.binary_data_wo_revision is not None
        own = set(self.data or ())
        foreign = hidden or found.get("type") == TOKEN
        plain = {name: text for name, text in seen.items() if name not in binary and (name in own or not foreign)}
        if self.data is not None:
            # Where a template gives none, all that is there was written only.
            self.data = seen_map(self.data, {name: decoded(text) for name, text in plain.items()})
        if self.binary_data is not None:
            self.binary_data = {name: seen[name] for name in self.binary_data if name in seen}
        self.type = found.get("type", "Opaque")
        if self.immutable is not None or found.get("immutable"):
            self.immutable = found.get("immutable", False)

    def fill(self, context: Context, found: Found) -> None:
        binary = {name: text for name, text in (found.get("data") or {}).items() if not is_text(text)}
        self.binary_data, self.data = binary or None, {}
        self.observe(context, found, refresh=True)
        self.data = self.data or None


class SecretV1(Secret, name="kubernetes_secret_v1"):
    """What pods need to know and others may not."""


def decoded(text: str) -> str:
    """An entry as text; what is none keeps its base64."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return text


def is_text(text: Any) -> bool:
    try:
        base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    return True


RESOURCES: tuple[type[Resource], ...] = (Secret, SecretV1)
