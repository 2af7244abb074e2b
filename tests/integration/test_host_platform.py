"""The host platform: processes that live, are found again, and are gone when they should be."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stead.api.errors import PermissionMissing, ProviderFailure, ResourceConflict, SteadError
from stead.api.provider import BuildContext, Context
from stead.terraform.builtin import builtin_platforms, builtin_providers
from stead.terraform.engine import Engine, EngineOptions
from stead.terraform.host import processes
from stead.terraform.host.folders import WorkspaceFolder
from stead.terraform.host.provider import Host, HostPlatform, host_provider
from stead.terraform.host.resources import HostHome, HostWorkspace
from stead.terraform.host.settings import HostSettings
from stead.testing.templates import TemplateRunner
from stead.testing.waiting import eventually

BUILD = BuildContext(
    deployment="deployment-of-the-test", workspace_id="w1", workspace_name="dev", allow_host=True, access_url="http://x"
)


class Rig:
    """A host platform with a folder of its own."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.settings = HostSettings(host_data_dir=folder / "host", host_grace=2, **settings)
        self.platform = HostPlatform(self.settings)
        provider = host_provider().factory(self.settings)
        assert isinstance(provider, Host)
        self.provider = provider

    def context(self, key: str = "", build: BuildContext = BUILD) -> Context:
        return Context(provider=self.provider, build=build, key=key)

    def start(self, script: str, key: str, **arguments: Any) -> HostWorkspace:
        workspace = HostWorkspace(name="dev", command=["sh", "-c", script], **arguments)
        workspace.create(self.context(key))
        return workspace


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    for owned in made.platform.owned_resources(BUILD.deployment):
        made.platform.destroy_owned(owned)


@pytest.fixture
def key() -> str:
    return os.urandom(16).hex()


def running(pid: int) -> bool:
    try:
        return b") Z" not in Path("/proc", str(pid), "stat").read_bytes()
    except FileNotFoundError:
        return False


def wait_for_the_next_tick(started: int) -> None:
    """A number is not given out twice within a tick; a test that makes up such a case has to keep them apart."""

    def begun_later() -> bool:
        probe = subprocess.Popen(["sleep", "600"])
        try:
            return int(Path("/proc", str(probe.pid), "stat").read_text().rpartition(")")[2].split()[19]) > started
        finally:
            probe.kill()
            probe.wait(10)

    eventually(begun_later, what="a process that began in a later tick")


def read_number(path: Path) -> int:
    return int(eventually(lambda: path.is_file() and path.read_text().strip(), what=f"a number in {path.name}"))


def test_a_process_runs_in_its_home_with_an_environment_of_its_own(
    rig: Rig, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "hush")
    script = "pwd; env; id -un; exec sleep 600"
    workspace = rig.start(script, key, env={"CODER_AGENT_TOKEN": "t", "EMPTY": ""})
    folder = WorkspaceFolder(rig.settings.host_data_dir, key)
    command = Path("/proc", str(workspace.pid), "cmdline")
    printed = eventually(lambda: command.read_text().startswith("sleep") and folder.log)
    lines = printed.read_text().splitlines()
    assert lines[0] == workspace.home == str(folder.home)
    assert {"CODER_AGENT_TOKEN=t", f"HOME={workspace.home}", f"STEAD_KEY={key}"} <= set(lines)
    assert "SECRET_OF_THE_SERVER" not in printed.read_text()
    assert os.getsid(workspace.pid) == workspace.pid
    assert workspace.pid not in (os.getpid(), os.getppid())
    parent = int(Path("/proc", str(workspace.pid), "stat").read_text().rpartition(")")[2].split()[1])
    assert parent != os.getpid(), "it must live on without whoever started it"
    assert rig.settings.host_data_dir.stat().st_mode & 0o066 == 0
    workspace.delete(rig.context(key))
    assert not running(workspace.pid)
    assert not folder.exists


