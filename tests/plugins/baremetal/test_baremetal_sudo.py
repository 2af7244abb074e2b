"""What Stead may do on a machine where it is not root: exactly what the code does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from stead.api.errors import PermissionMissing, SteadError
from stead_baremetal.answers import Claim
from stead_baremetal.policy import SUDOERS, setup, sudoers
from stead_baremetal.program import PROGRAM, Word

pytestmark = [pytest.mark.docker, pytest.mark.openssh, pytest.mark.timeout(300, func_only=True)]


@pytest.fixture(scope="module")
def guarded_box(farm) -> Iterator:
    """A machine that was set up as the documentation says; root itself has no way in."""
    box = farm.make()
    box.write("/setup.sh", setup("stead", farm.public_key))
    assert box.host_key.split()[1] in box.sh("sh /setup.sh")
    box.sh("rm /root/.ssh/authorized_keys")
    yield box
    farm.remove(box)


@pytest.fixture
def sudo_rig(make_rig, guarded_box):
    rig = make_rig(0)
    rig.boxes[:] = [guarded_box]
    rig.entries = {guarded_box.name: guarded_box.entry(user="stead")}
    rig.write()
    return rig


def whole_life(rig, box) -> set[Word]:
    """Everything that Stead ever asks of a machine; returns the words that were allowed."""
    keeper, context = rig.keeper(box), rig.context()
    steps = {
        Word.STATUS: lambda: keeper.status(context),
        Word.DRAIN: lambda: keeper.drain(context, "why"),
        Word.UNDRAIN: lambda: keeper.undrain(context),
        Word.CLAIM: lambda: keeper.claim(context, Claim("k1")),
        Word.PREPARE: lambda: keeper.prepare(context, "k1", "coder"),
        Word.START: lambda: keeper.start(context, "k1", "", "sleep 600"),
        Word.LOG: lambda: keeper.log(context),
        Word.STOP: lambda: keeper.stop(context, "k1"),
        Word.RELEASE: lambda: keeper.release(context, "k1"),
    }
    allowed, refusals = set(), {}
    for word, step in steps.items():
        try:
            step()
            allowed.add(word)
        except PermissionMissing as failure:
            refusals[word] = str(failure)
        except SteadError:
            allowed.add(word)  # allowed, and refused by the program, as a step before it was not
    for word, text in refusals.items():
        assert f"sudo -n {PROGRAM} {word}" in text
        assert "policy --setup" in text
    return allowed


def test_the_rules_are_enough_and_each_is_needed(sudo_rig, guarded_box) -> None:
    everything = set(Word) - {Word.POWEROFF}
    assert whole_life(sudo_rig, guarded_box) == everything
    assert sudo_rig.state(guarded_box) == "free"
    assert sudo_rig.platform.check_credentials().ok
    for missing in (Word.CLAIM, Word.RELEASE):
        guarded_box.sh(f"sed -i '\\| {missing}$|s|^|#|' {SUDOERS}")
        try:
            assert whole_life(sudo_rig, guarded_box) == everything - {missing}
        finally:
            guarded_box.sh(f"sed -i 's|^#stead|stead|' {SUDOERS}")
        sudo_rig.keeper(guarded_box).release(sudo_rig.context(), "k1")


def test_nothing_else_is_allowed(guarded_box) -> None:
    for command in (
        "id",
        "sh -c id",
        f"{PROGRAM}",
        f"{PROGRAM} run",
        f"{PROGRAM} claim more",
        f"{PROGRAM} boot",
        f"cat {SUDOERS}",
    ):
        said = guarded_box.sh(f"su stead -c 'sudo -n {command}'", check=False)
        assert "password is required" in said, (command, said)


def test_a_program_that_was_changed_does_not_run_as_root(sudo_rig, guarded_box) -> None:
    guarded_box.sh(f"cp {PROGRAM} /kept; echo 'id >/owned' >>{PROGRAM}")
    try:
        with pytest.raises(PermissionMissing):
            sudo_rig.status(guarded_box)
    finally:
        guarded_box.sh(f"cat /kept >{PROGRAM}")
    assert "owned" not in guarded_box.sh("ls /")
    assert sudo_rig.state(guarded_box) == "free"


def test_the_account_cannot_use_what_it_may_say_to_become_root(sudo_rig, guarded_box) -> None:
    """All input of the program is read as data."""
    guarded_box.sh("touch /tmp/keep")
    for text in ("key=$(touch /tmp/x)", "key=a;touch /tmp/x", "user=../root", "name=`id`", "PATH=/tmp", "nonsense"):
        said = guarded_box.sh(
            f"printf '%s\\n' \"$TEXT\" | su stead -c 'sudo -n {PROGRAM} claim'; ls /tmp",
            check=False,
            environment={"TEXT": text},
        )
        assert "reason=" in said, text
        assert "x" not in said.splitlines()[1:], text
    keeper, context = sudo_rig.keeper(guarded_box), sudo_rig.context()
    keeper.claim(context, Claim("k1"))
    for user in ("root", "stead", "daemon", "../x"):
        with pytest.raises(SteadError):
            keeper.prepare(context, "k1", user)
    keeper.release(context, "k1")
    assert guarded_box.sh("id stead daemon >/dev/null; ls -d /home/stead") == "/home/stead"


def test_a_machine_without_the_program_says_how_to_get_it(sudo_rig, guarded_box) -> None:
    guarded_box.sh(f"mv {PROGRAM} /kept")
    try:
        with pytest.raises(PermissionMissing, match="policy --setup"):
            sudo_rig.status(guarded_box)
        report = sudo_rig.platform.check_credentials()
        assert not report.ok
        assert "policy --setup" in report.remedies[0]
    finally:
        guarded_box.sh(f"mv /kept {PROGRAM}")


def test_the_document_is_printed_by_a_command(farm) -> None:
    command = [sys.executable, "-m", "stead_baremetal.policy"]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True).stdout
    assert printed == sudoers("stead")
    assert all(f"{PROGRAM} {word}\n" in printed for word in Word)
    more = [*command, "--setup", "--user", "ops", "--key", f"{farm.key_file}.pub"]
    script = subprocess.run(more, capture_output=True, text=True, timeout=100, check=True).stdout
    assert script == setup("ops", farm.public_key)
    assert subprocess.run([*command, "--setup"], capture_output=True, timeout=100, check=False).returncode == 2
