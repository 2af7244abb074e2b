"""Data sources: who Stead is at Azure, and groups that are there already."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from stead.api.errors import ResourceNotFound
from stead.api.provider import Context, DataSource, Nesting, attribute, block
from stead.api.provider.durations import seconds
from stead_azure import tags as tagging
from stead_azure.base import ReadTimeouts, given, region
from stead_azure.cloud import cloud_of, limited
from stead_azure.group import ResourceGroup


def _limit(timeouts: Any) -> float:
    text = given(getattr(timeouts, "read", None))
    return seconds(text) if text else 300.0


class ClientConfig(DataSource, name="azurerm_client_config"):
    """The account that this provider uses."""

    id: str = attribute(computed=True)
    client_id: str = attribute(computed=True, description="Its application.")
    object_id: str = attribute(computed=True, description="Its object in the directory.")
    subscription_id: str = attribute(computed=True)
    tenant_id: str = attribute(computed=True, description="Its directory.")
    timeouts: ReadTimeouts | None = block(ReadTimeouts, nesting=Nesting.SINGLE)

    def read(self, context: Context) -> None:
        with limited(context, _limit(self.timeouts)) as inner:
            claims = token_claims(context.provider.token(inner))  # type: ignore[union-attr]
        account: Any = cloud_of(context).account
        self.client_id = str(claims.get("appid") or claims.get("azp") or account.client_id)
        self.object_id = str(claims.get("oid") or "")
        self.tenant_id = str(claims.get("tid") or account.tenant)
        self.subscription_id = account.subscription
        text = f"clientId={self.client_id};objectId={self.object_id};"
        text += f"subscriptionId={self.subscription_id};tenantId={self.tenant_id}"
        self.id = base64.b64encode(text.encode()).decode()


def token_claims(token: str) -> dict[str, Any]:
    """What Azure wrote into its own token for us; nothing where it cannot be read."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


class ResourceGroupData(DataSource, name="azurerm_resource_group"):
    """A group that is there already."""

    id: str = attribute(computed=True)
    name: str = attribute(required=True, description="Name of the group.")
    location: str = attribute(computed=True)
    managed_by: str = attribute(computed=True)
    tags: dict[str, str] = attribute(computed=True)
    timeouts: ReadTimeouts | None = block(ReadTimeouts, nesting=Nesting.SINGLE)

    def read(self, context: Context) -> None:
        group = ResourceGroup(name=self.name)
        with limited(context, _limit(self.timeouts)) as inner:
            found = group.look(inner)
        if found is None:
            raise ResourceNotFound(
                f"The subscription has no resource group {self.name}.",
                field="name",
                remedy="Create it, or use the resource azurerm_resource_group.",
            )
        self.id, self.location = group.made_id(context), region(found["location"])
        self.managed_by = found.get("managedBy") or ""
        self.tags = tagging.visible(found.get("tags"))
