"""The role that Stead needs: made of its calls, enough for all of them, and none of it is too much."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_peer import Server

from stead_kubernetes import policy
from stead_kubernetes.kinds import KINDS, RBAC
from stead_kubernetes.platform import KubernetesPlatform
from stead_kubernetes.settings import KubernetesSettings

pytestmark = pytest.mark.timeout(400)  # the first test of a run waits for the API server


def platform(server: Server, folder: Path, user: str, **settings: Any) -> KubernetesPlatform:
    config = server.kubeconfig(folder / f"{user}.json", user)
    return KubernetesPlatform(KubernetesSettings(config_path=config, context="home", **settings))


def test_the_role_has_what_the_table_has(capsys: pytest.CaptureFixture[str]) -> None:
    policy.main(["--account", "stead:server"])
    role, binding = yaml.safe_load_all(capsys.readouterr().out)
    granted = {
        (rule["apiGroups"][0], resource, verb)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert granted == {(kind.group, kind.resource, verb) for kind in KINDS for verb in kind.verbs}
    assert not {verb for _, _, verb in granted} & {"*", "escalate", "bind", "impersonate", "deletecollection", "update"}
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "server", "namespace": "stead"}]


def test_roles_in_namespaces_leave_out_what_is_outside(capsys: pytest.CaptureFixture[str]) -> None:
    policy.main(["--namespace", "one", "--namespace", "two"])
    roles = list(yaml.safe_load_all(capsys.readouterr().out))
    assert [(role["kind"], role["metadata"]["namespace"]) for role in roles] == [("Role", "one"), ("Role", "two")]
    assert "namespaces" not in json.dumps(roles[0]["rules"])


def test_every_permission_that_is_missing_is_named(api_server: Server, tmp_path: Path) -> None:
    report = platform(api_server, tmp_path, "reader").check_credentials()
    assert not report.ok
    for kind, verb in policy.permissions():
        group = f" of {kind.group}" if kind.group else ""
        assert f"The account lacks {verb} on {kind.resource}{group}." in report.remedies
    assert "stead_kubernetes.policy" in report.remedies[-1]


def test_the_one_permission_that_is_missing_is_named(api_server: Server, tmp_path: Path) -> None:
    """Roles in one namespace, with one verb less than is needed."""
    name = f"p{secrets.token_hex(5)}"
    api_server.namespace(name)
    role, binding = policy.documents("x:y", [name])
    role["rules"] = [
        {**rule, "verbs": [verb for verb in rule["verbs"] if verb != "patch" or rule["apiGroups"] != ["apps"]]}
        for rule in role["rules"]
    ]
    binding["subjects"] = [{"kind": "User", "name": "reader", "apiGroup": RBAC}]
    root = f"/apis/{RBAC}/v1/namespaces/{name}"
    api_server.ask("POST", f"{root}/roles", role)
    api_server.ask("POST", f"{root}/rolebindings", binding)
    report = platform(api_server, tmp_path, "reader", namespaces=[name]).check_credentials()
    assert report.remedies[:-1] == (f"The account lacks patch on deployments of apps in namespace {name}.",)
    assert list(platform(api_server, tmp_path, "reader", namespaces=[name]).owned_resources("nobody")) == []
    api_server.ask("DELETE", f"/api/v1/namespaces/{name}")


def test_the_role_is_enough(api_server: Server, tmp_path: Path) -> None:
    """All other tests against the API server run with it."""
    report = platform(api_server, tmp_path, "stead").check_credentials()
    assert report.ok, report.remedies
    assert report.summary.startswith("Kubernetes v")
