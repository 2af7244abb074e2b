"""Containers on a real engine."""

from __future__ import annotations

import base64
import copy
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from stead.api.errors import BuildCanceled, OperationTimedOut, ProviderFailure, ResourceConflict
from stead.testing.waiting import eventually
from stead_docker import container_blocks as blocks
from stead_docker.container import Container
from stead_docker.network import Network
from stead_docker.volume import Volume

pytestmark = pytest.mark.docker
STAY = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"]


@pytest.fixture
def container(rig, busybox_image):
    """A function that creates a container of the workspace."""

    def make(key: str = "", **values):
        values = {"image": busybox_image, "name": rig.name, "entrypoint": STAY, **values}
        return rig.create(Container(**values), key=key)

    return make


def run(rig, made, *command: str) -> str:
    started = rig.client.exec_create(made.id, list(command))
    return rig.client.exec_start(started["Id"]).decode()


def test_a_workspace_container_has_what_the_template_says(rig, container) -> None:
    rig.create(Volume(name=rig.name))
    made = container(
        hostname="box",
        env={"CODER_AGENT_TOKEN=t", "B=2"},
        host=[blocks.Host(host="host.docker.internal", ip="host-gateway")],
        volumes=[blocks.VolumeUse(container_path="/home/coder", volume_name=rig.name)],
        working_dir="/home/coder",
        user="1000:1000",
        memory=64,
        cpus="0.5",
        upload=[
            blocks.Upload(file="/etc/hello", content="grüße", executable=True),
            blocks.Upload(file="/etc/raw", content_base64=base64.b64encode(b"\0\1").decode(), permissions="0600"),
        ],
        tmpfs={"/scratch": "size=1m"},
        ulimit=[blocks.Ulimit(name="nofile", soft=100, hard=200)],
        capabilities=[blocks.Capabilities(add={"SYS_PTRACE"}, drop={"NET_RAW"})],
    )
    seen = run(rig, made, "sh", "-c", "hostname; id -u; pwd; echo $B; cat /etc/hello; echo; df /scratch | tail -1")
    assert seen.split()[:5] == ["box", "1000", "/home/coder", "2", "grüße"]
    assert seen.split()[-1] == "/scratch"
    assert "host.docker.internal" in run(rig, made, "cat", "/etc/hosts")
    assert run(rig, made, "stat", "-c", "%a", "/etc/hello", "/etc/raw").split() == ["744", "600"]
    host = rig.client.inspect_container(made.id)["HostConfig"]
    assert (host["Memory"], host["CpuQuota"], host["CpuPeriod"]) == (64 << 20, 50_000, 100_000)
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 100, "Hard": 200}]
    assert (host["CapAdd"], host["CapDrop"]) == (["SYS_PTRACE"], ["NET_RAW"])
    assert made.network_data[0].network_name == "bridge"
    assert made.network_data[0].ip_address.count(".") == 3


def test_nothing_changes_between_create_and_read(rig, container) -> None:
    made = container(memory=64, cpus="1.5", cpu_shares=512, restart="on-failure", max_retry_count=3)
    before = copy.deepcopy(made)
    assert made.read(rig.context())
    assert made == before


def test_a_second_try_with_the_same_key_leaves_one_container(rig, container) -> None:
    first = container(key="same")
    again = container(key="same", env={"CODER_AGENT_TOKEN=newer"})
    assert rig.owned()["docker_container"] == [again.id]
    assert first.id != again.id


def test_a_name_that_is_taken_points_at_the_name(rig, container) -> None:
    first = container()
    with pytest.raises(ResourceConflict, match="already in use") as caught:
        container()
    assert caught.value.field == "name"
    assert rig.owned()["docker_container"] == [first.id]


def test_a_container_that_ends_at_once_is_removed_and_tells_its_last_words(rig, container) -> None:
    rig.settings.settle = 5
    with pytest.raises(ProviderFailure, match="with exit code 3"):
        container(entrypoint=["sh", "-c", "echo no such thing; exit 3"])
    assert "no such thing" in rig.lines
    assert rig.owned() == {}


