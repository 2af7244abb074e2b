"""``coder_app``: something in the workspace that opens from its page."""

from __future__ import annotations

from stead.api.provider import BlockSchema, Nesting, attribute, block, length, one_of
from stead.terraform.coder import checks
from stead.terraform.coder.records import StateOnly

SHARES = ("owner", "authenticated", "organization", "public")


class Healthcheck(BlockSchema):
    """How the agent finds out whether the app answers."""

    url: str = attribute(required=True, force_new=True, validators=[checks.url])
    interval: int = attribute(required=True, force_new=True, description="Seconds between two checks.")
    threshold: int = attribute(required=True, force_new=True, description="Failures in a row that make it unhealthy.")


class App(StateOnly, name="coder_app"):
    """A port, a command or a link of a workspace, with its icon and who may open it."""

    agent_id: str = attribute(required=True, force_new=True)
    slug: str = attribute(required=True, force_new=True, validators=[checks.slug])
    display_name: str | None = attribute(optional=True, force_new=True, validators=[length(0, 64)])
    icon: str | None = attribute(optional=True, force_new=True, validators=[checks.url])
    url: str | None = attribute(optional=True, force_new=True, conflicts_with=["command"])
    command: str | None = attribute(optional=True, force_new=True, conflicts_with=["url", "subdomain"])
    external: bool = attribute(
        default=False,
        force_new=True,
        conflicts_with=["healthcheck", "command", "subdomain", "share"],
        description="A link that the browser opens itself; nothing is proxied.",
    )
    subdomain: bool | None = attribute(optional=True, force_new=True)
    share: str = attribute(default="owner", force_new=True, validators=[one_of(*SHARES)])
    healthcheck: list[Healthcheck] = block(Healthcheck, nesting=Nesting.SET, max_items=1, conflicts_with=["command"])
    group: str | None = attribute(optional=True, force_new=True, validators=[length(0, 64)])
    order: int | None = attribute(optional=True, force_new=True)
    hidden: bool = attribute(default=False, force_new=True)
    open_in: str = attribute(default="slim-window", force_new=True, validators=[one_of("tab", "slim-window")])
    tooltip: str | None = attribute(optional=True, force_new=True, validators=[length(0, 2048)])
