"""What the resource types have in common: create, read, apply, delete and import of one object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from stead.api.errors import ProviderFailure
from stead.api.provider import Context, Plan, Resource, Unknown, attribute, is_known
from stead.api.provider.durations import seconds
from stead.api.provider.model import Model
from stead_kubernetes import labels as labelling
from stead_kubernetes.cluster import Cluster, Found, cluster_of, limited
from stead_kubernetes.convert import imported, observe, render
from stead_kubernetes.kinds import Kind
from stead_kubernetes.metadata import visible, wanted

if TYPE_CHECKING:
    from stead_kubernetes.provider import Kubernetes

LIMITS = {"create": 5 * 60.0, "update": 5 * 60.0, "delete": 5 * 60.0}  # seconds, as in the original provider


def provider_of(context: Context) -> Kubernetes:
    provider: Kubernetes = context.provider  # type: ignore[assignment]
    return provider


class Object(Resource):
    """A resource type that is one object of the API. Subclasses have a block ``metadata``."""

    KIND: ClassVar[Kind]
    LIMITS: ClassVar[dict[str, float]] = LIMITS

    id: str = attribute(computed=True, description="NAMESPACE/NAME, or NAME outside of namespaces.")
    metadata: list[Any]

    # What a subclass has of its own

    def content(self, context: Context) -> Found:
        """Everything of the object but its metadata."""
        del context
        spec = getattr(self, "spec", None)
        return {"spec": render(spec[0])} if spec else {}

    def settle(self, context: Context, found: Found) -> Found:
        """Wait until the object is what it is for. Gives it as it is then."""
        del context
        return found

    def observe(self, context: Context, found: Found, *, refresh: bool) -> None:
        """Assign what is not metadata."""
        del context
        for item in getattr(self, "spec", ()):
            observe(item, found.get("spec") or {}, refresh=refresh)

    def fill(self, context: Context, found: Found) -> None:
        """Assign what is not metadata from an object that is imported."""
        block = self.schema().blocks.get("spec")
        if block is not None:
            setattr(self, block.key, [imported(block.model, found.get("spec") or {})])
        self.observe(context, found, refresh=True)

    # The life of the object

    @property
    def meta(self) -> Any:
        return self.metadata[0]

    def describe(self) -> str:
        name = self.meta.name if is_known(self.meta.name) and self.meta.name else f"{self.meta.generate_name}…"
        return f"{self.KIND.kind} {name}"

    def limit(self, name: str) -> float:
        """Seconds that the block ``timeouts`` gives, or the default."""
        given = getattr(getattr(self, "timeouts", None), name, None)
        return seconds(given) if is_known(given) and given else self.LIMITS[name]

    def plan(self, context: Context, plan: Plan) -> None:
        del context
        if not is_known(self.metadata) or not self.metadata:
            return
        meta = self.meta
        if plan.action in {"update", "none"} and plan.prior is not None and plan.changed:
            meta.generation = meta.resource_version = Unknown

    def create(self, context: Context) -> None:
        cluster = cluster_of(context)
        with limited(context, self.limit("create")) as bound:
            namespace = self._namespace(bound)
            if self.KIND.namespaced:
                provider_of(context).ensure_namespace(bound, namespace or "")
            body = self._body(bound, labelling.own(context.labels) if context.key else {})
            doing = f"{self.describe()} could not be created"
            found = cluster.make(bound, doing, self.KIND, namespace, body)
            # From here on it exists: whatever fails now, Terraform knows it and removes it at the next build.
            self._assign_metadata(found, refresh=False)
            found = self.settle(bound, found)
        self._assign_metadata(found, refresh=False)
        self.observe(context, found, refresh=False)

    def _namespace(self, context: Context) -> str | None:
        if not self.KIND.namespaced:
            return None
        meta = self.meta
        if meta.namespace is None or not is_known(meta.namespace):
            meta.namespace = provider_of(context).default_namespace(context)
        namespace: str = meta.namespace
        return namespace

    def _body(self, context: Context, own: dict[str, str]) -> Found:
        head = {"apiVersion": self.KIND.api_version, "kind": self.KIND.kind, "metadata": wanted(self.meta, own)}
        return {**head, **self.content(context)}

    def _assign_metadata(self, found: Found, *, refresh: bool) -> None:
        seen, meta = found["metadata"], self.meta
        namespace = seen.get("namespace")
        self.id = f"{namespace}/{seen['name']}" if namespace else seen["name"]
        meta.name, meta.uid = seen["name"], seen["uid"]
        if self.KIND.namespaced:
            meta.namespace = namespace
        meta.generation = int(seen.get("generation", 0))
        if not refresh or not is_known(meta.resource_version) or not meta.resource_version:
            # As of our last change: it also changes with every word about the object's state.
            meta.resource_version = seen.get("resourceVersion", "")
        if refresh:
            ignored = visible(seen.get("annotations")), visible(seen.get("labels"))
            for name, entries in zip(("annotations", "labels"), ignored, strict=True):
                mine = getattr(meta, name)
                if mine:
                    all_seen = {**(seen.get(name) or {}), **entries}
                    setattr(meta, name, {key: all_seen[key] for key in mine if key in all_seen})

    def _find(self, context: Context) -> Found | None:
        doing = f"{self.describe()} could not be read"
        found = cluster_of(context).find(context, doing, self.KIND, *self._place())
        # A namesake that somebody has made since is another thing.
        other = found is not None and is_known(self.meta.uid) and self.meta.uid not in (None, "", _uid(found))
        return None if other else found

    def _place(self) -> tuple[str | None, str]:
        return (self.meta.namespace if self.KIND.namespaced else None), self.meta.name

    def read(self, context: Context) -> bool:
        found = self._find(context)
        if found is None:
            return False
        if found["metadata"].get("deletionTimestamp") and context.build.transition != "destroy":
            return False  # a destruction has to wait for its end, and so must know it
        self._assign_metadata(found, refresh=True)
        self.observe(context, found, refresh=True)
        return True

    def update(self, context: Context, prior: Self) -> None:
        cluster, doing = cluster_of(context), f"{self.describe()} could not be changed"
        with limited(context, self.limit("update")) as bound:
            live = prior._find(bound)
            if live is None:
                raise ProviderFailure(f"{doing}: it has vanished.", remedy="Build again: it is made anew.")
            own = labelling.kept(live["metadata"].get("labels") or {})
            found = self.change(bound, cluster, doing, live, self._body(bound, own))
            found = self.settle(bound, found)
        self._assign_metadata(found, refresh=False)
        self.observe(context, found, refresh=False)

    def change(self, context: Context, cluster: Cluster, doing: str, live: Found, body: Found) -> Found:
        """Bring the object to what is wanted."""
        return cluster.apply(context, doing, self.KIND, live, body)

    def delete(self, context: Context) -> None:
        namespace, name = self._place()
        uid = self.meta.uid if is_known(self.meta.uid) else None
        with limited(context, self.limit("delete")) as bound:
            doing = f"{self.describe()} could not be removed"
            cluster_of(context).remove(bound, doing, self.KIND, namespace, name, uid or None)

    @classmethod
    def import_(cls, context: Context, identity: str) -> Self | None:
        namespace, _, name = identity.rpartition("/")
        thing = cls()
        block = cls.schema().blocks["metadata"]
        meta: Any = block.model()
        thing.metadata = [meta]
        meta.name = name
        if cls.KIND.namespaced:
            meta.namespace = namespace or provider_of(context).default_namespace(context)
        found = thing._find(context)
        if found is None:
            return None
        _defaults(thing)
        meta.labels = visible(found["metadata"].get("labels")) or None
        meta.annotations = visible(found["metadata"].get("annotations")) or None
        thing._assign_metadata(found, refresh=True)
        thing.fill(context, found)
        return thing


def _uid(found: Found) -> str:
    uid: str = found["metadata"]["uid"]
    return uid


def _defaults(model: Model) -> None:
    for field in model.schema().attributes.values():
        if getattr(model, field.key) is None and field.has_default:
            setattr(model, field.key, field.default)
