"""The bundle and its bootstrap script in real images, with nothing of the host but its network."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]

IMAGES = ["busybox_image", "debian_image", "no_python_image", "no_curl_image", "only_wget_image", "only_python_image"]
LIMIT = 30_000_000


@pytest.fixture(scope="session")
def bundle(tmp_path_factory) -> Path:
    """Built once for all workers."""
    base = tmp_path_factory.getbasetemp()
    out = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "agent-bundle"
    with (out.parent / "agent-bundle.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (out / "manifest.json").exists():
            subprocess.run([sys.executable, "-m", "stead_agent_bundle", str(out)], check=True, timeout=200)
    return out


@pytest.fixture
async def run_container(plane, bundle, docker_engine, program) -> AsyncIterator[Callable]:
    """Start an image whose command is the bootstrap script, as templates do it."""
    plane.bundle = bundle
    names: list[str] = []

    async def start(image: str, *options: str, script: str | None = None) -> str:
        name = f"stead-agent-test-{uuid.uuid4().hex[:10]}"
        names.append(name)
        script = script or (bundle / "bootstrap" / "linux-amd64.sh").read_text()
        script = script.replace("${ACCESS_URL}", plane.url)
        code, _output, errors = await program(
            "docker", "-H", docker_engine, "run", "-d", "--name", name, "--network", "host",
            "-e", f"CODER_AGENT_TOKEN={plane.token}", "-e", "STEAD_AGENT_TUNNEL=0", *options, image, "sh", "-c", script,
        )  # fmt: skip
        assert code == 0, errors
        return name

    yield start
    for name in names:
        await program("docker", "-H", docker_engine, "rm", "-f", "-v", name)


@pytest.fixture
def logs(docker_engine, program):
    async def read(name: str) -> str:
        _code, output, errors = await program("docker", "-H", docker_engine, "logs", name)
        return (output + errors).decode()

    return read


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.openssh
async def test_an_image_becomes_a_workspace(
    image, request, run_container, plane, ssh, wait_for, program, docker_engine, logs
):
    plane.manifest = {
        "scripts": [{"id": "s", "display_name": "Hello", "script": "echo hello; echo $CODER", "run_on_start": True}]
    }
    name = await run_container(request.getfixturevalue(image))
    try:
        await wait_for(lambda: len(plane.parked) == 4, "parked streams", 60)
    except AssertionError:
        pytest.fail(await logs(name))
    code, output, errors = await ssh.run("ws", "echo over ssh; coder stat mem; exit 3")
    assert (code, output.splitlines()[0], errors) == (3, b"over ssh", b"")
    assert b"GiB" in output.splitlines()[1]
    code, output, errors = await ssh.run("ws", "sh -lc 'command -v coder && stead version'")
    assert (code, output.splitlines()[-1][:12]) == (0, b"stead-agent "), errors
    await wait_for(lambda: "ready" in plane.states, "readiness")
    assert "hello\ntrue" in plane.log_text("Hello")
    target = ssh.folder / "fetched"
    code, _output, errors = await program("sftp", *ssh.options, "-b", "-", "ws:/bin/sh", str(target), stdin=b"")
    assert code == 0, errors
    assert target.stat().st_size > 1000
    code, _output, errors = await program("docker", "-H", docker_engine, "stop", "-t", "15", name)
    await wait_for(lambda: plane.states and plane.states[-1] == "off", "the end")
    code, output, _errors = await program("docker", "-H", docker_engine, "inspect", "-f", "{{.State.ExitCode}}", name)
    assert output.strip() == b"0", await logs(name)


async def test_a_damaged_download_is_fetched_again(run_container, busybox_image, plane, wait_for, logs):
    plane.damaged_fetches = 1
    name = await run_container(busybox_image)
    await wait_for(lambda: len(plane.parked) == 4, "parked streams", 60)
    assert "damaged" in await logs(name)
    assert len(plane.fetches) == 2


async def test_a_restarted_container_fetches_nothing_and_runs_its_scripts_again(
    run_container, busybox_image, plane, wait_for, program, docker_engine
):
    plane.manifest = {"scripts": [{"id": "s", "display_name": "Once", "script": "echo ran", "run_on_start": True}]}
    name = await run_container(busybox_image)
    await wait_for(lambda: "ready" in plane.states, "readiness", 60)
    await program("docker", "-H", docker_engine, "restart", "-t", "10", name)
    await wait_for(lambda: plane.states.count("ready") == 2, "readiness after the restart", 60)
    assert len(plane.fetches) == 1
    assert [hello["restarted"] for hello in plane.hellos] == [False, False]


async def test_an_agent_that_dies_without_its_container_does_not_run_scripts_again(
    run_container, busybox_image, bundle, plane, wait_for, program, docker_engine
):
    plane.manifest = {"scripts": [{"id": "s", "display_name": "Once", "script": "echo ran", "run_on_start": True}]}
    script = (bundle / "bootstrap" / "linux-amd64.sh").read_text().replace('exec "$1/stead-agent"', '"$1/stead-agent"')
    name = await run_container(busybox_image, script=f"while :; do ({script}\n); sleep 0.1; done")
    await wait_for(lambda: "ready" in plane.states, "readiness", 60)
    await program("docker", "-H", docker_engine, "exec", name, "killall", "-9", "stead-agent")
    await wait_for(lambda: len(plane.hellos) == 2, "the agent's return", 60)
    assert plane.hellos[1]["restarted"] is True
    assert len([call for call in plane.said("script_done") if call["script_id"] == "s"]) == 1


async def test_a_user_without_a_name_or_a_home(run_container, busybox_image, plane, ssh, wait_for, logs):
    name = await run_container(busybox_image, "--user", "4321:4321")
    try:
        await wait_for(lambda: len(plane.parked) == 4, "parked streams", 60)
    except AssertionError:
        pytest.fail(await logs(name))
    code, output, errors = await ssh.run("ws", "id -u; echo $HOME $USER $SHELL")
    assert code == 0, errors
    assert output.split() == [b"4321", b"/", b"4321", b"/bin/sh"]


async def test_orphans_are_reaped(run_container, busybox_image, plane, ssh, wait_for):
    await run_container(busybox_image)
    await wait_for(lambda: len(plane.parked) == 4, "parked streams", 60)
    await ssh.run("ws", "(sh -c 'sleep 0.2' &) ; exit 0")
    deadline = asyncio.get_running_loop().time() + 10
    while True:
        _code, output, _errors = await ssh.run("ws", "ps -o stat,comm | grep -c '^Z' ; true")
        if output.strip() == b"0":
            break
        assert asyncio.get_running_loop().time() < deadline, output


def test_the_manifest_names_the_archive_and_its_digest(bundle):
    manifest = json.loads((bundle / "manifest.json").read_text())
    entry = manifest["bundles"]["linux-amd64"]
    archive = (bundle / entry["path"].removeprefix("/bin/")).read_bytes()
    assert entry["sha256"] == hashlib.sha256(archive).hexdigest()
    assert entry["size"] == len(archive) < LIMIT
    assert entry["sha256"] in (bundle / "bootstrap" / "linux-amd64.sh").read_text()


def test_the_bootstrap_script_can_stand_in_single_quotes(bundle):
    script = (bundle / "bootstrap" / "linux-amd64.sh").read_text()
    assert "'" not in script
    assert script.count("${ACCESS_URL}") == 1
    for shell in (["dash", "-n"], ["busybox", "ash", "-n"], ["bash", "--posix", "-n"]):
        subprocess.run([*shell, "-c", script], check=True, timeout=10)


def test_two_builds_are_the_same(bundle, tmp_path):
    subprocess.run([sys.executable, "-m", "stead_agent_bundle", str(tmp_path)], check=True, timeout=200)
    assert (tmp_path / "manifest.json").read_bytes() == (bundle / "manifest.json").read_bytes()


@pytest.mark.parametrize("arch", ["arm64", "riscv64"])
def test_another_architecture_says_what_to_do(arch, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "stead_agent_bundle", str(tmp_path), "--arch", arch],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "run the builder on such a machine" in done.stderr
