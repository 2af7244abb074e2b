"""The section of ``~/.ssh/config`` that makes ``ssh NAME.stead`` work, and how it is put there.

Everything outside the two markers stays as it is, byte for byte.
"""

from __future__ import annotations

import difflib
import os
import shutil
import sys
from pathlib import Path

from stead.cli.certificates import ssh_dir
from stead.cli.failures import CliError
from stead.cli.files import read_or_empty, write_atomically
from stead.cli.names import SUFFIX
from stead.cli.session import config_dir

BEGIN = "# --- begin stead: written by `stead config-ssh`, do not edit ---"
END = "# --- end stead ---"

# A host name may come from elsewhere (a submodule's URL). It stands between single quotes in the commands
# below, so a name with a single quote in it is none of ours.
_PATTERN = f"*{SUFFIX},!*'*"


def program() -> str:
    """How to start this very ``stead`` from a shell, quoted for it."""
    found = Path(sys.argv[0])
    if found.name == "stead" and found.is_file():
        return _quoted(str(found.resolve()))
    beside = Path(sys.executable).with_name("stead")
    if beside.is_file():
        return _quoted(str(beside))
    on_path = shutil.which("stead")
    return _quoted(on_path or sys.executable) + ("" if on_path else " -m stead.cli.main")


def _environment() -> str:
    """OpenSSH is also started by editors, which do not have the shell's environment."""
    if "STEAD_CONFIG_DIR" not in os.environ:
        return ""
    return f"env STEAD_CONFIG_DIR={_quoted(_checked(config_dir()))} "


def section() -> str:
    """The managed section, markers included."""
    folder = _checked(ssh_dir()).replace("%", "%%")
    command = f"{_environment()}{program()}".replace("%", "%%")
    certificate = f"{folder}/%n-cert.pub"
    fresh = f"find '{certificate}' -mmin -1 2>/dev/null | grep -q ."
    prepare = f"{command} ssh --prepare '%n'"
    return "\n".join(
        [
            BEGIN,
            # Always true in effect: it only sees to it that there is a certificate.
            f'Match originalhost "{_PATTERN}" exec "{fresh} || {prepare}"',
            f'    CertificateFile "{certificate}"',
            f'Match originalhost "{_PATTERN}"',
            f"    ProxyCommand {command} ssh --stdio '%n'",
            f'    IdentityFile "{folder}/id_ed25519"',
            "    IdentitiesOnly yes",
            f'    UserKnownHostsFile "{folder}/known_hosts"',
            "    GlobalKnownHostsFile none",
            "    StrictHostKeyChecking yes",
            "    HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com",
            "    UpdateHostKeys no",
            "    CheckHostIP no",
            "    CanonicalizeHostname no",
            "    ServerAliveInterval 15",
            "Match all",
            END,
            "",
        ]
    )


def with_section(old: bytes, new_section: str) -> bytes:
    """The file's content with the managed section replaced, or put in front where there is none.

    In front, because OpenSSH takes the first value that it finds, and a ``Host *`` of the person's stands
    wherever they put it.

    :raises CliError: the markers do not match.
    """
    before, inside, after = _split(old)
    if inside:
        return before + new_section.encode() + after
    return new_section.encode() + (b"\n" if old else b"") + old


def without_section(old: bytes) -> bytes:
    """The content without the section and without the empty line that came with it.

    :raises CliError: the markers do not match.
    """
    before, inside, after = _split(old)
    if inside and not before and after.startswith(b"\n"):
        after = after[1:]
    return before + after


def _split(content: bytes) -> tuple[bytes, bytes, bytes]:
    begin, end = BEGIN.encode(), END.encode() + b"\n"
    if content.count(begin) == 0 and content.count(END.encode()) == 0:
        return content, b"", b""
    start = content.find(begin)
    stop = content.find(end, start)
    if content.count(begin) != 1 or content.count(END.encode()) != 1 or stop < 0:
        raise CliError(
            "The markers of Stead's section in the SSH configuration do not match.",
            remedy="Remove the lines of that section by hand and run stead config-ssh again.",
        )
    stop += len(end)
    return content[:start], content[start:stop], content[stop:]


def difference(path: Path, old: bytes, new: bytes) -> str:
    """A unified diff, for ``--dry-run``."""
    lines = difflib.unified_diff(
        old.decode("utf-8", "replace").splitlines(keepends=True),
        new.decode("utf-8", "replace").splitlines(keepends=True),
        str(path),
        str(path),
    )
    return "".join(lines)


def write_config(path: Path, old: bytes, new: bytes) -> None:
    """Replace the file, unless somebody else has changed it meanwhile; links and its mode are kept.

    :raises CliError: it changed, or cannot be written.
    """
    target = path.resolve()
    if read_or_empty(str(target)) != old:
        raise CliError(f"{path} was changed by another program meanwhile.", remedy="Run the command again.")
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
        write_atomically(str(target), new, mode=mode)
        os.chmod(target, mode)  # noqa: PTH101  the umask had its say in the line above
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}.") from error


def standalone() -> str:
    """A configuration of its own for ``stead ssh``: the section, then the person's own file."""
    own = Path.home() / ".ssh" / "config"
    include = f'Include "{own}"\n' if own.is_file() else ""
    return f"{section()}\n{include}"


def _checked(path: str) -> str:
    """A path that can stand between quotes in OpenSSH's configuration.

    :raises CliError: it has quotes of its own.
    """
    if any(char in path for char in "'\"\\\n"):
        raise CliError(
            f"The folder {path!r} cannot be named in OpenSSH's configuration.",
            remedy="Set STEAD_CONFIG_DIR to a folder without quotes in its path.",
        )
    return path


def _quoted(text: str) -> str:
    """``text`` in single quotes where a shell needs them."""
    if text and all(char.isalnum() or char in "/._-+%@:=" for char in text):
        return text
    return "'" + text.replace("'", "'\\''") + "'"
