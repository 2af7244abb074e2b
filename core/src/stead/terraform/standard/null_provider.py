"""``hashicorp/null``: resources that do nothing but carry triggers."""

from __future__ import annotations

import secrets

from stead.api.provider import Context, DataSource, Provider, attribute
from stead.api.records import NoSettings, ProviderSpec
from stead.terraform.standard.virtual import Virtual, random_number


class NullResource(Virtual, name="null_resource"):
    """Stands for an action: a change of its triggers replaces it."""

    id: str = attribute(computed=True)
    triggers: dict[str, str] | None = attribute(optional=True, force_new=True)

    def create(self, context: Context) -> None:
        del context
        self.id = random_number()


class NullDataSource(DataSource, name="null_data_source"):
    """Hands its inputs on. Locals have taken its place."""

    id: str = attribute(computed=True)
    inputs: dict[str, str] | None = attribute(optional=True)
    has_computed_default: str | None = attribute(optional=True, computed=True)
    outputs: dict[str, str] = attribute(computed=True)
    random: str = attribute(computed=True)

    def read(self, context: Context) -> None:
        context.warn("null_data_source is deprecated", "Use a local value instead.")
        self.id = "static"
        self.outputs = dict(self.inputs or {})
        self.random = str(secrets.randbits(63))
        self.has_computed_default = self.has_computed_default or "default"


class Null(Provider, address="hashicorp/null", resources=[NullResource], data_sources=[NullDataSource]):
    """Resources that do nothing."""


def _make(settings: NoSettings) -> Null:
    del settings
    return Null()


def null_provider() -> ProviderSpec:
    return ProviderSpec(address="hashicorp/null", title="Null resources", factory=_make)
