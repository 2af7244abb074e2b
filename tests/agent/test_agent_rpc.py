"""The RPC connection: versions, refusals, reconnects, and what waits meanwhile."""

from __future__ import annotations

import time

import pytest


def script(text, **values):
    return {"id": "s1", "display_name": "Setup", "script": text, "run_on_start": True, **values}


async def test_hello_says_who_the_agent_is(agent_with):
    plane = await agent_with()
    hello = plane.hellos[0]
    assert hello["os"] == "linux"
    assert hello["arch"] in {"amd64", "arm64"}
    assert hello["restarted"] is False
    assert len(hello["boot_id"]) == 32
    assert "websocket" in hello["capabilities"]


@pytest.mark.parametrize("status", [400, 401, 503])
async def test_a_refusal_is_said_and_tried_again(plane, start_agent, wait_for, status):
    plane.refuse_with = status
    agent = start_agent()
    await wait_for(lambda: str(status) in agent.output(), "the refusal in the log")
    plane.refuse_with = None
    await wait_for(lambda: plane.hellos, "hello")


async def test_the_token_is_nowhere_in_the_log(plane, start_agent, wait_for):
    plane.token = "a-very-secret-token"
    agent = start_agent()
    await wait_for(lambda: plane.hellos, "hello")
    assert plane.token not in agent.output()


async def test_back_within_five_seconds_of_a_restart_with_everything_that_was_said(agent_with, wait_for):
    text = "i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); sleep 0.05; done"
    plane = await agent_with(scripts=[script(text)])
    await wait_for(lambda: "line 5" in plane.log_text("Setup"), "some lines")
    await plane.stop()
    time.sleep(1)  # the control plane is away for as long as this
    await plane.start()
    began = time.monotonic()
    await wait_for(lambda: len(plane.hellos) == 2, "the agent's return", 5.5)
    assert time.monotonic() - began < 5.5
    await wait_for(lambda: "ready" in plane.states, "readiness")
    seen = [line for line in plane.log_text("Setup").splitlines() if line.startswith("line ")]
    assert list(dict.fromkeys(seen)) == [f"line {n}" for n in range(60)]
    assert plane.hellos[1]["restarted"] is True
    assert plane.states.count("starting") == 1
    assert len({done["script_id"] for done in plane.said("script_done")}) == len(plane.said("script_done")) == 1


async def test_what_runs_lives_on_through_a_restart_of_the_control_plane(agent_with, wait_for, tmp_path):
    mark = tmp_path / "mark"
    plane = await agent_with(scripts=[script(f"(sleep 2; touch {mark}) & echo started")])
    await wait_for(lambda: "ready" in plane.states, "readiness")
    await plane.stop()
    await wait_for(mark.exists, "the background process to finish")
    await plane.start()
    await wait_for(lambda: len(plane.parked) == 4, "streams parked again")
    assert plane.agent.process.poll() is None


async def test_revoked_ends_the_agent_and_its_scripts(agent_with, wait_for, tmp_path):
    mark = tmp_path / "stopped"
    stop = script(f"touch {mark}", run_on_start=False, run_on_stop=True)
    plane = await agent_with(scripts=[stop])
    await wait_for(lambda: "ready" in plane.states, "readiness")
    await plane.rpc.close(4003, "revoked")
    await wait_for(lambda: plane.agent.process.poll() == 0, "the agent's end")
    assert mark.exists()


async def test_replaced_comes_back(agent_with, wait_for):
    plane = await agent_with()
    await plane.rpc.close(4001, "replaced")
    await wait_for(lambda: len(plane.hellos) == 2, "the agent's return")


async def test_a_missing_address_or_token_is_a_clear_error(program, tmp_path):
    import sys

    code, _output, errors = await program(
        "env", "-i", f"HOME={tmp_path}", "CODER_AGENT_URL=http://localhost:1", sys.executable, "-I", "-m", "stead_agent"
    )
    assert code == 2
    assert b"CODER_AGENT_TOKEN" in errors
    code, _output, errors = await program("env", "-i", "CODER_AGENT_TOKEN=x", sys.executable, "-I", "-m", "stead_agent")
    assert code == 2
    assert b"CODER_AGENT_URL" in errors
