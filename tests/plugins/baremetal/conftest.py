"""Machines to test with: containers that run OpenSSH's own server, each with a host key of its own."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import secrets
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from stead.api.provider import BuildContext, Context, Owner
from stead.testing.debian import DebianUnavailable, debian_archive
from stead.testing.docker_api import DockerApi
from stead.testing.engine_guardian import guarded
from stead.testing.left_out import leave_out
from stead.testing.session import cache_folder, file_lock
from stead.testing.waiting import eventually, find_free_port
from stead_baremetal.platform import BaremetalPlatform
from stead_baremetal.program import PROGRAM
from stead_baremetal.provider import Baremetal
from stead_baremetal.settings import BaremetalSettings

PACKAGES = ("ca-certificates", "cron", "curl", "openssh-server", "procps", "sudo", "systemd", "systemd-sysv")
TAG = "stead-test/machine:1"
RECIPE = "stead-test.recipe"
LABEL = f"stead-test.baremetal.{secrets.token_hex(4)}"  # of this process
BOOT = (
    "mkdir -p /run/sshd; rm -f /run/nologin; cd /var/lib/stead-machine 2>/dev/null && rm -f supervisor; "
    f"[ ! -x {PROGRAM} ] || {PROGRAM} boot; exec /usr/sbin/sshd -D -e"
)
CLEAN = (
    "/bin/rm -f /usr/local/sbin/rm /usr/local/bin/hang; pkill -KILL -f '[s]tead-machine supervise'; sleep 0.1; "
    "pkill -KILL -u coder; userdel -r coder; rm -rf /home/coder /var/lib/stead-machine /etc/stead-machine.conf; true"
)
START_SECONDS = 60.0
CHUNK = 1 << 20


def _stream(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while piece := source.read(CHUNK):
            yield piece


@pytest.fixture(scope="session")
def machine_image(docker_engine: str) -> str:
    """Tag of a Debian with an SSH server, sudo and systemd; nothing but its program says which is used."""
    try:
        archive = debian_archive(PACKAGES)
    except DebianUnavailable as error:
        leave_out("machine image", str(error))
    digest = hashlib.sha256(archive.name.encode()).hexdigest()[:16]
    with file_lock(cache_folder() / "image-stead-test-machine-1.lock"), DockerApi(docker_engine) as engine:
        if (engine.image_labels(TAG) or {}).get(RECIPE) != digest:
            engine.import_image(TAG, _stream(archive), [f"LABEL {RECIPE}={digest}"])
    return TAG


def _key_pair(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=30)
    return path.with_suffix(".pub").read_text().strip()


def _tar(files: dict[str, tuple[str, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, (text, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), mode
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


@dataclass
class Box:
    """A container that stands for a machine."""

    name: str
    container: Container
    port: int
    host_key: str

    def entry(self, **more: Any) -> dict[str, Any]:
        """What the inventory says of it."""
        return {
            "name": self.name,
            "address": "127.0.0.1",
            "port": self.port,
            "user": "root",
            "host_keys": [self.host_key],
            **more,
        }

    def sh(self, script: str, *, check: bool = True, **options: Any) -> str:
        """Run a script on the machine as root, past SSH; returns what it printed."""
        code, output = self.container.exec_run(["sh", "-c", script], **options)
        text = str(output.decode(errors="replace"))
        if check and code:
            raise AssertionError(f"{script}: {code}: {text}")
        return text.strip()

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        self.container.put_archive("/", _tar({path.removeprefix("/"): (text, mode)}))

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 2) as probe:
            probe.settimeout(2)
            return probe.recv(4).startswith(b"SSH")
        return False

    def wait(self) -> Box:
        eventually(self.answers, START_SECONDS, what=f"the SSH server of {self.name}")
        return self


class Farm:
    """Makes machines, and takes them away at the end."""

    def __init__(self, url: str, image: str, folder: Path) -> None:
        self.client = docker.DockerClient(base_url=url)
        self.image, self.folder = image, folder
        self.key_file = folder / "client"
        self.public_key = _key_pair(self.key_file)
        # Of our own: the engine's default network is everybody's.
        self.network = self.client.networks.create(f"stead-test-{secrets.token_hex(4)}", labels={LABEL: "1"})
        self.boxes: list[Box] = []
        self._idle: list[Box] = []

    def make(self, *, command: list[str] | None = None, **options: Any) -> Box:
        name = f"m{secrets.token_hex(4)}"
        host_key, port = _key_pair(self.folder / f"host-{name}"), find_free_port()
        files = {
            "root/.ssh/authorized_keys": (self.public_key + "\n", 0o600),
            "etc/ssh/ssh_host_ed25519_key": ((self.folder / f"host-{name}").read_text(), 0o600),
            "etc/ssh/ssh_host_ed25519_key.pub": (host_key + "\n", 0o644),
            "etc/ssh/sshd_config": (
                "HostKey /etc/ssh/ssh_host_ed25519_key\nPermitRootLogin prohibit-password\nUsePAM no\n"
                "MaxStartups 100\nUseDNS no\nPasswordAuthentication no\n",
                0o644,
            ),
        }
        container = self.client.containers.create(
            self.image,
            command or ["sh", "-c", BOOT],
            name=f"stead-test-{name}",
            hostname=name,
            init=command is None,
            labels={LABEL: "1"},
            network=self.network.name,
            ports={"22/tcp": ("127.0.0.1", port)},
            **options,
        )
        box = Box(name, container, port, host_key)
        self.boxes.append(box)
        container.put_archive("/", _tar(files))
        container.start()
        return box.wait()

    def take(self, count: int) -> list[Box]:
        """Machines that nobody uses, as good as new."""
        while len(self._idle) < count:
            self._idle.append(self.make())
        taken, self._idle = self._idle[:count], self._idle[count:]
        return taken

    def give_back(self, box: Box) -> None:
        """For the next test; whatever the last one left is cleared away without asking the program."""
        box.sh(CLEAN, check=False)
        self._idle.append(box)

    def remove(self, box: Box) -> None:
        self.boxes.remove(box)
        with contextlib.suppress(docker.errors.NotFound):
            box.container.remove(force=True, v=True)

    def close(self) -> None:
        for box in list(self.boxes):
            self.remove(box)
        self.network.remove()
        self.client.close()

    @property
    def gateway(self) -> str:
        """The address under which the machines reach this one."""
        self.network.reload()
        return str(self.network.attrs["IPAM"]["Config"][0]["Gateway"]).partition("/")[0]


@pytest.fixture(scope="session")
def farm(docker_engine: str, machine_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    if shutil.which("ssh-keygen") is None:
        leave_out("OpenSSH", "there is no ssh-keygen here")
    with guarded(docker_engine, LABEL):
        made = Farm(docker_engine, machine_image, tmp_path_factory.mktemp("farm"))
        try:
            yield made
        finally:
            made.close()


@dataclass
class Rig:
    """One deployment with an inventory of its own."""

    farm: Farm
    folder: Path
    boxes: list[Box]
    name: str = field(default_factory=lambda: f"stead-test-{secrets.token_hex(5)}")
    log: list[str] = field(default_factory=list)
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.entries = {box.name: box.entry() for box in self.boxes}
        self.path = self.folder / "machines.json"
        self.settings = BaremetalSettings(
            inventory=self.path,
            key_file=self.farm.key_file,
            connect_timeout=20,
            patience=60,
            read_patience=20,
            stop_grace=5,
        )
        self.write()

    def describe(self, box: Box, **facts: Any) -> None:
        """Change what the inventory says of a machine."""
        self.entries[box.name].update(facts)
        self.write()

    def write(self) -> None:
        content = {"as_of": "2026-01-31", "currency": "EUR", "machines": list(self.entries.values())}
        self.path.write_text(json.dumps(content))
        # Each reads the inventory anew.
        self.provider = Baremetal(settings=self.settings)
        self.platform = BaremetalPlatform(self.settings)

    def tune(self, **settings: Any) -> None:
        self.settings = self.settings.model_copy(update=settings)
        self.write()

    @property
    def build(self) -> BuildContext:
        return BuildContext(
            deployment=self.name,
            workspace_id=f"{self.name}-w",
            workspace_name="tester",
            build_id="build-1",
            owner=Owner(name="alice"),
            init_scripts=lambda os, arch: AGENT,
        )

    def context(self, key: str = "", **options: Any) -> Context:
        options = {"provider": self.provider, "build": self.build, **options}
        return Context(key=key or secrets.token_hex(8), sink=lambda _, text: self.log.append(text), **options)

    def keeper(self, box: Box) -> Any:
        return self.provider.fleet.keeper(self.provider.fleet.inventory(self.context()).by_name()[box.name])

    def status(self, box: Box) -> Any:
        return self.keeper(box).status(self.context())

    def state(self, box: Box) -> str:
        return str(self.status(box).state)

    @property
    def agent(self) -> str:
        return AGENT

    def owned(self) -> list[str]:
        return [item.identity for item in self.platform.owned_resources(self.name)]


# Stands in for the agent where a test is not about it: says what it was given, and ends politely.
AGENT = (
    'echo "agent of $USER in $PWD with $CODER_AGENT_TOKEN"; trap "date >ended; exit 0" TERM; : >started; '
    'echo "$CODER_AGENT_TOKEN" >token; while :; do sleep 0.2; done'
)


@pytest.fixture
def make_rig(farm: Farm, tmp_path: Path) -> Iterator[Callable[[int], Rig]]:
    taken: list[Box] = []

    def make(count: int) -> Rig:
        boxes = farm.take(count)
        taken.extend(boxes)
        folder = tmp_path / f"rig-{secrets.token_hex(3)}"
        folder.mkdir()
        return Rig(farm, folder, boxes)

    yield make
    for box in taken:
        if box in farm.boxes:
            farm.give_back(box)


@pytest.fixture
def rig(make_rig: Callable[[int], Rig]) -> Rig:
    """A rig with two machines."""
    return make_rig(2)