def test_whatever_a_workspace_started_goes_with_it(rig: Rig, key: str, tmp_path: Path) -> None:
    # In its session, in a session of its own, orphaned, deaf to SIGTERM, and without the marker.
    script = f"""
        sleep 600 & echo $! > {tmp_path}/child
        setsid sleep 601 & echo $! > {tmp_path}/session
        (setsid sh -c 'sleep 602 & echo $! > {tmp_path}/orphan' &)
        sh -c 'trap "" TERM; while :; do sleep 603; done' & echo $! > {tmp_path}/deaf
        env -i /bin/sh -c 'echo $$ > {tmp_path}/bare; exec sleep 604' &
        wait
    """
    workspace = rig.start(script, key)
    pids = [read_number(tmp_path / name) for name in ("child", "session", "orphan", "deaf", "bare")]
    assert all(map(running, pids))
    workspace.delete(rig.context(key))
    assert [pid for pid in [*pids, workspace.pid] if running(pid)] == []
    workspace.delete(rig.context(key))  # missing is success


def test_what_outlived_the_first_process_is_still_found(rig: Rig, key: str, tmp_path: Path) -> None:
    workspace = rig.start(f"setsid sleep 600 & echo $! > {tmp_path}/left; exec sleep 601", key)
    left = read_number(tmp_path / "left")
    os.kill(workspace.pid, signal.SIGKILL)
    eventually(lambda: not running(workspace.pid))
    assert workspace.read(rig.context(key))
    assert workspace.running is False
    assert running(left)
    workspace.delete(rig.context(key))
    assert not running(left)


def test_the_first_process_may_clean_up_before_it_goes(rig: Rig, key: str, tmp_path: Path) -> None:
    workspace = rig.start(
        f"trap 'echo bye > {tmp_path}/bye; exit 0' TERM; echo ok > {tmp_path}/ok; sleep 600 & wait", key
    )
    eventually((tmp_path / "ok").is_file)
    workspace.delete(rig.context(key))
    assert (tmp_path / "bye").read_text() == "bye\n"


def test_a_number_that_another_process_has_now_is_not_touched(rig: Rig, key: str) -> None:
    workspace = rig.start("exec sleep 600", key)
    folder = WorkspaceFolder(rig.settings.host_data_dir, key)
    true_record = json.loads(folder.record.read_text())
    wait_for_the_next_tick(true_record["started"])
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        folder.record.write_text(json.dumps({**true_record, "pid": bystander.pid}))
        workspace.delete(rig.context(key))
        assert bystander.poll() is None
        assert not running(workspace.pid), "the marker in its environment gives it away"
    finally:
        bystander.kill()
        bystander.wait(10)


def test_a_record_of_an_earlier_boot_names_nobody(rig: Rig, key: str) -> None:
    workspace = rig.start("exec sleep 600", key)
    folder = WorkspaceFolder(rig.settings.host_data_dir, key)
    record = json.loads(folder.record.read_text())
    assert processes.alive(folder.first)
    folder.record.write_text(json.dumps({**record, "boot": "before"}))
    assert not processes.alive(folder.first)
    assert running(workspace.pid)


def test_create_is_idempotent_on_its_key(rig: Rig, key: str) -> None:
    first = rig.start("exec sleep 600", key)
    second = rig.start("exec sleep 600", key)
    assert (first.id, first.pid) == (second.id, second.pid)
    assert HostWorkspace.import_(rig.context(), key) is not None
    assert HostWorkspace.import_(rig.context(), "../../etc") is None


@pytest.mark.parametrize(
    ("command", "home", "expected"),
    [
        (["/no/such/program"], None, "could not run /no/such/program: No such file"),
        (["sh"], "/no/such/folder", "could not enter /no/such/folder: No such file"),
    ],
)
def test_a_start_that_fails_is_explained_and_leaves_nothing(
    rig: Rig, key: str, command: list[str], home: str | None, expected: str
) -> None:
    workspace = HostWorkspace(name="dev", command=command, home=home)
    with pytest.raises(ProviderFailure, match=expected):
        workspace.create(rig.context(key))
    assert not workspace.identity
    assert not WorkspaceFolder(rig.settings.host_data_dir, key).exists
    assert processes.tree(key, None) == []


