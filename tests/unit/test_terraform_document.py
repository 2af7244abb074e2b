"""Documents from instances and graphs, where no template with a real provider can be had."""

from __future__ import annotations

from typing import Any

import pytest

from stead.api.errors import TemplateInvalid
from stead.terraform.assembly import assemble
from stead.terraform.document import Document
from stead.terraform.graph import Graph, configuration_address
from stead.terraform.tfjson import Instance, instances, references


def dot(*edges: tuple[str, str]) -> str:
    lines = [f'\t\t"[root] {source}" -> "[root] {target}"' for source, target in edges]
    return "\n".join(["digraph {", *lines, "}"])


def instance(address: str, **values: Any) -> Instance:
    kind, name = configuration_address(address).split(".")[-2:]
    return Instance(address, "managed", kind, name, values)


def document(things: list[Instance], *edges: tuple[str, str]) -> Document:
    return assemble(things, Graph(dot(*edges)))


AGENT = ("x.y (expand)", "coder_agent.main (expand)")


def test_a_graph_reads_terraforms_names() -> None:
    graph = Graph(
        dot(
            ("module.m.x.y (expand)", "module.m.local.a (expand)"),
            ("module.m.local.a (expand)", "coder_agent.main (expand)"),
            ('provider[\\"registry.terraform.io/a/b\\"]', "coder_agent.main (expand)"),
            ("z.z (expand)", 'provider[\\"registry.terraform.io/a/b\\"]'),
            ("root", "z.z (expand)"),
        )
    )
    assert graph.nearest_dependents("coder_agent.main", lambda name: "." in name) == ["module.m.local.a"]
    assert graph.nearest_dependents("coder_agent.main", {"module.m.x.y", "z.z"}.__contains__) == ["module.m.x.y"]
    assert graph.nearest_dependencies("module.m.x.y", {"coder_agent.main"}.__contains__) == ["coder_agent.main"]
    assert graph.nearest_dependents("nothing", lambda name: True) == []


def test_a_circle_ends() -> None:
    graph = Graph(dot(("a.a", "b.b"), ("b.b", "a.a")))
    assert graph.nearest_dependents("a.a", lambda name: False) == []


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("a.b", "a.b"),
        ("a.b[0]", "a.b"),
        ('module.m["x.y[1]"].a.b["k]"]', "module.m.a.b"),
    ],
)
def test_instance_keys_are_removed(address: str, plain: str) -> None:
    assert configuration_address(address) == plain


@pytest.mark.parametrize(
    ("kind", "attribute"),
    [
        ("aws_instance", "id"),
        ("google_compute_instance", "instance_id"),
        ("azurerm_linux_virtual_machine", "virtual_machine_id"),
    ],
)
def test_agents_without_token_have_the_machines_id(kind: str, attribute: str) -> None:
    agent = instance("coder_agent.main", id="1", auth="aws-instance-identity")
    machine = instance(f"{kind}.vm", **{"id": "other", attribute: "i-123"})
    (found,) = document([agent, machine], (f"{kind}.vm (expand)", "coder_agent.main (expand)")).agents
    assert (found.resource, found.instance_id) == (f"{kind}.vm", "i-123")


def test_an_explicit_instance_id_wins_and_a_token_needs_none() -> None:
    machine = instance("aws_instance.vm", id="i-123")
    said = instance("coder_agent_instance.x", agent_id="1", instance_id="i-9")
    edge = ("aws_instance.vm (expand)", "coder_agent.main (expand)")
    with_identity = instance("coder_agent.main", id="1", auth="aws-instance-identity")
    (found,) = document([with_identity, machine, said], edge).agents
    assert found.instance_id == "i-9"
    (found,) = document([instance("coder_agent.main", id="1", auth="token"), machine], edge).agents
    assert found.instance_id == ""


def test_agents_and_resources_of_a_module_pair_by_key() -> None:
    things = [
        instance(f'module.m["{key}"].{name}', id=f"{key}{name}")
        for key in ("a", "b")
        for name in ("coder_agent.main", "x.y")
    ]
    edge = ("module.m.x.y (expand)", "module.m.coder_agent.main (expand)")
    with pytest.raises(TemplateInvalid, match="two agents called main"):
        document(things, edge)
    (found,) = document(things[2:], edge).agents
    assert found.resource == 'module.m["b"].x.y'


def test_scripts_of_the_agent_itself() -> None:
    agent = instance(
        "coder_agent.main",
        startup_script="a",
        startup_script_behavior="blocking",
        shutdown_script="b",
        resources_monitoring=[{"memory": [{"enabled": True, "threshold": 80}], "volume": []}],
    )
    (found,) = document([agent]).agents
    start, stop = found.scripts
    assert (start.display_name, start.run_on_start, start.start_blocks_login) == ("Startup Script", True, True)
    assert (stop.display_name, stop.run_on_stop, stop.run_on_start) == ("Shutdown Script", True, False)
    assert found.resources_monitoring == {"memory": {"enabled": True, "threshold": 80}, "volumes": []}
    assert found.display_apps == ("vscode", "web_terminal", "port_forwarding_helper", "ssh_helper")


@pytest.mark.parametrize("slug", ["Upper", "a--b", "-a", "a_b", "a b"])
def test_a_slug_has_its_form(slug: str) -> None:
    app = instance("coder_app.x", agent_id="1", slug=slug)
    with pytest.raises(TemplateInvalid, match="slug"):
        document([instance("coder_agent.main", id="1"), app])


def test_keys_of_agent_metadata_are_unique() -> None:
    block = {"key": "k", "script": "s", "interval": 1}
    with pytest.raises(TemplateInvalid, match="two metadata blocks with the key 'k'"):
        document([instance("coder_agent.main", id="1", metadata=[block, block])])


def test_references_carry_their_module() -> None:
    inner = {"resources": [{"address": "a.b", "expressions": {"x": {"references": ["var.v"]}, "y": [{}]}}]}
    found = references({"root_module": {"module_calls": {"m": {"module": inner}}}})
    assert found == {"module.m.a.b": {"x": ["module.m.var.v"]}}


def test_instances_of_all_modules_are_found() -> None:
    resource = {"address": "module.m.a.b", "type": "a", "name": "b", "mode": "managed"}
    values = {"root_module": {"child_modules": [{"child_modules": [{"resources": [resource]}]}]}}
    assert [item.address for item in instances(values)] == ["module.m.a.b"]
    assert instances(None) == []
