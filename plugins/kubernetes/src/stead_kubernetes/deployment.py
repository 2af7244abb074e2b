"""``kubernetes_deployment``."""

from __future__ import annotations

from typing import Any, ClassVar

from stead.api.provider import BlockSchema, Context, Nesting, Resource, attribute, block, one_of
from stead_kubernetes.base import LIMITS, Object
from stead_kubernetes.cluster import Found, cluster_of
from stead_kubernetes.convert import Spec, imported, observe, render
from stead_kubernetes.kinds import DEPLOYMENTS
from stead_kubernetes.metadata import CreateUpdateDelete, NamespacedMetadata, TemplateMetadata, visible
from stead_kubernetes.pod import without_additions
from stead_kubernetes.pod_parts import IS_NUMBER, LabelSelector
from stead_kubernetes.pod_spec import PodSpec
from stead_kubernetes.waiting import rolled_out

LONG = 600.0  # seconds


class RollingUpdate(Spec):
    """How many pods are changed at once."""

    max_surge: str | None = attribute(optional=True, default="25%")
    max_unavailable: str | None = attribute(optional=True, default="25%")


class Strategy(Spec):
    """How pods are changed."""

    type: str = attribute(default="RollingUpdate", validators=[one_of("RollingUpdate", "Recreate")])
    rolling_update: list[RollingUpdate] = block(RollingUpdate, max_items=1)


class Template(BlockSchema):
    """What each pod is."""

    metadata: list[TemplateMetadata] = block(TemplateMetadata, min_items=1, max_items=1)
    spec: list[PodSpec] = block(PodSpec, max_items=1)


class DeploymentSpec(Spec):
    """How many pods of which kind."""

    SERVER: ClassVar[dict[str, Any]] = {
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    }
    min_ready_seconds: int = attribute(default=0)
    paused: bool = attribute(default=False)
    progress_deadline_seconds: int = attribute(default=600)
    replicas: str | None = attribute(optional=True, computed=True, validators=[IS_NUMBER])
    revision_history_limit: int = attribute(default=10)
    selector: list[LabelSelector] = block(LabelSelector, max_items=1, force_new=True)
    strategy: list[Strategy] = block(Strategy, max_items=1)
    template: list[Template] = block(Template, min_items=1, max_items=1)


class Deployment(Object, name="kubernetes_deployment"):
    """Pods of one kind that are kept running."""

    KIND = DEPLOYMENTS
    LIMITS: ClassVar[dict[str, float]] = {**LIMITS, "create": LONG, "update": LONG, "delete": LONG}
    wait_for_rollout: bool = attribute(default=True, description="Wait until all pods are as wanted.")
    metadata: list[NamespacedMetadata] = block(NamespacedMetadata, min_items=1, max_items=1)
    spec: list[DeploymentSpec] = block(DeploymentSpec, min_items=1, max_items=1)
    timeouts: CreateUpdateDelete | None = block(CreateUpdateDelete, nesting=Nesting.SINGLE)

    def content(self, context: Context) -> Found:
        del context
        spec = self.spec[0]
        found = render(spec)
        template = spec.template[0]
        meta: Any = template.metadata[0] if template.metadata else None
        labels = dict((meta.labels if meta else None) or {})
        annotations = dict((meta.annotations if meta else None) or {})
        head = {"labels": labels, **({"annotations": annotations} if annotations else {})}
        pods = render(template.spec[0]) if template.spec else {}
        found["template"] = {"metadata": head, "spec": pods}
        if "selector" not in found:
            found["selector"] = {"matchLabels": labels}
        return {"spec": found}

    def settle(self, context: Context, found: Found) -> Found:
        if not self.wait_for_rollout:
            return found
        return rolled_out(cluster_of(context), context, found)

    def observe(self, context: Context, found: Found, *, refresh: bool) -> None:
        del context
        spec = self.spec[0]
        seen = {name: value for name, value in found["spec"].items() if name != "template"}
        templates, spec.template = spec.template, []
        observe(spec, seen, refresh=refresh)
        spec.template = templates
        for template in templates:
            self._observe_template(template, found["spec"].get("template") or {}, refresh=refresh)

    @staticmethod
    def _observe_template(template: Template, seen: Found, *, refresh: bool) -> None:
        nothing = {"generation": 0, "resourceVersion": "", "uid": "", "name": ""}
        for meta in template.metadata:
            observe(meta, {**nothing, **(seen.get("metadata") or {})}, refresh=refresh)
        for item in template.spec:
            observe(item, seen.get("spec") or {}, refresh=refresh)

    def fill(self, context: Context, found: Found) -> None:
        seen = dict(found["spec"])
        raw = seen.pop("template")
        spec: Any = imported(DeploymentSpec, seen)
        pods: Any = imported(PodSpec, without_additions(raw["spec"]))
        metadata = raw.get("metadata") or {}
        head = TemplateMetadata(
            labels=visible(metadata.get("labels")) or None,
            annotations=visible(metadata.get("annotations")) or None,
            generation=0,
            name="",
            resource_version="",
            uid="",
        )
        spec.template = [Template(metadata=[head], spec=[pods])]
        self.spec = [spec]
        self.observe(context, found, refresh=True)


class DeploymentV1(Deployment, name="kubernetes_deployment_v1"):
    """Pods of one kind that are kept running."""


RESOURCES: tuple[type[Resource], ...] = (Deployment, DeploymentV1)
