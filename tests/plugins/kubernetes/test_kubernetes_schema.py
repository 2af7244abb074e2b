"""Names, types and what is required: as documented for the original provider, and as the API has them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import models

from stead.api.provider.fields import Attribute, Block
from stead.api.provider.model import Model
from stead_kubernetes.claim import ClaimSpec
from stead_kubernetes.convert import Spec, _once, api_name
from stead_kubernetes.deployment import DeploymentSpec
from stead_kubernetes.pod_spec import PodSpec
from stead_kubernetes.provider import Kubernetes
from stead_kubernetes.role import RoleReference, Rule, Subject
from stead_kubernetes.service import ServiceSpec
from stead_kubernetes.simple import PolicySpec, QuotaSpec

DOCUMENTED: dict[str, Any] = json.loads((Path(__file__).parent / "documented.json").read_text())
DEFAULTS: dict[str, Any] = json.loads((Path(__file__).parent / "documented_defaults.json").read_text())
# Made of the same blocks as the containers and the specification of a pod.
SAME = ("init_container", "deployment.spec.template.spec")
KINDS = {kind.type_name: kind for kind in Kubernetes.resources}
DOCUMENTED["pod"]["spec"]["init_container"] = DOCUMENTED["pod"]["spec"]["container"]
DOCUMENTED["deployment"]["spec"]["template"]["spec"] = DOCUMENTED["pod"]["spec"]
API = {
    "claim": (ClaimSpec, models.V1PersistentVolumeClaimSpec),
    "deployment": (DeploymentSpec, models.V1DeploymentSpec),
    "network policy": (PolicySpec, models.V1NetworkPolicySpec),
    "pod": (PodSpec, models.V1PodSpec),
    "quota": (QuotaSpec, models.V1ResourceQuotaSpec),
    "role reference": (RoleReference, models.V1RoleRef),
    "rule": (Rule, models.V1PolicyRule),
    "service": (ServiceSpec, models.V1ServiceSpec),
    "subject": (Subject, models.RbacV1Subject),
}
# Fields of old clusters that the client's models have no more, and what is no field of the API's.
ELSEWHERE = r"template\.metadata\.|secret_ref\.namespace"
GONE = {"local", "gmsa_credential_spec", "secret_namespace"}


def _differences(documented: dict[str, Any], model: type[Model], path: str) -> Iterator[str]:
    schema = model.schema()
    for name, wanted in documented.items():
        if name == "*":
            continue
        here = f"{path}.{name}"
        field: Attribute | Block | None = schema.attributes.get(name) or schema.blocks.get(name)
        if field is None:
            yield f"{here} is missing"
        elif isinstance(wanted, dict):
            if isinstance(field, Block):
                yield from _differences(wanted, field.model, here)
            else:
                yield f"{here} is no block"
        elif isinstance(field, Block):
            yield f"{here} is a block"
        else:
            yield from _unlike(field, wanted, here)


def _unlike(field: Attribute, wanted: str, here: str) -> Iterator[str]:
    if wanted.endswith("!") and not (field.required or field.has_default):
        yield f"{here} is not required"
    if field.required and not wanted.endswith("!"):
        yield f"{here} is required"
    signature = field.type.signature()
    text = signature if isinstance(signature, str) else f"{signature[0]}({signature[1]})"
    if text.replace("set(", "list(") != wanted.rstrip("!"):
        yield f"{here} is {text}, not {wanted}"


@pytest.mark.parametrize("name", sorted(set(DOCUMENTED) - {"provider"}))
def test_a_resource_has_every_documented_argument(name: str) -> None:
    for type_name in (f"kubernetes_{name}", f"kubernetes_{name}_v1"):
        assert list(_differences(DOCUMENTED[name], KINDS[type_name], type_name)) == []


def test_the_provider_has_every_documented_argument() -> None:
    assert list(_differences(DOCUMENTED["provider"], Kubernetes, "provider")) == []


def test_names_with_and_without_a_version_are_the_same() -> None:
    plain = {name for name in KINDS if not name.endswith("_v1")}
    assert {f"{name}_v1" for name in plain} == set(KINDS) - plain
    for name in plain:
        assert list(KINDS[name].schema().attributes) == list(KINDS[f"{name}_v1"].schema().attributes)


def _fields(model: type[Model], path: str) -> Iterator[tuple[str, Attribute | Block]]:
    for attribute in model.schema().attributes.values():
        yield f"{path}.{attribute.name}", attribute
    for block in model.schema().blocks.values():
        here = f"{path}.{block.name}"
        if not here.endswith(SAME):
            yield here, block
            yield from _fields(block.model, here)


def test_defaults_and_what_replaces_are_those_of_the_original() -> None:
    """Also of what a template does not write, since other resources may refer to it."""
    defaults, force_new = {}, []
    for name in sorted(set(DOCUMENTED) - {"provider"}):
        for path, field in _fields(KINDS[f"kubernetes_{name}"], name):
            if isinstance(field, Attribute) and field.has_default:
                defaults[path] = field.default
            if field.force_new:
                force_new.append(path)
    assert defaults == DEFAULTS["defaults"]
    assert sorted(force_new) == DEFAULTS["force_new"]


def _unknown(model: type[Model], api: Any, path: str) -> Iterator[str]:
    """Fields whose name in the API is none, or holds something else."""
    instance = model()
    types = {api.attribute_map[key]: text for key, text in api.openapi_types.items()}
    for field in model.schema():
        name = api_name(instance, field)
        here = f"{path}.{field.name}"
        if field.name in GONE:
            continue
        if name not in types:
            yield f"{here} is {name}, which {api.__name__} has not"
        elif isinstance(field, Block):
            listed = re.fullmatch(r"[Ll]ist\[(\w+)\]", types[name])
            if bool(listed) == _once(instance, field):
                yield f"{here} is once {_once(instance, field)}, and the API has {types[name]}"
            inner = getattr(models, listed[1] if listed else types[name], None)
            if inner is None:
                yield f"{here}: no {types[name]}"
            elif hasattr(inner, "attribute_map"):
                yield from _unknown(field.model, inner, here)


@pytest.mark.parametrize("name", sorted(API))
def test_every_field_has_its_name_in_the_api(name: str) -> None:
    model, api = API[name]
    assert issubclass(model, Spec)
    assert [text for text in _unknown(model, api, name) if not re.search(ELSEWHERE, text)] == []


def test_every_documented_default_stands() -> None:
    pod = PodSpec.schema().attributes
    container = PodSpec.schema().blocks["container"].model.schema()
    probe = container.blocks["liveness_probe"].model.schema().attributes
    found = {
        name: pod[name].default
        for name in ("dns_policy", "restart_policy", "termination_grace_period_seconds", "enable_service_links")
    }
    assert found == {
        "dns_policy": "ClusterFirst",
        "restart_policy": "Always",
        "termination_grace_period_seconds": 30,
        "enable_service_links": True,
    }
    assert container.attributes["termination_message_path"].default == "/dev/termination-log"
    assert [probe[name].default for name in ("failure_threshold", "period_seconds", "success_threshold")] == [3, 10, 1]
    assert KINDS["kubernetes_persistent_volume_claim"].schema().attributes["wait_until_bound"].default is True
    assert KINDS["kubernetes_deployment"].schema().attributes["wait_for_rollout"].default is True
    assert KINDS["kubernetes_secret"].schema().attributes["type"].default == "Opaque"


def test_what_identifies_an_object_replaces_it() -> None:
    for kind in KINDS.values():
        meta = kind.schema().blocks["metadata"].model.schema().attributes
        assert meta["name"].force_new
        assert all(meta[name].force_new for name in ("namespace", "generate_name") if name in meta)


def test_what_the_original_provider_replaces_for_is_replaced_for() -> None:
    """As its published sources have it for services, claims, deployments and role bindings."""
    wanted = {
        "service": {"cluster_ip", "cluster_ips", "health_check_node_port", "load_balancer_class"},
        "persistent_volume_claim": {"access_modes", "selector", "storage_class_name", "volume_mode", "volume_name"},
        "deployment": {"selector"},
    }
    for name, fields in wanted.items():
        spec = KINDS[f"kubernetes_{name}_v1"].schema().blocks["spec"].model.schema()
        assert {field.name for field in spec if field.force_new} == fields, name
    assert KINDS["kubernetes_role_binding_v1"].schema().blocks["role_ref"].model.schema().attributes["name"].force_new
    assert {name: KINDS[f"kubernetes_{name}_v1"].LIMITS["create"] for name in ("pod", "deployment", "service")} == {
        "pod": 300.0,
        "deployment": 600.0,
        "service": 600.0,
    }
