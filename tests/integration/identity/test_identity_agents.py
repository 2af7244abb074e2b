"""Agents that were given no token, as processes on machines of each cloud, and a server that has to believe them."""

from __future__ import annotations

import json
import shutil
from typing import Any

import httpx
import pytest

from stead.testing.handmade import end_workspace
from stead.testing.machines import AwsMachine, Http
from stead.testing.waiting import eventually

CLOUDS = ("aws-sts", "aws-document", "gcp", "azure")
PATIENCE = 60.0


def session_of(run: Any) -> dict[str, str]:
    (path,) = run.run_dir.glob("*/session.json")
    assert path.stat().st_mode & 0o777 == 0o600
    found: dict[str, str] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_machine_proves_itself_and_its_agent_connects(site: Any, cloud: str) -> None:
    machine = site.authorities.machine(cloud)
    made = site.provision(machine)
    with site.run_agent(machine) as run:
        found = site.connected(made, run)
        session = session_of(run)
        assert session["agent_id"] == found["id"]
        (row,) = site.audit(made, "proved identity")
        assert row["after"]["instance"].lower() == machine.instance_id.lower()
        assert row["actor"] == "agent:main"
        # Whoever else has documents of this machine gets nothing while its agent is there.
        answer = site.post("session", site.proof(machine))
        assert answer.status_code == 401, answer.text
        assert "connected" not in answer.text
        everything = (run.output, site.deployment.log, json.dumps(site.get("/audit", limit=200)))
        for text in everything:
            for secret in (session["token"], AwsMachine.secret, AwsMachine.token):
                assert secret not in text


def test_an_agent_that_is_started_again_goes_on_with_its_session(site: Any) -> None:
    machine = site.authorities.machine("gcp")
    made = site.provision(machine)
    folder = site.folder / f"again-{machine.instance_id}"
    (folder / "home").mkdir(parents=True)
    with Http(machine) as metadata:
        run = site.start_agent(folder, machine.auth, metadata.url)
        try:
            site.connected(made, run)
            session, asked = session_of(run), len(metadata.requests)
            run.kill()
            eventually(lambda: site.agent(made)["status"] != "connected", PATIENCE, what="an agent that is away")
            run = site.start_agent(folder, machine.auth, metadata.url)
            site.connected(made, run)
            assert session_of(run) == session
            assert len(metadata.requests) == asked, "nothing had to be proven again"
        finally:
            run.kill()
    assert len(site.audit(made, "proved identity")) == 1


@pytest.mark.parametrize("cloud", ["aws-sts", "azure"])
def test_a_session_that_was_lost_is_replaced(site: Any, cloud: str) -> None:
    """As after a reboot, which clears the folder of the agent."""
    machine = site.authorities.machine(cloud)
    made = site.provision(machine)
    with site.run_agent(machine) as run:
        site.connected(made, run)
        before = session_of(run)
    eventually(lambda: site.agent(made)["status"] != "connected", PATIENCE, what="an agent that is away")
    shutil.rmtree(run.run_dir)
    site.settled(made)
    with site.run_agent(machine) as run:
        site.connected(made, run)
        after = session_of(run)
    assert (after["agent_id"], after["token"] != before["token"]) == (before["agent_id"], True)
    assert len(site.audit(made, "proved identity")) == 2
    assert rpc_status(site, before["token"]) == 401, "there is never more than one session"


def rpc_status(site: Any, token: str) -> int:
    headers = {
        "Authorization": f"Bearer {token}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    url = f"{site.deployment.url}/api/v2/agent/rpc?protocol=1"
    with httpx.stream("GET", url, headers=headers, timeout=30) as answer:
        return answer.status_code


def test_a_machine_that_outlives_its_build_is_the_agent_of_the_next(site: Any) -> None:
    machine = site.authorities.machine("aws-sts")
    made = site.provision(machine)
    with site.run_agent(machine) as run:
        first = site.connected(made, run)
        again = site.provision(machine, workspace=made.workspace.id)
        assert again.agent_id != first["id"]
        second = site.connected(again, run)
        assert second["id"] == again.agent_id
        assert run.process.poll() is None
        assert session_of(run)["agent_id"] == again.agent_id


def test_a_session_ends_with_its_workspace(site: Any) -> None:
    machine = site.authorities.machine("azure")
    made = site.provision(machine)
    with site.run_agent(machine) as run:
        site.connected(made, run)
        token = session_of(run)["token"]
        end_workspace(site.core, site.owner, made.workspace.id, "stop")
        eventually(lambda: "refused with HTTP 401" in run.output, PATIENCE, what="an agent that nobody knows any more")
        assert rpc_status(site, token) == 401
        assert not list(run.run_dir.glob("*/session.json"))


def test_an_agent_that_is_earlier_than_the_end_of_its_build_waits(site: Any) -> None:
    machine = site.authorities.machine("aws-document")
    with site.run_agent(machine) as run:
        eventually(lambda: "refused with HTTP 401" in run.output, PATIENCE, what="a refusal")
        made = site.provision(machine)
        site.connected(made, run)
    assert site.audit(made, "refused identity") == []


def test_the_document_helps_where_sts_does_not(site: Any) -> None:
    machine = site.authorities.machine("aws-sts")
    del site.authorities.sts.sessions[machine.key]
    made = site.provision(machine)
    with site.run_agent(machine) as run:
        site.connected(made, run)
    (refused,) = site.audit(made, "refused identity")
    assert refused["after"]["reason"] == "AWS does not know who has signed the request."


def test_an_agent_says_what_it_waits_for(site: Any) -> None:
    machine = site.authorities.machine("gcp")
    with site.run_agent(machine, CODER_AGENT_AUTH="by-magic") as run:
        assert run.process.wait(PATIENCE) == 2
        assert "CODER_AGENT_AUTH is token, aws-instance-identity" in run.output
    with site.run_agent(machine, STEAD_AGENT_METADATA_URL="http://127.0.0.1:9") as run:
        eventually(lambda: "metadata service does not answer" in run.output, PATIENCE, what="the reason")
        assert run.process.poll() is None
