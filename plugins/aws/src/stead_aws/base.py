"""What the resource types have in common: region, tags, time-outs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stead.api.errors import SteadError
from stead.api.provider import BlockSchema, Context, Plan, Resource, Unknown, attribute, is_known
from stead.api.provider.durations import is_duration, seconds
from stead.api.provider.values import is_wholly_known
from stead_aws import tags as tagging
from stead_aws.cloud import Cloud, Found, cloud_of, is_refused

if TYPE_CHECKING:
    from stead_aws.provider import Aws

REGION = "Region; the provider's where not set."


class ReadTimeouts(BlockSchema):
    """How long to wait."""

    read: str | None = attribute(optional=True, validators=[is_duration], description="For it to be read: 20m.")


class CreateDeleteTimeouts(BlockSchema):
    """How long to wait."""

    create: str | None = attribute(optional=True, validators=[is_duration], description="For its creation.")
    delete: str | None = attribute(optional=True, validators=[is_duration], description="For its end.")


class Timeouts(BlockSchema):
    """How long to wait."""

    create: str | None = attribute(optional=True, validators=[is_duration], description="For its creation.")
    delete: str | None = attribute(optional=True, validators=[is_duration], description="For its end.")
    update: str | None = attribute(optional=True, validators=[is_duration], description="For a change.")


class AllTimeouts(BlockSchema):
    """How long to wait."""

    create: str | None = attribute(optional=True, validators=[is_duration], description="For its creation.")
    delete: str | None = attribute(optional=True, validators=[is_duration], description="For its end.")
    read: str | None = attribute(optional=True, validators=[is_duration], description="To be read.")
    update: str | None = attribute(optional=True, validators=[is_duration], description="For a change.")


def limit_of(timeouts: Any, name: str, default: float) -> float:
    """Seconds that the resource's ``timeouts`` block gives, or the default."""
    given = getattr(timeouts, name, None)
    return seconds(given) if is_known(given) and given else default


def provider_of(context: Context) -> Aws:
    provider: Aws = context.provider  # type: ignore[assignment]
    return provider


def given(value: Any) -> Any:
    """The value where a template gives one; ``None`` where it is null or not known yet."""
    return value if is_known(value) else None


def effective_tags(context: Context, own: Mapping[str, str] | None) -> tagging.Tags:
    """What a thing carries: default tags, the template's, and Stead's, which win."""
    return {**provider_of(context).tags_by_default, **(own or {}), **tagging.own(context.labels)}


def plan_tags(context: Context, resource: Any) -> None:
    """``tags_all`` is known with ``tags``."""
    if is_wholly_known(resource.tags):
        resource.tags_all = {**provider_of(context).tags_by_default, **(resource.tags or {})}
    else:
        resource.tags_all = Unknown


def read_tags(context: Context, resource: Any, found: Any) -> None:
    """Assign ``tags`` and ``tags_all`` from what AWS tells; null stays null where there is nothing."""
    provider = provider_of(context)
    seen = provider.without_ignored(tagging.visible(tagging.of_api(found)))
    default = provider.tags_by_default
    mine = given(resource.tags) or {}
    own = {name: value for name, value in seen.items() if name in mine or default.get(name) != value}
    resource.tags_all = seen
    if own or mine:
        resource.tags = own


class Global(Resource):
    """A resource of the whole account."""

    def cloud(self, context: Context) -> Cloud:
        return cloud_of(context)


class GlobalTagged(Global):
    """A resource of the whole account that bears tags."""

    tags: dict[str, str] | None = attribute(optional=True, description="Tags.")
    tags_all: dict[str, str] | None = attribute(
        optional=True, computed=True, description="Tags with the provider's default_tags."
    )

    def plan(self, context: Context, plan: Plan) -> None:
        del plan
        plan_tags(context, self)


class Regional(Resource):
    """A resource of one region."""

    region: str | None = attribute(optional=True, computed=True, force_new=True, description=REGION)

    def where(self, context: Context) -> str:
        """The region; fixed at the first use."""
        if not is_known(self.region) or not self.region:
            self.region = cloud_of(context).region
        return self.region

    def ask(self, context: Context, doing: str, operation: str, **arguments: Any) -> Found:
        return cloud_of(context).ask(context, doing, "ec2", operation, region=self.where(context), **arguments)

    def find(self, context: Context, doing: str, operation: str, **arguments: Any) -> Found | None:
        return cloud_of(context).find(context, doing, "ec2", operation, region=self.where(context), **arguments)

    def settle(self, context: Context, doing: str, operation: str, **arguments: Any) -> Found:
        return cloud_of(context).settle(context, doing, "ec2", operation, region=self.where(context), **arguments)

    def remove(self, context: Context, doing: str, operation: str, **arguments: Any) -> bool:
        return cloud_of(context).remove(context, doing, "ec2", operation, region=self.where(context), **arguments)

    def arn_of(self, context: Context, rest: str) -> str:
        return cloud_of(context).arn(context, "ec2", self.where(context), rest)


class RegionalTagged(Regional):
    """A resource of one region that bears tags."""

    tags: dict[str, str] | None = attribute(optional=True, description="Tags.")
    tags_all: dict[str, str] | None = attribute(
        optional=True, computed=True, description="Tags with the provider's default_tags."
    )

    def plan(self, context: Context, plan: Plan) -> None:
        del plan
        plan_tags(context, self)

    def retag(self, context: Context, identity: str, prior: Any) -> None:
        """Bring the tags of ``identity`` from ``prior`` to what is planned."""
        after = given(self.tags_all) or {}
        gone, changed = tagging.difference(prior.tags_all or {}, after)
        doing = f"Tags of {identity} could not be changed"
        if gone:
            names = [{"Key": name} for name in gone]
            self.ask(context, doing, "DeleteTags", Resources=[identity], Tags=names)
        if changed:
            self.ask(context, doing, "CreateTags", Resources=[identity], Tags=tagging.to_api(changed))


@contextmanager
def told(resource: Any, identity: str) -> Iterator[None]:
    """Make something that bears no tags, so that no listing finds it.

    Where AWS may have made it although the call failed, the state tells of it, and the next run removes it.
    """
    try:
        yield
    except SteadError as failure:
        if not is_refused(failure):
            resource.id = identity
        raise


def key_filter(context: Context) -> list[dict[str, Any]]:
    """Finds what carries the key of the creation at hand."""
    return [{"Name": f"tag:{tagging.KEY}", "Values": [context.key]}]
