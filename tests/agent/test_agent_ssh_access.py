"""Who gets in, what a certificate allows, and how access ends."""

from __future__ import annotations

import asyncio
import subprocess

import asyncssh
import pytest

pytestmark = pytest.mark.openssh


@pytest.mark.parametrize(
    ("principal", "options"),
    [
        ("workspace:other", {}),
        (None, {"valid_before": "-1m", "valid_after": "-10m"}),
        (None, {"ca": asyncssh.generate_private_key("ssh-ed25519")}),
        (None, {"source_address": ["192.0.2.1"]}),
    ],
    ids=["another workspace", "expired", "unknown authority", "bound to an address"],
)
async def test_a_certificate_that_does_not_fit_is_refused(agent, ssh, plane, principal, options):
    ssh.certify(principal or plane.principal, **options)
    code, _output, errors = await ssh.run("-o", "BatchMode=yes", "ws", "true")
    assert code == 255
    assert b"Permission denied" in errors


async def test_a_bare_key_is_refused(agent, ssh):
    (ssh.folder / "key-cert.pub").unlink()
    code, _output, _errors = await ssh.run("-o", "BatchMode=yes", "ws", "true")
    assert code == 255


async def test_what_a_certificate_forbids_is_not_done(agent, ssh, plane, echo_server):
    ssh.certify(plane.principal, permit_port_forwarding=False, force_command="echo only this")
    code, output, _errors = await ssh.run("ws", "echo something else")
    assert (code, output) == (0, b"only this\n")
    target = f"127.0.0.1:{echo_server}"
    client = await ssh.start("-W", target, "ws", stdin=subprocess.PIPE)
    output, errors = await asyncio.wait_for(client.communicate(b"hello"), 10)
    assert (output, b"forwarding failed" in errors) == (b"", True)
    ssh.certify(plane.principal)
    client = await ssh.start("-W", target, "ws", stdin=subprocess.PIPE)
    output, errors = await asyncio.wait_for(client.communicate(b"hello"), 10)
    assert output == b"hello<eof>"


async def test_revoking_ends_the_connections_of_that_person_only(agent, ssh, plane, wait_for):
    ssh.certify(plane.principal, key_id="stead:mallory:1")
    gone = await ssh.start("ws", "echo up; sleep 60")
    assert await gone.stdout.readline() == b"up\n"
    ssh.certify(plane.principal, key_id="stead:alice:2")
    stays = await ssh.start("ws", "echo up; cat", stdin=subprocess.PIPE)
    assert await stays.stdout.readline() == b"up\n"
    await plane.notify("sessions.revoke", {"principals": ["mallory"]})
    await asyncio.wait_for(gone.wait(), 10)
    assert gone.returncode == 255
    output, _errors = await asyncio.wait_for(stays.communicate(b"still here"), 10)
    assert output == b"still here"
