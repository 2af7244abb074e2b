"""What the resource types have in common: project, place, labels, time-outs, and telling state from drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from stead.api.errors import ProviderFailure
from stead.api.provider import (
    BlockSchema,
    Context,
    Plan,
    Resource,
    Unknown,
    attribute,
    is_known,
    is_wholly_known,
    matches,
)
from stead.api.provider.durations import is_duration, seconds
from stead_gcp import labels as labelling

if TYPE_CHECKING:
    from stead.api.provider.model import Model
    from stead_gcp.provider import Google

DEFAULT_LIMIT = 20 * 60.0  # seconds, as in the original provider
Found = dict[str, Any]
is_name = matches(
    r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?",
    "must be 1 to 63 lower-case letters, digits or dashes, begin with a letter and not end with a dash",
)


class Timeouts(BlockSchema):
    """How long to wait."""

    create: str | None = attribute(optional=True, validators=[is_duration], description="For its creation: 20m.")
    delete: str | None = attribute(optional=True, validators=[is_duration], description="For its end.")
    update: str | None = attribute(optional=True, validators=[is_duration], description="For a change.")


class Params(BlockSchema):
    """What goes along with the creation alone."""

    resource_manager_tags: dict[str, str] | None = attribute(
        optional=True, force_new=True, description="Tags to bind: tagKeys/… to tagValues/…."
    )


def limit_of(timeouts: Any, name: str) -> float:
    """Seconds that the resource's ``timeouts`` block gives, or the default."""
    wanted = getattr(timeouts, name, None)
    return seconds(wanted) if is_known(wanted) and wanted else DEFAULT_LIMIT


def given(value: Any) -> Any:
    """The value where a template gives one; ``None`` where it is null or not known yet."""
    return value if is_known(value) else None


def without_nothing(values: Mapping[str, Any]) -> Found:
    """A request's body without what is not set."""
    return {name: value for name, value in values.items() if value is not None and value not in ({}, [])}


def provider_of(context: Context) -> Google:
    provider: Google = context.provider  # type: ignore[assignment]
    return provider


def _nothing(value: Any) -> bool:
    return value is None or (not isinstance(value, bool) and value in ("", 0, [], {}, set())) or value is False


def equal(one: Any, other: Any) -> bool:
    return bool(one == other)


def observe(
    model: Model,
    name: str,
    value: Any,
    *,
    refresh: bool,
    same: Callable[[Any, Any], bool] = equal,
) -> None:
    """Assign what Google Cloud tells where it is unknown, and where it has changed if ``refresh``.

    What a template has written in another form stays as it is, and null stays null where there is nothing.
    """
    current = getattr(model, name)
    if current is Unknown or (refresh and not (_nothing(current) and _nothing(value)) and not same(current, value)):
        setattr(model, name, value)


def observe_all(model: Model, values: Mapping[str, Any], *, refresh: bool, same: Any = equal) -> None:
    for name, value in values.items():
        observe(model, name, value, refresh=refresh, same=same)


def fill_defaults(model: Model) -> None:
    """Give what an import leaves open the value that a template without it would plan."""
    for field in model.schema().attributes.values():
        if getattr(model, field.key) is None and field.has_default:
            setattr(model, field.key, field.default)
    for block in model.schema().blocks.values():
        value = getattr(model, block.key)
        for item in value if isinstance(value, list) else [value]:
            if hasattr(item, "schema"):
                fill_defaults(item)


class Projected(Resource):
    """A resource of a project."""

    project: str | None = attribute(
        optional=True, computed=True, force_new=True, description="Project; the provider's where not set."
    )
    self_link: str = attribute(computed=True)
    creation_timestamp: str = attribute(computed=True)
    name: str = attribute(required=True)
    id: str = attribute(computed=True)

    def in_project(self, context: Context) -> str:
        """The project; fixed at the first use."""
        if not given(self.project):
            self.project = provider_of(context).need_project()
        return str(self.project)


class Labelled(Projected):
    """A resource that bears labels."""

    labels: dict[str, str] | None = attribute(optional=True, description="Labels.")
    terraform_labels: dict[str, str] = attribute(
        computed=True, description="Labels with the provider's default_labels."
    )
    effective_labels: dict[str, str] = attribute(computed=True, description="All labels that the thing bears.")
    label_fingerprint: str = attribute(computed=True)

    def plan(self, context: Context, plan: Plan) -> None:
        if is_wholly_known(self.labels):
            self.terraform_labels = {**provider_of(context).labels_by_default, **(self.labels or {})}
        else:
            self.terraform_labels = Unknown
        before = plan.prior.terraform_labels if plan.prior is not None else None
        if plan.prior is not None and (not is_known(self.terraform_labels) or self.terraform_labels != before):
            self.effective_labels = self.label_fingerprint = Unknown

    def labels_to_make(self, context: Context) -> dict[str, str]:
        """What it bears at its creation: the provider's, the template's, and Stead's, which win."""
        mine = given(self.labels) or {}
        return {**provider_of(context).labels_by_default, **mine, **labelling.own(context.labels)}

    def labels_to_set(self, context: Context, found: Found, prior: Labelled) -> dict[str, str]:
        """What it bears after a change: nothing of Stead's or of others' is touched."""
        gone = set(prior.terraform_labels or ()) - set(self.labels or ())
        kept = {name: text for name, text in (found.get("labels") or {}).items() if name not in gone}
        return {**kept, **provider_of(context).labels_by_default, **(self.labels or {})}

    def observe_labels(self, context: Context, found: Found, *, refresh: bool) -> None:
        seen = found.get("labels") or {}
        default = provider_of(context).labels_by_default
        mine = given(self.labels)
        own = {name: seen[name] for name in mine or () if name in seen}
        expected = {**default, **own}
        observe(self, "terraform_labels", {name: seen.get(name, "") for name in expected}, refresh=refresh)
        observe(self, "effective_labels", dict(seen), refresh=refresh)
        observe(self, "label_fingerprint", found.get("labelFingerprint", ""), refresh=refresh)
        if refresh and mine is not None:
            self.labels = own

    def import_labels(self, context: Context, found: Found) -> None:
        """All that a template can have given; what the provider's default_labels give is not the template's."""
        default = provider_of(context).labels_by_default
        seen = labelling.visible(found.get("labels"))
        self.labels = {name: text for name, text in seen.items() if default.get(name) != text} or None


def missing(kind: str, what: str) -> ProviderFailure:
    return ProviderFailure(f"{kind} {what} vanished while it was changed.", remedy="Build again: it is made anew.")
