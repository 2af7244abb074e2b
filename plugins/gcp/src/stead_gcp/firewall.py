"""``google_compute_firewall``."""

from __future__ import annotations

from typing import Any

from stead.api.errors import ProviderFailure
from stead.api.provider import BlockSchema, Context, Nesting, attribute, between, block, is_known, one_of
from stead_gcp import labels as labelling
from stead_gcp.base import (
    Found,
    Params,
    Projected,
    Timeouts,
    fill_defaults,
    given,
    is_name,
    limit_of,
    missing,
    observe,
    observe_all,
    without_nothing,
)
from stead_gcp.cloud import cloud_of, limited
from stead_gcp.links import link, parsed, same_link

SOURCES = ("source_ranges", "source_tags", "source_service_accounts")
LISTS = {
    "source_ranges": "sourceRanges",
    "source_tags": "sourceTags",
    "source_service_accounts": "sourceServiceAccounts",
    "destination_ranges": "destinationRanges",
    "target_tags": "targetTags",
    "target_service_accounts": "targetServiceAccounts",
}
METADATA = ("EXCLUDE_ALL_METADATA", "INCLUDE_ALL_METADATA")


def same_case(one: Any, other: Any) -> bool:
    return str(one).lower() == str(other).lower()


class Rule(BlockSchema):
    """A protocol, with its ports."""

    protocol: str = attribute(required=True, normalize=same_case, description="tcp, udp, icmp …, all, or a number.")
    ports: list[str] | None = attribute(optional=True, description="Ports and ranges (8000-8999); all where not set.")


class LogConfig(BlockSchema):
    """Log the connections."""

    metadata: str = attribute(required=True, validators=[one_of(*METADATA)], description="Whether with metadata.")


