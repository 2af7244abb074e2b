"""Every type under every fault at the HTTP edge of a real API server: nothing is made twice, nothing is lost."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from kubernetes_peer import STEAD, Node, Server, node
from kubernetes_proxy import Fault, Proxy, proxied
from kubernetes_samples import SAMPLES, pod_spec

from stead.api.errors import ResourceConflict, ResourceNotFound, SteadError
from stead.testing.conformance import Rig, configured
from stead.testing.conformance.builds import Builds
from stead.testing.conformance.rig import cleaned
from stead.testing.waiting import eventually
from stead_kubernetes import labels as labelling
from stead_kubernetes import plugin
from stead_kubernetes.base import Object
from stead_kubernetes.metadata import Create, CreateDelete, CreateUpdateDelete
from stead_kubernetes.platform import KubernetesPlatform
from stead_kubernetes.provider import Kubernetes
from stead_kubernetes.service import ServicePort, ServiceSpec
from stead_kubernetes.settings import KubernetesSettings

pytestmark = pytest.mark.timeout(400)  # the first test of a run waits for the API server
NAMESPACE = "conformance"
BAD = "bad:1"
PATIENCE = 60.0  # seconds
KINDS = {kind.type_name: kind for kind in Kubernetes.resources}
METHODS = ("POST", "GET", "PATCH", "DELETE")
# Faults after which the build goes on as if nothing had been.
PASSING = {
    "throttled": Fault("", "refused", times=3, code=429, reason="TooManyRequests"),
    "unavailable": Fault("", "refused", times=2),
    "cut off": Fault("", "cut", times=2),
    "answer lost": Fault("", "lost", times=2),
    "no answer": Fault("", "late"),
    "error after the deed": Fault("", "broken", times=2),
    "answer torn": Fault("", "torn"),
    "done twice": Fault("", "twice"),
}
# Faults after which a build may fail; the next one mends it.
FATAL = {
    "vanished": Fault("", "vanished"),
    "conflict": Fault("", "refused", times=2, code=409, reason="Conflict"),
    "throttled for ever": Fault("", "refused", times=1000, code=429, reason="TooManyRequests"),
    "answers lost for ever": Fault("", "lost", times=1000),
}
every_type = pytest.mark.parametrize("type_name", sorted(SAMPLES))
# All pairs with ./test --all. Otherwise each type meets the worst of these faults and a third of the others, in turn.
SELECTED = [
    (type_name, fault)
    for row, type_name in enumerate(sorted(SAMPLES))
    for column, fault in enumerate(sorted(PASSING))
    if os.environ.get("STEAD_TEST_ALL") == "1" or fault == "answer lost" or (row + column) % 3 == 0
]


@dataclass
class Scene:
    """One resource of a type, the builds of it, and what is between them and the API server."""

    rig: Rig
    proxy: Proxy
    config: Any
    builds: Builds

    @property
    def kind(self) -> Any:
        return type(self.config).KIND

    def spoil(self, fault: Fault, method: str) -> None:
        self.proxy.faults[:] = [replace(fault, method=method, plural=self.kind.plural)]

    def mend(self) -> None:
        self.proxy.faults.clear()

    def items(self) -> list[dict[str, Any]]:
        """What the API server has: under its name, and under any name with a label of this deployment."""
        place = NAMESPACE if self.kind.namespaced else None
        listed = self.proxy.server.ask("GET", self.kind.path(place))["items"]
        mine = labelling.value(self.rig.name)
        return [
            item["metadata"]
            for item in listed
            if item["metadata"]["name"] == self.config.meta.name
            or (item["metadata"].get("labels") or {}).get(labelling.DEPLOYMENT) == mine
        ]

    def real(self) -> list[str]:
        return [item["name"] for item in self.items()]

    def build(self) -> SteadError | None:
        failure = self.builds.attempt(lambda: self.builds.apply(self.config))
        there = self.items()
        assert len(there) <= 1, "there are two of it"
        known = {labelling.value(key) for key in self.builds.known}
        mine = labelling.value(self.rig.name)
        for labels in [item["labels"] for item in there if "labels" in item]:
            assert labels.get(labelling.DEPLOYMENT) != mine or labels[labelling.KEY] in known, "nobody knows of it"
        return failure

    def converge(self) -> None:
        """With the faults gone the next build ends well, and the one after it finds nothing to do."""
        self.mend()
        self.builds.sweep()
        assert self.build() is None
        assert self.real() == [self.config.meta.name]
        assert [item.key for item in self.rig.owned()] == [self.builds.key]
        assert self.build() is None
        assert self.builds.done == "", "a second build changes something"

    def end(self) -> None:
        self.mend()
        self.builds.sweep()
        self.builds.destroy()
        assert self.real() == []
        assert self.rig.owned() == []


@pytest.fixture(scope="module")
def pods(api_server: Server) -> Iterator[Node]:
    """A namespace, and what runs its pods but for those of a bad image."""
    api_server.namespace(NAMESPACE)
    with node(api_server, NAMESPACE) as hand:
        state = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}
        told = {"name": "main", "ready": False, "restartCount": 0, "image": "x", "imageID": "", "state": state}
        hand.statuses[BAD] = {"phase": "Pending", "containerStatuses": [told]}
        yield hand


@pytest.fixture
def scene(api_server: Server, pods: Node, tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    """Makes a scene for a type; what its resource stands on is there before anything goes wrong."""
    (spec,) = plugin.stead_terraform_providers()
    with proxied(api_server) as proxy:
        token = api_server.tokens[STEAD]
        direct = KubernetesSettings(host=api_server.url, ca_file=Path(api_server.authority), token=token)
        settings = KubernetesSettings(
            host=proxy.url, token=token, poll=0.05, pause=0.02, attempts=6, timeout=20, patience=0.2
        )

        def make(type_name: str, **tuned: Any) -> Scene:
            quick = settings.model_copy(update=tuned)
            rigs.append(Rig(spec, quick, provider_with(quick), KubernetesPlatform(direct), tmp_path))
            sample = SAMPLES[type_name].make(rigs[-1])
            rigs[-1].name += "-w"  # what it stands on is not counted
            return Scene(rigs[-1], proxy, sample, Builds(rigs[-1]))

        def provider_with(quick: KubernetesSettings) -> Any:
            return configured(spec, quick, {}, Rig(spec, quick, spec.factory(quick), None, tmp_path).build)

        rigs: list[Rig] = []
        yield make
        proxy.faults.clear()
        for rig in rigs:
            with cleaned(rig):
                pass


def test_every_type_of_the_provider_has_a_row() -> None:
    versioned = {name for name in KINDS if name.endswith("_v1")}
    assert set(SAMPLES) == versioned
    for name in set(KINDS) - versioned:
        twin = KINDS[f"{name}_v1"]
        assert twin.__mro__[1] is KINDS[name], f"{name} has a row as its twin"
        own = {key for key in vars(twin) if not key.startswith("_")} - {"type_name", "KIND"}
        assert not {key for key in own if callable(getattr(twin, key))}, "the twin does nothing in another way"


@pytest.mark.parametrize(("type_name", "fault"), SELECTED)
def test_a_fault_that_passes_is_not_noticed(scene: Callable[..., Scene], type_name: str, fault: str) -> None:
    late = PASSING[fault].kind == "late"
    made = scene(type_name, **({"timeout": 4.0} if late else {}))
    made.spoil(PASSING[fault], "POST")
    assert made.build() is None
    made.converge()
    if not late:  # one request of a life is enough to wait for
        made.spoil(PASSING[fault], "GET")
        assert made.build() is None
        assert made.builds.done == ""
        made.config.meta.labels = {"team": "blue"}
        made.spoil(PASSING[fault], "PATCH")
        assert made.build() is None
        assert made.builds.done == "update"
        made.converge()
    made.spoil(PASSING[fault], "DELETE")
    made.builds.destroy()
    made.end()


@every_type
@pytest.mark.parametrize("fault", sorted(FATAL))
def test_after_a_fault_that_does_not_pass_the_next_build_mends_it(
    scene: Callable[..., Scene], type_name: str, fault: str
) -> None:
    made = scene(type_name)
    for method, team in zip(METHODS[:3], ("red", "red", "blue"), strict=True):
        made.config.meta.labels = {"team": team}
        made.spoil(FATAL[fault], method)
        made.build()
        made.converge()
    made.spoil(FATAL[fault], "DELETE")
    made.builds.attempt(made.builds.destroy)
    made.end()


@every_type
def test_a_name_that_is_taken_is_left_to_whoever_has_it(scene: Callable[..., Scene], type_name: str) -> None:
    made, other = scene(type_name), scene(type_name)
    other.config = made.config
    assert other.build() is None
    failure = made.build()
    assert isinstance(failure, ResourceConflict)
    assert "Stead did not make it for this" in str(failure)
    assert made.rig.owned() == []
    other.end()
    made.converge()
    made.end()


@every_type
def test_a_new_one_waits_for_the_end_of_the_old_one(scene: Callable[..., Scene], type_name: str) -> None:
    """Somebody has removed it, and something holds it back for a moment."""
    made = scene(type_name)
    assert made.build() is None
    path = made.kind.path(NAMESPACE if made.kind.namespaced else None, made.config.meta.name)
    first, server = made.items()[0]["uid"], made.proxy.server
    held = {"metadata": {"finalizers": ["example.org/hold"]}}
    server.ask("PATCH", path, held, "application/merge-patch+json")
    server.ask("DELETE", path, {"propagationPolicy": "Background", "gracePeriodSeconds": 0})

    def let_go() -> None:
        eventually(lambda: ("POST", path) in tried(), PATIENCE, what="a creation")
        server.ask("PATCH", path, {"metadata": {"finalizers": None}}, "application/merge-patch+json")

    def tried() -> list[tuple[str, str]]:
        return [(method, f"{urlsplit(asked).path}/{made.config.meta.name}") for method, asked in made.proxy.requests]

    made.proxy.requests.clear()
    hand = threading.Thread(target=let_go, daemon=True)
    hand.start()
    assert made.build() is None
    hand.join(PATIENCE)
    assert made.items()[0]["uid"] != first
    made.converge()
    made.end()


# Accepted, and fails later


def bad_image(config: Any) -> None:
    spec = config.spec[0].template[0].spec if hasattr(config.spec[0], "template") else config.spec
    spec[0].container[0].image = BAD
    times = CreateUpdateDelete if hasattr(config.spec[0], "template") else CreateDelete
    config.timeouts = times(create="10s")


def never_bound(config: Any) -> None:
    config.wait_until_bound, config.timeouts = True, Create(create="5s")


def never_balanced(config: Any) -> None:
    config.spec = [ServiceSpec(type="LoadBalancer", selector={"app": "x"}, port=[ServicePort(port=80)])]
    config.timeouts = Create(create="5s")


def account_missing(config: Any) -> None:
    """The cluster removes a token of an account that is not there."""
    config.type, config.data = "kubernetes.io/service-account-token", None
    config.meta.annotations = {"kubernetes.io/service-account.name": "nobody"}
    config.wait_for_service_account_token = True


LATER: dict[str, Callable[[Any], None]] = {
    "kubernetes_deployment_v1": bad_image,
    "kubernetes_persistent_volume_claim_v1": never_bound,
    "kubernetes_pod_v1": bad_image,
    "kubernetes_secret_v1": account_missing,
    "kubernetes_service_v1": never_balanced,
}
WAITS = sorted(name for name in SAMPLES if KINDS[name].settle is not Object.settle)


def test_every_type_that_waits_has_something_that_does_not_come() -> None:
    assert set(WAITS) == {*LATER, "kubernetes_namespace_v1"}


@pytest.mark.parametrize("type_name", sorted(LATER))
def test_what_is_accepted_and_fails_later_is_known_and_made_anew(scene: Callable[..., Scene], type_name: str) -> None:
    made = scene(type_name)
    good = made.rig.planned(made.config)
    LATER[type_name](made.config)
    failure = made.build()
    assert failure is not None
    assert not isinstance(failure, ResourceConflict)
    assert made.builds.tainted, "what was accepted is known"
    gone = isinstance(failure, ResourceNotFound)
    assert made.real() == ([] if gone else [made.config.meta.name])
    made.config = SAMPLES[type_name].make(made.rig)
    made.config.metadata[0].name = good.meta.name
    made.converge()
    made.end()


def test_a_namespace_whose_account_does_not_come_is_known(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = scene("kubernetes_namespace_v1")
    monkeypatch.setattr(type(made.config), "LIMITS", {**Object.LIMITS, "create": 5.0})
    made.config.wait_for_default_service_account = True
    missing = Fault("GET", "refused", times=1000, code=404, reason="NotFound", plural="serviceaccounts")
    made.proxy.faults[:] = [missing]
    assert made.build() is not None
    assert made.builds.tainted
    monkeypatch.undo()
    made.converge()
    made.end()


def test_the_pause_that_the_server_asks_for_is_kept(scene: Callable[..., Scene]) -> None:
    assert pod_spec(BAD)[0].container[0].image == BAD
    made = scene("kubernetes_config_map_v1")
    made.spoil(PASSING["throttled"], "POST")
    assert made.build() is None
    posts = [path for method, path in made.proxy.requests if method == "POST"]
    assert len(posts) == PASSING["throttled"].times + 1
    made.end()
