"""The section of OpenSSH's configuration: what OpenSSH itself makes of it, and that the rest of the file stays."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

from stead.cli import certificates, sshconfig
from stead.cli.commands import config_ssh
from stead.cli.failures import CliError

OTHERS = [
    b"",
    b"Host *\n    User me\n",
    b"# no newline at the end\nHost x\n  HostName y",
    b"Host caf\xe9\r\n\tPort 22\r\n\r\n\r\n",
]


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "50% con fig"
    monkeypatch.setenv("STEAD_CONFIG_DIR", str(folder))
    return folder


@pytest.mark.parametrize("old", OTHERS)
def test_the_rest_of_the_file_stays_byte_for_byte(old: bytes) -> None:
    added = sshconfig.with_section(old, sshconfig.section())
    assert added.endswith(old)
    assert sshconfig.without_section(added) == old


@pytest.mark.parametrize("old", OTHERS)
def test_writing_it_again_changes_nothing(old: bytes) -> None:
    added = sshconfig.with_section(old, sshconfig.section())
    assert sshconfig.with_section(added, sshconfig.section()) == added


def test_an_old_section_is_replaced_where_it_stands() -> None:
    stale = sshconfig.section().replace("IdentitiesOnly yes", "IdentitiesOnly no")
    content = b"Host a\n" + stale.encode() + b"Host b\n"
    new = sshconfig.with_section(content, sshconfig.section())
    assert new == b"Host a\n" + sshconfig.section().encode() + b"Host b\n"


@pytest.mark.parametrize(
    "content",
    [
        sshconfig.BEGIN + "\nHost x\n",
        "Host x\n" + sshconfig.END + "\n",
        f"{sshconfig.END}\n{sshconfig.BEGIN}\n",
        f"{sshconfig.BEGIN}\n{sshconfig.END}\n{sshconfig.BEGIN}\n{sshconfig.END}\n",
    ],
)
def test_markers_that_do_not_match_are_left_to_a_person(content: str) -> None:
    with pytest.raises(CliError, match="markers"):
        sshconfig.with_section(content.encode(), sshconfig.section())
    with pytest.raises(CliError, match="markers"):
        sshconfig.without_section(content.encode())


def test_a_file_that_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"Host newer\n")
    with pytest.raises(CliError, match="changed"):
        sshconfig.write_config(path, b"Host older\n", b"anything")
    assert path.read_bytes() == b"Host newer\n"


def test_a_link_and_the_mode_of_its_target_are_kept(tmp_path: Path) -> None:
    target, link = tmp_path / "dotfiles", tmp_path / "config"
    target.write_bytes(b"Host a\n")
    target.chmod(0o644)
    link.symlink_to(target)
    sshconfig.write_config(link, b"Host a\n", b"Host b\n")
    assert link.is_symlink()
    assert target.read_bytes() == b"Host b\n"
    assert target.stat().st_mode & 0o777 == 0o644


def test_the_strictness_of_host_keys_is_never_lowered() -> None:
    text = sshconfig.section().lower()
    assert "stricthostkeychecking yes" in text
    assert "stricthostkeychecking no" not in text
    assert "/dev/null" not in text.replace("2>/dev/null", "")


def test_a_folder_with_quotes_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STEAD_CONFIG_DIR", str(tmp_path / "it's"))
    with pytest.raises(CliError, match="cannot be named"):
        sshconfig.section()


needs_openssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="needs OpenSSH")


def _understood(tmp_path: Path, host: str, path: str = os.environ.get("PATH", "")) -> tuple[dict[str, str], str]:
    """What ``ssh -G`` says of a host, and what it printed on stderr."""
    file = tmp_path / "ssh_config"
    file.write_bytes(sshconfig.with_section(b"User somebody\n", sshconfig.section()))
    done = subprocess.run(
        ["ssh", "-T", "-F", str(file), "-G", "--", host],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env={**os.environ, "PATH": path},
    )
    pairs = (line.partition(" ") for line in done.stdout.splitlines())
    return {key: value for key, _, value in pairs}, done.stderr


@needs_openssh
@pytest.mark.openssh
@pytest.mark.parametrize("host", ["dev.stead", "dev.alice.stead", "main.dev.alice.stead"])
def test_openssh_takes_our_hosts_to_us(tmp_path: Path, config: Path, host: str) -> None:
    (config / "ssh").mkdir(parents=True)
    certificate = Path(certificates.certificate_file(host))
    certificate.write_text("x")
    found, error = _understood(tmp_path, host)
    assert error == ""
    assert found["proxycommand"].endswith("ssh --stdio '%n'")
    assert found["stricthostkeychecking"] in {"true", "yes"}
    assert found["userknownhostsfile"] == str(config / "ssh" / "known_hosts")
    assert found["identityfile"].replace("%%", "%") == str(config / "ssh" / "id_ed25519")
    assert found["certificatefile"].replace("%n", host).replace("%%", "%") == str(certificate)
    assert found["identitiesonly"] == "yes"
    assert found["user"] == "somebody"


@needs_openssh
@pytest.mark.openssh
@pytest.mark.parametrize("host", ["example.com", "stead", "dev.steady"])
def test_openssh_leaves_other_hosts_alone(tmp_path: Path, host: str) -> None:
    found, error = _understood(tmp_path, host)
    assert error == ""
    assert "proxycommand" not in found
    assert found["stricthostkeychecking"] == "ask"
    assert found["user"] == "somebody"


@needs_openssh
@pytest.mark.openssh
@pytest.mark.parametrize(
    "host", ["x';touch pwned;'.stead", "$(touch pwned).stead", "`touch pwned`.stead", "a b;touch pwned;.stead"]
)
def test_a_hostile_host_name_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: Path, host: str
) -> None:
    (config / "ssh").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    _understood(tmp_path, host)
    assert not (tmp_path / "pwned").exists()


@needs_openssh
@pytest.mark.openssh
def test_a_fresh_certificate_spares_the_command_and_a_stale_one_does_not(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = tmp_path / "stead"
    spy.write_text(f"#!/bin/sh\necho \"$@\" >> '{tmp_path}/ran'\n")
    spy.chmod(0o755)
    monkeypatch.setattr("sys.argv", [str(spy)])
    (config / "ssh").mkdir(parents=True)
    certificate = Path(certificates.certificate_file("dev.stead"))
    certificate.write_text("x")

    _understood(tmp_path, "dev.stead")
    assert certificates.is_fresh("dev.stead")
    assert not (tmp_path / "ran").exists()

    old = certificate.stat().st_mtime - 3600
    os.utime(certificate, (old, old))
    assert not certificates.is_fresh("dev.stead")
    _understood(tmp_path, "dev.stead")
    assert (tmp_path / "ran").read_text() == "ssh --prepare dev.stead\n"


def test_another_file_than_openssh_reads_is_named_in_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert config_ssh._next(home / ".ssh" / "config") == "Next: ssh NAME.stead"
    other = tmp_path / "my config"
    assert config_ssh._next(other).endswith(f"Next: ssh -F '{other}' NAME.stead")
    monkeypatch.setenv("HOME", str(tmp_path))
    elsewhere = config_ssh._next(Path("~/.ssh/config").expanduser())
    assert str(home / ".ssh" / "config") in elsewhere
    assert f"ssh -F {tmp_path}/.ssh/config NAME.stead" in elsewhere