@pytest.mark.parametrize("kind", [HostWorkspace, HostHome])
def test_it_is_off_unless_it_was_allowed(rig: Rig, key: str, kind: type[HostWorkspace | HostHome]) -> None:
    forbidden = rig.context(key, BuildContext(deployment="d", workspace_id="w1"))
    arguments = {"command": ["sleep", "1"]} if kind is HostWorkspace else {}
    with pytest.raises(PermissionMissing, match="allow_host"):
        kind(name="dev", **arguments).create(forbidden)
    assert not rig.settings.host_data_dir.exists()


def test_a_home_belongs_to_one_workspace(rig: Rig, key: str) -> None:
    home = HostHome(name="h")
    home.create(rig.context(key))
    Path(home.path, "kept.txt").write_text("x")
    assert Path(home.path).stat().st_mode & 0o077 == 0
    again = HostHome(name="h")
    again.create(rig.context("newer"))  # the same workspace, whose state was lost
    assert Path(again.path, "kept.txt").read_text() == "x"
    stranger = BuildContext(deployment=BUILD.deployment, workspace_id="w2", allow_host=True)
    with pytest.raises(ResourceConflict, match="another workspace"):
        HostHome(name="h").create(rig.context("other", stranger))
    home.delete(rig.context(key))
    assert Path(again.path, "kept.txt").exists(), "the older key has nothing left to remove"
    again.delete(rig.context("newer"))
    assert not Path(again.path).exists()
    again.delete(rig.context("newer"))


def test_a_home_goes_with_everything_in_it(rig: Rig, key: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("stays")
    home = HostHome(name="h")
    home.create(rig.context(key))
    sealed = Path(home.path, "cache/module")
    sealed.mkdir(parents=True)
    (sealed / "file").write_text("x")
    sealed.chmod(0o500)
    sealed.parent.chmod(0o500)
    Path(home.path, "link").symlink_to(outside)
    interrupted = Path(home.path).with_name(".removed-earlier")
    (interrupted / "deep").mkdir(parents=True)
    home.delete(rig.context(key))
    assert list(Path(home.path).parent.iterdir()) == []
    assert (outside / "file").read_text() == "stays"


def test_write_protected_folders_go_without_special_powers(tmp_path: Path) -> None:
    # In a process of its own that has given up what lets root write everywhere.
    script = """if True:
        import sys
        from pathlib import Path
        from stead.terraform.host.folders import remove_folder
        home = Path(sys.argv[1], "home")
        sealed = home / "cache" / "module"
        sealed.mkdir(parents=True)
        (sealed / "file").write_text("x")
        for folder in (sealed, sealed.parent, home):
            folder.chmod(0o500)
        try:
            (sealed / "more").write_text("x")
        except PermissionError:
            remove_folder(home)
            print([path.name for path in Path(sys.argv[1]).iterdir()])
    """
    powerless = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*powerless, sys.executable, "-c", script, tmp_path], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "x" * 129])
def test_a_name_leads_nowhere_else(rig: Rig, name: str) -> None:
    with pytest.raises((SteadError, ValueError)):
        HostHome.import_(rig.context(), name)


def test_owned_things_are_listed_and_removed_by_their_deployment(rig: Rig, key: str) -> None:
    workspace = rig.start("exec sleep 600", key)
    HostHome(name="h").create(rig.context("home-key"))
    found = {item.type_name: item for item in rig.platform.owned_resources(BUILD.deployment)}
    assert (found["host_workspace"].key, found["host_home"].key) == (key, "home-key")
    assert rig.platform.owned_resources("another") == []
    for item in found.values():
        rig.platform.destroy_owned(item)
        rig.platform.destroy_owned(item)
    assert rig.platform.owned_resources(BUILD.deployment) == []
    assert not running(workspace.pid)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_workspace_can_run_as_an_unprivileged_user(key: str) -> None:
    # pytest's own folder is closed to other users, as a real one under /root would be.
    open_folder = Path("/var/tmp", f"stead-host-test-{key}")
    open_folder.mkdir(mode=0o755)
    rig = Rig(open_folder, host_user="nobody")
    try:
        workspace = rig.start("id -un; touch here; exec sleep 600", key)
        made = Path(workspace.home, "here")
        eventually(made.is_file)
        assert made.stat().st_uid == pwd.getpwnam("nobody").pw_uid
        assert "Uid:\t65534" in Path("/proc", str(workspace.pid), "status").read_text()
        workspace.delete(rig.context(key))
        assert not running(workspace.pid)
    finally:
        subprocess.run(["rm", "-rf", open_folder], check=True, timeout=30)


