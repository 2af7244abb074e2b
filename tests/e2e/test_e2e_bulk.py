"""Large transfers to a workspace in a container: they begin in the tunnel and go on beside it."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from stead.testing.waiting import eventually, find_free_port
from stead.testing.worlds import World

pytestmark = [pytest.mark.docker, pytest.mark.openssh, pytest.mark.slow, pytest.mark.timeout(300)]

BIG = 200 * 1024 * 1024
BURST = 8 * 1024 * 1024
KILL_TUNNEL = """python3 -c '
import os, pathlib, signal
for entry in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        name = (entry / "comm").read_text().strip()
    except OSError:
        continue
    if name == "tailcat":
        os.kill(int(entry.name), signal.SIGKILL)
'"""


@pytest.fixture(scope="module")
def world(make_world: Callable[..., AbstractContextManager[World]]) -> Iterator[World]:
    with make_world("bulk", (find_free_port(), find_free_port())) as made:
        made.wait_ready("direct", timeout=60)
        yield made


def moves(world: World) -> int:
    return world.deployment.log.count("left the tunnel")


def test_200_megabytes_there_and_back_leave_the_tunnel_and_are_whole(world: World, tmp_path: Path) -> None:
    source, back = tmp_path / "big.bin", tmp_path / "back.bin"
    block = secrets.token_bytes(1024 * 1024)
    with source.open("wb") as out:
        for number in range(BIG // len(block)):
            out.write(number.to_bytes(8, "big") + block[8:])
    before = moves(world)
    person = world.person
    batch = f"put {source} /tmp/big.bin\nget /tmp/big.bin {back}\nrm /tmp/big.bin\n".encode()
    done = person.run("sftp", "-F", str(person.config), "-b", "-", person.host, timeout=280, data=batch)
    assert done.returncode == 0, done.stderr.decode()
    with source.open("rb") as sent, back.open("rb") as came:
        assert hashlib.file_digest(sent, "sha256").digest() == hashlib.file_digest(came, "sha256").digest()
    assert moves(world) == before + 1
    # A machine that is busy enough has the tunnel program take to the relay for a moment.
    world.wait_ready("direct", timeout=60)


def test_a_shell_stays_in_the_tunnel(world: World) -> None:
    before = moves(world)
    assert world.person.sh("echo here") == "here\n"
    assert moves(world) == before


def test_the_end_of_a_token_ends_what_is_in_the_tunnel_and_what_has_left_it(world: World) -> None:
    person, before = world.person, moves(world)
    made = world.deployment.post("/users/me/tokens", {"name": f"ends-{secrets.token_hex(3)}"})
    environment = {**person.environment(), "STEAD_TOKEN": made["secret"]}
    scripts = {"in the tunnel": "echo here; sleep 300", "beside it": f"head -c {BURST} /dev/zero; sleep 300"}
    with contextlib.ExitStack() as running:
        opened = {}
        for name, script in scripts.items():
            process = subprocess.Popen(
                ["ssh", "-F", str(person.config), person.host, script],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            running.callback(process.communicate)
            running.callback(process.kill)
            opened[name] = process
            assert process.stdout is not None
            assert process.stdout.read(5 if name == "in the tunnel" else BURST)
        eventually(lambda: moves(world) == before + 1, 60, what="a stream that leaves the tunnel")
        assert all(process.poll() is None for process in opened.values())
        began = time.monotonic()
        with world.deployment.client() as client:
            client.delete(f"/users/me/tokens/{made['token']['id']}").raise_for_status()
        for name, process in opened.items():
            assert process.wait(60) == 255, name
        assert time.monotonic() - began < 60
    assert person.sh("echo still") == "still\n"


def test_what_has_left_the_tunnel_outlives_it(world: World) -> None:
    person, before = world.person, moves(world)
    script = f"head -c {BURST} /dev/zero; read line; head -c {BURST} /dev/zero; echo $line"
    command = ["ssh", "-F", str(person.config), person.host, script]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=person.environment(), stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            first = process.stdout.read(BURST)
            eventually(lambda: moves(world) == before + 1, 30, what="a stream that leaves the tunnel")
            began = time.monotonic()
            killer = person.ssh(person.host, KILL_TUNNEL)
            # It came through the tunnel that it ended, and is not left waiting for an answer.
            assert killer.returncode == 255, killer.stderr
            assert time.monotonic() - began < 30
            process.stdin.write(b"still here\n")
            process.stdin.flush()
            rest = process.stdout.read()
            assert process.wait(60) == 0
        finally:
            process.kill()
    assert (len(first), len(rest), rest[-11:]) == (BURST, BURST + 11, b"still here\n")
    world.wait_ready("direct", timeout=60)
