"""Removes what a test run left on a Docker engine when the run is killed and cannot do so itself.

``python -m stead.testing.engine_guardian ENGINE LABEL`` waits for the end of its standard input, which is also the
end of whoever started it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx

from stead.testing.docker_api import DockerApi, DockerRefused

LAST_LOOK = 10.0  # seconds in which processes that outlive the run by a moment may still create something
_WAIT = 20.0


@contextlib.contextmanager
def guarded(engine: str, label: str) -> Iterator[None]:
    """Within this, all that carries ``label`` goes when this process is killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stead.testing.engine_guardian", engine, label],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # a signal to the test run's group is not for it
    )
    try:
        yield
        process.communicate(b"done", timeout=_WAIT)
    finally:
        process.kill()
        process.wait()


def remove_labelled(api: DockerApi, label: str) -> int:
    """Remove containers and volumes with a label; returns how many there were."""
    filters = json.dumps({"label": [label]})
    containers = api.call("GET", "/containers/json", params={"all": "1", "filters": filters}).json()
    for item in containers:
        api.call("DELETE", f"/containers/{item['Id']}", params={"force": "1", "v": "1"})
    volumes = api.call("GET", "/volumes", params={"filters": filters}).json()["Volumes"] or ()
    for item in volumes:
        api.call("DELETE", f"/volumes/{item['Name']}", params={"force": "1"})
    return len(containers) + len(volumes)


def main() -> None:
    engine, label = sys.argv[1:]
    if sys.stdin.read() == "done":
        return
    limit = time.monotonic() + LAST_LOOK
    with DockerApi(engine) as api:
        while time.monotonic() < limit:
            with contextlib.suppress(DockerRefused, httpx.TransportError):  # somebody else removes it just now
                remove_labelled(api, label)
            time.sleep(0.5)


if __name__ == "__main__":
    main()
