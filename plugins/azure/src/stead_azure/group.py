"""``azurerm_resource_group``."""

from __future__ import annotations

from typing import Self

from stead.api.errors import ResourceConflict
from stead.api.provider import Context, Nesting, attribute, block
from stead_azure import ids
from stead_azure.base import GROUP_NAME, LOCATION, Tagged, Timeouts, given, pruned, region, same_region, same_text
from stead_azure.cloud import Found, cloud_of
from stead_azure.operations import GROUP_CONTENT, GROUP_KIND


class ResourceGroup(Tagged, name="azurerm_resource_group"):
    """A group that holds other things, and goes with them."""

    kind = GROUP_KIND
    path = ("",)
    wait = 5400.0

    id: str = attribute(computed=True)
    name: str = attribute(
        required=True, force_new=True, validators=[GROUP_NAME], normalize=same_text, description="Name of the group."
    )
    location: str = attribute(required=True, force_new=True, normalize=same_region, description=LOCATION)
    managed_by: str | None = attribute(optional=True, description="Id of what manages it.")
    timeouts: Timeouts | None = block(Timeouts, nesting=Nesting.SINGLE)

    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def made_id(self, context: Context) -> str:
        return str(ids.Id(cloud_of(context).subscription, self.name))

    @classmethod
    def named(cls, found: ids.Id) -> Self:
        return cls(name=found.group)

    def _body(self, context: Context, present: Found | None = None) -> Found:
        body = {
            "location": region(self.location),
            "managedBy": given(self.managed_by),
            "tags": self.all_tags(context, present),
        }
        pruned_body: Found = pruned(body)
        return pruned_body

    def create(self, context: Context) -> None:
        with self.limited(context, "create") as inner:
            self.make(inner, self._body(inner))
            self.id = self.made_id(inner)

    def read(self, context: Context) -> bool:
        with self.limited(context, "read") as inner:
            found = self.look(inner)
        if found is None or _is_leaving(found):
            return False
        self.read_location(found)
        self.managed_by = found.get("managedBy") or None
        self.read_tags(found)
        return True

    def update(self, context: Context, prior: ResourceGroup) -> None:
        del prior
        with self.limited(context, "update") as inner:
            self.change(inner, self._body(inner, self.must_look(inner)))

    def delete(self, context: Context) -> None:
        with self.limited(context, "delete") as inner:
            if context.provider.keeps_filled_groups:  # type: ignore[union-attr]
                self._refuse_filled(inner)
            self.remove(inner)

    def _refuse_filled(self, context: Context) -> None:
        cloud, doing = cloud_of(context), f"The content of resource group {self.name} could not be listed"
        if self.look(context) is None:
            return
        content = cloud.pages(context, doing, GROUP_CONTENT, self.name)
        if content:
            names = ", ".join(sorted(f"{item['name']} ({item['type']})" for item in content)[:10])
            raise ResourceConflict(
                f"Resource group {self.name} still holds {names}.",
                remedy="Remove that first, or set prevent_deletion_if_contains_resources = false in the provider's "
                "features { resource_group { … } }.",
            )


def _is_leaving(found: Found) -> bool:
    return bool((found.get("properties") or {}).get("provisioningState") == "Deleting")
