"""Documents that prove nothing, sent to a real server: each is refused, in one and the same words."""

from __future__ import annotations

import base64
import json
import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from stead.models import ChallengeRow
from stead.testing.machines import AwsMachine, AzureMachine, GoogleMachine, Machine, Signer

CLOUDS = ("aws-sts", "aws-document", "gcp", "azure")
HOUR = 3600


def refused(answer: Any, machine: Machine) -> None:
    """It is a refusal, and tells nothing of what would have been right."""
    assert answer.status_code == 401, answer.text
    found = answer.json()["error"]
    assert found["reason"] == "identity_rejected"
    assert found["message"] == "The document does not prove that this machine has an agent here."
    for fact in machine.facts.values():
        assert fact not in answer.text


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_proof_is_good_once(site: Any, cloud: str) -> None:
    machine = site.authorities.machine(cloud)
    made = site.provision(machine)
    proof = site.proof(machine)
    given = site.post("session", proof)
    assert given.status_code == 200, given.text
    assert given.json()["agent_id"] == made.agent_id
    assert given.headers["cache-control"] == "no-store"
    site.settled(made)
    refused(site.post("session", proof), machine)
    other = site.challenge(machine.auth)
    refused(site.post("session", {**proof, "id": other["id"]}), machine)
    assert len(site.audit(made, "proved identity")) == 1


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_challenge_is_good_for_a_minute(site: Any, cloud: str) -> None:
    machine = site.authorities.machine(cloud)
    site.provision(machine)
    proof = site.proof(machine)
    with site.core.database.write():
        earlier = site.core.clock.now()
        ChallengeRow.update(expires_at=earlier).where(ChallengeRow.id == proof["id"]).execute()
    refused(site.post("session", proof), machine)
    refused(site.post("session", {**proof, "id": "no-such-challenge"}), machine)


