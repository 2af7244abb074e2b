"""``stead ssh`` into a real workspace, with OpenSSH and without, and plain ``ssh`` after ``config-ssh``."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.openssh, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def machine(owner: Any, agent_bundle: Path) -> Iterator[str]:
    """A workspace of the owner's that runs as processes on this machine."""
    owner.ok("templates", "push", "machines", "--starter", "host/host", "--yes", timeout=120)
    owner.ok("create", "box", "-t", "machines", "--yes", timeout=120)
    yield "box"
    owner.ok("delete", "box", "--yes", timeout=120)


@pytest.fixture
def without_openssh(tmp_path: Path) -> str:
    """A PATH on which there is no ssh."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "env"):
        (folder / name).symlink_to(str(shutil.which(name)))
    return str(folder)


@pytest.fixture(params=["openssh", "asyncssh"])
def path(request: pytest.FixtureRequest) -> str:
    """PATH with and without OpenSSH."""
    if request.param == "openssh":
        return os.environ["PATH"]
    return str(request.getfixturevalue("without_openssh"))


def test_a_command_runs_there(owner: Any, machine: str, path: str) -> None:
    script = 'echo "in $CODER_WORKSPACE_NAME"; echo problem >&2; exit 7'
    result = owner.run("ssh", machine, script, PATH=path)
    assert (result.code, result.out) == (7, "in box\n")
    assert "problem" in result.err


def test_stdin_goes_there_and_comes_back(owner: Any, machine: str, path: str) -> None:
    text = "".join(f"line {number}\n" for number in range(20_000))
    assert owner.ok("ssh", machine, "cat", stdin=text, PATH=path).out == text


def test_options_of_openssh_need_openssh(owner: Any, machine: str, without_openssh: str) -> None:
    result = owner.run("ssh", machine, "-L", "1:localhost:2", PATH=without_openssh)
    assert result.code == 2
    assert "needs OpenSSH" in result.err
    assert owner.ok("ssh", machine, "-o", "LogLevel=QUIET", "-T", "echo", "quiet").out == "quiet\n"


def test_ping_tells_how_far_it_is(owner: Any, machine: str) -> None:
    result = owner.json("ping", machine, "-c", "3", "--interval", "0")
    assert len(result["ms"]) == 3
    assert 0 < result["min"] <= result["median"] <= result["max"]
    assert result["agent"]["path"] in {"direct", "relayed", "websocket"}


@pytest.fixture
def ssh(owner: Any, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Plain ``ssh``, after ``stead config-ssh``."""
    file = tmp_path / "ssh_config"
    file.write_text("Host *\n    LogLevel ERROR\n")
    owner.ok("config-ssh", "--file", str(file))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["ssh", "-F", str(file), *arguments]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
            env=owner.environment(),
        )

    return run


@pytest.mark.parametrize("host", ["box.stead", "box.owner.stead", "main.box.owner.stead"])
def test_plain_ssh_knows_every_name(ssh: Callable[..., Any], machine: str, host: str) -> None:
    done = ssh(host, "echo there")
    assert (done.returncode, done.stdout, done.stderr) == (0, "there\n", "")


def test_many_connections_at_once_need_no_certificate_yet(owner: Any, ssh: Callable[..., Any], machine: str) -> None:
    for certificate in (owner.config / "ssh").glob("*-cert.pub"):
        certificate.unlink()
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda number: ssh("box.stead", f"echo {number}"), range(8)))
    assert [result.stdout for result in done] == [f"{number}\n" for number in range(8)], done


def test_a_host_key_of_another_authority_is_refused(
    owner: Any, ssh: Callable[..., Any], machine: str, tmp_path: Path
) -> None:
    assert ssh("box.stead", "true").returncode == 0
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True, timeout=20
    )
    known = owner.config / "ssh" / "known_hosts"
    right = known.read_text()
    known.write_text(f"@cert-authority *.stead {(tmp_path / 'other.pub').read_text()}")
    try:
        done = ssh("box.stead", "echo never")
    finally:
        known.write_text(right)
    assert done.returncode == 255
    assert done.stdout == ""
    assert "verification failed" in done.stderr


def test_a_workspace_that_is_not_there_says_so(ssh: Callable[..., Any], machine: str) -> None:
    done = ssh("nothing.stead", "true")
    assert done.returncode == 255
    assert "There is no workspace nothing" in done.stderr


def test_a_stopped_workspace_is_started_if_one_may(owner: Any, ssh: Callable[..., Any], machine: str) -> None:
    owner.ok("create", "lazy", "-t", "machines", "--yes", timeout=120)
    assert owner.ok("ssh", "lazy", "echo first").out == "first\n"
    owner.ok("stop", "lazy", timeout=120)
    result = owner.run("ssh", "--no-start", "lazy")
    assert result.code == 5
    assert "stead start owner/lazy" in result.err
    plain = ssh("lazy.stead", "true")
    assert plain.returncode == 255
    assert "stead start owner/lazy" in plain.stderr
    assert owner.ok("ssh", "lazy", "echo again", timeout=120).out == "again\n"

    owner.ok("delete", "lazy", "--yes", timeout=120)
    owner.ok("create", "lazy", "-t", "machines", "--yes", timeout=120)
    assert owner.ok("ssh", "lazy", "echo anew").out == "anew\n"
    owner.ok("delete", "lazy", "--yes", timeout=120)