class Firewall(Projected, name="google_compute_firewall"):
    """A firewall rule of a network. It bears no labels: its description carries Stead's, in a line at its end."""

    name: str = attribute(required=True, force_new=True, validators=[is_name], description="Name.")
    network: str = attribute(required=True, normalize=same_link, description="Name or link of the network.")
    description: str | None = attribute(optional=True, description="What it is for.")
    direction: str | None = attribute(
        optional=True,
        computed=True,
        force_new=True,
        validators=[one_of("INGRESS", "EGRESS", "")],
        description="INGRESS or EGRESS.",
    )
    disabled: bool | None = attribute(optional=True, description="The rule is there, and does nothing.")
    enable_logging: bool | None = attribute(
        optional=True, computed=True, deprecated="use log_config", description="Log the connections."
    )
    priority: int = attribute(default=1000, validators=[between(0, 65535)], description="The lowest number wins.")
    source_ranges: set[str] | None = attribute(optional=True, description="Addresses from which it allows (CIDR).")
    source_tags: set[str] | None = attribute(
        optional=True,
        conflicts_with=["source_service_accounts", "target_service_accounts"],
        description="Tags of instances from which it allows.",
    )
    source_service_accounts: set[str] | None = attribute(
        optional=True, conflicts_with=["source_tags", "target_tags"], description="Service accounts of such instances."
    )
    destination_ranges: set[str] | None = attribute(
        optional=True, computed=True, description="Addresses to which it allows."
    )
    target_tags: set[str] | None = attribute(
        optional=True,
        conflicts_with=["source_service_accounts", "target_service_accounts"],
        description="Tags of the instances that it protects; all where not set.",
    )
    target_service_accounts: set[str] | None = attribute(
        optional=True, conflicts_with=["source_tags", "target_tags"], description="Service accounts of such instances."
    )
    allow: list[Rule] = block(Rule, nesting=Nesting.SET, exactly_one_of=["deny"])
    deny: list[Rule] = block(Rule, nesting=Nesting.SET, exactly_one_of=["allow"])
    log_config: list[LogConfig] = block(LogConfig, max_items=1)
    params: list[Params] = block(Params, max_items=1, force_new=True)
    timeouts: Timeouts | None = block(Timeouts, nesting=Nesting.SINGLE)

    def validate(self, context: Context) -> None:
        del context
        open_ended = is_known(self.direction) and self.direction != "EGRESS"
        if open_ended and all(getattr(self, name) is None for name in SOURCES):
            raise ProviderFailure(
                "One of source_ranges, source_tags and source_service_accounts must say from where connections come.",
                field="source_ranges",
                remedy='For everywhere: source_ranges = ["0.0.0.0/0"].',
            )
        if self.log_config and self.enable_logging is False:
            raise ProviderFailure("log_config stands against enable_logging = false.", field="enable_logging")

    def _find(self, context: Context) -> Found | None:
        doing, project = f"Firewall rule {self.name} could not be read", self.in_project(context)
        return cloud_of(context).find(context, doing, "firewalls.get", project=project, firewall=self.name)

    def _is_ours(self, found: Found, key: str) -> bool:
        return labelling.carries(labelling.of_description(found.get("description"))[1], key)

    def create(self, context: Context) -> None:
        with limited(context, limit_of(self.timeouts, "create")) as bound:
            found = cloud_of(context).make(
                bound,
                f"Firewall rule {self.name} could not be created",
                self._find,
                lambda rule: self._is_ours(rule, context.key),
                "firewalls.insert",
                discard=self._discard,
                taken=f"A firewall rule {self.name} exists already, and Stead did not make it for this.",
                project=self.in_project(bound),
                firewallResource=self._body(bound, labelling.described(self.description, context.labels)),
            )
        self._assign(context, found, refresh=False)

    def _discard(self, context: Context) -> None:
        found = self._find(context)
        if found is not None and self._is_ours(found, context.key):
            self._remove(context)

    def _body(self, context: Context, description: str) -> Found:
        """What Google Cloud gets, at the creation and for a change: what it lacks is no longer wanted."""
        lists = {wire: sorted(values) for name, wire in LISTS.items() if (values := given(getattr(self, name)))}
        return {
            **without_nothing(
                {
                    "name": self.name,
                    "description": description,
                    "network": link(self.network, self.in_project(context), "global", "networks"),
                    "direction": given(self.direction) or None,
                    "priority": self.priority,
                    "disabled": self.disabled,
                    "allowed": _rules(self.allow),
                    "denied": _rules(self.deny),
                    "logConfig": self._logging(),
                    "params": {"resourceManagerTags": self.params[0].resource_manager_tags} if self.params else None,
                }
            ),
            **lists,
        }

    def _logging(self) -> Found | None:
        if self.log_config:
            return {"enable": True, "metadata": self.log_config[0].metadata}
        wanted = given(self.enable_logging)
        return None if wanted is None else {"enable": wanted}

    def read(self, context: Context) -> bool:
        found = self._find(context)
        if found is None:
            return False
        self._assign(context, found, refresh=True)
        return True

    def _assign(self, context: Context, found: Found, *, refresh: bool) -> None:
        self.id = f"projects/{self.in_project(context)}/global/firewalls/{self.name}"
        observe(self, "network", found.get("network", ""), refresh=refresh, same=same_link)
        log = found.get("logConfig") or {}
        observe_all(
            self,
            {
                "description": labelling.of_description(found.get("description"))[0],
                "direction": found.get("direction", "INGRESS"),
                "disabled": found.get("disabled", False),
                "enable_logging": bool(log.get("enable")),
                "priority": found.get("priority", 1000),
                "self_link": found.get("selfLink", ""),
                "creation_timestamp": found.get("creationTimestamp", ""),
                **{name: set(found.get(wire, ())) for name, wire in LISTS.items()},
            },
            refresh=refresh,
        )
        if refresh:
            self.allow, self.deny = _kept(self.allow, found.get("allowed")), _kept(self.deny, found.get("denied"))
            self.log_config = _logged(log) if self.log_config else []

    def update(self, context: Context, prior: Firewall) -> None:
        """Replace the whole rule: the SDK leaves empty lists out of a patch."""
        doing = f"Firewall rule {self.name} could not be changed"
        with limited(context, limit_of(self.timeouts, "update")) as bound:
            before = self._find(bound)
            if before is None:
                raise missing("Firewall rule", self.name)
            body = self._body(bound, labelling.replaced(before.get("description"), self.description))
            if prior.log_config and not self.log_config:
                body.pop("logConfig", None)
            project = self.in_project(bound)
            cloud_of(bound).do(
                bound, doing, "firewalls.update", project=project, firewall=self.name, firewallResource=body
            )
            found = self._find(bound)
        if found is None:
            raise missing("Firewall rule", self.name)
        self._assign(context, found, refresh=False)

    def delete(self, context: Context) -> None:
        with limited(context, limit_of(self.timeouts, "delete")) as bound:
            self._remove(bound)

    def _remove(self, context: Context) -> None:
        doing, project = f"Firewall rule {self.name} could not be deleted", self.in_project(context)
        cloud_of(context).remove(context, doing, "firewalls.delete", project=project, firewall=self.name)

    @classmethod
    def import_(cls, context: Context, identity: str) -> Firewall | None:
        project, _, name = parsed(identity, "firewalls", None)
        firewall = cls(name=name, project=project or None)
        found = firewall._find(context)
        if found is None:
            return None
        firewall._assign(context, found, refresh=True)
        firewall.log_config = _logged(found.get("logConfig") or {})
        fill_defaults(firewall)
        return firewall


def _rules(blocks: list[Rule]) -> list[Found]:
    return [without_nothing({"IPProtocol": item.protocol, "ports": item.ports}) for item in blocks]


def _meaning(rules: list[Rule]) -> set[tuple[str, tuple[str, ...]]]:
    return {(item.protocol.lower(), tuple(sorted(item.ports or ()))) for item in rules}


def _kept(current: list[Rule], found: list[Found] | None) -> list[Rule]:
    """The rules as they are; as the template writes them where they mean the same."""
    seen = [Rule(protocol=item["IPProtocol"], ports=item.get("ports") or None) for item in found or ()]
    return current if _meaning(current) == _meaning(seen) else seen


def _logged(log: Found) -> list[LogConfig]:
    """The block that a template would have; with the deprecated enable_logging it has none."""
    return [LogConfig(metadata=log["metadata"])] if log.get("enable") and log.get("metadata") else []
