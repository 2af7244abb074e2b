"""Templates that are wrong: what a person reads, through the API and the command line, and that nothing is left."""

from __future__ import annotations

import gzip
import io
import tarfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from stead.testing.faults import BUILD_SECONDS, Yard, open_yard
from stead.testing.waiting import eventually, find_free_port

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

GOOD = 'resource "null_resource" "x" {}\n'
SYNTAX = GOOD + '\nresource "null_resource" "y" {\n  triggers = {\n}\n'
UNKNOWN_TYPE = """terraform {
  required_providers {
    docker = {
      source = "kreuzwerker/docker"
    }
  }
}

resource "docker_contaner" "x" {
  name = "x"
}
"""
UNKNOWN_PROVIDER = 'resource "nosuch_thing" "x" {}\n'
VARIABLE = 'variable "region" {\n  type        = string\n  description = "Where."\n}\n' + GOOD
MISSING_ATTRIBUTE = 'resource "local_file" "x" {\n  content = "x"\n}\n'
BOMB_BYTES = 10_000_000_000
ZEROS = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def yard(docker_engine: str, busybox_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    ports = (find_free_port(), find_free_port())
    environment = {"STEAD_TERRAFORM_NETWORK": "false"}
    folder = tmp_path_factory.mktemp("bad-templates")
    with open_yard(folder, ports, docker_engine, busybox_image, environment=environment) as made:
        yield made


def tar_of(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def upload(yard: Yard, archive: bytes, **fields: str) -> httpx.Response:
    with yard.deployment.client() as client:
        return client.post("/template-versions", files={"archive": ("t.tar.gz", archive)}, data=fields)


def import_of(yard: Yard, archive: bytes, **fields: str) -> dict[str, Any]:
    """The version after its import has ended."""
    made = upload(yard, archive, **fields)
    assert made.status_code == 201, made.text
    path = f"/template-versions/{made.json()['id']}"
    yard.wait(lambda: yard.deployment.get(path)["job"], BUILD_SECONDS)
    found: dict[str, Any] = yard.deployment.get(path)
    return found


def refused(yard: Yard, archive: bytes, **fields: str) -> tuple[str, str]:
    """The message and the reason of an import that fails; no template can be made of it, and nothing is left."""
    version = import_of(yard, archive, **fields)
    job = version["job"]
    assert job["status"] == "failed", job
    with yard.deployment.client() as client:
        answer = client.post("/templates", json={"name": "never", "version_id": version["id"]})
    assert answer.status_code == 409
    assert job["error"] in (answer.json()["error"]["remedy"] or "")
    logged = yard.deployment.get(f"/template-versions/{version['id']}/logs")
    assert job["error"].splitlines()[0][:60] in str(logged)
    assert_nothing_left(yard)
    return job["error"], job["reason"]


def assert_nothing_left(yard: Yard) -> None:
    work = yard.deployment.data_dir / "work"
    eventually(lambda: not list(work.glob("*/")), 10, what="an empty work folder")
    assert "never" not in [item["name"] for item in yard.deployment.get("/templates")["items"]]
    assert yard.owned() == {}


def write(folder: Path, files: Mapping[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_a_syntax_error_is_told_with_file_and_line(yard: Yard, tmp_path: Path) -> None:
    message, reason = refused(yard, tar_of({"main.tf": GOOD.replace("x", "z"), "broken.tf": SYNTAX}))
    assert "(broken.tf:3)" in message
    assert reason == "template_invalid"

    folder = write(tmp_path / "t", {"broken.tf": SYNTAX})
    done = yard.stead("templates", "push", "syntax", "--directory", str(folder), "--yes")
    assert done.returncode == 2
    assert "broken.tf" in done.stderr
    assert "Traceback" not in done.stderr

    write(folder, {"broken.tf": GOOD})
    done = yard.stead("templates", "push", "syntax", "--directory", str(folder), "--yes")
    assert done.returncode == 0, done.stderr
    assert yard.deployment.get("/templates/syntax")["active_version_id"]


def test_an_unknown_resource_type_is_named(yard: Yard, tmp_path: Path) -> None:
    message, reason = refused(yard, tar_of({"main.tf": UNKNOWN_TYPE}))
    assert "resource type docker_contaner (main.tf:9; is docker_container meant?)" in message
    assert reason == "template_invalid"
    done = yard.stead("templates", "push", "typo", "-d", str(write(tmp_path / "t", {"main.tf": UNKNOWN_TYPE})), "--yes")
    assert done.returncode == 2
    assert "docker_contaner" in done.stderr


def test_an_unknown_provider_is_named_with_the_remedies(yard: Yard, tmp_path: Path) -> None:
    message, reason = refused(yard, tar_of({"main.tf": UNKNOWN_PROVIDER}))
    assert "hashicorp/nosuch" in message
    assert reason == "provider_unavailable"
    folder = write(tmp_path / "t", {"main.tf": UNKNOWN_PROVIDER})
    done = yard.stead("templates", "push", "nosuch", "-d", str(folder), "--yes")
    assert done.returncode != 0
    assert "hashicorp/nosuch" in done.stderr


def test_a_missing_argument_is_told_with_file_and_line(yard: Yard) -> None:
    message, reason = refused(yard, tar_of({"main.tf": MISSING_ATTRIBUTE}))
    assert "filename" in message
    assert "main.tf" in message
    assert reason == "template_invalid"


def test_a_missing_variable_is_named_and_can_be_given(yard: Yard, tmp_path: Path) -> None:
    message, _ = refused(yard, tar_of({"main.tf": VARIABLE}))
    assert "region" in message
    folder = write(tmp_path / "t", {"main.tf": VARIABLE})
    push = ("templates", "push", "variable", "-d", str(folder), "--yes")
    done = yard.stead(*push)
    assert done.returncode == 2
    assert "region" in done.stderr
    assert "--variable region=" in done.stderr
    done = yard.stead(*push, "--variable", "region=eu")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["../../evil.tf", "/tmp/stead-evil.tf", "a/../../evil.tf"])
def test_an_archive_that_climbs_out_is_refused(yard: Yard, name: str) -> None:
    before = set(yard.deployment.data_dir.parent.rglob("*evil*"))
    message, reason = refused(yard, tar_of({"main.tf": GOOD, name: GOOD}))
    assert name in message
    assert "leads out" in message
    assert reason == "archive_invalid"
    assert set(yard.deployment.data_dir.parent.rglob("*evil*")) == before
    assert not Path("/tmp/stead-evil.tf").exists()


def test_a_folder_with_a_link_out_of_it_is_refused(yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = write(tmp_path / "t", {"main.tf": GOOD})
    (folder / "link.txt").symlink_to(tmp_path / "secret")
    done = yard.stead("templates", "push", "link", "-d", str(folder), "--yes")
    assert done.returncode == 2
    assert "link.txt" in done.stderr
    assert_nothing_left(yard)


def bomb() -> bytes:
    """10 GB in less than 10 MB: one file of zeros, as gzip members that repeat."""
    head = tarfile.TarInfo("main.tf")
    head.size = BOMB_BYTES
    member = gzip.compress(bytes(ZEROS), 9)
    return gzip.compress(head.tobuf()) + member * (BOMB_BYTES // ZEROS + 1)


def peak_memory(yard: Yard) -> int:
    """The most that the provisioners and the server have ever had in memory, in MB."""
    most = 0
    for process in yard.victims("server")[:1] + yard.victims("provisioner"):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                most = max(most, int(line.split()[1]) // 1024)
    return most


def used_disk(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size
        except FileNotFoundError:
            continue
    return total // (1024 * 1024)


def test_a_bomb_of_10_gb_is_stopped_early(yard: Yard, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = bomb()
    assert len(archive) < 10 * 1024 * 1024
    memory, began = peak_memory(yard), time.monotonic()
    made = upload(yard, archive)
    if made.status_code == 201:
        disk = 0
        path = f"/template-versions/{made.json()['id']}"
        while (job := yard.deployment.get(path)["job"])["status"] not in {"failed", "succeeded"}:
            disk = max(disk, used_disk(yard.deployment.data_dir / "work"))
            assert time.monotonic() - began < 60, "the bomb still burns"
            time.sleep(0.05)
        message = job["error"]
    else:
        disk, message = 0, made.json()["error"]["message"]
    took, grown = time.monotonic() - began, peak_memory(yard) - memory
    with capsys.disabled():
        print(f"\n  a bomb of 10 GB: {took:.1f} s, {grown} MB more memory, {disk} MB of disk: {message}")
    assert "larger than" in message
    assert grown < 150
    assert disk < 150
    assert took < 60
    assert_nothing_left(yard)
    done = import_of(yard, tar_of({"main.tf": GOOD}))
    assert done["job"]["status"] == "succeeded"


def test_an_archive_that_is_none_is_refused(yard: Yard) -> None:
    message, _ = refused(yard, b"this is not an archive at all")
    assert "archive" in message
    empty = upload(yard, b"")
    assert empty.status_code == 400
    assert empty.json()["error"]["field"] == "archive"


def test_the_name_of_a_template_that_is_taken(yard: Yard, tmp_path: Path) -> None:
    first = import_of(yard, tar_of({"main.tf": GOOD}))
    second = import_of(yard, tar_of({"main.tf": GOOD}))
    yard.deployment.post("/templates", {"name": "taken", "version_id": first["id"]})
    with yard.deployment.client() as client:
        answer = client.post("/templates", json={"name": "Taken", "version_id": second["id"]})
        assert answer.status_code == 409
        assert answer.json()["error"] | {"remedy": ""} == {
            "reason": "conflict",
            "field": "name",
            "message": "There is a template named taken already.",
            "remedy": "",
        }
        assert client.post("/templates", json={"name": "free", "version_id": second["id"]}).status_code == 201
