"""Scripts, their logs, the lifecycle, and what happens when the agent is told to stop."""

from __future__ import annotations


def script(**values):
    return {"id": "s1", "display_name": "Setup", "script": "true", "run_on_start": True, **values}


async def test_start_scripts_stream_their_output_and_report(agent_with, wait_for):
    text = "echo one; echo two >&2; printf 'caf\\303\\251 \\377\\n'; exit 0"
    plane = await agent_with(scripts=[script(script=text)])
    await wait_for(lambda: "ready" in plane.states, "readiness")
    assert plane.states == ["starting", "ready"]
    lines = {(line["level"], line["text"]) for call in plane.said("logs") for line in call["lines"]}
    assert {("info", "one"), ("error", "two"), ("info", "café \N{REPLACEMENT CHARACTER}")} <= lines
    (done,) = plane.said("script_done")
    assert (done["script_id"], done["exit_code"], done["stage"], done["timed_out"]) == ("s1", 0, "start", False)


async def test_a_failing_script_is_a_start_error(agent_with, wait_for):
    plane = await agent_with(scripts=[script(script="echo no; exit 7"), script(id="s2", script="true")])
    await wait_for(lambda: "start_error" in plane.states, "the error")
    codes = {done["script_id"]: done["exit_code"] for done in plane.said("script_done")}
    assert codes == {"s1": 7, "s2": 0}


async def test_a_script_that_takes_too_long_is_stopped_with_all_it_started(agent_with, wait_for, tmp_path):
    mark = tmp_path / "still-there"
    text = f"(sleep 4; touch {mark}) & sleep 60"
    plane = await agent_with(scripts=[script(script=text, timeout=1)])
    await wait_for(lambda: "start_timeout" in plane.states, "the time-out")
    (done,) = plane.said("script_done")
    assert done["timed_out"] is True
    assert done["exit_code"] != 0


async def test_scripts_start_at_once_and_an_interpreter_line_counts(agent_with, wait_for, tmp_path):
    fifo = tmp_path / "meet"
    writes = f"#!/usr/bin/env python3\nimport os\nos.mkfifo({str(fifo)!r})\nopen({str(fifo)!r}, 'w').write('met\\n')\n"
    scripts = [
        script(id="reader", display_name="R", script=f"while [ ! -p {fifo} ]; do :; done; cat {fifo}"),
        script(id="py", display_name="P", script=writes),
    ]
    plane = await agent_with(scripts=scripts)
    await wait_for(lambda: "ready" in plane.states, "both scripts to meet")
    assert "met" in plane.log_text("R").splitlines()


async def test_environment_and_directory_of_scripts(agent_with, wait_for, tmp_path):
    names = "CODER CODER_WORKSPACE_NAME STEAD_WORKSPACE_OWNER_NAME CODER_AGENT_URL HOME FROM_TEMPLATE JOINED PWD"
    text = f'for n in {names}; do eval "echo $n=\\$$n"; done; command -v coder stead; coder stat mem'
    plane = await agent_with(
        scripts=[script(script=text)], directory="~/project/deep", env={"FROM_TEMPLATE": "1", "JOINED": "$HOME/x"}
    )
    await wait_for(lambda: "ready" in plane.states, "readiness")
    lines = plane.log_text("Setup").splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    home = str(plane.agent.home)
    assert values["CODER"] == "true"
    assert values["CODER_WORKSPACE_NAME"] == "ws"
    assert values["STEAD_WORKSPACE_OWNER_NAME"] == "me"
    assert values["CODER_AGENT_URL"] == plane.url
    assert values["FROM_TEMPLATE"] == "1"
    assert values["JOINED"] == f"{values['HOME']}/x"
    assert values["PWD"].endswith("/project/deep")
    assert f"{tmp_path}/run" in "\n".join(line for line in lines if line.endswith("/bin/coder"))
    assert any("GiB" in line for line in lines)
    assert home


async def test_the_log_file_gets_the_bytes_as_they_are(agent_with, wait_for, tmp_path):
    log = tmp_path / "logs" / "setup.log"
    plane = await agent_with(scripts=[script(script="printf 'a\\377b\\n'; echo err >&2", log_path=str(log))])
    await wait_for(lambda: "ready" in plane.states, "readiness")
    assert sorted(log.read_bytes().split(b"\n")) == [b"", b"a\xffb", b"err"]


async def test_much_output_arrives_whole_and_in_batches(agent_with, wait_for):
    plane = await agent_with(scripts=[script(script="seq 1 20000")])
    await wait_for(lambda: "ready" in plane.states, "readiness")
    await wait_for(lambda: "20000" in plane.log_text("Setup"), "the last line")
    assert [line for line in plane.log_text("Setup").splitlines() if line.isdigit()] == [
        str(n) for n in range(1, 20001)
    ]


async def test_what_a_script_leaves_running_does_not_hold_it_up(agent_with, wait_for):
    plane = await agent_with(scripts=[script(script="(sleep 1; echo later) & echo now")])
    await wait_for(lambda: "ready" in plane.states, "readiness", 3)
    await wait_for(lambda: "later" in plane.log_text("Setup"), "the line of the background process")


async def test_cron_counts_seconds_first(agent_with, wait_for):
    plane = await agent_with(scripts=[script(cron="*/1 * * * * *", run_on_start=False, script="echo tick")])
    await wait_for(lambda: len(plane.said("script_done")) >= 2, "two ticks")
    assert {done["stage"] for done in plane.said("script_done")} == {"cron"}


async def test_a_schedule_that_cannot_be_read_is_said(agent_with, wait_for):
    plane = await agent_with(scripts=[script(cron="every day", run_on_start=False)])
    await wait_for(lambda: "cannot be read" in plane.log_text("Setup"), "the complaint")


async def test_sigterm_runs_the_stop_scripts_and_reports(agent_with, wait_for):
    plane = await agent_with(
        scripts=[script(id="bye", display_name="Bye", run_on_start=False, run_on_stop=True, script="echo bye")]
    )
    await wait_for(lambda: "ready" in plane.states, "readiness")
    plane.agent.process.terminate()
    await wait_for(lambda: plane.agent.process.poll() is not None, "the agent's end")
    assert plane.agent.process.returncode == 0
    assert plane.states == ["starting", "ready", "shutting_down", "off"]
    assert "bye" in plane.log_text("Bye").splitlines()


async def test_shutdown_by_the_control_plane_with_a_failing_script(agent_with, wait_for):
    plane = await agent_with(scripts=[script(run_on_start=False, run_on_stop=True, script="exit 3")])
    await wait_for(lambda: "ready" in plane.states, "readiness")
    await plane.notify("shutdown", {"reason": "stopped by its owner"})
    await wait_for(lambda: plane.agent.process.poll() == 0, "the agent's end")
    assert plane.states[-1] == "shutdown_error"


async def test_a_changed_manifest_is_taken_up(agent_with, wait_for):
    plane = await agent_with()
    await wait_for(lambda: "ready" in plane.states, "readiness")
    item = {"key": "fresh", "script": "echo $NEW", "interval": 1, "timeout": 1}
    await plane.notify("manifest", {"manifest": {**plane.manifest, "env": {"NEW": "seen"}, "metadata": [item]}})
    await wait_for(lambda: plane.said("metadata"), "metadata")
    assert plane.said("metadata")[0]["values"][0]["value"] == "seen"
