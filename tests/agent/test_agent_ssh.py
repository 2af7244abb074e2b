"""OpenSSH's own client against the agent, end to end over parked streams."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.openssh


async def test_exec_gives_output_errors_and_exit_code(agent, ssh):
    code, output, errors = await ssh.run("ws", "echo out; echo err >&2; exit 42")
    assert (code, output, errors) == (42, b"out\n", b"err\n")
