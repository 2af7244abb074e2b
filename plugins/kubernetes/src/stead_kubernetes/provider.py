"""The provider ``hashicorp/kubernetes``."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stead.api.provider import BlockSchema, Context, Provider, attribute, block
from stead_kubernetes import (
    claim,
    deployment,
    pod,
    role,
    secret,
    service,
    simple,
)
from stead_kubernetes.cluster import Cluster
from stead_kubernetes.connection import HOME_CONFIG, Address, Execution, environment_paths
from stead_kubernetes.data_sources import AllNamespaces, NamespaceData, NamespaceDataV1, SecretData, SecretDataV1
from stead_kubernetes.settings import KubernetesSettings
from stead_kubernetes.user_namespace import ensure

ACCEPTED = "Accepted, and without effect."
OUTSIDE = re.compile(r"[^a-z0-9-]+")


class Exec(BlockSchema):
    """A program that prints a credential."""

    api_version: str = attribute(required=True, description="client.authentication.k8s.io/v1 or v1beta1.")
    args: list[str] | None = attribute(optional=True, description="Its arguments.")
    command: str = attribute(required=True, description="The program.")
    env: dict[str, str] | None = attribute(optional=True, description="Variables for it.")


class Experiments(BlockSchema):
    """Switches of the original provider; without effect."""

    manifest_resource: bool | None = attribute(optional=True, description=ACCEPTED)


class Kubernetes(
    Provider,
    address="hashicorp/kubernetes",
    resources=[
        *claim.RESOURCES,
        *deployment.RESOURCES,
        *pod.RESOURCES,
        *role.RESOURCES,
        *secret.RESOURCES,
        *service.RESOURCES,
        *simple.RESOURCES,
    ],
    data_sources=[AllNamespaces, NamespaceData, NamespaceDataV1, SecretData, SecretDataV1],
):
    """Pods, and what they need, in a Kubernetes cluster."""

    host: str | None = attribute(optional=True, description="Address of the API server.")
    username: str | None = attribute(optional=True, description="For basic authentication.")
    password: str | None = attribute(optional=True, sensitive=True, description="For basic authentication.")
    insecure: bool | None = attribute(optional=True, description="Do not check the server's certificate.")
    tls_server_name: str | None = attribute(optional=True, description="Name in the server's certificate.")
    client_certificate: str | None = attribute(optional=True, description="Own certificate (PEM).")
    client_key: str | None = attribute(optional=True, sensitive=True, description="Its key (PEM).")
    cluster_ca_certificate: str | None = attribute(optional=True, description="Certificate authority (PEM).")
    config_paths: list[str] | None = attribute(optional=True, description="Kubeconfig files.")
    config_path: str | None = attribute(optional=True, description="Kubeconfig file.", conflicts_with=["config_paths"])
    config_context: str | None = attribute(optional=True, description="Context in it.")
    config_context_auth_info: str | None = attribute(
        optional=True, description="User in it, in place of the context's."
    )
    config_context_cluster: str | None = attribute(
        optional=True, description="Cluster in it, in place of the context's."
    )
    token: str | None = attribute(optional=True, sensitive=True, description="Bearer token.")
    proxy_url: str | None = attribute(optional=True, description="Proxy on the way to the API server.")
    ignore_annotations: list[str] | None = attribute(optional=True, description=ACCEPTED)
    ignore_labels: list[str] | None = attribute(optional=True, description=ACCEPTED)
    exec: list[Exec] = block(Exec, max_items=1)
    experiments: list[Experiments] = block(Experiments, max_items=1)

    def __init__(self, **values: Any) -> None:
        self.settings: KubernetesSettings = values.pop("settings", None) or KubernetesSettings()
        self._cluster: Cluster | None = None
        self._ready: set[str] = set()
        self._lock = threading.Lock()
        super().__init__(**values)

    def configure(self, context: Context) -> None:
        address = self._address(context)
        self._cluster = Cluster(lambda: address, self.settings)

    def _address(self, context: Context) -> Address:
        """The block counts first, then the settings, then the environment."""
        execution = None
        if self.exec:
            program = self.exec[0]
            execution = Execution(program.api_version, program.command, program.args or (), program.env or {})
        blockless = not (self.host or self.config_path or self.config_paths)
        own = self.settings if blockless else KubernetesSettings()
        env: Mapping[str, str] = os.environ
        return Address(
            paths=self._paths(context),
            context=self.config_context or own.context or env.get("KUBE_CTX"),
            cluster=self.config_context_cluster or env.get("KUBE_CTX_CLUSTER"),
            user=self.config_context_auth_info or env.get("KUBE_CTX_AUTH_INFO"),
            host=self.host or own.host or env.get("KUBE_HOST"),
            token=self.token or (own.token.get_secret_value() if own.token else None) or env.get("KUBE_TOKEN"),
            username=self.username or env.get("KUBE_USER"),
            password=self.password or env.get("KUBE_PASSWORD"),
            certificate=self.client_certificate or env.get("KUBE_CLIENT_CERT_DATA"),
            key=self.client_key or env.get("KUBE_CLIENT_KEY_DATA"),
            authority=self.cluster_ca_certificate or _content(own.ca_file) or env.get("KUBE_CLUSTER_CA_CERT_DATA"),
            insecure=self.insecure if self.insecure is not None else (own.insecure or None),
            server_name=self.tls_server_name or env.get("KUBE_TLS_SERVER_NAME"),
            proxy=self.proxy_url or env.get("KUBE_PROXY_URL"),
            execution=execution,
        )

    def _paths(self, context: Context) -> tuple[Path, ...]:
        if self.config_paths:
            return tuple(context.build.resolve(path) for path in self.config_paths)
        if self.config_path:
            return (context.build.resolve(self.config_path),)
        if self.host or self.settings.host:
            return ()
        if self.settings.config_path:
            return (self.settings.config_path.expanduser(),)
        named = environment_paths()
        home = HOME_CONFIG.expanduser()
        in_cluster = Address().in_cluster or os.environ.get("KUBE_HOST")
        return named or ((home,) if not in_cluster and home.is_file() else ())

    @property
    def cluster(self) -> Cluster:
        if self._cluster is None:
            self.configure(Context(provider=self))
        assert self._cluster is not None  # noqa: S101 - configure has set it
        return self._cluster

    def user_namespace(self, context: Context) -> str | None:
        """The namespace of the workspace's owner, where the settings want one for each."""
        pattern = self.settings.user_namespace
        owner = OUTSIDE.sub("-", context.build.owner.name.lower()).strip("-")
        return pattern.replace("{owner}", owner)[:63].strip("-") if pattern and owner else None

    def default_namespace(self, context: Context) -> str:
        """Where that goes which a template puts into no namespace."""
        return self.user_namespace(context) or self.settings.namespace

    def ensure_namespace(self, context: Context, namespace: str) -> None:
        """Make the owner's namespace where it is that, and is not there yet."""
        if namespace != self.user_namespace(context):
            return
        with self._lock:
            if namespace not in self._ready:
                ensure(self.cluster, context, namespace, self.settings)
                self._ready.add(namespace)


def _content(path: Path | None) -> str | None:
    return path.expanduser().read_text() if path else None
