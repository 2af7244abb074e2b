"""The parts that need no machine: inventory, labels, power, failures, command line, and what the plugin registers."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import fabric.exceptions
import invoke.exceptions
import paramiko
import paramiko.ssh_exception
import pytest

from stead.api.errors import CredentialsRejected, PlatformUnreachable, ProviderFailure
from stead.api.provider import Context
from stead.testing.conformance import exceptions_of
from stead.testing.left_out import leave_out
from stead.testing.waiting import eventually
from stead_baremetal import plugin
from stead_baremetal.__main__ import main
from stead_baremetal.answers import Claim
from stead_baremetal.failures import SDK_ERRORS, HostKeyRefused, translate
from stead_baremetal.fleet import Wish
from stead_baremetal.inventory import Machine, read_inventory
from stead_baremetal.matching import lacking, meets, ranked
from stead_baremetal.platform import BaremetalPlatform
from stead_baremetal.power import Power
from stead_baremetal.provider import Baremetal
from stead_baremetal.settings import BaremetalSettings

TOML = """
as_of = 2026-01-31
currency = "EUR"
[[machines]]
name = "m1"
address = "10.0.0.1"
price = 0.4
labels = { gpu = true, memory = 64 }
[machines.power]
kind = "ipmi"
address = "10.1.0.1"
username = "admin"
password = "hush-hush"
"""
KEY = paramiko.RSAKey.generate(1024)


def settings(**values) -> BaremetalSettings:
    return BaremetalSettings(**values)


def test_an_inventory_is_read_from_toml_and_json(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(TOML)
    found = read_inventory(settings(inventory=tmp_path / "m.toml"), Context())
    assert found.by_name()["m1"].labels == {"gpu": "true", "memory": "64"}
    assert (found.as_of, found.currency) == ("2026-01-31", "EUR")
    assert "hush-hush" not in repr(found)
    (tmp_path / "m.json").write_text(json.dumps({"machines": [{"name": "a", "address": "h"}]}))
    assert [m.name for m in read_inventory(settings(inventory=tmp_path / "m.json"), Context()).machines] == ["a"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("machines = 3", "wrong at machines"),
        ('[[machines]]\nname = "a"\naddress = "h"\ncolour = "red"', "machines.0.colour"),
        ('[[machines]]\nname = "a"\naddress = "h"\n[[machines]]\nname = "a"\naddress = "i"', "two machines called a"),
        ('[[machines]]\nname = "a"\naddress = "-oProxyCommand x"', "machines.0.address"),
        ('[[machines]]\nname = "a"\naddress = "h"\npower = { kind = "ipmi", password = "hush" }', "needs address"),
        ("machines = [", "cannot be understood"),
    ],
)
def test_a_wrong_inventory_is_refused_at_its_place(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(ProviderFailure, match=re.escape(words)) as caught:
        read_inventory(settings(inventory=tmp_path / "m.toml"), Context())
    assert "hush" not in str(caught.value)


def test_no_inventory_and_a_missing_one_are_told(tmp_path: Path) -> None:
    with pytest.raises(ProviderFailure, match="Set inventory, inventory_command or inventory_url"):
        read_inventory(settings(), Context())
    with pytest.raises(ProviderFailure, match="No such file"):
        read_inventory(settings(inventory=tmp_path / "none.json"), Context())


def test_a_command_prints_the_inventory() -> None:
    printed = json.dumps({"machines": [{"name": "a", "address": "h"}]})
    found = read_inventory(settings(inventory_command=[sys.executable, "-c", f"print({printed!r})"]), Context())
    assert found.machines[0].address == "h"
    for command, words in (
        ([sys.executable, "-c", "import sys; sys.exit('the API is down')"], "ended with 1: the API is down"),
        ([sys.executable, "-c", "print('no')"], "did not answer JSON"),
        (["/nowhere/program"], "cannot be run"),
    ):
        with pytest.raises(ProviderFailure, match=words):
            read_inventory(settings(inventory_command=command), Context())


@pytest.fixture
def api() -> Iterator[tuple[str, list[int], list[str]]]:
    """URL of an inventory API, the statuses that it answers next, and the tokens that it got."""
    statuses: list[int] = []
    tokens: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tokens.append(self.headers.get("Authorization", ""))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"machines": [{"name": "a", "address": "h"}]}).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/machines", statuses, tokens
    server.shutdown()
    thread.join(30)
    server.server_close()


def test_an_api_tells_the_inventory_and_is_asked_again_while_it_is_away(api) -> None:
    url, statuses, tokens = api
    statuses += [503, 429]
    chosen = settings(inventory_url=url, inventory_token="hush-hush")
    assert read_inventory(chosen, Context()).machines[0].name == "a"
    assert tokens == ["Bearer hush-hush"] * 3
    assert "hush" not in repr(chosen)
    statuses.append(401)
    with pytest.raises(CredentialsRejected, match="Check inventory_token"):
        read_inventory(chosen, Context())
    statuses.append(404)
    with pytest.raises(ProviderFailure, match="answered 404"):
        read_inventory(chosen, Context())


@pytest.mark.parametrize(
    ("wanted", "value", "good"),
    [
        ("a100", "a100", True),
        ("a100", None, False),
        ("a100|h100", "h100", True),
        ("a100|h100", "v100", False),
        ("*", "x", True),
        ("*", None, False),
        (">=64", "64", True),
        (">64", "64", False),
        ("<=8", "16", False),
        ("<8", "7.5", True),
        (">=64", "much", False),
        ("!=old", "new", True),
        ("!=old", None, True),
        ("!=old", "old", False),
    ],
)
def test_labels_are_wanted_by_value_choice_and_bound(wanted: str, value: str | None, good: bool) -> None:
    assert meets(wanted, value) is good


def test_ranking_is_by_price_then_by_what_is_left_over_then_different_for_each_claim() -> None:
    machines = [Machine(name=f"m{n}", address="h", price=1, labels={"a": "1"}) for n in range(6)]
    dear = Machine(name="dear", address="h", price=2)
    more = Machine(name="more", address="h", price=1, labels={"a": "1", "gpu": "1"})
    orders = {tuple(m.name for m in ranked([dear, more, *machines], {"a": "1"}, key)) for key in map(str, range(20))}
    assert {order[-2:] for order in orders} == {("more", "dear")}
    assert len({order[0] for order in orders}) > 1
    assert lacking({"gpu": "1", "a": "2"}, machines[0]) == ["a=2", "gpu=1"]


MAKERS = {
    "BadHostKeyException": lambda: paramiko.BadHostKeyException("h", KEY, KEY),
    "NoValidConnectionsError": lambda: paramiko.ssh_exception.NoValidConnectionsError(
        {("10.0.0.1", 22): OSError("no")}
    ),
    "GroupException": lambda: fabric.exceptions.GroupException({}),
    "UnexpectedExit": lambda: invoke.exceptions.UnexpectedExit(invoke.Result()),
    "Failure": lambda: invoke.exceptions.Failure(invoke.Result()),
    "AuthFailure": lambda: invoke.exceptions.AuthFailure(invoke.Result(), "password?"),
    "CommandTimedOut": lambda: invoke.exceptions.CommandTimedOut(invoke.Result(), 3),
    "ThreadException": lambda: invoke.exceptions.ThreadException([]),
}


def sdk_errors() -> list[Exception]:
    modules = (paramiko.ssh_exception, fabric.exceptions, invoke.exceptions)
    return [
        *exceptions_of(*modules, makers=MAKERS),
        socket.gaierror("no"),
        TimeoutError("late"),
        EOFError(),
        OSError(5, "x"),
    ]


@pytest.mark.parametrize("error", sdk_errors(), ids=lambda error: type(error).__name__)
def test_every_exception_of_the_sdk_is_one_of_ours(error: Exception) -> None:
    assert isinstance(error, SDK_ERRORS)
    failure = translate(error, "m1 (10.0.0.1)")
    assert isinstance(failure, ProviderFailure)
    assert "m1" in failure.message


def test_an_unknown_host_key_is_told_from_other_failures() -> None:
    failure = translate(paramiko.SSHException("Server 'h' not found in known_hosts"), "m1")
    assert isinstance(failure, HostKeyRefused)
    assert isinstance(translate(paramiko.SSHException("no banner"), "m1"), PlatformUnreachable)


BMC = """
import sys, pyghmi.ipmi.bmc as bmc
class Controller(bmc.Bmc):
    state = "off"
    def get_power_state(self): return self.state
    def power_on(self): self.state = "on"; print("on", flush=True)
    def power_off(self): self.state = "off"; print("off", flush=True)
