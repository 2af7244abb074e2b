"""SSH to a workspace beside OpenSSH's own server on this machine: connect time, echo, throughput."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from figures import Figures, percentile
from plain_sshd import PlainSshd
from stead_server import Bench, running

from stead.quickstart import steps

CONNECTS = 20
ECHOES = 500
MEGABYTES = 400
ROUNDS = 5
BLOCK = 1_000_000
DIRECT_SECONDS = 30.0
NAME = "ssh"
Command = list[str]


def measure(say: Callable[[str], None]) -> Figures:
    """Each figure of Stead's as difference or ratio to the same client against ``sshd``, in the same run."""
    figures = Figures()
    with running("docker", say) as bench, PlainSshd() as sshd:
        bench.create(NAME, bench.template()["id"])
        ours = _client(bench)
        say(f"path: {_settled_path(bench)}")
        _connect(ours, sshd.command, figures, say)
        _echo(ours, sshd.command, figures, say)
        _throughput(ours, sshd.command, figures, say)
        say(f"path at the end: {steps.path(bench.client, NAME)}; now as behind a proxy that passes only WebSockets")
        _over_websocket(ours, figures)
        bench.remove(NAME)
    return figures


def _settled_path(bench: Bench) -> str:
    """Wait until the path is direct, as it is after a few seconds where it can be."""
    deadline = time.monotonic() + DIRECT_SECONDS
    path = str(steps.path(bench.client, NAME))
    while path != "direct" and time.monotonic() < deadline:
        time.sleep(0.25)
        path = str(steps.path(bench.client, NAME))
    return path


def _over_websocket(ours: Command, figures: Figures) -> None:
    """The way that ``stead ssh`` falls back to; no goal hangs on it."""
    os.environ["STEAD_SSH_WEBSOCKET"] = "1"
    try:
        times = [_timed_run(ours) for _ in range(CONNECTS // 2)]
        figures.add("websocket_connect", percentile(times, 50) * 1000, "ms")
        figures.add("websocket_echo", _echo_p50(ours) * 1000, "ms")
        figures.add("websocket_download", _download(ours), "MB/s")
        figures.add("websocket_upload", _upload(ours), "MB/s")
    finally:
        del os.environ["STEAD_SSH_WEBSOCKET"]


def _client(bench: Bench) -> Command:
    """OpenSSH with the section that ``stead config-ssh`` writes."""
    config = bench.folder / "ssh_config"
    environment = {"STEAD_URL": bench.client.url, "STEAD_TOKEN": bench.token, "STEAD_CONFIG_DIR": str(bench.folder)}
    os.environ.update(environment)
    stead = Path(sys.executable).with_name("stead")
    subprocess.run([stead, "config-ssh", "--file", str(config)], check=True, stdout=subprocess.DEVNULL)
    return ["ssh", "-F", str(config), f"{NAME}.stead"]


def _connect(ours: Command, theirs: Command, figures: Figures, say: Callable[[str], None]) -> None:
    say(f"{CONNECTS} connections each")
    times: dict[str, list[float]] = {"stead": [], "sshd": []}
    for command in (ours, theirs):
        _timed_run(command)  # the first one fetches the certificate and fills caches
    for _ in range(CONNECTS):
        times["stead"].append(_timed_run(ours))
        times["sshd"].append(_timed_run(theirs))
    stead, plain = percentile(times["stead"], 50), percentile(times["sshd"], 50)
    figures.add("connect", stead * 1000, "ms")
    figures.add("connect_sshd", plain * 1000, "ms")
    figures.add("connect_more", (stead - plain) * 1000, "ms", at_most=150)
    figures.add("connect_ratio", stead / plain, "ratio")


def _timed_run(command: Command) -> float:
    started = time.perf_counter()
    subprocess.run([*command, "true"], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _echo(ours: Command, theirs: Command, figures: Figures, say: Callable[[str], None]) -> None:
    say(f"{ECHOES} echoes each")
    stead, plain = _echo_p50(ours), _echo_p50(theirs)
    figures.add("echo", stead * 1000, "ms")
    figures.add("echo_sshd", plain * 1000, "ms")
    figures.add("echo_more", (stead - plain) * 1000, "ms", at_most=2)
    figures.add("echo_ratio", stead / plain, "ratio")


def _echo_p50(command: Command) -> float:
    with subprocess.Popen([*command, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        times = [_one_echo(process.stdin, process.stdout) for _ in range(ECHOES)]
        process.stdin.close()
    return percentile(times[20:], 50)


def _one_echo(write_to: object, read_from: object) -> float:
    line = b"x" * 63 + b"\n"
    started = time.perf_counter()
    write_to.write(line)  # type: ignore[attr-defined]
    received = b""
    while len(received) < len(line):
        received += read_from.read(len(line) - len(received))  # type: ignore[attr-defined]
    return time.perf_counter() - started


def _throughput(ours: Command, theirs: Command, figures: Figures, say: Callable[[str], None]) -> None:
    """Medians of some rounds, in which the two take turns: whatever else runs here hits both alike.

    ``dd`` makes and takes the bytes on both sides: it costs next to nothing whoever wrote it, while busybox's ``head``
    and ``wc``, which are in the workspace, take several times what SSH does.
    """
    plain = [theirs[0], "-c", "aes128-gcm@openssh.com", *theirs[1:]]
    for direction, transfer in (("download", _download), ("upload", _upload)):
        say(f"{ROUNDS} times {MEGABYTES} MB {direction} each")
        rounds = [(transfer(ours), transfer(plain)) for _ in range(ROUNDS)]
        figures.add(direction, percentile([mine for mine, _ in rounds], 50), "MB/s")
        figures.add(f"{direction}_sshd", percentile([other for _, other in rounds], 50), "MB/s")
        ratios = [mine / other for mine, other in rounds]
        figures.add(f"{direction}_ratio", percentile(ratios, 50), "ratio", at_least=0.5)


def _download(command: Command) -> float:
    remote = f"dd if=/dev/zero bs={BLOCK} count={MEGABYTES}"
    started = time.perf_counter()
    with subprocess.Popen(
        [*command, remote], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        received = 0
        while block := process.stdout.read(1 << 20):
            received += len(block)
    if received != MEGABYTES * BLOCK:
        raise RuntimeError(f"received {received} bytes")
    return MEGABYTES / (time.perf_counter() - started)


def _upload(command: Command) -> float:
    block = bytes(BLOCK)
    remote = f"dd of=/dev/null bs={BLOCK} iflag=fullblock"
    started = time.perf_counter()
    with subprocess.Popen([*command, remote], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        for _ in range(MEGABYTES):
            process.stdin.write(block)
        process.stdin.close()
        told = process.stderr.read().decode()
    if f"{MEGABYTES}+0 records in" not in told:
        raise RuntimeError(f"sent {MEGABYTES} MB; what arrived: {told}")
    return MEGABYTES / (time.perf_counter() - started)
