"""Workspaces that cannot be: what a person reads, that nothing is left, and that it works once corrected."""

from __future__ import annotations

import io
import secrets
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stead.testing.engine_proxy import EngineProxy
from stead.testing.faults import Yard, open_yard
from stead.testing.waiting import find_free_port

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

RANGED = """
data "coder_parameter" "size" {
  name    = "size"
  type    = "number"
  default = 2
  mutable = true
  validation {
    min = 1
    max = 16
  }
}
data "coder_parameter" "kind" {
  name    = "kind"
  default = "small"
  mutable = true
  option {
    name  = "Small"
    value = "small"
  }
  option {
    name  = "Large"
    value = "large"
  }
}
resource "null_resource" "x" {
  triggers = {
    size = data.coder_parameter.size.value
  }
}
terraform {
  required_providers {
    coder = {
      source = "coder/coder"
    }
  }
}
"""


@pytest.fixture(scope="module")
def proxy(docker_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProxy]:
    with EngineProxy(tmp_path_factory.mktemp("p") / "d.sock", docker_engine) as made:
        yield made


@pytest.fixture(scope="module")
def yard(
    docker_engine: str, proxy: EngineProxy, busybox_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Yard]:
    ports = (find_free_port(), find_free_port())
    folder = tmp_path_factory.mktemp("bad-workspaces")
    with open_yard(folder, ports, docker_engine, busybox_image, environment={"DOCKER_HOST": proxy.url}) as made:
        made.import_starter()
        _import(made, "ranged", RANGED)
        yield made