def test_a_user_that_does_not_exist_is_named(rig: Rig) -> None:
    wrong = HostSettings(host_data_dir=rig.settings.host_data_dir, host_user="no-such-user")
    with pytest.raises(SteadError, match="no user 'no-such-user'"):
        HostPlatform(wrong).trial()


def test_it_says_that_it_isolates_nobody(rig: Rig, key: str) -> None:
    heard: list[tuple[str, str]] = []
    context = rig.context(key)
    context.sink = lambda level, text: heard.append((level, text))
    workspace = HostWorkspace(name="dev", command=["sleep", "600"])
    workspace.create(context)
    assert any(level == "warn" and "isolated from nothing" in text for level, text in heard)
    assert "isolated from nothing" in rig.platform.check_credentials().summary


@pytest.fixture
def starter(rig: Rig, tmp_path: Path) -> Iterator[tuple[TemplateRunner, str]]:
    """The platform's own starter template, with a bootstrap script that needs no server."""
    engine = Engine(
        EngineOptions(network=False),
        [(spec, rig.settings if spec.settings is HostSettings else spec.settings()) for spec in builtin_providers()],
    )
    context = BuildContext(
        **{**vars(BUILD), "init_scripts": lambda os, arch: "date +%N > $HOME/started; exec sleep 600"}
    )
    (platform,) = builtin_platforms()
    (template,) = platform.templates
    assert (template.path / "README.md").is_file()
    folder = tmp_path / "runs"
    folder.mkdir()
    yield TemplateRunner(engine, folder, context), (template.path / "main.tf").read_text()
    engine.close()


def test_the_starter_template_starts_stops_and_is_deleted(rig: Rig, starter: tuple[TemplateRunner, str]) -> None:
    runner, template = starter
    started = runner.apply(template)
    assert [agent.resource for agent in started.document.agents] == ["host_workspace.main[0]"]
    workspace = runner.attributes("host_workspace.main")
    home = Path(workspace["home"])
    first_start = eventually(lambda: (home / "started").is_file() and (home / "started").read_text())
    assert running(workspace["pid"])
    assert "isolated from nothing" in runner.log

    runner.apply(template, transition="stop")
    assert not running(workspace["pid"])
    assert (home / "started").is_file()

    runner.apply(template)
    again = runner.attributes("host_workspace.main")
    assert again["home"] == workspace["home"]
    assert eventually(lambda: (home / "started").read_text() not in ("", first_start))
    runner.destroy(template)
    assert not running(again["pid"])
    assert not home.exists()
    assert rig.platform.owned_resources(BUILD.deployment) == []


def test_a_workspace_that_died_is_started_again(starter: tuple[TemplateRunner, str]) -> None:
    runner, template = starter
    runner.apply(template)
    pid = runner.attributes("host_workspace.main")["pid"]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not running(pid))
    runner.apply(template)
    fresh = runner.attributes("host_workspace.main")
    assert fresh["pid"] != pid
    assert running(fresh["pid"])
    runner.destroy(template)


def test_what_runs_can_be_ended_after_the_platform_was_turned_off(starter: tuple[TemplateRunner, str]) -> None:
    runner, template = starter
    runner.apply(template)
    pid = runner.attributes("host_workspace.main")["pid"]
    runner.apply(template, transition="stop", allow_host=False)
    assert not running(pid)
    with pytest.raises(SteadError, match="The host platform is off"):
        runner.apply(template, allow_host=False)
    assert not runner.destroy(template, allow_host=False).document.resources


def test_an_import_says_that_the_platform_is_off(starter: tuple[TemplateRunner, str]) -> None:
    runner, template = starter
    with pytest.raises(SteadError, match="The host platform is off"):
        runner.plan(template, importing=True, allow_host=False)
