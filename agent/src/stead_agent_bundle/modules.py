"""Which Python modules go into the bundle, and how they are compiled."""

from __future__ import annotations

import importlib.util
import json
import py_compile
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stead_agent_bundle.errors import BundleError

# What the agent imports, now or when it is first needed.
ENTRIES = (
    "stead_agent.run", "stead_agent.ssh.server", "stead_agent.cron", "stead_agent.sftp", "stead_agent.stat_command",
    "encodings.idna", "encodings.latin_1", "encodings.utf_8_sig",
    "multiprocessing.reduction", "concurrent.futures.thread",
    "zoneinfo",
)  # fmt: skip
STANDARD_LEFT_OUT = frozenset(
    [
        "__phello__",
        "antigravity",
        "audioop",
        "bdb",
        "cProfile",
        "cgi",
        "cgitb",
        "chunk",
        "cmd",
        "code",
        "codeop",
        "compileall",
        "config-3.11-x86_64-linux-gnu",
        "crypt",
        "ctypes.test",
        "curses",
        "dbm",
        "dist-packages",
        "distutils",
        "doctest",
        "ensurepip",
        "ftplib",
        "idlelib",
        "imaplib",
        "imghdr",
        "lib-dynload",
        "lib2to3",
        "mailbox",
        "mailcap",
        "modulefinder",
        "msilib",
        "nis",
        "nntplib",
        "optparse",
        "ossaudiodev",
        "pdb",
        "pickletools",
        "pipes",
        "poplib",
        "profile",
        "pstats",
        "pty",
        "py_compile",
        "pyclbr",
        "pydoc",
        "pydoc_data",
        "rlcompleter",
        "sched",
        "shelve",
        "site-packages",
        "smtpd",
        "smtplib",
        "sndhdr",
        "spwd",
        "sqlite3",
        "sre_compile",
        "sre_constants",
        "sre_parse",
        "sunau",
        "symtable",
        "tabnanny",
        "telnetlib",
        "test",
        "this",
        "timeit",
        "tkinter",
        "trace",
        "turtle",
        "turtledemo",
        "unittest",
        "uu",
        "venv",
        "wave",
        "webbrowser",
        "wsgiref",
        "xdrlib",
        "xmlrpc",
        "zipapp",
        "LICENSE.txt",
    ]
)
DYNLOAD_LEFT_OUT = (
    "_codecs_", "_ctypes_test", "_curses", "_crypt", "_dbm", "_gdbm", "_lsprof", "_multibytecodec", "_sqlite3", "_test",
    "_tkinter", "_xx", "audioop", "nis", "ossaudiodev", "readline", "spwd", "syslog", "xxlimited",
)  # fmt: skip
# asyncssh does without: it needs these only for encrypted private keys, which the agent never reads.
PACKAGES_LEFT_OUT = frozenset({"bcrypt", "pycparser", "_distutils_hack", "setuptools", "stead_agent_bundle"})
OPTIMIZE = 2  # without docstrings: a third less memory


@dataclass(frozen=True)
class Tree:
    """Where modules come from."""

    standard: Path
    dynamic: Path
    packages: tuple[Path, ...]


def find_modules(interpreter: Path) -> Tree:
    """The standard library, its shared objects, and the packages that the agent imports.

    :raises BundleError: the agent cannot be imported by this interpreter.
    """
    standard = Path(sysconfig.get_path("stdlib"))
    return Tree(standard, standard / "lib-dynload", _packages(interpreter, standard))


def copy_modules(tree: Tree, target: Path) -> None:
    """Compile everything into ``target``, one folder that is the whole of ``sys.path``."""
    for source in _wanted_standard(tree.standard):
        _place(source, target / source.relative_to(tree.standard))
    dynamic = target / "lib-dynload"
    dynamic.mkdir(parents=True, exist_ok=True)
    for source in sorted(tree.dynamic.glob("*.so")):
        if not source.name.startswith(DYNLOAD_LEFT_OUT):
            shutil.copyfile(source, dynamic / source.name)
    for package in tree.packages:
        for source in [package] if package.is_file() else sorted(package.rglob("*")):
            if source.suffix in {".py", ".so"} and not _is_test(source):
                _place(source, target / source.relative_to(package.parent))
    _copy_certificates(target)


def _packages(interpreter: Path, standard: Path) -> tuple[Path, ...]:
    """Import the agent in a fresh process and see which packages outside the standard library that brought in."""
    program = (
        "import importlib, json, sys\n"
        f"for name in {ENTRIES!r}: importlib.import_module(name)\n"
        "found = {}\n"
        "for name, module in list(sys.modules.items()):\n"
        "    origin = getattr(getattr(module, '__spec__', None), 'origin', None)\n"
        "    if origin and origin not in ('built-in', 'frozen'): found[name] = origin\n"
        "json.dump(found, sys.stdout)\n"
    )
    done = subprocess.run([str(interpreter), "-I", "-c", program], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise BundleError(f"The agent cannot be imported by {interpreter}: {last[0]}. Install stead-agent there.")
    chosen: set[Path] = set()
    for name, origin in json.loads(done.stdout).items():
        top = name.partition(".")[0]
        path = Path(origin)
        if top in PACKAGES_LEFT_OUT or (path.is_relative_to(standard) and "-packages" not in str(path)):
            continue
        chosen.add(_top_of(path, name))
    return tuple(sorted(chosen))


def _top_of(path: Path, name: str) -> Path:
    """The folder of the top package that module ``name`` in file ``path`` belongs to, or its file."""
    depth = name.count(".")
    if path.name == "__init__.py":
        return path.parents[depth]
    return path if depth == 0 else path.parents[depth - 1]


def _wanted_standard(standard: Path) -> Iterator[Path]:
    for source in sorted(standard.rglob("*.py")):
        parts = source.relative_to(standard).parts
        top = parts[0].removesuffix(".py")
        if top in STANDARD_LEFT_OUT or top.startswith(("config-", "_sysconfigdata", "__pycache__")) or _is_test(source):
            continue
        yield source


def _is_test(source: Path) -> bool:
    return bool({"test", "tests", "idle_test", "__pycache__"} & set(source.parts[-4:-1]))


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix == ".so":
        shutil.copyfile(source, target)
        return
    name = "/".join(target.parts[-3:])
    py_compile.compile(
        str(source),
        cfile=str(target.with_suffix(".pyc")),
        dfile=name,
        doraise=True,
        optimize=OPTIMIZE,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def _copy_certificates(target: Path) -> None:
    """The authorities that the agent trusts in images that have none."""
    spec = importlib.util.find_spec("certifi")
    if spec is None or spec.origin is None:
        raise BundleError("The package certifi is missing: install stead-agent with its dependencies.")
    shutil.copyfile(Path(spec.origin).parent / "cacert.pem", target / "stead_agent" / "cacert.pem")


def real_interpreter() -> Path:
    """The interpreter's own file, outside any virtual environment."""
    base = Path(getattr(sys, "_base_executable", sys.executable) or sys.executable)
    return base.resolve()
