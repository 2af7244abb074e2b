"""Throttling, lost answers, time-outs and vanished objects at the HTTP edge: nothing is made twice, nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes_edge import LOST, SILENT, echoed, status

from stead.api.errors import (
    CapacityExhausted,
    CredentialsRejected,
    OperationTimedOut,
    PermissionMissing,
    PlatformUnreachable,
    QuotaExceeded,
    ResourceConflict,
    ResourceNotFound,
    Throttled,
)
from stead.api.provider import Unknown
from stead_kubernetes.labels import KEY
from stead_kubernetes.metadata import NamespacedMetadata
from stead_kubernetes.secret import Secret
from stead_kubernetes.simple import ConfigMap
from stead_kubernetes.waiting import running_pod

BUSY = status(429, "TooManyRequests", retryAfterSeconds=0)
BROKEN = (503, {"nonsense": True})
MISSING = status(404, "NotFound")
PAGE = b"<html><body>Please sign in to the network</body></html>"
CUT = b'{"kind": "Secret", "data": {"a": "aHVudGVy'
TAKEN = status(409, "AlreadyExists", "configmaps already exists")


def config_map(name: str = "c1", **values: Any) -> ConfigMap:
    meta = NamespacedMetadata(name=name, namespace="default", uid=Unknown, generation=Unknown, resource_version=Unknown)
    return ConfigMap(id=Unknown, metadata=[meta], data={"a": "b"}, **values)


def mine(key: str = "k1", **values: Any) -> dict[str, Any]:
    metadata = {"name": "c1", "namespace": "default", "uid": "u1", "resourceVersion": "7", "labels": {KEY: key}}
    return {"kind": "ConfigMap", "metadata": {**metadata, **values}, "data": {"a": "b"}}


def test_it_is_made_with_labels_and_read_back(edge, bench) -> None:
    edge.answers = [(201, echoed)]
    made = config_map()
    made.create(bench().context())
    assert (made.id, made.meta.uid, made.meta.resource_version) == ("default/c1", "u1", "7")
    request = edge.requests[0]
    assert (request.method, request.path) == ("POST", "/api/v1/namespaces/default/configmaps?fieldManager=stead")
    assert request.body["metadata"]["labels"] == {
        "stead.deployment": "d1",
        "stead.workspace": "w1",
        "stead.workspace.name": "dev",
        "stead.owner": "alice",
        "stead.build": "",
        "stead.key": "k1",
    }


@pytest.mark.parametrize("refusal", [BUSY, BROKEN, LOST], ids=["throttled", "unavailable", "lost"])
def test_a_creation_goes_on_after_a_passing_failure(edge, bench, refusal) -> None:
    edge.answers = [refusal, MISSING, (201, echoed)]
    config_map().create(bench().context())
    assert edge.methods == ["POST", "GET", "POST"]


@pytest.mark.parametrize(
    "answer",
    [(200, PAGE), (201, CUT), (201, None), (200, [1]), (201, {})],
    ids=["page", "cut off", "null", "list", "empty"],
)
def test_an_answer_that_is_none_is_a_lost_one(edge, bench, answer) -> None:
    """A proxy or a page to sign in at may answer in place of the API server, and answers may be cut off."""
    edge.answers = [answer, (200, mine())]
    made = config_map()
    made.create(bench().context())
    assert edge.methods == ["POST", "GET"]
    assert made.id == "default/c1"


def test_what_answers_in_place_of_the_api_server_is_told(edge, bench) -> None:
    edge.answers = [(200, PAGE)]
    with pytest.raises(PlatformUnreachable, match="a page of HTML") as failure:
        config_map().create(bench().context())
    assert "between Stead and the API server" in str(failure.value.remedy)
    edge.answers = [(200, CUT)]
    with pytest.raises(PlatformUnreachable, match="no JSON") as failure:
        config_map().create(bench().context())
    assert "aHVudGVy" not in str(failure.value)


@pytest.mark.parametrize("refusal", [LOST, BROKEN], ids=["lost", "unavailable"])
def test_a_creation_whose_answer_was_lost_is_not_repeated(edge, bench, refusal) -> None:
    edge.answers = [refusal, (200, mine())]
    made = config_map()
    made.create(bench().context())
    assert edge.methods == ["POST", "GET"]
    assert made.id == "default/c1"


def test_a_creation_that_gets_no_answer_in_time_is_not_repeated(edge, bench) -> None:
    edge.answers = [SILENT, (200, mine())]
    config_map().create(bench(timeout=0.5).context())
    assert edge.methods == ["POST", "GET"]


def test_a_name_that_another_has_is_not_taken_over(edge, bench) -> None:
    edge.answers = [TAKEN, (200, mine("other"))]
    with pytest.raises(ResourceConflict, match="Stead did not make it for this"):
        config_map().create(bench().context())


def test_created_twice_is_one(edge, bench) -> None:
    edge.answers = [TAKEN, (200, mine())]
    made = config_map()
    made.create(bench().context())
    assert made.id == "default/c1"


def test_what_is_made_under_a_generated_name_is_found_by_its_key(edge, bench) -> None:
    edge.answers = [LOST, (200, {"items": [mine(name="pre-x1")], "metadata": {}})]
    made = config_map(name=Unknown)
    made.meta.generate_name = "pre-"
    made.create(bench().context())
    assert made.id == "default/pre-x1"
    assert "labelSelector=stead.key%3Dk1" in edge.requests[1].path


def test_patience_with_throttling_has_an_end(edge, bench) -> None:
    edge.answers = [BUSY, MISSING, BUSY, MISSING, BUSY, MISSING, BUSY]
    with pytest.raises(Throttled):
        config_map().create(bench().context())
    assert edge.methods.count("POST") == 4


def test_the_deadline_ends_the_tries(edge, bench) -> None:
    edge.answers = [status(429, "TooManyRequests", retryAfterSeconds=30)]
    with pytest.raises(OperationTimedOut):
        config_map().create(bench().context(seconds=0.3))


@pytest.mark.parametrize(
    ("answer", "failure", "words"),
    [
        (status(403, "Forbidden", "pods is forbidden: exceeded quota: q, requested: pods=1"), QuotaExceeded, "quota"),
        (status(401, "Unauthorized"), CredentialsRejected, "kubeconfig"),
        (
            status(
                403,
                "Forbidden",
                'configmaps is forbidden: User "bob" cannot create resource "configmaps" in API group "" in the '
                'namespace "default"',
            ),
            PermissionMissing,
            "bob lacks create on configmaps in namespace default",
        ),
    ],
    ids=["quota", "credentials", "permission"],
)
def test_a_refusal_says_what_to_do(edge, bench, answer, failure, words) -> None:
    edge.answers = [answer]
    with pytest.raises(failure) as caught:
        config_map().create(bench().context())
    assert words in str(caught.value)
    assert edge.methods == ["POST"]


def test_a_wrong_value_points_at_its_attribute(edge, bench) -> None:
    causes = [{"reason": "FieldValueInvalid", "field": "spec.volumeName", "message": "no"}]
    edge.answers = [status(422, "Invalid", "is invalid", causes=causes)]
    with pytest.raises(Exception, match="is invalid") as caught:
        config_map().create(bench().context())
    assert caught.value.field == "spec[0].volume_name"


def test_what_is_gone_reads_as_gone(edge, bench) -> None:
    for answer in (MISSING, (200, mine(uid="another")), (200, mine(deletionTimestamp="2026-01-01T00:00:00Z"))):
        edge.answers = [answer]
        thing = config_map()
        thing.meta.uid = "u1"
        assert thing.read(bench().context()) is False


def test_a_question_is_repeated(edge, bench) -> None:
    edge.answers = [BUSY, LOST, BROKEN, (200, mine())]
    thing = config_map()
    thing.meta.uid = "u1"
    assert thing.read(bench().context()) is True


def test_nothing_listens(bench, edge) -> None:
    thing = config_map()
    with pytest.raises(PlatformUnreachable, match="API server"):
        thing.read(bench(host="http://127.0.0.1:9", attempts=1).context())


def test_a_removal_is_repeated_and_waits_for_the_end(edge, bench) -> None:
    going = (200, mine(deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["foregroundDeletion"]))
    edge.answers = [BUSY, LOST, (200, mine()), going, going, MISSING]
    thing = config_map()
    thing.meta.uid = "u1"
    thing.delete(bench().context())
    assert edge.methods == ["DELETE", "DELETE", "DELETE", "GET", "GET", "GET"]
    assert edge.requests[0].body["preconditions"] == {"uid": "u1"}


def test_removed_twice_is_fine(edge, bench) -> None:
    edge.answers = [MISSING]
    config_map().delete(bench().context())


def test_a_namesake_is_not_removed(edge, bench) -> None:
    message = "the UID in the precondition (u1) does not match the UID in record (u2)"
    edge.answers = [status(409, "Conflict", message)]
    thing = config_map()
    thing.meta.uid = "u1"
    thing.delete(bench().context())
    assert edge.methods == ["DELETE"]


def test_a_removal_that_does_not_end_says_what_it_waits_for(edge, bench) -> None:
    held = mine(deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["example.org/hold"])
    edge.answers = [(200, held)]
    with pytest.raises(OperationTimedOut, match=r"example\.org/hold"):
        config_map().delete(bench().context(seconds=0.5))


def test_a_change_keeps_our_labels_and_goes_to_the_same_object(edge, bench) -> None:
    live = mine("k1", labels={KEY: "k1", "stead.build": "b1", "foreign": "x"})
    edge.answers = [(200, live), (200, {**live, "data": {"a": "c"}})]
    prior, planned = config_map(), config_map()
    prior.meta.uid = planned.meta.uid = "u1"
    planned.data = {"a": "c"}
    planned.update(bench().context(), prior)
    sent = edge.requests[1]
    assert sent.method == "PATCH"
    assert "force=true" in sent.path
    assert sent.headers["Content-Type"] == "application/apply-patch+yaml"
    assert sent.body["metadata"]["labels"] == {KEY: "k1", "stead.build": "b1"}
    assert sent.body["metadata"]["uid"] == "u1"


def test_a_change_of_something_that_vanished_says_so(edge, bench) -> None:
    edge.answers = [MISSING]
    with pytest.raises(Exception, match="has vanished"):
        config_map().update(bench().context(), config_map())


def test_listings_are_read_to_their_end(edge, bench) -> None:
    edge.answers = [
        (200, {"items": [mine(name="one")], "metadata": {"continue": "t1"}}),
        (200, {"items": [mine(name="two")], "metadata": {}}),
    ]
    made = bench()
    context = made.context()
    found = list(made.provider.cluster.items(context, "x", ConfigMap.KIND))
    assert [item["metadata"]["name"] for item in found] == ["one", "two"]
    assert "continue=t1" in edge.requests[1].path


def test_every_owner_gets_a_namespace_with_quota_and_policy(edge, bench) -> None:
    edge.answers = [
        MISSING,
        (201, echoed),
        MISSING,
        (201, echoed),
        MISSING,
        (201, echoed),
        (201, echoed),
        (201, echoed),
    ]
    owners = bench(user_namespace="stead-{owner}", user_quota={"pods": "5"}, user_isolation=True)
    thing = config_map()
    thing.meta.namespace = Unknown
    thing.create(owners.context())
    assert thing.meta.namespace == "stead-alice"
    posted = [request.body["kind"] for request in edge.requests if request.method == "POST"]
    assert posted == ["Namespace", "ResourceQuota", "NetworkPolicy", "ConfigMap"]
    assert all(KEY not in request.body["metadata"]["labels"] for request in edge.requests[:6] if request.body)
    before = len(edge.requests)
    another = config_map("c2")
    another.meta.namespace = Unknown
    another.create(owners.context("k2"))
    assert len(edge.requests) == before + 1


def test_the_namespace_of_another_owner_is_refused(edge, bench) -> None:
    edge.answers = [(200, mine(name="stead-alice", labels={"stead.owner": "Alice", "stead.deployment": "d1"}))]
    thing = config_map()
    thing.meta.namespace = Unknown
    with pytest.raises(ResourceConflict, match="belongs to Alice"):
        thing.create(bench(user_namespace="stead-{owner}").context())


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p1", "namespace": "default", "uid": "u1"}, "status": status}


def test_when_the_time_is_over_in_the_middle_of_a_question_the_reason_is_told(edge, bench) -> None:
    edge.answers = [SILENT]
    reason = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "Insufficient cpu"}
    made = bench()
    with pytest.raises(CapacityExhausted, match="Insufficient cpu"):
        running_pod(made.provider.cluster, made.context(seconds=1.0), pod(conditions=[reason]), ["Running"])


def test_events_and_the_log_of_what_ended_are_in_the_build_log(edge, bench) -> None:
    ended = {"name": "main", "restartCount": 0, "state": {"terminated": {"exitCode": 1, "containerID": "c1"}}}
    about = {"kind": "Pod", "name": "p1"}
    event = {"type": "Warning", "reason": "Failed", "message": "no such file", "involvedObject": about}
    running = pod(phase="Running")
    edge.answers = [(200, "the last words"), (200, {"items": [event], "metadata": {}}), (200, running)]
    made = bench()
    found = running_pod(
        made.provider.cluster, made.context(), pod(phase="Pending", containerStatuses=[ended]), ["Running"]
    )
    assert found == running
    assert "p1/main: " in made.lines
    assert "the last words" in made.lines
    assert "Pod p1: Failed: no such file" in made.lines
    assert "/pods/p1/log?" in edge.requests[0].path


def test_what_vanishes_while_it_is_waited_for_is_told(edge, bench) -> None:
    edge.answers = [(200, {"items": [], "metadata": {}}), MISSING]
    made = bench()
    with pytest.raises(ResourceNotFound, match="has vanished"):
        running_pod(made.provider.cluster, made.context(), pod(phase="Pending"), ["Running"])


def test_what_is_only_written_stays_out_of_the_state(edge, bench) -> None:
    thing = Secret(id=Unknown, metadata=config_map().metadata, data_wo={"a": "hidden"}, type="Opaque")
    edge.answers = [(201, echoed)]
    made = bench()
    thing.create(made.context())
    sent = edge.requests[0].body
    assert sent["data"] == {"a": "aGlkZGVu"}
    thing.data_wo = None  # as the engine does
    edge.answers = [(200, {**sent, "metadata": {**sent["metadata"], "uid": "u1"}})]
    assert thing.read(made.context())
    assert "hidden" not in str(thing.encode()), "neither in the state nor in what is shown"
