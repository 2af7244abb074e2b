"""What was made by hand is imported, and no later plan replaces it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stead.api.provider import Plan
from stead.terraform.engine import Engine, EngineOptions
from stead.testing.docker_api import DockerApi
from stead.testing.templates import TemplateRunner
from stead_docker import plugin
from stead_docker.image import Image
from stead_docker.network import IpamConfig, Network

pytestmark = pytest.mark.docker
HEAD = 'terraform {\n  required_providers {\n    docker = { source = "kreuzwerker/docker" }\n  }\n}\n'


@pytest.fixture
def runner(rig, tmp_path: Path) -> Iterator[TemplateRunner]:
    (spec,) = plugin.stead_terraform_providers()
    engine = Engine(EngineOptions(network=False), [(spec, rig.settings)])
    folder = tmp_path / "runs"
    folder.mkdir()
    yield TemplateRunner(engine, folder, rig.build)
    engine.close()


def template(type_name: str, identity: str, body: str, **files: str) -> dict[str, str]:
    """A template that imports one resource."""
    block = f'import {{\n  to = {type_name}.it\n  id = "{identity}"\n}}\n'
    return {"main.tf": f'{HEAD}{block}resource "{type_name}" "it" {{\n{body}\n}}\n', **files}


def actions(runner: TemplateRunner, files: Mapping[str, str]) -> list[str]:
    return [change.action for change in runner.plan(files).changes]


@pytest.mark.parametrize(
    ("declared", "body"),
    [
        ({}, ""),
        ({"internal": True}, "internal = true"),
        ({"subnet": "NET.0/28"}, 'ipam_config { subnet = "NET.0/28" }'),
        (
            {"subnet": "NET.0/28", "gateway": "NET.3"},
            'ipam_config {\n subnet = "NET.0/28"\n gateway = "NET.3"\n }',
        ),
    ],
    ids=["plain", "internal", "subnet", "gateway"],
)
def test_a_network_that_was_made_by_hand_stays(
    rig, runner: TemplateRunner, declared: Mapping[str, Any], body: str
) -> None:
    net = f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(256)}"  # another run may share the engine
    given = {name: value.replace("NET", net) if isinstance(value, str) else value for name, value in declared.items()}
    ranges = [{"Subnet": given["subnet"], "Gateway": given.get("gateway")}] if "subnet" in given else []
    ipam = {"Driver": "default", "Config": ranges} if ranges else None
    made = rig.client.create_network(rig.name, ipam=ipam, internal=given.get("internal", False))
    files = template("docker_network", made["Id"], f'name = "{rig.name}"\n{body.replace("NET", net)}')
    try:
        assert actions(runner, files) == []
        runner.apply(files)
        assert actions(runner, files) == []
        assert runner.attributes("docker_network.it")["id"] == made["Id"]
    finally:
        runner.destroy(files)
    assert rig.client.networks(names=[rig.name]) == []


def test_other_address_ranges_replace_an_imported_network(rig, runner: TemplateRunner) -> None:
    made = rig.client.create_network(rig.name)
    body = f'name = "{rig.name}"\nipam_config {{ subnet = "10.213.93.0/28" }}'
    try:
        assert actions(runner, template("docker_network", made["Id"], body)) == ["replace"]
    finally:
        rig.client.remove_network(made["Id"])


@pytest.mark.parametrize(
    ("subnet", "gateway", "stays"),
    [("10.1.0.0/28", None, True), ("10.1.0.0/28", "10.1.0.2", False), ("10.2.0.0/28", None, False)],
    ids=["no gateway", "another gateway", "another subnet"],
)
def test_the_gateway_that_an_engine_adds_is_no_change(rig, subnet: str, gateway: str | None, stays: bool) -> None:
    """Newer engines tell the gateway of a subnet for which none was given."""
    told = [IpamConfig(subnet="10.1.0.0/28", gateway="10.1.0.1")]
    prior, planned = (Network(name="n", ipam_config=told), Network(name="n"))
    planned.ipam_config = [IpamConfig(subnet=subnet, gateway=gateway)]
    planned.plan(rig.context(), Plan("replace", prior, frozenset({"ipam_config"})))
    assert (planned.ipam_config == told) is stays


IMAGE = """name = "{name}"
build {{ context = "." }}
triggers = {{ version = "{version}" }}
keep_locally = false
"""


def test_an_image_that_was_built_by_hand_stays_until_its_triggers_change(
    rig, runner: TemplateRunner, docker_engine: str, busybox_image: str
) -> None:
    name, dockerfile = f"stead-test/{rig.name}:1", f"FROM {busybox_image}\nLABEL stead-test={rig.name}\n"
    with DockerApi(docker_engine) as engine:
        engine.build_image(name, dockerfile, {})
    identity = rig.client.inspect_image(name)["Id"]

    def files(version: int) -> dict[str, str]:
        return template("docker_image", name, IMAGE.format(name=name, version=version), Dockerfile=dockerfile)

    try:
        assert actions(runner, files(1)) == ["update"]
        runner.apply(files(1))
        assert rig.client.inspect_image(name)["Id"] == identity, "it was built again"
        assert actions(runner, files(1)) == []
        assert actions(runner, files(2)) == ["replace"]
    finally:
        runner.destroy(files(1))
    assert rig.client.images(name) == []


def test_an_image_that_was_there_stays(rig, runner: TemplateRunner, busybox_image: str) -> None:
    name = f"stead-test/{rig.name}"
    rig.client.tag(busybox_image, name, "1")
    files = template("docker_image", f"{name}:1", f'name = "{name}:1"')
    try:
        assert actions(runner, files) == []
        runner.apply(files)
        assert actions(runner, files) == []
    finally:
        runner.destroy(files)
    assert rig.client.images(name) == []


@pytest.mark.parametrize(
    ("digest", "wanted", "expected"),
    [
        ("sha256:aa", {"pull_triggers": {"sha256:aa"}}, {"pull_triggers"}),
        ("sha256:aa", {"pull_triggers": {"sha256:bb"}}, set()),
        ("sha256:aa", {"build": ["it"]}, set()),
        ("", {"build": ["it"]}, {"build"}),
    ],
    ids=["the one that is there", "a newer one", "built in place of pulled", "built"],
)
def test_what_an_import_cannot_tell_is_taken_over_only_where_it_fits(
    rig, digest: str, wanted: Mapping[str, Any], expected: set[str]
) -> None:
    prior = Image(name="x:1", id="i", image_id="i", repo_digest=f"x@{digest}" if digest else "")
    planned = Image(name="x:1", **wanted)
    for key, allowed in (("", expected), ("made-by-stead", set())):
        plan = Plan("replace", prior, frozenset(wanted))
        planned.plan(replace(rig.context(), key=key), plan)
        assert plan.in_place & set(wanted) == allowed
