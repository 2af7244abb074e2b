"""``kubernetes_role`` and ``kubernetes_role_binding``."""

from __future__ import annotations

from typing import Any

from stead.api.provider import Context, Resource, attribute, block, one_of
from stead_kubernetes.base import Object
from stead_kubernetes.cluster import Found
from stead_kubernetes.convert import Spec, imported, observe, render
from stead_kubernetes.kinds import RBAC, ROLE_BINDINGS, ROLES
from stead_kubernetes.metadata import NamespacedMetadata, RbacMetadata


class Rule(Spec):
    """What may be done to which objects."""

    api_groups: set[str] = attribute(required=True)
    resource_names: set[str] | None = attribute(optional=True)
    resources: set[str] = attribute(required=True)
    verbs: set[str] = attribute(required=True)


class Role(Object, name="kubernetes_role"):
    """What somebody may do in a namespace."""

    KIND = ROLES
    metadata: list[RbacMetadata] = block(RbacMetadata, min_items=1, max_items=1)
    rule: list[Rule] = block(Rule, min_items=1)

    def content(self, context: Context) -> Found:
        del context
        return {"rules": [render(item) for item in self.rule]}

    def observe(self, context: Context, found: Found, *, refresh: bool) -> None:
        del context
        if refresh:
            self.rule = _seen(Rule, self.rule, found.get("rules") or [])

    def fill(self, context: Context, found: Found) -> None:
        self.observe(context, found, refresh=True)


class RoleV1(Role, name="kubernetes_role_v1"):
    """What somebody may do in a namespace."""


class RoleReference(Spec):
    """The role that is given."""

    api_group: str = attribute(default=RBAC, force_new=True, validators=[one_of(RBAC)])
    kind: str = attribute(required=True, force_new=True, validators=[one_of("Role", "ClusterRole")])
    name: str = attribute(required=True, force_new=True)


class Subject(Spec):
    """Whom it is given to."""

    api_group: str | None = attribute(optional=True, computed=True)
    kind: str = attribute(required=True, validators=[one_of("ServiceAccount", "User", "Group")])
    name: str = attribute(required=True)
    namespace: str | None = attribute(optional=True, default="default")


class RoleBinding(Object, name="kubernetes_role_binding"):
    """Gives somebody a role in a namespace."""

    KIND = ROLE_BINDINGS
    metadata: list[NamespacedMetadata] = block(NamespacedMetadata, min_items=1, max_items=1)
    role_ref: list[RoleReference] = block(RoleReference, min_items=1, max_items=1)
    subject: list[Subject] = block(Subject, min_items=1)

    def content(self, context: Context) -> Found:
        del context
        return {"roleRef": render(self.role_ref[0]), "subjects": [_sent(item) for item in self.subject]}

    def observe(self, context: Context, found: Found, *, refresh: bool) -> None:
        del context
        seen = found.get("subjects") or []
        if refresh:
            self.subject = self.subject[: len(seen)]
            self.subject += [Subject(name="", kind="", namespace="default") for _ in seen[len(self.subject) :]]
        for item, found_item in zip(self.subject, seen, strict=False):
            shown = {**found_item, "namespace": found_item.get("namespace") or "default"}
            shown["apiGroup"] = found_item.get("apiGroup", "")
            observe(item, shown, refresh=refresh)

    def fill(self, context: Context, found: Found) -> None:
        reference: Any = imported(RoleReference, found.get("roleRef") or {})
        self.role_ref = [reference]
        self.subject = []
        self.observe(context, found, refresh=True)
        for item, seen in zip(self.subject, found.get("subjects") or (), strict=True):
            item.kind, item.name, item.api_group = seen["kind"], seen["name"], seen.get("apiGroup", "")


class RoleBindingV1(RoleBinding, name="kubernetes_role_binding_v1"):
    """Gives somebody a role in a namespace."""


def _sent(subject: Subject) -> Found:
    """Only service accounts are in a namespace, and only users and groups in a group of the API."""
    found = render(subject)
    if subject.kind == "ServiceAccount":
        found.pop("apiGroup", None)
        return found
    found.pop("namespace", None)
    return {**found, "apiGroup": found.get("apiGroup") or RBAC}


def _seen(kind: type[Rule], items: list[Rule], seen: list[Found]) -> list[Rule]:
    """The rules as they are; one that says the same stays as it was written."""
    result = []
    for position, raw in enumerate(seen):
        now: Any = imported(kind, raw)
        if position < len(items):
            observe(items[position], raw, refresh=True)
            result.append(items[position])
        else:
            result.append(now)
    return result


RESOURCES: tuple[type[Resource], ...] = (Role, RoleV1, RoleBinding, RoleBindingV1)
