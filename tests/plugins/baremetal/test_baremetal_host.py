"""The resource, on real machines behind real SSH servers."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from stead.api.errors import (
    BuildCanceled,
    CapacityExhausted,
    CredentialsRejected,
    OperationTimedOut,
    PlatformUnreachable,
    ProviderFailure,
    ResourceConflict,
    ResourceNotFound,
)
from stead.api.provider import Unknown
from stead.testing.waiting import eventually
from stead_baremetal.data_sources import MachineData, Machines
from stead_baremetal.failures import HostKeyRefused
from stead_baremetal.host import Host
from stead_baremetal.keeper import NotWiped
from stead_baremetal.program import STATE

pytestmark = [pytest.mark.docker, pytest.mark.openssh, pytest.mark.timeout(300, func_only=True)]
SECONDS = 45.0


def planned(rig, **values) -> Host:
    """As the engine gives it to ``create``."""
    host = Host(**{"user": "coder", "desired_status": "running", "power_off": False, **values})
    for attribute in Host.schema().attributes.values():
        if attribute.computed and getattr(host, attribute.key) is None:
            setattr(host, attribute.key, Unknown)
    return host


def create(rig, key: str = "key-1", **values) -> Host:
    host = planned(rig, **{"init_script": rig.build.init_scripts("linux", "amd64"), "token": "first", **values})
    host.create(rig.context(key))
    return host


def box_of(rig, host: Host):
    return next(box for box in rig.boxes if box.name == host.name)


def changed(host: Host, **values) -> Host:
    names = [attribute.key for attribute in Host.schema().attributes.values()]
    return Host(**{**{name: getattr(host, name) for name in names}, **values})


def agent_has(box, token: str) -> bool:
    return box.sh("cat /home/coder/token 2>/dev/null", check=False) == token


def test_a_machine_is_claimed_prepared_stopped_started_and_wiped(rig) -> None:
    host = create(rig, env={"GREETING": 'it\'s "me" $HOME'})
    box = box_of(rig, host)
    assert (host.claim, host.phase, host.home) == ("key-1", "ready", "/home/coder")
    assert host.cpus > 0
    eventually(lambda: agent_has(box, "first"), SECONDS, what="the agent")
    assert box.sh("stat -c '%U %a' /home/coder") == "coder 700"
    assert "GREETING='it'" in box.sh(f"cat {STATE}/workspace/environment")
    box.sh("su coder -c 'echo mine >/home/coder/kept; echo x >/tmp/of-coder; (sleep 600 &)'")
    assert host.read(rig.context("key-1"))
    assert host.desired_status == "running"

    stopped = changed(host, desired_status="stopped", token="second")
    stopped.update(rig.context("key-1"), host)
    assert box.sh("cat /home/coder/ended"), "the agent could not end by itself"
    assert box.sh("ps -o pid= -u coder", check=False) == ""
    assert stopped.read(rig.context("key-1"))
    assert stopped.desired_status == "stopped"

    again = changed(stopped, desired_status="running", token="third")
    again.update(rig.context("key-1"), stopped)
    eventually(lambda: agent_has(box, "third"), SECONDS, what="the agent with its new token")
    assert box.sh("cat /home/coder/kept") == "mine"

    again.delete(rig.context("key-1"))
    assert rig.state(box) == "free"
    assert box.sh("ls -A /home; find /tmp -name 'of-coder'; ls -A /var/lib/stead-machine") == "lock"
    assert box.sh("id coder 2>&1; true").endswith("no such user")
    again.delete(rig.context("key-1"))


def test_create_twice_is_one_machine_and_the_next_key_gets_another(rig) -> None:
    first, again, other = create(rig), create(rig), create(rig, "key-2")
    assert first.name == again.name != other.name
    with pytest.raises(CapacityExhausted, match="of 2 machines 2 fit, of which 2 busy"):
        create(rig, "key-3")
    assert sorted(rig.owned()) == sorted([first.name, other.name])
    for item in rig.platform.owned_resources(rig.name):
        assert item.labels["stead.key"] == item.key
        rig.platform.destroy_owned(item)
        rig.platform.destroy_owned(item)
    assert rig.owned() == []
    assert not first.read(rig.context("key-1"))


def test_labels_decide_and_what_is_missing_is_counted(rig) -> None:
    small, large = rig.boxes
    rig.describe(small, labels={"gpu": "none", "memory": 16}, price=0.1)
    rig.describe(large, labels={"gpu": "a100", "memory": 128}, price=2.5)
    host = create(rig, labels={"gpu": "a100|h100", "memory": ">=64"})
    assert (host.name, host.hourly_price) == (large.name, 2.5)
    with pytest.raises(CapacityExhausted) as caught:
        create(rig, "key-2", labels={"gpu": "h100", "memory": ">=100"})
    assert "they lack: gpu=h100 (2), memory>=100 (1)" in str(caught.value)
    rig.describe(small, labels={"gpu": "none", "memory": 16}, drain="the fan is loud")
    with pytest.raises(CapacityExhausted, match=r"1 busy, 1 drained|1 drained, 1 busy") as caught:
        create(rig, "key-2")
    assert f"{small.name}: the fan is loud" in str(caught.value)
    with pytest.raises(ResourceNotFound, match="no machine nowhere"):
        create(rig, "key-2", machine="nowhere")


def test_the_cheapest_comes_first_and_one_machine_can_be_named(rig) -> None:
    cheap, dear = rig.boxes
    rig.describe(cheap, price=1)
    rig.describe(dear, price=3)
    assert create(rig).name == cheap.name
    assert create(rig, "key-2", machine=dear.name).name == dear.name


def test_a_drained_machine_is_not_claimed_and_what_it_has_stays(rig) -> None:
    one, two = rig.boxes
    host = create(rig, machine=one.name)
    for box in (one, two):
        rig.status(box)
        rig.keeper(box).drain(rig.context(), "new disks")
    assert rig.state(two) == "drained"
    with pytest.raises(CapacityExhausted, match=f"{two.name}: new disks"):
        create(rig, "key-2")
    assert host.read(rig.context("key-1"))
    host.delete(rig.context("key-1"))
    assert rig.state(one) == "drained"
    rig.keeper(two).undrain(rig.context())
    assert create(rig, "key-2").name == two.name


def test_an_ill_machine_is_not_claimed(make_rig) -> None:
    rig = make_rig(1)
    (box,) = rig.boxes
    box.sh("printf 'health_command=/usr/local/bin/check\n' >/etc/stead-machine.conf")
    box.sh(
        "printf '#!/bin/sh\necho the RAID is degraded; exit 1\n' >/usr/local/bin/check; chmod +x /usr/local/bin/check"
    )
    with pytest.raises(CapacityExhausted, match="check says: the RAID is degraded"):
        create(rig)
    report = rig.platform.check_credentials()
    assert not report.ok
    assert "RAID is degraded" in report.remedies[0]
    box.sh("printf 'min_free_mib=99999999\n' >/etc/stead-machine.conf")
    with pytest.raises(CapacityExhausted, match=r"has only \d+ MiB free"):
        create(rig)


def test_another_host_key_is_refused_and_nothing_is_sent(make_rig) -> None:
    rig = make_rig(2)
    one, two = rig.boxes
    rig.describe(one, host_keys=[two.host_key])
    rig.describe(two, host_keys=[])
    rig.tune(known_hosts=rig.folder / "known")
    (rig.folder / "known").write_text("")
    with pytest.raises(HostKeyRefused, match="another host key than the known one"):
        rig.status(one)
    with pytest.raises(HostKeyRefused, match=r"not known, so it is not trusted"):
        rig.status(two)
    with pytest.raises(CapacityExhausted, match="2 unusable"):
        create(rig)
    assert not rig.platform.check_credentials().ok
    assert "stead-machine" not in one.sh("ls /usr/local/sbin") or one.sh(f"ls {STATE} 2>/dev/null; true") == ""
    (rig.folder / "known").write_text(f"[127.0.0.1]:{two.port} {two.host_key}\n")
    assert rig.state(two) == "free"


def test_a_key_that_the_machine_does_not_know_is_told(make_rig) -> None:
    rig = make_rig(1)
    (box,) = rig.boxes
    rig.describe(box, user="somebody")
    with pytest.raises(CredentialsRejected, match="does not accept the key"):
        rig.status(box)


def test_a_release_that_cannot_wipe_keeps_the_machine_out_of_use(make_rig) -> None:
    rig = make_rig(1)
    (box,) = rig.boxes
    host = create(rig)
    # As where a folder is a mount point, immutable, or on a disk that has become read-only.
    box.sh("printf '#!/bin/sh\nexit 1\n' >/usr/local/sbin/rm; chmod +x /usr/local/sbin/rm")
    with pytest.raises(NotWiped, match=r"/home/coder cannot be removed. It stays out of use"):
        host.delete(rig.context("key-1"))
    assert rig.state(box) == "dirty"
    assert rig.status(box).phase == "releasing"
    with pytest.raises(CapacityExhausted, match=f"1 dirty. {box.name}: /home/coder cannot be removed"):
        create(rig, "key-2")
    assert not rig.platform.check_credentials().ok
    (left,) = rig.platform.owned_resources(rig.name)
    with pytest.raises(NotWiped):
        rig.platform.destroy_owned(left)
    box.sh("/bin/rm /usr/local/sbin/rm")
    host.delete(rig.context("key-1"))
    assert rig.state(box) == "free"


def test_what_the_operator_adds_is_wiped_too_and_its_failure_counts(make_rig) -> None:
    rig = make_rig(1)
    (box,) = rig.boxes
    box.sh("mkdir -p /scratch; echo data >/scratch/of-root; touch /scratch/.hidden")
    box.sh("printf 'wipe=/scratch\nwipe_command=/bin/false\n' >/etc/stead-machine.conf")
    host = create(rig)
    with pytest.raises(NotWiped, match="/bin/false says"):
        host.delete(rig.context("key-1"))
    box.sh("printf 'wipe=/scratch\nwipe_command=/bin/true\n' >/etc/stead-machine.conf")
    host.delete(rig.context("key-1"))
    assert box.sh("ls -A /scratch") == ""
    assert rig.state(box) == "free"


def test_an_account_that_is_not_ours_is_not_touched(make_rig) -> None:
    rig = make_rig(1)
    (box,) = rig.boxes
    box.sh("useradd -m coder; echo precious >/home/coder/file")
    with pytest.raises(ProviderFailure, match="the account coder is there already"):
        create(rig)
    (left,) = rig.platform.owned_resources(rig.name)
    rig.platform.destroy_owned(left)
    assert box.sh("cat /home/coder/file") == "precious"
    assert rig.state(box) == "free"


def test_an_agent_that_ends_is_started_again_and_one_that_is_gone_is_seen(make_rig) -> None:
    rig = make_rig(1)
    (box,) = rig.boxes
    host = create(rig)
    eventually(lambda: agent_has(box, "first"), SECONDS, what="the agent")
    box.sh("rm /home/coder/token; pkill -KILL -u coder")
    eventually(lambda: agent_has(box, "first"), SECONDS, what="the agent once more")
    box.sh("pkill -KILL -f '[s]tead-machine supervise'; pkill -KILL -u coder")
    assert host.read(rig.context("key-1"))
    assert host.desired_status == "stopped"
    box.sh("rm /home/coder/token")
    changed(host, desired_status="running").update(rig.context("key-1"), host)
    eventually(lambda: agent_has(box, "first"), SECONDS, what="the agent after the repair")


def test_a_claim_that_vanished_is_seen(make_rig) -> None:
    rig = make_rig(1)
    (box,) = rig.boxes
    host = create(rig)
    box.sh(f"rm {STATE}/claim")
    assert not host.read(rig.context("key-1"))
    assert rig.owned() == []


def test_a_machine_that_left_the_inventory_is_gone(rig) -> None:
    host = create(rig)
    context = rig.context("key-1")
    del rig.entries[host.name]
    rig.write()
    context = rig.context("key-1")
    assert not host.read(context)
    assert "not in the inventory any more" in context.warnings[0].summary
    host.delete(context)


def test_import_finds_the_workspace_s_own_and_no_other(rig) -> None:
    host = create(rig)
    found = Host.import_(rig.context(), host.name)
    for name in ("id", "name", "claim", "phase", "user", "desired_status", "home", "cpus"):
        assert getattr(found, name) == getattr(host, name), name
    assert Host.import_(rig.context(), "nowhere") is None
    free = next(box.name for box in rig.boxes if box.name != host.name)
    assert Host.import_(rig.context(), free) is None
    with pytest.raises(ResourceConflict, match="belongs to another workspace: tester"):
        Host.import_(rig.context(build=replace(rig.build, workspace_id="other")), host.name)


def test_a_machine_that_reboots_is_the_workspace_s_still(farm, make_rig) -> None:
    rig = make_rig(1)
    box = farm.make()
    rig.boxes[:] = [box]
    rig.entries = {box.name: box.entry()}
    rig.write()
    host = create(rig)
    eventually(lambda: agent_has(box, "first"), SECONDS, what="the agent")
    box.sh("rm /home/coder/token")
    box.container.restart(timeout=2)
    assert host.read(rig.context("key-1")), "a reading waits for a machine that boots"
    box.wait()
    eventually(lambda: agent_has(box, "first"), SECONDS, what="the agent after the boot")
    host.delete(rig.context("key-1"))
    assert rig.state(box) == "free"
    farm.remove(box)


def test_a_machine_that_reboots_while_it_is_prepared_is_finished(farm, make_rig) -> None:
    rig = make_rig(1)
    box = farm.make()
    rig.boxes[:] = [box]
    rig.entries = {box.name: box.entry()}
    rig.write()
    # The account's making hangs until the machine has gone.
    box.sh("printf '#!/bin/sh\ntouch /begun; sleep 600\n' >/usr/local/sbin/useradd; chmod +x /usr/local/sbin/useradd")

    def reboot() -> None:
        eventually(lambda: box.sh("ls /begun", check=False) == "/begun", SECONDS, what="the preparation")
        box.sh("rm /usr/local/sbin/useradd")
        box.container.restart(timeout=0)

    thread = threading.Thread(target=reboot)
    thread.start()
    host = create(rig)
    thread.join(SECONDS)
    assert host.phase == "ready"
    box.wait()
    eventually(lambda: agent_has(box, "first"), SECONDS, what="the agent")
    host.delete(rig.context("key-1"))
    farm.remove(box)


def test_a_machine_that_dies_while_it_is_prepared_is_remembered_and_found(farm, make_rig) -> None:
    rig = make_rig(1)
    box = farm.make()
    rig.boxes[:] = [box]
    rig.entries = {box.name: box.entry()}
    rig.tune(patience=3, read_patience=1)
    box.sh("printf '#!/bin/sh\ntouch /begun; sleep 600\n' >/usr/local/sbin/useradd; chmod +x /usr/local/sbin/useradd")

    def die() -> None:
        eventually(lambda: box.sh("ls /begun", check=False) == "/begun", SECONDS, what="the preparation")
        box.container.kill()

    thread = threading.Thread(target=die)
    thread.start()
    host = planned(rig, init_script="true", token="first")
    with pytest.raises(PlatformUnreachable):
        host.create(rig.context("key-1"))
    thread.join(SECONDS)
    assert (host.identity, host.claim) == (box.name, "key-1"), "the state remembers it, to be replaced"
    with pytest.raises(PlatformUnreachable, match="cannot be released, as it cannot be wiped"):
        host.delete(rig.context("key-1"))
    with pytest.raises(PlatformUnreachable):
        host.read(rig.context("key-1"))
    with pytest.raises(CapacityExhausted, match="1 unreachable"):
        create(rig, "key-2")
    with pytest.raises(PlatformUnreachable, match=f"What is on {box.name} is not known"):
        list(rig.platform.owned_resources(rig.name))

    box.container.start()
    box.wait()
    box.sh("rm /usr/local/sbin/useradd")
    assert rig.state(box) == "busy", "the claim outlived the machine's death"
    (left,) = rig.platform.owned_resources(rig.name)
    assert left.key == "key-1"
    rig.platform.destroy_owned(left)
    assert rig.state(box) == "free"
    farm.remove(box)


def test_a_machine_that_hangs_is_given_up_at_the_deadline_and_on_cancelling(make_rig) -> None:
    rig = make_rig(1)
    (box,) = rig.boxes
    host = create(rig, init_script=None)
    box.sh("printf '#!/bin/sh\nexec sleep 4321\n' >/usr/local/bin/hang; chmod +x /usr/local/bin/hang")
    box.sh("printf 'wipe_command=/usr/local/bin/hang\n' >/etc/stead-machine.conf")
    rig.tune(release_timeout=1.5)
    with pytest.raises(OperationTimedOut, match="did not finish within"):
        host.delete(rig.context("key-1"))
    context = rig.context("key-1")
    threading.Timer(1.0, context.canceled.set).start()
    with pytest.raises((BuildCanceled, ProviderFailure)):
        host.delete(context)
    assert rig.status(box).phase == "releasing"
    # The program goes on by itself; whoever asks next waits for it.
    box.sh("pkill -f 'sleep 432[1]'; rm /etc/stead-machine.conf", check=False)
    rig.tune(release_timeout=60)
    host.delete(rig.context("key-1"))
    assert rig.state(box) == "free"


def test_data_sources_tell_of_the_machines(rig) -> None:
    one, two = rig.boxes
    rig.describe(one, labels={"class": "small", "memory": 8}, price=0.5)
    rig.describe(two, labels={"class": "large", "memory": 64}, price=2)
    everything = Machines(probe=True)
    everything.read(rig.context())
    assert everything.names == sorted([one.name, two.name])
    assert everything.label_values == {"class": ["large", "small"], "memory": ["8", "64"]}
    assert (everything.free, everything.lowest_daily_price, everything.highest_daily_price) == (2, 12, 48)
    assert everything.currency == "EUR"
    large = Machines(labels={"memory": ">8"}, probe=False)
    large.read(rig.context())
    assert (large.names, large.free) == ([two.name], -1)
    single = MachineData(name=two.name)
    single.read(rig.context())
    assert (single.address, single.hourly_price, single.labels["class"]) == ("127.0.0.1", 2, "large")
    with pytest.raises(ResourceNotFound, match="no machine nowhere"):
        MachineData(name="nowhere").read(rig.context())


def test_prices_come_from_the_inventory(rig) -> None:
    one, two = rig.boxes
    rig.describe(one, labels={"class": "small"}, price=0.5)
    rig.describe(two, labels={"class": "large"}, price=2)
    price = rig.platform.price("baremetal_host", {"labels": {"class": "large"}})
    assert (price.hourly, price.currency, price.as_of, price.daily) == (2, "EUR", "2026-01-31", 48)
    assert rig.platform.price("baremetal_host", {}).hourly == 0.5
    assert rig.platform.price("baremetal_host", {"name": two.name}).hourly == 2
    assert rig.platform.price("docker_container", {}) is None


def test_no_secret_is_in_logs_arguments_or_the_state_of_others(make_rig) -> None:
    rig = make_rig(1)
    (box,) = rig.boxes
    seen: list[str] = []
    watching = threading.Event()

    def watch() -> None:
        while not watching.is_set():
            seen.append(box.sh("ps axww -o args=", check=False))

    thread = threading.Thread(target=watch)
    thread.start()
    host = create(rig, token="very-secret-token")
    watching.set()
    thread.join(SECONDS)
    assert seen
    assert "very-secret-token" not in "".join(seen) + "".join(rig.log) + repr(host) + json.dumps(host.machine_labels)
    box.sh("useradd nosy")
    assert box.sh(f"su nosy -c 'cat {STATE}/workspace/environment'; true").endswith("Permission denied")
    box.sh("userdel -r nosy 2>/dev/null; true")


def test_a_machine_is_switched_off_while_it_is_stopped_and_on_for_the_next_start(farm, make_rig, tmp_path) -> None:
    rig, asked = make_rig(0), tmp_path / "on"
    box = farm.make()
    rig.boxes[:] = [box]
    rig.entries = {box.name: box.entry(power={"kind": "command", "on": ["touch", str(asked)]})}
    rig.tune(read_patience=1)
    box.write("/usr/local/sbin/poweroff", "#!/bin/sh\n: >/off\n", 0o755)
    host = create(rig, power_off=True)
    stopped = changed(host, desired_status="stopped")
    stopped.update(rig.context("key-1"), host)
    eventually(lambda: box.sh("ls /off", check=False) == "/off", SECONDS, what="the switching off")
    box.container.stop(timeout=0)
    assert stopped.read(rig.context("key-1")), "a machine that was switched off is no surprise"

    def plug() -> None:
        eventually(asked.exists, SECONDS, what="the switch")
        box.container.start()

    thread = threading.Thread(target=plug)
    thread.start()
    started = changed(stopped, desired_status="running", token="second")
    started.update(rig.context("key-1"), stopped)
    thread.join(SECONDS)
    eventually(lambda: agent_has(box, "second"), SECONDS, what="the agent")
    started.delete(rig.context("key-1"))
    assert rig.state(box) == "free"
    farm.remove(box)
