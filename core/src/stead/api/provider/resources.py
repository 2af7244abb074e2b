"""Base classes of providers, resource types and data sources."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

from stead.api.errors import ProviderFailure
from stead.api.provider.context import Context, Plan
from stead.api.provider.model import Model


class DataSource(Model):
    """A data source. ``read`` assigns the computed attributes; what is missing is an error to raise."""

    type_name: ClassVar[str] = ""

    def __init_subclass__(cls, *, name: str | None = None, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.type_name = name or cls.type_name

    def validate(self, context: Context) -> None:
        """Check what validators cannot. Values may be unknown."""

    def read(self, context: Context) -> None:
        """Fill in the computed attributes."""
        raise NotImplementedError


class Resource(Model):
    """A resource type. An instance is one resource's state.

    :param version: of the schema; :meth:`upgrade` reads states of older ones.
    :param virtual: nothing exists outside of Terraform's state, so there is nothing to journal.
    """

    type_name: ClassVar[str] = ""
    schema_version: ClassVar[int] = 0
    virtual: ClassVar[bool] = False

    def __init_subclass__(
        cls,
        *,
        name: str | None = None,
        version: int | None = None,
        virtual: bool | None = None,
        **options: Any,
    ) -> None:
        super().__init_subclass__(**options)
        cls.type_name = name or cls.type_name
        cls.schema_version = cls.schema_version if version is None else version
        cls.virtual = cls.virtual if virtual is None else virtual

    def validate(self, context: Context) -> None:
        """Check what validators cannot. Values may be unknown."""

    def plan(self, context: Context, plan: Plan) -> None:
        """Adjust the planned values on ``self``; not called for delete."""

    def create(self, context: Context) -> None:
        """Create the thing and assign every computed attribute that is still unknown."""
        raise NotImplementedError

    def read(self, context: Context) -> bool:
        """Refresh ``self`` from the real thing; ``False`` where it is gone."""
        raise NotImplementedError

    def update(self, context: Context, prior: Self) -> None:
        """Change the thing from ``prior`` to ``self``. Not needed where every attribute is ``force_new``."""
        del context, prior
        raise ProviderFailure(f"{self.type_name} cannot be changed in place.")

    def delete(self, context: Context) -> None:
        """Remove the thing; that it is missing is success."""
        raise NotImplementedError

    @classmethod
    def import_(cls, context: Context, identity: str) -> Self | None:
        """The resource that ``identity`` names on the platform, or ``None`` where there is none."""
        del context, identity
        raise ProviderFailure(f"{cls.type_name} cannot be imported.")

    @classmethod
    def upgrade(cls, version: int, state: dict[str, Any]) -> dict[str, Any]:
        """State of an older schema version, as JSON values, brought to the present one."""
        del version
        return state

    @property
    def identity(self) -> str:
        """What :meth:`import_` takes to find this resource again; the attribute ``id`` where there is one."""
        value = getattr(self, "id", None)
        return value if isinstance(value, str) else ""


class Provider(Model):
    """A Terraform provider. Its attributes are those of the ``provider`` block.

    There is one instance for each configuration in a run.
    """

    address: ClassVar[str] = ""
    resources: ClassVar[tuple[type[Resource], ...]] = ()
    data_sources: ClassVar[tuple[type[DataSource], ...]] = ()
    functions: ClassVar[tuple[Callable[..., Any], ...]] = ()

    def __init_subclass__(
        cls,
        *,
        address: str | None = None,
        resources: Sequence[type[Resource]] | None = None,
        data_sources: Sequence[type[DataSource]] | None = None,
        functions: Sequence[Callable[..., Any]] | None = None,
        **options: Any,
    ) -> None:
        super().__init_subclass__(**options)
        cls.address = address or cls.address
        cls.resources = cls.resources if resources is None else tuple(resources)
        cls.data_sources = cls.data_sources if data_sources is None else tuple(data_sources)
        cls.functions = cls.functions if functions is None else tuple(functions)

    def validate(self, context: Context) -> None:
        """Check what validators cannot. Values may be unknown."""

    def configure(self, context: Context) -> None:
        """Called with the configuration's values on ``self``, once, before anything else is asked."""


def overrides(cls: type, base: type, name: str) -> bool:
    """Whether ``cls`` has its own version of a method of ``base``."""
    return inspect.getattr_static(cls, name) is not inspect.getattr_static(base, name)