def test_a_program_that_is_not_in_the_image_is_named(rig, container) -> None:
    with pytest.raises(ProviderFailure, match=r"no-such-program.*executable file not found") as caught:
        container(entrypoint=["no-such-program"])
    assert "entrypoint" in str(caught.value)
    assert rig.owned() == {}


def test_a_port_that_is_taken_says_so(rig, container) -> None:
    first = container(ports=[blocks.Port(internal=80, protocol="tcp", ip="127.0.0.1")])
    outside = first.ports[0].external
    assert 1024 < outside < 65536
    with pytest.raises(ResourceConflict, match=r"port is already allocated|address already in use") as caught:
        container(
            name=f"{rig.name}-2",
            ports=[blocks.Port(internal=80, external=outside, protocol="tcp", ip="127.0.0.1")],
        )
    assert caught.value.field == "ports"
    assert rig.owned()["docker_container"] == [first.id]


def test_an_image_that_does_not_exist_is_named_with_a_remedy(rig, container) -> None:
    with pytest.raises(ProviderFailure, match=r"Image no\.such\.registry\.invalid/x:1 could not be pulled") as caught:
        container(image="no.such.registry.invalid/x:1")
    assert caught.value.field == "image"
    assert "docker load" in caught.value.remedy
    assert "Pulling image no.such.registry.invalid/x:1." in rig.lines


def test_a_missing_image_is_pulled_with_progress(rig, container, image_registry) -> None:
    name = image_registry.add("tools/box", {"bin/sh": Path(shutil.which("busybox")).read_bytes()})
    try:
        made = container(image=name, entrypoint=["/bin/sh", "-c", "while :; do sleep 1; done"])
        assert rig.client.inspect_container(made.id)["State"]["Running"]
        assert "Pull complete" in rig.lines
        made.delete(rig.context())
    finally:
        rig.client.remove_image(name, force=True)


def test_a_stopped_container_is_started_again_not_made_anew(rig, container) -> None:
    made = container()
    rig.client.stop(made.id, timeout=0)
    assert made.read(rig.context())
    assert made.start is False
    planned = copy.deepcopy(made)
    planned.start = True
    planned.update(rig.context(), made)
    assert rig.client.inspect_container(made.id)["State"]["Running"]
    assert planned.id == made.id


def test_a_container_that_is_gone_is_not_there_and_destroy_is_success(rig, container) -> None:
    made = container()
    rig.client.remove_container(made.id, force=True)
    assert made.read(rig.context()) is False
    made.delete(rig.context())


def test_limits_change_while_it_runs_and_drift_is_seen(rig, container) -> None:
    made = container(memory=64)
    prior = copy.deepcopy(made)
    made.memory, made.cpus, made.restart = 128, "0.25", "unless-stopped"
    made.update(rig.context(), prior)
    host = rig.client.inspect_container(made.id)["HostConfig"]
    assert (host["Memory"], host["CpuQuota"]) == (128 << 20, 25_000)
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    rig.client.update_container(made.id, mem_limit=32 << 20, memswap_limit=64 << 20)
    assert made.read(rig.context())
    assert made.memory == 32


def test_networks_are_joined_under_their_aliases_and_the_default_one_is_not(rig, container) -> None:
    for suffix in ("a", "b"):
        rig.create(Network(name=f"{rig.name}-{suffix}", internal=True))
    attachments = [
        blocks.NetworkAttachment(name=f"{rig.name}-{suffix}", aliases={f"web-{suffix}"}) for suffix in ("b", "a")
    ]
    made = container(networks_advanced=attachments)
    assert [data.network_name for data in made.network_data] == [f"{rig.name}-a", f"{rig.name}-b"]
    networks = rig.client.inspect_container(made.id)["NetworkSettings"]["Networks"]
    assert "web-b" in networks[f"{rig.name}-b"]["Aliases"]
    rig.client.disconnect_container_from_network(made.id, f"{rig.name}-b")
    assert made.read(rig.context())
    assert [item.name for item in made.networks_advanced] == [f"{rig.name}-a"]
    made.delete(rig.context())


