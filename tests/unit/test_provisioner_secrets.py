"""What the server tells its provisioner processes, and what it does not."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from stead.config import Settings
from stead.config.groups import IdentitySettings
from stead.provisioner.supervisor import Supervisor
from stead.testing.waiting import eventually

PROGRAM = """#!/bin/sh
read -r line
env > "{folder}/environment"
printf '%s' "$line" > "{folder}/settings.part"
mv "{folder}/settings.part" "{folder}/settings"
cat > /dev/null
"""


def test_a_provisioner_gets_no_secret_of_sign_in_or_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("server.pem", "server.key"):
        (tmp_path / name).write_text("pem")
    program = tmp_path / "program"
    program.write_text(PROGRAM.format(folder=tmp_path))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setenv("STEAD_SOMETHING", "hidden")
    monkeypatch.setenv("PGPASSWORD", "hidden")
    settings = Settings(
        data_dir=tmp_path / "data",
        access_url="https://stead.example.org",
        tls_cert_file=tmp_path / "server.pem",
        tls_key_file=tmp_path / "server.key",
        identity=IdentitySettings(sections={"company": {"client_secret": "hidden"}}),
        provisioners=1,
        provisioner_grace=1,
    )
    supervisor = Supervisor(settings)
    supervisor.start()
    try:
        eventually((tmp_path / "settings").exists, 30, what="a provisioner that has read its settings")
    finally:
        supervisor.stop()
    told = (tmp_path / "settings").read_text()
    assert "hidden" not in told + (tmp_path / "environment").read_text()
    assert os.fspath(tmp_path / "server.key") not in told
    restored = Settings.restore(told)
    assert (restored.access_url, restored.data_dir) == (settings.access_url, settings.data_dir)
    assert restored.identity.sections == {}