controller = Controller({"admin": "hush"}, port=int(sys.argv[1]))
print("ready", flush=True)
controller.listen()
"""


def test_ipmi_switches_a_machine(free_port: int) -> None:
    if shutil.which("ipmitool") is None:
        leave_out("ipmitool", "it is not installed here")
    command = [sys.executable, "-c", BMC, str(free_port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as controller:
        try:
            assert controller.stdout.readline() == "ready\n"
            known = {"kind": "ipmi", "address": "127.0.0.1", "port": free_port, "username": "admin", "cipher_suite": 3}
            power = Power(**known, password="hush")
            power.switch_on()
            assert controller.stdout.readline() == "on\n"
            assert power.switch_off()
            assert controller.stdout.readline() == "off\n"
            with pytest.raises(ProviderFailure) as caught:
                Power(**known, password="wrong").switch_on()
            assert "wrong" not in str(caught.value)
        finally:
            controller.kill()


def test_a_magic_packet_wakes_a_machine() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(30)
        power = Power(kind="wake-on-lan", mac="00:11:22:aa:bb:cc", address="127.0.0.1", port=listener.getsockname()[1])
        power.switch_on()
        packet = listener.recv(200)
    assert packet == b"\xff" * 6 + bytes.fromhex("001122aabbcc") * 16
    assert not power.switch_off()


def test_a_command_switches_a_machine_and_its_failure_is_told(tmp_path: Path) -> None:
    power = Power(kind="command", on=("touch", str(tmp_path / "on")), off=("sh", "-c", "echo no such plug >&2; exit 3"))
    power.switch_on()
    assert (tmp_path / "on").exists()
    with pytest.raises(ProviderFailure, match="no such plug"):
        power.switch_off()
    with pytest.raises(ProviderFailure, match="is not installed where the provisioner runs"):
        Power(kind="command", on=("no-such-program-here",)).switch_on()
    with pytest.raises(CredentialsRejected, match="cannot be read"):
        Power(kind="ipmi", address="h", password_file=tmp_path / "none").switch_on()


MEASURE = """
import json, sys, time
import stead.api, stead.api.provider
before = time.process_time()
import stead_baremetal.plugin as plugin
specs = plugin.stead_terraform_providers() + plugin.stead_platforms()
seconds = time.process_time() - before
print(json.dumps({"seconds": seconds, "sdk": sorted({"fabric", "paramiko", "invoke", "httpx"} & sys.modules.keys())}))
"""


def test_importing_the_plugin_imports_no_sdk() -> None:
    ran = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, timeout=100, check=True)
    measured = json.loads(ran.stdout)
    assert measured["sdk"] == []
    assert measured["seconds"] < 0.3


def test_every_type_argument_and_setting_is_described() -> None:
    for model in (*Baremetal.resources, *Baremetal.data_sources):
        schema = model.schema()
        assert schema.description, model.type_name
        for field in schema.attributes.values():
            assert field.description or field.computed, f"{model.type_name}.{field.name}"
    assert all(field.description for field in BaremetalSettings.model_fields.values())


def test_the_page_of_the_platform_names_every_setting_argument_and_word() -> None:
    page = (Path(__file__).parents[3] / "docs/platforms/baremetal.md").read_text()
    names = [*BaremetalSettings.model_fields, *Machine.model_fields, *Power.model_fields]
    names += [field.name for model in Baremetal.resources for field in model.schema().attributes.values()]
    missing = [name for name in names if f"`{name}`" not in page and f"`{name}, " not in page]
    assert missing == []


def test_the_block_counts_before_the_settings_and_takes_no_token_of_theirs(tmp_path: Path) -> None:
    chosen = settings(inventory_url="http://inventory.test/", inventory_token="hush", user="ops")
    inventory = tmp_path / "m.json"
    provider = Baremetal(settings=chosen, inventory=str(inventory), user="root")
    provider.configure(Context(provider=provider))
    used = provider.fleet.settings
    assert (used.inventory, used.inventory_url, used.inventory_token, used.user) == (inventory, None, None, "root")
    plain = Baremetal(settings=chosen)
    assert plain.fleet.settings.inventory_token is not None


def test_a_trial_and_a_check_without_an_inventory_say_what_to_do() -> None:
    platform = BaremetalPlatform(settings())
    with pytest.raises(ProviderFailure, match="List them in an inventory"):
        platform.trial()
    report = platform.check_credentials()
    assert not report.ok
    assert report.remedies
    assert plugin.stead_platforms()[0].name == "baremetal"


@pytest.mark.docker
@pytest.mark.openssh
@pytest.mark.timeout(300, func_only=True)
def test_the_command_line_shows_drains_and_releases(rig, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = rig.boxes
    for box in rig.boxes:
        rig.status(box)
    rig.keeper(one).claim(rig.context(), claim_of("k1"))
    common = ["--inventory", str(rig.path), "--key-file", str(rig.farm.key_file)]
    assert main([*common, "drain", two.name, "--reason", "new fan"]) == 0
    assert main([*common, "status", "--json"]) == 0
    shown = capsys.readouterr().out
    rows = {row["name"]: row for row in json.loads(shown[shown.index("[") :])}
    assert (rows[one.name]["state"], rows[one.name]["workspace"]) == ("busy", "dev")
    assert (rows[two.name]["state"], rows[two.name]["why"]) == ("drained", "new fan")
    assert main([*common, "status"]) == 0
    assert "alice/dev" in capsys.readouterr().out
    assert main([*common, "release", one.name, "--workspace", "other"]) == 1
    assert main([*common, "release", one.name, "--workspace", "dev"]) == 0
    assert main([*common, "undrain", two.name]) == 0
    assert {rig.state(box) for box in rig.boxes} == {"free"}
    assert main([*common, "drain", "nowhere"]) == 1
    assert "no machine nowhere" in capsys.readouterr().err


def claim_of(key: str):
    return Claim(key, deployment="d", workspace="w", name="dev", owner="alice")


@pytest.mark.docker
@pytest.mark.openssh
@pytest.mark.timeout(300, func_only=True)
def test_a_machine_that_sleeps_is_switched_on_for_a_claim(make_rig, tmp_path: Path) -> None:
    rig = make_rig(1)
    box = rig.farm.make()
    rig.entries = {box.name: box.entry()}
    rig.boxes[:] = [box]
    rig.write()
    rig.status(box)
    box.container.stop(timeout=0)
    asked = tmp_path / "on"
    rig.describe(box, power={"kind": "command", "on": ["touch", str(asked)]})

    def plug() -> None:
        eventually(asked.exists, 60, what="the switch")
        box.container.start()

    thread = threading.Thread(target=plug)
    thread.start()
    fleet = rig.provider.fleet
    assert fleet.claim(rig.context("k1"), Wish({}), claim_of("k1")).name == box.name
    thread.join(60)
    rig.keeper(box).release(rig.context(), "k1")
    rig.farm.remove(box)
