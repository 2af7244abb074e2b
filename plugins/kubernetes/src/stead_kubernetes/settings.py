"""The plugin's section in ``stead.toml``: ``[plugins.kubernetes]``."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr


class KubernetesSettings(BaseModel, extra="forbid"):
    """Which cluster to use where a template does not say, and how long to wait for it."""

    config_path: Path | None = Field(
        default=None,
        description="Kubeconfig file. Without it and without host: KUBE_CONFIG_PATH, KUBECONFIG, the service account "
        "of the pod that Stead runs in, then ~/.kube/config.",
    )
    context: str | None = Field(default=None, description="Context of the kubeconfig; without it its current one.")
    host: str | None = Field(default=None, description="Address of an API server, in place of a kubeconfig.")
    token: SecretStr | None = Field(default=None, description="Bearer token for host.")
    ca_file: Path | None = Field(default=None, description="Certificate authority of host.")
    insecure: bool = Field(default=False, description="Do not check the certificate of host.")
    namespace: str = Field(default="default", description="Namespace of what a template puts in none.")
    namespaces: list[str] = Field(
        default_factory=list,
        description="The only namespaces that Stead looks into, where it has Roles in place of a ClusterRole.",
    )
    user_namespace: str | None = Field(
        default=None,
        description="Name of a namespace for each owner, such as stead-{owner}: what a template puts in no namespace "
        "goes there. It is made when first needed and stays.",
    )
    user_quota: dict[str, str] = Field(
        default_factory=dict,
        description='Quota of such a namespace: {"requests.cpu" = "8", "requests.memory" = "32Gi", pods = "20"}.',
    )
    user_isolation: bool = Field(
        default=False, description="Network policy of such a namespace: nothing from other namespaces reaches its pods."
    )
    timeout: float = Field(default=30.0, gt=0, description="Seconds that one answer may take.")
    attempts: int = Field(
        default=8, ge=1, le=50, description="How often a call is tried while the API server throttles or fails."
    )
    pause: float = Field(
        default=0.2, gt=0, description="Seconds before the second try; doubles, with jitter, up to 20."
    )
    poll: float = Field(default=1.0, gt=0, description="Seconds between two looks at something that takes time.")
    patience: float = Field(
        default=60.0,
        ge=0,
        description="Seconds that an image may fail to be pulled, or a quota refuse a pod, before a build gives up. "
        "A pod that no node has room for waits until the resource's timeout: an autoscaler may bring one.",
    )
    prices: Path | None = Field(
        default=None,
        description="Price table of this cluster, as python -m stead_kubernetes.prices writes it. Clusters have no "
        "public price: the bundled table is an example.",
    )
