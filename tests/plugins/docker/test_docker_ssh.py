"""An engine behind a real SSH server."""

from __future__ import annotations

import gc
import getpass
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stead.api.errors import CredentialsRejected, InvalidInput, PlatformUnreachable
from stead.api.provider import Context
from stead.testing.left_out import leave_out
from stead.testing.waiting import eventually, find_free_port
from stead_docker.data_sources import NetworkLookup
from stead_docker.provider import Docker
from stead_docker.settings import DockerSettings
from stead_docker.ssh import Target

pytestmark = [pytest.mark.docker, pytest.mark.openssh]
SSHD = "/usr/sbin/sshd"


@dataclass
class Machine:
    """An SSH server on loopback, with options that make ``ssh`` know it and be known."""

    url: str
    options: list[str]
    folder: Path


def _key(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=30)
    return path.with_suffix(".pub").read_text()


@pytest.fixture
def machine(docker_engine: str) -> Iterator[Machine]:
    if not docker_engine.startswith("unix://") or not Path(SSHD).exists() or shutil.which("ssh") is None:
        leave_out("SSH server", "needs sshd, ssh and an engine at a local socket")
    Path("/run/sshd").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), find_free_port()
        known = f"[127.0.0.1]:{port} {_key(folder / 'host')}"
        (folder / "known").write_text(known)
        (folder / "authorized").write_text(_key(folder / "client"))
        settings = {
            "HostKey": folder / "host",
            "AuthorizedKeysFile": folder / "authorized",
            "StrictModes": "no",
            "PermitRootLogin": "yes",
            "UsePAM": "no",
            "PidFile": "none",
        }
        options = [f"-o{key}={value}" for key, value in settings.items()]
        command = [SSHD, "-D", "-e", "-f", "/dev/null", f"-oListenAddress=127.0.0.1:{port}", *options]
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=(folder / "log").open("wb"))
        try:
            eventually(lambda: "listening" in (folder / "log").read_text(), what="the SSH server")
            client = ["-F", "/dev/null", "-i", str(folder / "client"), f"-oUserKnownHostsFile={folder / 'known'}"]
            url = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{docker_engine.removeprefix('unix://')}"
            yield Machine(url, client, folder)
        finally:
            server.terminate()
            server.wait(10)


def ask(machine: Machine, options: list[str]) -> Docker:
    provider = Docker(host=machine.url, ssh_opts=options, settings=DockerSettings(timeout=20))
    looked_up = NetworkLookup(name="bridge")
    looked_up.read(Context(provider=provider))
    assert looked_up.driver == "bridge"
    return provider


def test_an_engine_is_used_over_ssh_and_nothing_stays_behind(machine: Machine) -> None:
    provider = ask(machine, machine.options)
    tunnel = provider.engine.client.tunnel
    socket, process = tunnel.socket, tunnel._process
    assert socket.stat().st_mode & 0o077 == 0
    del tunnel, provider
    gc.collect()
    assert process.poll() is not None
    assert not socket.exists()


def test_ssh_ends_with_the_process_that_started_it(machine: Machine) -> None:
    script = (
        "import sys, os; from stead_docker.ssh import open_tunnel\n"
        "tunnel = open_tunnel(sys.argv[1], sys.argv[2:], 20)\n"
        "print(tunnel._process.pid, tunnel.socket.parent, flush=True); os.kill(os.getpid(), 9)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, machine.url, *machine.options],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    pid, folder = ran.stdout.split()
    eventually(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid), what="the end of ssh")
    shutil.rmtree(folder)


def _is_zombie(pid: str) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_an_unknown_host_key_is_not_trusted(machine: Machine) -> None:
    (machine.folder / "known").write_text("")
    with pytest.raises(CredentialsRejected, match="Host key verification failed") as caught:
        ask(machine, machine.options)
    assert "compare the key" in str(caught.value)


def test_a_key_that_the_machine_does_not_know_is_told(machine: Machine) -> None:
    (machine.folder / "authorized").write_text("")
    with pytest.raises(CredentialsRejected, match="Permission denied"):
        ask(machine, machine.options)


def test_a_machine_that_does_not_answer_is_named() -> None:
    url = f"ssh://nobody@127.0.0.1:{find_free_port()}"
    with pytest.raises(PlatformUnreachable, match=f"Docker at {url} cannot be reached over SSH: .*refused"):
        ask(Machine(url, [], Path()), ["-F", "/dev/null"])


@pytest.mark.parametrize("url", ["ssh://", "ssh://-oProxyCommand=x", "ssh://-l@host", "ssh://host:notaport"])
def test_an_address_cannot_smuggle_options(url: str) -> None:
    with pytest.raises(InvalidInput):
        Target.of(url)
