"""Machines to test with: containers that run OpenSSH's own server, each with a host key of its own."""

from __future__ import annotations

import contextlib
import hashlib
import io
import secrets
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container

from stead.testing.debian import debian_archive
from stead.testing.docker_api import DockerApi
from stead.testing.session import cache_folder, file_lock
from stead.testing.waiting import eventually, find_free_port
from stead_baremetal.program import PROGRAM

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


def machine_image(url: str) -> str:
    """Tag of a Debian with an SSH server, sudo and systemd on the engine at ``url``; made where it is not there.

    Nothing but the program that it is started with says which of them is used.

    :raises DebianUnavailable: its packages cannot be fetched.
    """
    archive = debian_archive(PACKAGES)
    digest = hashlib.sha256(archive.name.encode()).hexdigest()[:16]
    with file_lock(cache_folder() / "image-stead-test-machine-1.lock"), DockerApi(url) as engine:
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
