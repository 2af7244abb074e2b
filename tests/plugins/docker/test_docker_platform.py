"""Docker as a place to try Stead on, and what on it is whose."""

from __future__ import annotations

import http.server
import secrets
import threading

import pytest

from stead.api import OwnedResource
from stead.api.errors import ProviderFailure, ResourceConflict
from stead_docker import plugin, trial
from stead_docker.container import Container
from stead_docker.container_blocks import Host, VolumeUse
from stead_docker.platform import DockerPlatform
from stead_docker.settings import DockerSettings
from stead_docker.volume import Volume

pytestmark = pytest.mark.docker
STAY = ["sh", "-c", "while :; do sleep 1; done"]


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello from the host")

    def log_message(self, *_: object) -> None:
        """Silence."""


def test_a_trial_workspace_reaches_a_server_of_this_machine(rig, busybox_image: str) -> None:
    settings = DockerSettings(host=rig.url, trial_image=busybox_image)
    found = DockerPlatform(settings).trial()
    assert found.template in {starter.name for starter in plugin.STARTERS}
    assert found.parameters == {"image": busybox_image}
    server = http.server.HTTPServer((found.listen[0], 0), Hello)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        made = rig.create(
            Container(
                image=busybox_image,
                name=rig.name,
                entrypoint=STAY,
                host=[Host(host="host.docker.internal", ip="host-gateway")],
            )
        )
        url = f"http://host.docker.internal:{server.server_address[1]}/"
        started = rig.client.exec_create(made.id, ["timeout", "10", "wget", "-q", "-O", "-", url])
        assert rig.client.exec_start(started["Id"]) == b"hello from the host"
    finally:
        server.shutdown()
        server.server_close()


def test_without_network_and_images_a_trial_uses_this_machines_busybox(rig, monkeypatch, busybox_image: str) -> None:
    made = f"stead-test/try-{secrets.token_hex(4)}:1"
    monkeypatch.setattr(trial, "MADE", made)
    settings = DockerSettings(host=rig.url, trial_image="no.such.registry.invalid/x:1")
    try:
        assert DockerPlatform(settings).trial().parameters == {"image": made}
        container = rig.create(Container(image=made, name=rig.name, entrypoint=STAY))
        started = rig.client.exec_create(container.id, ["wget", "--help"])
        assert b"BusyBox" in rig.client.exec_start(started["Id"])
        container.delete(rig.context())
        assert DockerPlatform(settings).trial().parameters == {"image": made}
    finally:
        rig.client.remove_image(made, force=True)


def test_without_busybox_either_a_trial_says_what_to_do(rig, monkeypatch) -> None:
    monkeypatch.setattr(trial, "MADE", "stead-test/never-made:1")
    monkeypatch.setattr(trial.shutil, "which", lambda name: None)
    settings = DockerSettings(host=rig.url, trial_image="no.such.registry.invalid/x:1")
    with pytest.raises(ProviderFailure, match="could not be pulled") as caught:
        DockerPlatform(settings).trial()
    assert "install busybox-static" in str(caught.value)


def test_what_is_owned_is_listed_in_the_order_in_which_it_can_go(rig, busybox_image: str) -> None:
    rig.create(Volume(name=rig.name), key="v")
    use = VolumeUse(container_path="/v", volume_name=rig.name)
    rig.create(Container(image=busybox_image, name=rig.name, entrypoint=STAY, volumes=[use]), key="c")
    container, volume = owned = rig.platform.owned_resources(rig.name)
    assert [(item.type_name, item.key, item.deployment) for item in owned] == [
        ("docker_container", "c", rig.name),
        ("docker_volume", "v", rig.name),
    ]
    assert volume.labels["stead.workspace.name"] == "tester"
    assert rig.platform.owned_resources("another-deployment") == ()
    with pytest.raises(ResourceConflict, match="in use"):
        rig.platform.destroy_owned(volume)
    for item in (container, volume, volume):
        rig.platform.destroy_owned(item)
    assert rig.platform.owned_resources(rig.name) == ()


def test_what_docker_does_not_have_cannot_be_destroyed(rig) -> None:
    with pytest.raises(ProviderFailure, match="aws_instance is nothing that Docker has"):
        rig.platform.destroy_owned(OwnedResource("k", "aws_instance", "i-1", rig.name))
