"""Docker passes what every provider and platform must do, on a real engine whose answers get lost."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
from docker import errors as sdk

from stead.testing.conformance import PlatformConformance, ProviderConformance, Rig, Sample, exceptions_of
from stead.testing.engine_proxy import EngineProxy
from stead.testing.waiting import eventually
from stead_docker import plugin
from stead_docker.container import Container
from stead_docker.failures import translate
from stead_docker.image import Image
from stead_docker.image_build import Build
from stead_docker.labels import Label
from stead_docker.network import Network
from stead_docker.settings import DockerSettings
from stead_docker.volume import Volume

pytestmark = pytest.mark.docker
BUSYBOX = "stead-test/busybox:1"
STAY = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"]
# The request that makes each of them.
REQUESTS = {
    "docker_container": b"/containers/create",
    "docker_image": b"/build?",
    "docker_network": b"/networks/create",
    "docker_volume": b"/volumes/create",
}
MAKERS = {
    "TLSParameterError": lambda: sdk.TLSParameterError("no certificate"),
    "BuildError": lambda: sdk.BuildError("no", []),
    "ContainerError": lambda: sdk.ContainerError("c", 1, "cmd", "image", b"no"),
}


def _image(rig: Rig) -> Image:
    context = Path(rig.folder) / "image"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(f"FROM {BUSYBOX}\nLABEL test={rig.unique()}\n")
    return Image(name=f"stead-test/{rig.unique()}:1", build=[Build(context=str(context))])


def _container(rig: Rig) -> Container:
    return Container(image=BUSYBOX, name=rig.unique(), entrypoint=STAY, memory=64, labels=[Label(label="a", value="b")])


def _ended(rig: Rig, type_name: str) -> bool:
    """Whether the engine has done what it was asked for. While it builds an image, that has no name yet."""
    named = (item.type_name for item in rig.owned() if not item.identity.startswith("sha256:"))
    return type_name in named


@pytest.mark.usefixtures("busybox_image")
class TestDocker(PlatformConformance, ProviderConformance):
    plugin = plugin
    sdk_modules = ("docker", "requests", "urllib3")
    samples = {
        "docker_container": Sample(_container, change={"memory": 96}, not_imported=frozenset({"env"})),
        "docker_image": Sample(
            _image, change={"keep_locally": False}, not_imported=frozenset({"build", "keep_locally"})
        ),
        "docker_network": Sample(lambda rig: Network(name=rig.unique(), internal=True)),
        "docker_volume": Sample(lambda rig: Volume(name=rig.unique(), labels=[Label(label="a", value="b")])),
    }

    @pytest.fixture
    def settings(self, docker_engine: str, tmp_path: Path) -> Iterator[DockerSettings]:
        socket = Path("/tmp") / f"stead-{secrets.token_hex(6)}.sock"  # short, as paths of sockets are
        with EngineProxy(socket, docker_engine) as self.proxy:
            yield DockerSettings(host=self.proxy.url, attempts=1)

    @pytest.fixture
    def refused_settings(self, tmp_path: Path) -> DockerSettings:
        return DockerSettings(host=f"unix://{tmp_path}/none.sock")

    @contextmanager
    def midway(self, rig: Rig, type_name: str) -> Iterator[None]:
        """The request reaches the engine; its answer, and all that comes after, is lost."""
        self.proxy.cut_at(REQUESTS[type_name])
        yield
        assert self.proxy.sprung.wait(30)
        self.proxy.open()
        eventually(lambda: _ended(rig, type_name), 60, what="the end of what the engine was asked for")

    def sdk_errors(self) -> Iterator[Exception]:
        return exceptions_of(docker.errors, makers=MAKERS)

    def translate(self, error: Exception) -> Exception:
        return translate(error, "It could not be done")
