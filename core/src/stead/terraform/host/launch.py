"""Starts a workspace's first process so that it outlives whoever started it.

A program of its own, run by a bare interpreter (``python -I -S launch.py``): the provisioner has threads and
must not fork itself. It reads a JSON object from standard input:

``command``, ``environment``, ``home``, ``record`` (file to write), ``log`` (file for the output), ``umask``,
and where another user is to run it ``uid``, ``gid`` and ``groups``.

The new process leads a session, is no child of anybody's, and is on record before it runs the command.
Exit code 0 means that the command runs; otherwise standard error says why not.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main() -> int:
    spec = json.load(sys.stdin)
    reading, writing = os.pipe()  # closed by the exec: silence means that it worked
    if os.fork() == 0:
        os.close(reading)
        _become(spec, writing)
    os.close(writing)
    problem = b""
    while chunk := os.read(reading, 4096):
        problem += chunk
    sys.stderr.write(problem.decode(errors="replace"))
    return 1 if problem else 0


def _become(spec: dict[str, Any], problems: int) -> None:
    step = "start a session"
    try:
        os.setsid()
        os.umask(spec["umask"])
        step = "open its log"
        output = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        step = "write its record"
        _write_record(spec["record"])
        if "uid" in spec:
            step = "change to the user that is to run it"
            os.setgroups(spec["groups"])
            os.setgid(spec["gid"])
            os.setuid(spec["uid"])
        step = f"enter {spec['home']}"
        os.chdir(spec["home"])
        step = f"run {spec['command'][0]}"
        os.execvpe(spec["command"][0], spec["command"], spec["environment"])  # noqa: S606
    except OSError as error:
        os.write(problems, f"could not {step}: {error.strerror}".encode())
    finally:
        os._exit(127)


def _write_record(path: str) -> None:
    with open("/proc/self/stat", "rb") as file:  # noqa: PTH123  (pathlib would double the start-up time)
        started = int(file.read().rpartition(b")")[2].split()[19])
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123
        boot = file.read().strip()
    part = path + ".part"
    with open(part, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump({"pid": os.getpid(), "started": started, "boot": boot}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)  # noqa: PTH105


if __name__ == "__main__":
    sys.exit(main())
