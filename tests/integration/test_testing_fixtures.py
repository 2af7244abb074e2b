"""The fixtures that everything else is tested with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest

from stead.testing.debian import DebianUnavailable, configured_mirror
from stead.testing.docker_api import DockerApi
from stead.testing.session import Session
from stead.testing.waiting import NeverHappened, eventually

pytest_plugins = ["pytester"]


@pytest.mark.docker
@pytest.mark.parametrize(
    "image",
    [
        "busybox_image",
        "debian_image",
        "no_python_image",
        "no_curl_image",
        "only_wget_image",
        "only_python_image",
    ],
)
def test_image_has_what_its_name_says(image: str, docker_engine: str, request: pytest.FixtureRequest) -> None:
    tag = request.getfixturevalue(image)
    probe = "for p in curl wget python3 git rsync ssh; do command -v $p >/dev/null && echo $p; done; id -u"
    with DockerApi(docker_engine) as engine:
        body = {"Image": tag, "Cmd": ["sh", "-c", probe], "Tty": True, "HostConfig": {"NetworkMode": "none"}}
        container = engine.call("POST", "/containers/create", json=body).json()["Id"]
        try:
            engine.call("POST", f"/containers/{container}/start")
            engine.call("POST", f"/containers/{container}/wait")
            said = engine.call("GET", f"/containers/{container}/logs?stdout=1").text.split()
        finally:
            engine.call("DELETE", f"/containers/{container}?force=1&v=1")
    everything = {"curl", "wget", "python3", "git", "rsync", "ssh"}
    expected = {
        "busybox_image": {"wget"},
        "debian_image": everything,
        "no_python_image": everything - {"python3"},
        "no_curl_image": everything - {"curl"},
        "only_wget_image": everything - {"curl", "python3"},
        "only_python_image": everything - {"curl", "wget"},
    }
    assert set(said[:-1]) == expected[image]
    assert said[-1] == ("0" if image == "busybox_image" else "1000")


@pytest.mark.postgres
def test_every_test_has_an_empty_database(postgres_url: str) -> None:
    with psycopg2.connect(postgres_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchone() == (0,)
        cursor.execute("CREATE TABLE mine (id int)")


def test_database_url_names_both_engines(database_url: str) -> None:
    assert database_url.startswith(("sqlite:////", "postgresql://"))


def test_waiting_says_what_did_not_happen() -> None:
    with pytest.raises(NeverHappened, match=r"the moon did not come true within 0.05 s; last value: 0"):
        eventually(lambda: 0, 0.05, what="the moon")


def test_left_out_tests_are_named_once_at_the_end(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from stead.testing.left_out import leave_out
        def test_one(): leave_out("Moon", "no rocket")
        def test_two(): leave_out("Moon", "no rocket")
        """
    )
    result = pytester.runpytest_subprocess("-n", "2")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*left out*", "Moon: no rocket (2 tests)"])


def test_a_server_ends_with_the_run_that_started_it(tmp_path: Path) -> None:
    watched = subprocess.Popen(["sleep", "60"])
    session = Session(tmp_path, watched.pid)
    session.spawn("server", [sys.executable, "-c", "import time; time.sleep(60)"])
    guardian = int((tmp_path / "server.guardian").read_text())
    children = Path(f"/proc/{guardian}/task/{guardian}/children")
    server = int(eventually(lambda: children.read_text().split(), what="the server")[0])
    watched.send_signal(signal.SIGKILL)
    watched.wait()
    assert os.waitpid(guardian, 0)[0] == guardian
    assert not Path(f"/proc/{server}").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.list", "deb [arch=amd64] http://mirror.test/debian trixie main\n"),
        ("a.sources", "Types: deb\nURIs: http://mirror.test/debian\nSuites: trixie trixie-updates\n"),
    ],
)
def test_mirror_is_read_from_apt(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / name).write_text(text)
    assert configured_mirror("trixie", tmp_path) == "http://mirror.test/debian"
    with pytest.raises(DebianUnavailable, match="sid"):
        configured_mirror("sid", tmp_path)


def test_the_folder_of_a_run_that_was_killed_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = subprocess.Popen(["true"])
    ended.wait()
    (tmp_path / f"stead-t-{ended.pid}-killed").mkdir()
    (tmp_path / f"stead-t-{os.getpid()}-alive").mkdir()
    session = Session.create()
    assert {path.name for path in tmp_path.iterdir()} == {f"stead-t-{os.getpid()}-alive", session.folder.name}
