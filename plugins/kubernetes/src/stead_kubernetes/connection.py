"""From a provider block, settings and environment to a client of one cluster."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import ApiClient, Configuration
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.incluster_config import SERVICE_HOST_ENV_NAME, load_incluster_config
from kubernetes.config.kube_config import KubeConfigLoader

HOME_CONFIG = Path("~/.kube/config")
MERGED = "stead"
FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


@dataclass(frozen=True)
class Execution:
    """A program that prints a credential (``client.authentication.k8s.io``)."""

    api_version: str
    command: str
    args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Address:
    """Where a cluster is and who we are there. What is secret stays out of ``repr``.

    :param paths: kubeconfig files, of which the first that has a thing counts.
    :param host: an address in place of what the files say.
    """

    paths: tuple[Path, ...] = ()
    context: str | None = None
    cluster: str | None = None
    user: str | None = None
    host: str | None = None
    token: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    authority: str | None = field(default=None, repr=False)
    insecure: bool | None = None
    server_name: str | None = None
    proxy: str | None = None
    execution: Execution | None = None

    @property
    def in_cluster(self) -> bool:
        """Nothing says where, and this process runs in a pod."""
        return not self.paths and not self.host and bool(os.environ.get(SERVICE_HOST_ENV_NAME))


def environment_paths() -> tuple[Path, ...]:
    """What the environment names, in the original provider's order and then kubectl's."""
    single = os.environ.get("KUBE_CONFIG_PATH")
    several = os.environ.get("KUBE_CONFIG_PATHS") or os.environ.get("KUBECONFIG") or ""
    if single:
        return (Path(single).expanduser(),)
    return tuple(Path(item).expanduser() for item in several.split(os.pathsep) if item)


def connect(address: Address) -> ApiClient:
    """A client. Asks no API server; a credential program runs.

    :raises ConfigException: a file is missing or wrong, or has no such context.
    """
    configuration = Configuration()
    if address.in_cluster:
        load_incluster_config(configuration)
    else:
        loader = KubeConfigLoader(_merged(address), active_context=MERGED, config_base_path="/")
        loader.load_and_set(configuration)
    if address.insecure:
        configuration.verify_ssl = False
    # Repeating is ours: it honours deadlines and looks whether a lost creation has worked.
    configuration.retries = False
    configuration.connection_pool_maxsize = 16
    return ApiClient(configuration)


def _merged(address: Address) -> dict[str, Any]:
    """A kubeconfig of one context, in which what the block says wins over the files."""
    cluster, user = _of_files(address)
    for name, value in {
        "server": address.host,
        "certificate-authority-data": _encoded(address.authority),
        "insecure-skip-tls-verify": address.insecure,
        "tls-server-name": address.server_name,
        "proxy-url": address.proxy,
    }.items():
        if value is not None:
            cluster[name] = value
    if address.insecure:
        cluster.pop("certificate-authority-data", None)
        cluster.pop("certificate-authority", None)
    user = {**user, **_user(address)}
    if "server" not in cluster:
        raise ConfigException("no cluster is named: there is no kubeconfig, and no host is given")
    return {
        "clusters": [{"name": MERGED, "cluster": cluster}],
        "users": [{"name": MERGED, "user": user}],
        "contexts": [{"name": MERGED, "context": {"cluster": MERGED, "user": MERGED}}],
        "current-context": MERGED,
    }


def _user(address: Address) -> dict[str, Any]:
    own: dict[str, Any] = {
        "token": address.token,
        "username": address.username,
        "password": address.password,
        "client-certificate-data": _encoded(address.certificate),
        "client-key-data": _encoded(address.key),
    }
    if address.execution is not None:
        program = address.execution
        own["exec"] = {
            "apiVersion": program.api_version,
            "command": program.command,
            "args": list(program.args),
            "env": [{"name": name, "value": text} for name, text in program.env.items()],
        }
    return {name: value for name, value in own.items() if value is not None}


def _encoded(text: str | None) -> str | None:
    """Certificates and keys come as PEM text."""
    return base64.b64encode(text.encode()).decode() if text else None


def _of_files(address: Address) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cluster and user of the context that counts."""
    if not address.paths:
        return {}, {}
    for path in address.paths:
        if not path.is_file():
            raise ConfigException(f"the kubeconfig {path} does not exist")
    content = _read(address.paths)
    wanted = address.context or content.get("current-context")
    context = _named(content, "contexts", "context", wanted, wanted is not None and not address.cluster)
    cluster_name = address.cluster or context.get("cluster")
    user_name = address.user or context.get("user")
    cluster = _named(content, "clusters", "cluster", cluster_name, cluster_name is not None)
    user = _named(content, "users", "user", user_name, user_name is not None)
    return dict(cluster), dict(user)


def _read(paths: Sequence[Path]) -> dict[str, Any]:
    """The files as one. As with kubectl the first to name a thing wins; paths start at the file they stand in."""
    merged: dict[str, Any] = {"clusters": [], "users": [], "contexts": []}
    for path in paths:
        try:
            content = yaml.safe_load(path.read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigException(f"the kubeconfig {path} cannot be read ({type(error).__name__})") from None
        if not isinstance(content, dict):
            raise ConfigException(f"the kubeconfig {path} is empty")
        for listed, single in (("clusters", "cluster"), ("users", "user"), ("contexts", "context")):
            known = {item["name"] for item in merged[listed]}
            new = [item for item in content.get(listed) or () if item["name"] not in known]
            merged[listed] += [{**item, single: _absolute(item.get(single) or {}, path.parent)} for item in new]
        if content.get("current-context"):
            merged.setdefault("current-context", content["current-context"])
    return merged


def _absolute(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {name: str(folder / value) if name in FILES and value else value for name, value in entry.items()}


def _named(content: Mapping[str, Any], listed: str, single: str, name: str | None, needed: bool) -> Mapping[str, Any]:
    for item in content.get(listed) or ():
        if item["name"] == name:
            found: Mapping[str, Any] = item.get(single) or {}
            return found
    if needed:
        have = ", ".join(str(item["name"]) for item in content.get(listed) or ()) or "none"
        raise ConfigException(f"the kubeconfig has no {single} {name!r}; it has: {have}")
    return {}