def _import(yard: Yard, name: str, text: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("main.tf")
        entry.size = len(text.encode())
        archive.addfile(entry, io.BytesIO(text.encode()))
    with yard.deployment.client() as client:
        made = client.post("/template-versions", files={"archive": ("t.tar", buffer.getvalue())}).json()
    job = yard.wait(lambda: yard.deployment.get(f"/template-versions/{made['id']}")["job"], 60)
    assert job["status"] == "succeeded", job["error"]
    yard.deployment.post("/templates", {"name": name, "version_id": made["id"]})


def new_name() -> str:
    return f"w{secrets.token_hex(4)}"


def refusal(yard: Yard, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    with yard.deployment.client() as client:
        answer = client.post(path, json=body)
    error: dict[str, Any] = answer.json().get("error") or {}
    return answer.status_code, error


def names(yard: Yard) -> list[str]:
    return [item["name"] for item in yard.deployment.get("/workspaces")["items"]]


def go(yard: Yard, name: str) -> None:
    """Delete the workspace; nothing of it is left."""
    yard.succeed(yard.build(name, "delete"))
    yard.wait_agreed()
    assert yard.owned() == {}


@pytest.mark.parametrize(
    ("value", "says"),
    [("17", "16"), ("0", "1"), ("1e9", "whole number"), ("many", "number"), ("", "number"), ("nan", "")],
)
def test_a_parameter_out_of_range_is_refused_with_its_name(yard: Yard, value: str, says: str) -> None:
    name = new_name()
    status, error = refusal(yard, "/workspaces", {"template": "ranged", "name": name, "parameters": {"size": value}})
    assert status == 400, error
    assert error["reason"] == "invalid_input"
    assert "size" in f"{error['field']} {error['message']}"
    assert says in f"{error['message']} {error['remedy']}"
    done = yard.stead("create", name, "--template", "ranged", "--parameter", f"size={value}", "--yes")
    assert done.returncode == 2, done.stderr
    assert "size" in done.stderr
    assert says in done.stderr
    assert name not in names(yard)


def test_a_value_that_is_no_option_and_a_parameter_that_is_none(yard: Yard) -> None:
    name = new_name()
    status, error = refusal(yard, "/workspaces", {"template": "ranged", "name": name, "parameters": {"kind": "huge"}})
    assert (status, "kind" in error["message"] + error["field"]) == (400, True)
    assert "small" in f"{error['message']} {error['remedy']}"
    status, error = refusal(yard, "/workspaces", {"template": "ranged", "name": name, "parameters": {"sise": "2"}})
    assert (status, "sise" in error["message"]) == (400, True)
    done = yard.stead("create", name, "--template", "ranged", "-p", "sise=2", "--yes")
    assert (done.returncode, "sise" in done.stderr) == (2, True)
    assert name not in names(yard)


def test_a_value_out_of_range_of_a_workspace_that_is_there_changes_nothing(yard: Yard) -> None:
    name = new_name()
    made = yard.deployment.post("/workspaces", {"template": "ranged", "name": name, "parameters": {"size": "3"}})
    yard.workspaces[name] = made["id"]
    yard.succeed(made["latest_build"]["id"])
    path = f"/workspaces/{made['id']}/builds"
    status, error = refusal(yard, path, {"transition": "start", "parameters": {"size": "99"}})
    assert (status, error["reason"]) == (400, "invalid_input")
    assert yard.deployment.get(path)["total"] == 1
    yard.succeed(yard.build(name, "start", parameters={"size": "4"}))
    go(yard, name)


def test_an_image_that_does_not_exist(yard: Yard) -> None:
    wrong, name = f"stead-test/nosuch-{secrets.token_hex(3)}:1", new_name()
    job = yard.finish(build := yard.create(name, image=wrong))
    assert job["status"] == "failed"
    assert wrong in job["error"]
    assert wrong in yard.text(build)
    yard.wait_agreed()
    done = yard.stead("start", name, "--parameter", f"image={wrong}")
    assert done.returncode == 1
    assert wrong in done.stderr
    assert "Traceback" not in done.stderr
    yard.succeed(yard.build(name, "start", parameters={"image": yard.image}))
    assert sorted(what.partition(" ")[0] for what in yard.owned().values()) == ["container", "volume"]
    go(yard, name)


def test_an_engine_that_is_down(yard: Yard, proxy: EngineProxy) -> None:
    name = new_name()
    proxy.cut()
    try:
        job = yard.finish(yard.create(name))
        done = yard.stead("start", name)
    finally:
        proxy.open()
    assert job["status"] == "failed"
    assert f"Docker at {proxy.url} does not answer" in job["error"]
    assert "docker" in job["error"].lower()
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert yard.owned() == {}
    yard.succeed(yard.build(name, "start"))
    yard.wait_agreed()
    go(yard, name)


def test_the_name_of_a_workspace_that_is_taken(yard: Yard) -> None:
    name = new_name()
    yard.succeed(yard.create(name))
    body = {"template": "docker", "name": name.upper(), "parameters": {"image": yard.image}}
    status, error = refusal(yard, "/workspaces", body)
    assert (status, error["reason"], error["field"]) == (409, "conflict", "name")
    assert name in error["message"].lower()
    done = yard.stead("create", name, "--template", "docker", "-p", f"image={yard.image}", "--yes")
    assert done.returncode == 5
    assert name in done.stderr
    assert names(yard).count(name) == 1
    go(yard, name)
    yard.succeed(yard.create(name))
    go(yard, name)


@pytest.mark.postgres
def test_the_name_of_a_workspace_that_is_taken_on_postgresql(
    docker_engine: str, busybox_image: str, postgres_url: str, tmp_path: Path
) -> None:
    ports = (find_free_port(), find_free_port())
    with open_yard(tmp_path, ports, docker_engine, busybox_image, database_url=postgres_url) as made:
        made.import_starter()
        test_the_name_of_a_workspace_that_is_taken(made)


@pytest.mark.parametrize("name", ["", "a b", "-a", "a" * 64, "ünï", "a/b/c", "../x"])
def test_a_name_that_cannot_be(yard: Yard, name: str) -> None:
    status, error = refusal(yard, "/workspaces", {"template": "ranged", "name": name})
    assert (status, error["reason"], error["field"]) == (400, "invalid_input", "name")


def test_a_container_name_that_somebody_else_has(yard: Yard) -> None:
    name = new_name()
    body = {"Image": yard.image, "Cmd": ["sleep", "600"]}
    taken = yard.engine.call("POST", "/containers/create", params={"name": f"stead-owner-{name}"}, json=body).json()
    try:
        job = yard.finish(yard.create(name))
        assert job["status"] == "failed"
        assert f"stead-owner-{name}" in job["error"]
        assert "in use" in job["error"]
        yard.wait_agreed()
    finally:
        yard.engine.call("DELETE", f"/containers/{taken['Id']}", params={"force": "1"})
    yard.succeed(yard.build(name, "start"))
    go(yard, name)
