"""Every kind of object that the plugin touches, with what it does to it.

There is no other way to call the API server: the role that ``python -m stead_kubernetes.policy`` prints is made of
this table.
"""

from __future__ import annotations

from dataclasses import dataclass

MANAGED = ("get", "list", "create", "patch", "delete")


@dataclass(frozen=True)
class Kind:
    """One kind of object.

    :param verbs: what the plugin does to such objects.
    :param parent: for a part of another kind's object (``log`` of ``pods``): its name after the plural.
    """

    group: str
    version: str
    kind: str
    plural: str
    verbs: tuple[str, ...] = MANAGED
    namespaced: bool = True
    part: str = ""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """As a role names it."""
        return f"{self.plural}/{self.part}" if self.part else self.plural

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        place = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        end = f"/{name}" if name else ""
        return f"{root}{place}/{self.plural}{end}" + (f"/{self.part}" if self.part else "")


RBAC = "rbac.authorization.k8s.io"
NAMESPACES = Kind("", "v1", "Namespace", "namespaces", namespaced=False)
PODS = Kind("", "v1", "Pod", "pods")
CLAIMS = Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
SECRETS = Kind("", "v1", "Secret", "secrets")
CONFIG_MAPS = Kind("", "v1", "ConfigMap", "configmaps")
SERVICES = Kind("", "v1", "Service", "services")
SERVICE_ACCOUNTS = Kind("", "v1", "ServiceAccount", "serviceaccounts")
QUOTAS = Kind("", "v1", "ResourceQuota", "resourcequotas")
DEPLOYMENTS = Kind("apps", "v1", "Deployment", "deployments")
ROLES = Kind(RBAC, "v1", "Role", "roles")
ROLE_BINDINGS = Kind(RBAC, "v1", "RoleBinding", "rolebindings")
NETWORK_POLICIES = Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
EVENTS = Kind("", "v1", "Event", "events", ("list",))
LOGS = Kind("", "v1", "Pod", "pods", ("get",), part="log")
REPLICA_SETS = Kind("apps", "v1", "ReplicaSet", "replicasets", ("list",))

KINDS = (
    NAMESPACES,
    PODS,
    LOGS,
    EVENTS,
    CLAIMS,
    SECRETS,
    CONFIG_MAPS,
    SERVICES,
    SERVICE_ACCOUNTS,
    QUOTAS,
    DEPLOYMENTS,
    REPLICA_SETS,
    ROLES,
    ROLE_BINDINGS,
    NETWORK_POLICIES,
)