NOW = time.time  # what is too old is too old when the test runs
SPOILT: dict[str, tuple[str, Any]] = {
    "sts: signed by another machine": ("aws-sts", lambda m: {"caller": "i-00000000000000000"}),
    "aws: another region": ("aws-document", lambda m: {"region": "us-east-1"}),
    "aws: another account": ("aws-document", lambda m: {"accountId": "999999999999"}),
    "aws: another machine": ("aws-document", lambda m: {"instanceId": "i-00000000000000000"}),
    "aws: started long ago": ("aws-document", lambda m: {"started": NOW() - 2 * HOUR}),
    "aws: not started yet": ("aws-document", lambda m: {"started": NOW() + HOUR}),
    "gcp: another audience": ("gcp", lambda m: {"aud": "https://example.com"}),
    "gcp: another zone": ("gcp", lambda m: {"machine": {"zone": "us-central1-a"}}),
    "gcp: another project": ("gcp", lambda m: {"machine": {"project_id": "else"}}),
    "gcp: another machine": ("gcp", lambda m: {"machine": {"instance_id": "1"}}),
    "gcp: expired": ("gcp", lambda m: {"exp": int(NOW()) - HOUR, "iat": int(NOW()) - 2 * HOUR}),
    "gcp: another issuer": ("gcp", lambda m: {"iss": "https://accounts.example.com"}),
    "azure: another nonce": ("azure", lambda m: {"nonce": "0000000000"}),
    "azure: another subscription": ("azure", lambda m: {"subscriptionId": "else"}),
    "azure: another machine": ("azure", lambda m: {"vmId": "00000000-0000-0000-0000-000000000000"}),
    "azure: expired": (
        "azure",
        lambda m: {"timeStamp": {"createdOn": "01/01/20 00:00:00 -0000", "expiresOn": "01/01/20 06:00:00 -0000"}},
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_does_not_match_is_refused_and_uses_nothing_up(site: Any, name: str) -> None:
    cloud, spoil = SPOILT[name]
    machine = site.authorities.machine(cloud)
    made = site.provision(machine)
    machine.spoil = spoil(machine)
    if "caller" in machine.spoil:
        site.authorities.sts.admit(machine)
    refused(site.post("session", site.proof(machine)), machine)
    machine.spoil = {}
    if cloud == "aws-sts":
        site.authorities.sts.admit(machine)
    assert site.post("session", site.proof(machine)).status_code == 200
    assert len(site.audit(made, "proved identity")) == 1


def test_an_sts_request_for_another_challenge_or_role_is_refused(site: Any) -> None:
    machine = site.authorities.machine("aws-sts")
    site.provision(machine)
    one, other = site.challenge(machine.auth), site.challenge(machine.auth)
    document = site.document(machine, other["challenge"])
    refused(site.post("session", {**site.proof(machine), "id": one["id"]}), machine)
    claim = json.loads(document)
    claim["headers"]["X-Stead-Challenge"] = other["challenge"][::-1]
    asked = site.challenge(machine.auth)
    refused(site.post("session", as_body(asked["id"], json.dumps(claim).encode())), machine)
    # The role in the state is another than the one that STS knows.
    strange = site.authorities.machine("aws-sts", provisioned_role="developers")
    site.provision(strange)
    refused(site.post("session", site.proof(strange)), strange)


def as_body(challenge_id: str, document: bytes) -> dict[str, str]:
    return {"id": challenge_id, "document": base64.b64encode(document).decode()}


@pytest.mark.parametrize("cloud", ["aws-document", "gcp", "azure"])
def test_a_substituted_certificate_or_key_proves_nothing(site: Any, cloud: str) -> None:
    machine = site.authorities.machine(cloud)
    site.provision(machine)
    good = machine.signer
    stranger = Signer("stranger")
    if isinstance(machine, AzureMachine):
        machine.issuer, issuer = stranger, machine.issuer
        machine.signer = Signer("metadata.azure.com", stranger, san="westeurope.metadata.azure.com")
        refused(site.post("session", site.proof(machine)), machine)
        machine.issuer = issuer
        machine.signer = Signer("metadata.azure.com", site.authorities.root, san="metadata.azure.com.example.com")
    else:
        machine.signer = stranger
    refused(site.post("session", site.proof(machine)), machine)
    machine.signer = good
    assert site.post("session", site.proof(machine)).status_code == 200


@pytest.mark.parametrize("cloud", CLOUDS)
def test_altered_bytes_are_refused(site: Any, cloud: str) -> None:
    machine = site.authorities.machine(cloud)
    site.provision(machine)
    chance = random.Random(cloud)
    for _ in range(8):
        asked = site.challenge(machine.auth)
        document = bytearray(spread(machine, site.document(machine, asked["challenge"])))
        place = signed_place(machine, document, chance)
        document[place] ^= 1 << chance.randrange(7)
        answer = site.post("session", as_body(asked["id"], packed(machine, bytes(document))))
        assert answer.status_code == 401, (place, answer.text)
    assert site.post("session", site.proof(machine)).status_code == 200


def spread(machine: Machine, document: bytes) -> bytes:
    """The bytes that are signed or sign, without the wrapping, whose every byte need not matter."""
    if isinstance(machine, AwsMachine) and b'"pkcs7"' in document:
        return base64.b64decode("".join(json.loads(document)["pkcs7"].split()))
    if isinstance(machine, AzureMachine):
        return base64.b64decode(json.loads(document)["signature"])
    return document


def packed(machine: Machine, document: bytes) -> bytes:
    if isinstance(machine, AzureMachine):
        return json.dumps({"encoding": "pkcs7", "signature": base64.b64encode(document).decode()}).encode()
    if isinstance(machine, AwsMachine) and not document.startswith(b"{"):
        return json.dumps({"kind": "document", "pkcs7": base64.b64encode(document).decode()}).encode()
    return document


def signed_place(machine: Machine, document: bytearray, chance: random.Random) -> int:
    """A byte of the content or of the signature."""
    if isinstance(machine, GoogleMachine):
        return chance.randrange(len(document) - 2)
    if document.startswith(b"{"):
        begin = document.index(b"Signature=") + len(b"Signature=")
        return begin + chance.randrange(64)
    content = document.index(b'{"')
    return chance.choice([content + chance.randrange(60), len(document) - 1 - chance.randrange(200)])


@pytest.mark.parametrize("cloud", CLOUDS)
def test_of_two_agents_that_race_one_gets_in(site: Any, cloud: str) -> None:
    """With one document, as far as a document is good for more than one challenge; and each with its own."""
    machine = site.authorities.machine(cloud)
    workspace = None
    for own in (False, True):
        made = site.provision(machine, workspace=workspace)
        workspace = made.workspace.id
        if own and isinstance(machine, AwsMachine):
            machine.started += 1
        proof = site.proof(machine)
        proofs = [site.proof(machine) if own else proof for _ in range(6)]
        if cloud == "aws-document" and not own:
            proofs = [{**proof, "id": site.challenge(machine.auth)["id"]} for _ in range(6)]
        assert sorted(race(site, proofs)) == [200, 401, 401, 401, 401, 401]
        assert len(site.audit(made, "proved identity")) == 1 + own


def race(site: Any, proofs: list[dict[str, str]]) -> list[int]:
    start, found = threading.Barrier(len(proofs)), []

    def send(proof: dict[str, str]) -> None:
        start.wait(30)
        found.append(site.post("session", proof).status_code)

    racers = [threading.Thread(target=send, args=(proof,)) for proof in proofs]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    return found


def test_a_session_that_was_just_given_out_is_not_taken_away(site: Any) -> None:
    machine = site.authorities.machine("gcp")
    made = site.provision(machine)
    assert site.post("session", site.proof(machine)).status_code == 200
    refused(site.post("session", site.proof(machine)), machine)
    site.settled(made)
    assert site.post("session", site.proof(machine)).status_code == 200


def test_a_machine_that_is_not_one_agents_is_nobodys(site: Any) -> None:
    unknown = site.authorities.machine("azure")
    refused(site.post("session", site.proof(unknown)), unknown)
    shared = site.authorities.machine("gcp")
    site.provision(shared)
    site.provision(shared)
    refused(site.post("session", site.proof(shared)), shared)
    double = site.authorities.machine("gcp")
    site.provision(double, agents=2)
    refused(site.post("session", site.proof(double)), double)
    # An agent that was to prove itself in another way, and one whose machine does not stand in the state.
    other = site.authorities.machine("azure")
    other.auth = "google-instance-identity"
    site.provision(other)
    other.auth = "azure-instance-identity"
    refused(site.post("session", site.proof(other)), other)
    claimed = site.authorities.machine("gcp")
    claimed.resources = lambda: [("google_compute_disk", {"id": claimed.instance_id})]  # type: ignore[method-assign]
    site.provision(claimed)
    refused(site.post("session", site.proof(claimed)), claimed)


def test_who_may_see_the_workspace_learns_why_and_only_once(site: Any) -> None:
    machine = site.authorities.machine("gcp")
    made = site.provision(machine)
    machine.spoil = {"aud": "https://example.com"}
    for _ in range(3):
        refused(site.post("session", site.proof(machine)), machine)
    (row,) = site.audit(made, "refused identity")
    assert row["after"] == {
        "agent": "main",
        "auth": "google-instance-identity",
        "reason": "The token is for another audience.",
    }
    lines = site.get(f"/agents/{made.agent_id}/logs")["items"]
    assert [line["text"] for line in lines] == [
        "The proof of the machine's identity was refused: The token is for another audience."
    ]
    assert "The token is for another audience." in site.deployment.log


def test_a_region_without_a_certificate_is_named_to_those_who_run_the_server(site: Any) -> None:
    machine = site.authorities.machine("aws-document", region="eu-west-3")
    made = site.provision(machine)
    refused(site.post("session", site.proof(machine)), machine)
    (row,) = site.audit(made, "refused identity")
    assert "REGION.pem into the folder identity_certificates" in row["after"]["reason"]
    assert "give the machine a role" in row["after"]["reason"]


def test_the_token_of_the_state_opens_nothing(site: Any) -> None:
    machine = site.authorities.machine("gcp")
    made = site.provision(machine)
    headers = {"Authorization": f"Bearer {made.tokens['main']}"}
    with site.deployment.client() as client:
        answer = client.get(
            "/agent/stream",
            headers={
                **headers,
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Protocol": "stead-stream-1",
            },
        )
    assert answer.status_code == 401


BAD: dict[str, tuple[str, Any, int]] = {
    "no JSON": ("challenge", b"auth=gcp", 400),
    "a list": ("challenge", [], 400),
    "deep": ("challenge", b"[" * 50_000, 400),
    "no auth": ("challenge", {}, 400),
    "a number": ("challenge", {"auth": 5}, 400),
    "an unknown way": ("challenge", {"auth": "token"}, 400),
    "too much": ("challenge", b" " * 200_000, 413),
    "no document": ("session", {"id": "x"}, 400),
    "no base64": ("session", {"id": "x", "document": "***"}, 400),
    "a long id": ("session", {"id": "x" * 65, "document": "AA=="}, 400),
    "a document that is too long": ("session", {"id": "x", "document": "A" * 300_000}, 413),
}


@pytest.mark.parametrize("name", BAD)
def test_strangers_input_is_bounded(site: Any, name: str) -> None:
    step, content, status = BAD[name]
    answer = site.post(step, content)
    assert answer.status_code == status, answer.text
    assert "Traceback" not in answer.text


def test_a_body_of_no_announced_length_is_bounded_too(site: Any) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * 16_384

    answer = site.stranger.post("/api/v2/agent/identity/challenge", content=parts())
    assert answer.status_code == 413
