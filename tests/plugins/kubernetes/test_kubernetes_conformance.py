"""Kubernetes passes what every provider and platform must do, on a real API server, with Stead's own role."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import urllib3
from kubernetes.client import exceptions as sdk
from kubernetes.config import config_exception
from kubernetes_peer import Server, node
from kubernetes_samples import NAMESPACE, SAMPLES

from stead.api.errors import SteadError
from stead.testing.conformance import PlatformConformance, ProviderConformance, Rig, exceptions_of
from stead_kubernetes import plugin
from stead_kubernetes.cluster import Cluster
from stead_kubernetes.failures import SDK_ERRORS, translate
from stead_kubernetes.settings import KubernetesSettings

pytestmark = pytest.mark.timeout(400)  # the first test of a run waits for the API server
PLAIN = "the same class under the name without a version"
POOL = urllib3.HTTPConnectionPool("127.0.0.1")
MAKERS = {
    name: partial(getattr(urllib3.exceptions, name), *arguments)
    for name, arguments in {
        "HeaderParsingError": ([], b""),
        "HostChangedError": (POOL, "/"),
        "IncompleteRead": (1, 2),
        "InvalidChunkLength": (urllib3.HTTPResponse(b""), b"x"),
        "MaxRetryError": (POOL, "/"),
        "NameResolutionError": ("host", POOL, OSError("no")),
        "NewConnectionError": (POOL, "no"),
        "ReadTimeoutError": (POOL, "/", "late"),
        "RequestError": (POOL, "/", "no"),
        "PoolError": (POOL, "no"),
        "EmptyPoolError": (POOL, "no"),
        "FullPoolError": (POOL, "no"),
        "ClosedPoolError": (POOL, "no"),
        "LocationParseError": ("x",),
    }.items()
}


@pytest.fixture(scope="module", autouse=True)
def place(api_server: Server) -> Iterator[None]:
    """A namespace, and what runs its pods."""
    api_server.namespace(NAMESPACE)
    with node(api_server, NAMESPACE):
        yield


class TestKubernetes(PlatformConformance, ProviderConformance):
    plugin = plugin
    sdk_modules = ("kubernetes", "urllib3", "yaml")
    samples = SAMPLES
    unsampled = {name.removesuffix("_v1"): PLAIN for name in SAMPLES}

    @pytest.fixture
    def settings(self, api_server: Server, tmp_path: Path) -> KubernetesSettings:
        path = api_server.kubeconfig(tmp_path / "kubeconfig")
        return KubernetesSettings(config_path=path, context="home", poll=0.1)

    @pytest.fixture
    def refused_settings(self, api_server: Server) -> KubernetesSettings:
        return KubernetesSettings(
            host=api_server.url, ca_file=Path(api_server.authority), token="wrong-token", attempts=1
        )

    @contextmanager
    def midway(self, rig: Rig, type_name: str) -> Iterator[None]:
        """The request reaches the API server; its answer, and all that comes after, is lost."""
        original = Cluster._post

        def lost(self, *arguments):
            original(self, *arguments)
            raise SteadError("the process is gone")

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Cluster, "_post", lost)
            yield

    def sdk_errors(self) -> Iterator[Exception]:
        found = exceptions_of(sdk, config_exception, urllib3.exceptions, makers=MAKERS)
        return (error for error in found if isinstance(error, SDK_ERRORS))

    def translate(self, error: Exception) -> Exception:
        return translate(error, "It could not be done")
