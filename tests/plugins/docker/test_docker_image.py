"""Images on a real engine: built, pulled, shared, and asked for in a registry."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from stead.api.errors import CredentialsRejected, OperationTimedOut, ProviderFailure, ResourceNotFound
from stead_docker.data_sources import ImageData, NetworkLookup, RegistryImageData
from stead_docker.image import Image, Timeouts
from stead_docker.image_build import Build
from stead_docker.provider import Docker, RegistryAuth

pytestmark = pytest.mark.docker


@pytest.fixture
def context_folder(rig, tmp_path: Path, busybox_image: str) -> Path:
    folder = tmp_path / "build"
    folder.mkdir()
    (folder / "Dockerfile").write_text(
        f"FROM {busybox_image} AS first\nLABEL stead-test={rig.name}\nARG WHO=nobody\n"
        "RUN echo hello $WHO >/who\nCOPY kept *.txt /files/\n"
        "FROM first AS second\nRUN touch /second\n"
    )
    (folder / "kept").write_text("kept")
    (folder / "secret.txt").write_text("not for the image")
    (folder / ".dockerignore").write_text("*.txt\n")
    return folder


def image_of(rig, folder: Path, **build) -> Image:
    block = Build(context=folder.name, dockerfile="Dockerfile", remove=True, **build)
    image = Image(name=f"{rig.name}:1", build=[block])
    image.create(rig.context(build=replace(rig.build, directory=folder.parent)))
    return image


def files_of(rig, tag: str) -> str:
    made = rig.client.create_container(tag, ["sh", "-c", "cat /who; ls /files; ls /"])
    try:
        rig.client.start(made["Id"])
        rig.client.wait(made["Id"])
        return rig.client.logs(made["Id"]).decode()
    finally:
        rig.client.remove_container(made["Id"], v=True)


def test_an_image_is_built_from_the_templates_folder(rig, context_folder) -> None:
    image = image_of(rig, context_folder, build_args={"WHO": "alice"}, target="first", labels={"x": "y"})
    assert image.image_id.startswith("sha256:")
    assert image.id == f"{image.image_id}{rig.name}:1"
    seen = files_of(rig, image.image_id).split()
    assert seen[:3] == ["hello", "alice", "kept"]
    assert "second" not in seen
    labels = rig.client.inspect_image(image.image_id)["Config"]["Labels"]
    assert (labels["x"], labels["stead.deployment"]) == ("y", rig.name)
    assert "Step 1/" in rig.lines
    image.delete(rig.context())
    image.delete(rig.context())
    assert not image.read(rig.context())


def test_a_build_that_fails_shows_its_output(rig, context_folder) -> None:
    with (context_folder / "Dockerfile").open("a") as dockerfile:
        dockerfile.write("RUN echo cannot go on; exit 7\n")
    with pytest.raises(ProviderFailure, match="returned a non-zero code: 7") as caught:
        image_of(rig, context_folder)
    assert caught.value.field == "build"
    assert "cannot go on" in rig.lines


@pytest.mark.parametrize(("name", "field"), [("Dockerfile", "build[0].dockerfile"), ("", "build[0].context")])
def test_a_build_without_its_files_says_what_is_missing(rig, context_folder, name: str, field: str) -> None:
    target = context_folder / name
    target.rename(target.with_name("elsewhere"))
    with pytest.raises(ResourceNotFound) as caught:
        image_of(rig, context_folder)
    assert caught.value.field == field


def test_an_image_that_is_used_stays(rig, context_folder) -> None:
    image = image_of(rig, context_folder)
    made = rig.client.create_container(image.name, ["true"])
    image.delete(rig.context())
    assert image.read(rig.context())
    assert f"Image {rig.name}:1 stays" in rig.lines
    rig.client.remove_container(made["Id"])
    image.delete(rig.context())
    assert not image.read(rig.context())


def test_an_image_whose_name_means_another_one_now_is_gone(rig, context_folder, busybox_image) -> None:
    image = image_of(rig, context_folder)
    old = image.image_id
    rig.client.tag(busybox_image, rig.name, "1", force=True)
    assert not image.read(rig.context())
    rig.client.remove_image(f"{rig.name}:1")
    rig.client.remove_image(old)


def test_keep_locally_keeps(rig, context_folder) -> None:
    image = image_of(rig, context_folder)
    image.keep_locally = True
    image.delete(rig.context())
    assert image.read(rig.context())


def test_an_image_is_pulled_from_a_registry_that_wants_a_login(rig, image_registry) -> None:
    name = image_registry.add("private/thing", {"bin/x": b"x"})
    image_registry.login = "alice:secret"
    with pytest.raises(CredentialsRejected, match="could not be pulled"):
        rig.create(Image(name=name))
    auth = RegistryAuth(address=image_registry.address, username="alice", password="secret")
    rig.provider = Docker(settings=rig.settings, registry_auth=[auth])
    image = rig.create(Image(name=name))
    try:
        assert image.repo_digest == f"{name.removesuffix(':1')}@{image_registry.digest('private/thing')}"
        looked_up = RegistryImageData(name=name)
        looked_up.read(rig.context())
        assert looked_up.sha256_digest == image_registry.digest("private/thing")
    finally:
        image.delete(rig.context())
    assert not image.read(rig.context())
    assert "secret" not in rig.lines + repr(auth)


def test_an_image_that_its_registry_does_not_have_is_named(rig, image_registry) -> None:
    name = f"{image_registry.address}/no/such:9"
    with pytest.raises(ResourceNotFound, match=f"Image {name} could not be pulled.*manifest unknown") as caught:
        rig.create(Image(name=name))
    assert caught.value.field == "name"


def test_a_pull_that_hangs_ends_at_its_deadline(rig, image_registry, monkeypatch) -> None:
    name = image_registry.add("slow/thing", {"bin/x": b"x"})
    hanging = threading.Event()
    monkeypatch.setattr(image_registry, "answer", lambda request: hanging.wait(20))
    try:
        with pytest.raises(OperationTimedOut, match="deadline"):
            rig.create(Image(name=name, timeouts=Timeouts(create="700ms")))
    finally:
        hanging.set()


def test_data_sources_find_what_is_there_and_name_what_is_not(rig, busybox_image) -> None:
    image, network = ImageData(name=busybox_image), NetworkLookup(name="bridge")
    image.read(rig.context())
    network.read(rig.context())
    assert image.id.startswith("sha256:")
    assert (network.driver, network.scope) == ("bridge", "local")
    assert network.ipam_config[0].subnet
    with pytest.raises(ResourceNotFound, match="no image nothing/here:1"):
        ImageData(name="nothing/here:1").read(rig.context())
    with pytest.raises(ResourceNotFound, match="no network nowhere"):
        NetworkLookup(name="nowhere").read(rig.context())
