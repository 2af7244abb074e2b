"""Takes each defence out of a running copy of the code, and looks whether a test notices.

::

    .venv/bin/python tests/tools/defences.py [WORD ...]  # those whose name holds a WORD; no file is changed

One line for each defence: ``caught`` and the test that failed; ``MISSED`` where all passed; ``STALE`` where the source
does not read any more as ``defences.toml`` says. The exit code is 1 where there is anything but ``caught``.

Everything is imported once; each defence has a process of its own, forked from that, in which the functions that
differ get the code that they have without it. What other processes run gets it through a copy of the source.
"""

from __future__ import annotations

import gc
import importlib
import os
import re
import shutil
import sys
import tempfile
import time
import tomllib
import traceback
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import stead

ROOT = Path(__file__).parents[2]
SOURCE = Path(stead.__file__).parent
PRELOADED = (
    "stead.web.app",
    "stead.web.pages.registry",
    "stead.web.rest",
    "stead.cli.callback",
    "stead.services.factors.manage",
    "stead.services.factors.webauthn_library",
    "stead.testing.signin",
    "stead.testing.postgres",
)


@dataclass(frozen=True)
class Defence:
    """``old`` stands once in ``path``; with ``new`` in its place the defence is gone, and ``test`` fails.

    :param files: of tests, below ``tests``.
    :param test: an expression as ``pytest -k`` takes it.
    :param elsewhere: whether other processes run the code.
    """

    name: str
    path: str
    old: str
    new: str
    files: list[str]
    test: str = "test"
    elsewhere: bool = False


def main(*words: str) -> int:
    text = (Path(__file__).parent / "defences.toml").read_text()
    known = [Defence(**entry) for entry in tomllib.loads(text)["defence"]]
    chosen = [one for one in known if not words or any(word in one.name for word in words)]
    for name in PRELOADED:
        importlib.import_module(name)
    bad = 0
    for one in chosen:
        began = time.monotonic()
        verdict = _try(one)
        bad += not verdict.startswith("caught")
        print(f"{verdict:60} {time.monotonic() - began:5.0f} s  {one.name}", flush=True)
    print(f"{len(chosen)} defences, {bad} that no test holds")
    return 1 if bad else 0


def _try(defence: Defence) -> str:
    original = (SOURCE / defence.path).read_text()
    if original.count(defence.old) != 1:
        return f"STALE: {original.count(defence.old)} places"
    changed = original.replace(defence.old, defence.new)
    with tempfile.TemporaryDirectory(prefix="defence-") as folder:
        child = os.fork()
        if child == 0:
            _child(defence, original, changed, Path(folder))
        _, status = os.waitpid(child, 0)
        said = (Path(folder) / "said").read_text(errors="replace")
    return _verdict(os.waitstatus_to_exitcode(status), said)


def _verdict(code: int, said: str) -> str:
    failed = re.search(r"^FAILED \S+::(\S+)", said, re.MULTILINE)
    if code == pytest.ExitCode.OK:
        return "MISSED"
    return f"caught by {failed[1][:48]}" if code == 1 and failed else f"BROKEN ({code}): {said[-600:]}"


def _child(defence: Defence, original: str, changed: str, folder: Path) -> None:
    said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(said, stream)
    code = 99
    try:
        swapped = swap(str(SOURCE / defence.path), original, changed)
        if defence.elsewhere:
            _copy(defence, changed, folder)
        assert swapped or defence.elsewhere, "nothing that runs here differs"
        tests = [str(ROOT / "tests" / file) for file in defence.files]
        code = int(pytest.main(["-q", "-x", "-k", f"({defence.test}) and not postgres", *tests]))
    except BaseException:
        # The boundary of this process: the one above tells what was said here.
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _copy(defence: Defence, changed: str, folder: Path) -> None:
    """For processes that the tests start."""
    ignored = shutil.ignore_patterns("__pycache__", "node_modules")
    shutil.copytree(SOURCE, folder / "src" / "stead", ignore=ignored)
    (folder / "src" / "stead" / defence.path).write_text(changed)
    os.environ["PYTHONPATH"] = str(folder / "src")


def swap(path: str, original: str, changed: str) -> set[str]:
    """Give the functions of a file the code that they have in ``changed``; returns the names of those that differ."""
    before, after = (dict(_codes(compile(text, path, "exec"))) for text in (original, changed))
    different = {name: code for name, code in after.items() if name in before and not _same(before[name], code)}
    found = set()
    for one in gc.get_objects():
        if isinstance(one, types.FunctionType) and one.__code__.co_filename == path:
            name = one.__code__.co_qualname
            if name in different:
                one.__code__ = different[name]
                found.add(name)
    return found


def _codes(code: types.CodeType) -> Iterator[tuple[str, types.CodeType]]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant.co_qualname, constant
            yield from _codes(constant)


def _same(one: object, other: object) -> bool:
    """Whether two constants of functions mean the same, wherever in the file they stand."""
    if not isinstance(one, types.CodeType) or not isinstance(other, types.CodeType):
        return type(one) is type(other) and one == other
    return (
        (one.co_code, one.co_names, one.co_varnames) == (other.co_code, other.co_names, other.co_varnames)
        and len(one.co_consts) == len(other.co_consts)
        and all(map(_same, one.co_consts, other.co_consts))
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