def test_attach_waits_for_the_end_and_keeps_the_output(container) -> None:
    made = container(entrypoint=["sh", "-c", "echo done; exit 4"], attach=True, logs=True, must_run=False)
    assert (made.exit_code, made.container_logs) == (4, "done\n")


def test_wait_waits_for_health(container) -> None:
    check = blocks.Healthcheck(
        test=["CMD-SHELL", "true"], interval="50ms", timeout="1s", start_period="0s", start_interval="0s", retries=1
    )
    assert container(wait=True, healthcheck=[check]).id


def test_wait_for_health_has_an_end(rig, container) -> None:
    check = blocks.Healthcheck(
        test=["CMD-SHELL", "sleep 9"], interval="1s", timeout="10s", start_period="0s", start_interval="0s", retries=1
    )
    with pytest.raises(OperationTimedOut, match="not healthy within 1 s"):
        container(wait=True, wait_timeout=1, healthcheck=[check])
    assert rig.owned() == {}


def test_destroy_grace_lets_it_end_by_itself(rig, container) -> None:
    rig.create(Volume(name=rig.name))
    made = container(
        entrypoint=["sh", "-c", "trap 'echo bye >/v/said; exit 0' TERM; echo up >/v/said; while :; do sleep 0.1; done"],
        volumes=[blocks.VolumeUse(container_path="/v", volume_name=rig.name)],
        destroy_grace_seconds=10,
    )
    eventually(lambda: run(rig, made, "cat", "/v/said") == "up\n")
    made.delete(rig.context())
    reader = container(name=f"{rig.name}-r", volumes=[blocks.VolumeUse(container_path="/v", volume_name=rig.name)])
    assert run(rig, reader, "cat", "/v/said") == "bye\n"
    reader.delete(rig.context())


def test_a_container_is_imported_as_it_was_declared(rig, container) -> None:
    rig.create(Network(name=rig.name))
    made = container(
        env={"A=1"},
        memory=64,
        hostname="box",
        host=[blocks.Host(host="h", ip="10.0.0.1")],
        ports=[blocks.Port(internal=80, protocol="tcp", ip="127.0.0.1")],
        user="1000",
        networks_advanced=[blocks.NetworkAttachment(name=rig.name, aliases={"web"})],
        healthcheck=[
            blocks.Healthcheck(
                test=["CMD", "true"], interval="1m", timeout="2s", start_period="0s", start_interval="0s", retries=2
            )
        ],
        volumes=[blocks.VolumeUse(container_path="/tmp", host_path="/tmp", read_only=True)],
    )
    imported = Container.import_(rig.context(), made.id)
    imported.ports[0].external = made.ports[0].external
    different = [name for name in Container.schema().attributes if getattr(imported, name) != getattr(made, name)]
    assert different == []
    for name in Container.schema().blocks:
        assert getattr(imported, name) == getattr(made, name), name
    assert Container.import_(rig.context(), "0" * 64) is None


def test_who_runs_an_image_of_ours_is_not_ours(rig, busybox_image) -> None:
    labels = rig.build.labels("built")
    changes = [f'LABEL "{name}"="{value}"' for name, value in labels.items()]
    made = rig.client.create_container(busybox_image, ["true"])
    tag = f"{rig.name}:1"
    rig.client.commit(made["Id"], repository=rig.name, tag="1", changes=changes)
    stranger = rig.client.create_container(tag, ["true"])
    try:
        assert rig.owned() == {"docker_image": [tag]}
    finally:
        rig.client.remove_container(stranger["Id"])
        rig.client.remove_container(made["Id"])


def test_a_canceled_build_stops_waiting(rig, container) -> None:
    canceled = threading.Event()
    timer = threading.Timer(0.5, canceled.set)
    timer.start()
    original = rig.context
    rig.context = lambda key="", **options: replace(original(key, **options), canceled=canceled)
    with pytest.raises(BuildCanceled):
        container(attach=True)
    rig.context = original
    assert rig.owned() == {}
