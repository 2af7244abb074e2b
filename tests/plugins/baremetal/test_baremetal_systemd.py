"""A machine whose services systemd supervises: the real one, as the first process of a container."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from stead.api.provider import Unknown
from stead.testing.left_out import leave_out
from stead.testing.waiting import NeverHappened, eventually
from stead_baremetal.host import Host
from stead_baremetal.program import UNIT

pytestmark = [pytest.mark.docker, pytest.mark.openssh, pytest.mark.timeout(300, func_only=True)]
SECONDS = 60.0
OPTIONS = {
    "command": ["/sbin/init"],
    "cap_add": ["SYS_ADMIN"],
    "cgroupns": "host",
    "tmpfs": {"/run": "", "/run/lock": ""},
    "volumes": {"/sys/fs/cgroup": {"bind": "/sys/fs/cgroup", "mode": "ro"}},
    "security_opt": ["seccomp=unconfined"],
}


@pytest.fixture(scope="module")
def systemd_box(farm) -> Iterator:
    try:
        box = farm.make(**OPTIONS)
    except (docker.errors.APIError, NeverHappened) as error:
        farm.remove(farm.boxes[-1])
        leave_out("systemd in a container", str(error).splitlines()[0][:200])
    yield box
    farm.remove(box)


def test_systemd_supervises_the_agent_over_boots_and_forgets_it_with_the_release(make_rig, systemd_box) -> None:
    rig = make_rig(0)
    rig.boxes[:] = [systemd_box]
    rig.entries = {systemd_box.name: systemd_box.entry()}
    rig.write()
    sh, unit = systemd_box.sh, UNIT.rpartition("/")[2]
    host = Host(user="coder", desired_status="running", power_off=False, token="first", init_script=rig.agent)
    for attribute in Host.schema().attributes.values():
        if attribute.computed and getattr(host, attribute.key) is None:
            setattr(host, attribute.key, Unknown)
    host.create(rig.context("key-1"))
    assert rig.status(systemd_box).supervisor == "systemd"

    def has(token: str) -> bool:
        return sh("cat /home/coder/token 2>/dev/null", check=False) == token

    eventually(lambda: has("first"), SECONDS, what="the agent")
    assert sh(f"systemctl is-enabled {unit}") == "enabled"
    sh("rm /home/coder/token; pkill -KILL -u coder")
    eventually(lambda: has("first"), SECONDS, what="the agent once more")
    eventually(lambda: "agent of coder" in rig.keeper(systemd_box).log(rig.context()), SECONDS, what="the agent's log")

    sh("rm /home/coder/token")
    systemd_box.container.restart(timeout=5)
    systemd_box.wait()
    eventually(lambda: has("first"), SECONDS, what="the agent after the boot")
    assert host.read(rig.context("key-1"))

    stopped = Host(**{a.key: getattr(host, a.key) for a in Host.schema().attributes.values()})
    stopped.desired_status = "stopped"
    stopped.update(rig.context("key-1"), host)
    assert sh("ps -o pid= -u coder", check=False) == ""
    assert sh("cat /home/coder/ended"), "the agent could not end by itself"
    assert sh(f"ls {UNIT} 2>/dev/null", check=False) == ""

    stopped.delete(rig.context("key-1"))
    assert rig.state(systemd_box) == "free"
    assert sh(f"systemctl status {unit} 2>&1; ls -A /home", check=False).startswith("Unit stead-workspace")
