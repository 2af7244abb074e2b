"""``kubernetes_persistent_volume_claim``."""

from __future__ import annotations

from stead.api.provider import Context, Nesting, Plan, Resource, attribute, block, each, is_wholly_known
from stead_kubernetes.base import Object
from stead_kubernetes.cluster import Found, cluster_of
from stead_kubernetes.convert import Spec
from stead_kubernetes.kinds import CLAIMS
from stead_kubernetes.metadata import Create, NamespacedMetadata
from stead_kubernetes.pod_parts import LabelSelector
from stead_kubernetes.pod_volumes import ACCESS_MODES
from stead_kubernetes.quantities import amount, are_quantities
from stead_kubernetes.waiting import bound_claim

STORAGE = "storage"


class Room(Spec):
    """How much there must be. It may grow where the storage class allows it."""

    limits: dict[str, str] | None = attribute(optional=True, force_new=True, validators=[are_quantities])
    requests: dict[str, str] | None = attribute(optional=True, validators=[are_quantities])


class ClaimSpec(Spec):
    """Which volume."""

    access_modes: set[str] = attribute(required=True, force_new=True, validators=[each(ACCESS_MODES)])
    storage_class_name: str | None = attribute(optional=True, computed=True, force_new=True)
    volume_mode: str | None = attribute(optional=True, computed=True, force_new=True)
    volume_name: str | None = attribute(optional=True, computed=True, force_new=True)
    resources: list[Room] = block(Room, min_items=1, max_items=1)
    selector: list[LabelSelector] = block(LabelSelector, max_items=1, force_new=True)


class Claim(Object, name="kubernetes_persistent_volume_claim"):
    """A wish for a volume, and the volume with it."""

    KIND = CLAIMS
    wait_until_bound: bool = attribute(default=True, description="Wait until it has a volume.")
    metadata: list[NamespacedMetadata] = block(NamespacedMetadata, min_items=1, max_items=1)
    spec: list[ClaimSpec] = block(ClaimSpec, min_items=1, max_items=1)
    timeouts: Create | None = block(Create, nesting=Nesting.SINGLE)

    def plan(self, context: Context, plan: Plan) -> None:
        super().plan(context, plan)
        if plan.prior is None or not is_wholly_known([item.resources for item in self.spec]):
            return
        before, after = _storage(plan.prior), _storage(self)
        if before and after and amount(after) < amount(before):
            # A volume does not shrink.
            plan.require_replace("spec")

    def settle(self, context: Context, found: Found) -> Found:
        if not self.wait_until_bound or (found.get("status") or {}).get("phase") == "Bound":
            return found
        return bound_claim(cluster_of(context), context, found)

    def observe(self, context: Context, found: Found, *, refresh: bool) -> None:
        super().observe(context, found, refresh=refresh)
        if self.spec[0].volume_name is None or refresh:
            # Bound later, to the volume that was made for the first pod.
            self.spec[0].volume_name = found["spec"].get("volumeName", "")


class ClaimV1(Claim, name="kubernetes_persistent_volume_claim_v1"):
    """A wish for a volume, and the volume with it."""


def _storage(claim: Claim) -> str:
    for spec in claim.spec:
        for room in spec.resources:
            return (room.requests or {}).get(STORAGE, "")
    return ""


RESOURCES: tuple[type[Resource], ...] = (Claim, ClaimV1)
