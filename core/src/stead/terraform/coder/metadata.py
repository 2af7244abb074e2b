"""``coder_metadata``: what a resource shows on the workspace's page, and what it costs."""

from __future__ import annotations

from stead.api.provider import BlockSchema, Context, Nesting, Plan, attribute, block, is_known
from stead.terraform.coder import checks
from stead.terraform.coder.records import StateOnly


class MetadataItem(BlockSchema):
    key: str = attribute(required=True, force_new=True)
    value: str | None = attribute(optional=True, force_new=True)
    sensitive: bool = attribute(default=False, force_new=True)
    is_null: bool = attribute(computed=True, force_new=True, description="Whether no value was given.")


class Metadata(StateOnly, name="coder_metadata"):
    """Facts about another resource, which ``resource_id`` names."""

    resource_id: str = attribute(required=True, force_new=True)
    hide: bool | None = attribute(optional=True, force_new=True)
    icon: str | None = attribute(optional=True, force_new=True, validators=[checks.url])
    daily_cost: int | None = attribute(optional=True, force_new=True)
    item: list[MetadataItem] = block(MetadataItem, nesting=Nesting.LIST)

    def validate(self, context: Context) -> None:
        del context
        checks.refuse_repeats((item.key for item in self.item), what="The metadata key", field="item[{}].key")

    def plan(self, context: Context, plan: Plan) -> None:
        del context, plan
        self._mark_nulls()

    def create(self, context: Context) -> None:
        super().create(context)
        self._mark_nulls()

    def _mark_nulls(self) -> None:
        for item in self.item:
            if is_known(item.value):
                item.is_null = item.value is None
