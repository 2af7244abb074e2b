"""The field's usual way, to compare with: a Terraform process for each step, a process for each provider."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from importlib.resources import files
from pathlib import Path
from typing import Self

from peer_provider import CONTEXT

from stead.api import Trial

HERE = Path(__file__).parent
PROVIDERS = ("coder/coder", "kreuzwerker/docker")
VERSION = "9.9.9"


class ProcessPerStep:
    """Builds the Docker starter template with ``init``, ``plan``, ``show`` and ``apply``, each a process."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._folder = Path(tempfile.mkdtemp(prefix="stead-peer-"))
        self._mirror = self._folder / "mirror"
        self._config = self._folder / "terraform.rc"

    def __enter__(self) -> Self:
        for address in PROVIDERS:
            self._install(address)
        self._config.write_text(
            f'provider_installation {{\n  filesystem_mirror {{\n    path = "{self._mirror}"\n  }}\n}}\n'
        )
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def build(self, name: str) -> float:
        """Build a workspace and remove it again; seconds that the build took."""
        work = self._folder / name
        shutil.copytree(str(files("stead_docker") / "templates" / self._trial.template), work)
        environment = self._environment(name)
        started = time.perf_counter()
        self._step(work, environment, "init", "-input=false")
        self._step(work, environment, "plan", "-input=false", "-json", "-out=plan")
        self._step(work, environment, "show", "-json", "plan")
        self._step(work, environment, "graph")
        self._step(work, environment, "apply", "-input=false", "-json", "plan")
        self._step(work, environment, "show", "-json")
        took = time.perf_counter() - started
        self._step(work, environment, "destroy", "-input=false", "-auto-approve")
        return took

    def _install(self, address: str) -> None:
        kind = address.partition("/")[2]
        folder = self._mirror / "registry.terraform.io" / address / VERSION / "linux_amd64"
        folder.mkdir(parents=True)
        program = folder / f"terraform-provider-{kind}_v{VERSION}"
        program.write_text(f"#!/bin/sh\nexec {sys.executable} {HERE / 'peer_provider.py'} {address}\n")
        program.chmod(0o755)

    def _environment(self, name: str) -> dict[str, str]:
        context = {
            "deployment": "bench",
            "owner_id": str(uuid.uuid4()),
            "workspace_id": str(uuid.uuid4()),
            "workspace_name": name,
            "build_id": str(uuid.uuid4()),
            "parameters": dict(self._trial.parameters),
        }
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "DOCKER_HOST") if key in os.environ}
        return kept | {
            CONTEXT: json.dumps(context),
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
            "TF_CLI_CONFIG_FILE": str(self._config),
        }

    def _step(self, work: Path, environment: dict[str, str], *arguments: str) -> None:
        command = [sys.executable, str(HERE / "terraform_cli.py"), *arguments]
        done = subprocess.run(
            command, cwd=work, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"terraform {arguments[0]} failed: {(done.stderr or done.stdout)[-2000:]}")
