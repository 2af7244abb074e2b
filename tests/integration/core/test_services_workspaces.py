"""Templates, workspaces, builds and agents, as their services tell them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import asyncssh
import pytest

from stead.api.errors import Conflict, Forbidden, InvalidInput, NotAuthenticated, NotFound, TooLarge
from stead.domain.records import (
    Actor,
    Agent,
    App,
    Parameter,
    ParameterOption,
    ParameterValidation,
    Preset,
    Resource,
    Script,
    Template,
)
from stead.domain.states import (
    AgentLifecycle,
    AgentStatus,
    AppHealth,
    BuildStatus,
    Role,
    Transition,
    WorkspaceStatus,
)
from stead.models import ScriptRunRow
from stead.services import agents, authentication, builds, jobs, secrets, templates, tokens, users, work, workspaces
from stead.services import ssh as ssh_service
from stead.services.clock import ManualClock
from stead.services.core import Core, new_id
from stead.services.presence import ListeningPort, MetadataValue
from stead.store.jobs import NewLine
from stead.store.resources import AgentSecrets
from stead.store.templates import Imported

TOKEN = "agent-token"
SIZE = Parameter("size", type="number", default="2", required=False, mutable=True, validation=ParameterValidation(1, 5))
REGION = Parameter("region", options=(ParameterOption("Europe", "eu"), ParameterOption("US", "us")))


def run(core: Core, token: str = TOKEN, **result: object) -> work.BuildWork:
    """Do what a provisioner does with the next build: it makes a container with an agent."""
    claim = jobs.claim(core, "p")
    assert claim is not None
    loaded = work.load(core, claim)
    assert isinstance(loaded, work.BuildWork)
    resource_id, agent_id = new_id(), new_id()
    agent = Agent(
        agent_id,
        resource_id,
        "main",
        "linux",
        "amd64",
        "/home/dev",
        AgentStatus.CONNECTING,
        AgentLifecycle.CREATED,
        apps=(App(new_id(), agent_id, "code", "Code", "http://localhost:8080", health=AppHealth.INITIALIZING),),
        scripts=(Script(new_id(), "Startup Script", "", "", "echo", "", True, False, False, 0),),
    )
    resource = Resource(resource_id, "docker_container.w[0]", "docker_container", "w", agents=(agent,))
    sealed = core.keyring.seal(f"agent:{agent_id}", json.dumps({"API_KEY": "hunter2"}).encode())
    made = {
        "state": b'{"serial": 1}',
        "resources": (resource,) if loaded.transition is Transition.START else (),
        "secrets": {agent_id: AgentSecrets(secrets.digest(token), None, sealed)},
        "parameters": dict(loaded.parameters),
    }
    work.complete(core, loaded, work.BuildResult(**{**made, **result}))
    return loaded


def test_a_workspace_from_creation_to_deletion(
    core: Core, owner: Actor, make_template: Callable[..., Template], clock: ManualClock
) -> None:
    make_template("box")
    created = workspaces.create(core, owner, "box", "Dev")
    assert (created.status, created.latest_build.number) == (WorkspaceStatus.PENDING, 1)
    assert created.latest_build.initiator == "ada"
    run(core)
    running = workspaces.get(core, owner, "me/dev")
    assert (running.status, running.ready, running.id) == (WorkspaceStatus.RUNNING, False, created.id)
    builds.create(core, owner, "dev", Transition.STOP)
    assert workspaces.get(core, owner, "dev").status is WorkspaceStatus.PENDING
    run(core)
    assert workspaces.get(core, owner, "dev").status is WorkspaceStatus.STOPPED
    assert workspaces.update(core, owner, "dev", name="box").name == "box"
    builds.create(core, owner, "box", Transition.DELETE)
    run(core)
    with pytest.raises(NotFound):
        workspaces.get(core, owner, "box")
    assert workspaces.list(core, owner).total == 0
    assert workspaces.create(core, owner, "box", "box").id != created.id
    gone = builds.list(core, owner, created.id)
    assert [build.number for build in gone.items] == [3, 2, 1]
    with pytest.raises(NotFound):
        builds.create(core, owner, created.id, Transition.START)


def test_one_build_at_a_time(core: Core, owner: Actor, make_template: Callable[..., Template]) -> None:
    make_template("box")
    workspaces.create(core, owner, "box", "dev")
    for transition in Transition:
        with pytest.raises(Conflict, match="already"):
            builds.create(core, owner, "dev", transition)


def test_a_name_is_taken_per_owner(
    core: Core, owner: Actor, member: Actor, make_template: Callable[..., Template]
) -> None:
    make_template("box")
    workspaces.create(core, owner, "box", "dev")
    with pytest.raises(Conflict) as raised:
        workspaces.create(core, owner, "box", "DEV")
    assert raised.value.field == "name"
    assert workspaces.create(core, member, "box", "dev").owner == "bob"
    with pytest.raises(InvalidInput):
        workspaces.create(core, owner, "box", "not a name")


def test_people_see_their_own(core: Core, owner: Actor, member: Actor, make_template: Callable[..., Template]) -> None:
    make_template("box")
    workspaces.create(core, owner, "box", "alpha")
    mine = workspaces.create(core, member, "box", "beta")
    assert [w.name for w in workspaces.list(core, member).items] == ["beta"]
    assert [w.name for w in workspaces.list(core, owner).items] == ["alpha", "beta"]
    assert [w.name for w in workspaces.list(core, owner, owner="me").items] == ["alpha"]
    assert workspaces.list(core, owner, search="ALP").total == 1
    assert workspaces.list(core, owner, status=WorkspaceStatus.RUNNING).total == 0
    assert workspaces.list(core, owner, status=WorkspaceStatus.PENDING, limit=1).total == 2
    for ref in ("ada/alpha", "alpha"):
        with pytest.raises(NotFound):
            workspaces.get(core, member, ref)
    with pytest.raises(NotFound):
        workspaces.create(core, member, "box", "x", owner="ada")
    assert workspaces.create(core, owner, "box", "gift", owner="bob").owner_id == member.user_id
    assert workspaces.get(core, owner, "bob/beta").id == mine.id
    with pytest.raises(Forbidden):
        builds.create(core, member, "beta", Transition.DELETE, orphan=True)
    with pytest.raises(Forbidden):
        builds.state(core, member, mine.latest_build.id)


def test_parameters_presets_and_defaults(core: Core, owner: Actor, make_template: Callable[..., Template]) -> None:
    preset = Preset("Big", parameters={"size": "5", "region": "us"})
    make_template("box", parameters=(SIZE, REGION), presets=(preset,))
    for values, field in (({}, "region"), ({"region": "eu", "size": "9"}, "size"), ({"regoin": "eu"}, "regoin")):
        with pytest.raises(InvalidInput) as raised:
            workspaces.create(core, owner, "box", "dev", values)
        assert raised.value.field == f"parameters.{field}"
    with pytest.raises(InvalidInput, match="It has: Big"):
        workspaces.create(core, owner, "box", "dev", preset="Small")
    assert workspaces.list(core, owner).total == 0
    made = workspaces.create(core, owner, "box", "dev", {"size": "3"}, preset="Big")
    assert made.latest_build.parameters == {"size": "3", "region": "us"}
    run(core, parameters={"size": "3", "region": "us"})
    with pytest.raises(InvalidInput, match="cannot be changed"):
        builds.create(core, owner, "dev", Transition.START, {"region": "eu"})
    with pytest.raises(InvalidInput, match="with a start"):
        builds.create(core, owner, "dev", Transition.STOP, {"size": "1"})
    again = builds.create(core, owner, "dev", Transition.START, {"size": "4"})
    assert again.parameters == {"size": "4", "region": "us"}


def test_a_restart_is_a_stop_and_then_a_start(core: Core, owner: Actor, make_template: Callable[..., Template]) -> None:
    make_template("box", parameters=(SIZE,))
    workspaces.create(core, owner, "box", "dev", {"size": "4"})
    run(core)
    assert builds.restart(core, owner, "dev").transition is Transition.STOP
    run(core)
    latest = workspaces.get(core, owner, "dev").latest_build
    assert (latest.transition, latest.number, dict(latest.parameters)) == (Transition.START, 3, {"size": "4"})
    run(core)
    assert workspaces.get(core, owner, "dev").status is WorkspaceStatus.RUNNING
    assert jobs.claim(core, "p") is None


def test_versions_are_promoted_and_workspaces_follow_when_told(
    core: Core, owner: Actor, member: Actor, make_template: Callable[..., Template]
) -> None:
    make_template("box")
    workspaces.create(core, owner, "box", "dev")
    run(core)
    version = templates.create_version(core, owner, b"new", "v2", template="box")
    with pytest.raises(Conflict, match="v2 already"):
        templates.create_version(core, owner, b"new", "v2", template="box")
    with pytest.raises(Conflict, match="import is pending"):
        templates.promote(core, owner, "box", "v2")
    with pytest.raises(Forbidden):
        templates.create_version(core, member, b"new", "v3", template="box")
    claim = jobs.claim(core, "p")
    assert claim is not None
    jobs.complete_import(core, claim, Imported("", (), (), (), ()))
    assert templates.promote(core, owner, "box", "v2").active_version_id == version.id
    assert workspaces.get(core, owner, "dev").outdated
    assert builds.create(core, owner, "dev", Transition.START).template_version_name == "v1"
    run(core)
    assert builds.create(core, owner, "dev", Transition.START, version="v2").template_version_name == "v2"
    run(core)
    assert not workspaces.get(core, owner, "dev").outdated
    assert {v.name for v in templates.versions(core, owner, "box").items} == {"v2", "v1"}


def test_templates_in_use_stay(core: Core, owner: Actor, member: Actor, make_template: Callable[..., Template]) -> None:
    template = make_template("box")
    workspaces.create(core, owner, "box", "dev")
    with pytest.raises(Conflict, match="1 workspace uses"):
        templates.delete(core, owner, "box")
    with pytest.raises(Forbidden):
        templates.delete(core, member, "box")
    run(core)
    builds.create(core, owner, "dev", Transition.DELETE)
    run(core)
    templates.delete(core, owner, "box")
    with pytest.raises(NotFound):
        templates.get(core, owner, template.id)
    assert make_template("box").id != template.id


def test_archives_are_bounded_and_come_back(core: Core, owner: Actor, tmp_path: Path) -> None:
    folder = tmp_path / "template"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "config").write_text("secret")
    (folder / "main.tf").write_text("# nothing")
    version = templates.create_version(core, owner, folder, variables={"password": "hunter2"})
    content = templates.archive(core, owner, version.id)
    assert content == templates.pack(folder)
    assert b"main.tf" in content
    assert b".git" not in content
    with pytest.raises(TooLarge):
        templates.create_version(core, owner, b"x" * (core.settings.max_archive_bytes + 1))
    with pytest.raises(InvalidInput):
        templates.create_version(core, owner, b"")
    claim = jobs.claim(core, "p")
    assert claim is not None
    loaded = work.load(core, claim)
    assert isinstance(loaded, work.ImportWork)
    assert loaded.variables == {"password": "hunter2"}
    assert "hunter2" not in repr(loaded)


def test_an_agent_from_first_word_to_ready(
    core: Core, owner: Actor, make_template: Callable[..., Template], clock: ManualClock
) -> None:
    make_template("box")
    made = workspaces.create(core, owner, "box", "dev")
    with pytest.raises(NotAuthenticated):
        authentication.agent_for_token(core, TOKEN)
    run(core)
    agent = authentication.agent_for_token(core, TOKEN)
    assert (agent.workspace_id, agent.workspace, agent.owner, agent.name) == (made.id, "dev", "ada", "main")
    assert workspaces.agent(core, owner, "dev").status is AgentStatus.CONNECTING
    clock.advance(121)
    assert workspaces.agent(core, owner, "dev").status is AgentStatus.TIMEOUT

    core.presence.connected(agent.agent_id, "c1", clock.now())
    manifest = agents.connected(core, agent.actor, agent.agent_id, "1.0")
    assert dict(manifest.env) == {"API_KEY": "hunter2"}
    assert "hunter2" not in repr(manifest)
    assert (manifest.owner, manifest.workspace_name, len(manifest.scripts)) == ("ada", "dev", 1)
    assert not workspaces.get(core, owner, "dev").ready
    for state in (AgentLifecycle.STARTING, AgentLifecycle.READY):
        assert agents.lifecycle(core, agent.actor, agent.agent_id, state, clock.now())
    assert not agents.lifecycle(core, agent.actor, agent.agent_id, AgentLifecycle.READY, clock.now())
    assert workspaces.get(core, owner, "dev").ready

    assert core.presence.disconnected(agent.agent_id, "c0") is False
    assert core.presence.disconnected(agent.agent_id, "c1") is True
    agents.disconnected(core, agent.actor, agent.agent_id)
    found = workspaces.get(core, owner, "dev")
    assert not found.ready
    assert found.latest_build.resources[0].agents[0].status is AgentStatus.DISCONNECTED


def test_a_server_that_died_left_no_agent_connected(
    core: Core, owner: Actor, make_template: Callable[..., Template], clock: ManualClock
) -> None:
    make_template("box")
    workspaces.create(core, owner, "box", "dev")
    run(core)
    agent = authentication.agent_for_token(core, TOKEN)
    agents.connected(core, agent.actor, agent.agent_id, "1.0")
    assert workspaces.agent(core, owner, "dev").status is AgentStatus.CONNECTED
    core.presence.serving = True
    assert workspaces.agent(core, owner, "dev").status is AgentStatus.DISCONNECTED


def test_an_agent_is_let_in_while_its_build_runs(
    core: Core, owner: Actor, make_template: Callable[..., Template]
) -> None:
    def admitted() -> frozenset[str]:
        return authentication.agents_admitted(core, ["one", "two", "kept", "nobody's"])

    make_template("box")
    workspaces.create(core, owner, "box", "kept")
    run(core, token="kept")
    workspaces.create(core, owner, "box", "dev")
    run(core, token="one")
    builds.create(core, owner, "dev", Transition.STOP)
    assert authentication.agent_for_token(core, "one")  # it has to report its shutdown
    assert admitted() == {"one", "kept"}
    run(core)
    with pytest.raises(NotAuthenticated):
        authentication.agent_for_token(core, "one")
    assert admitted() == {"kept"}
    builds.create(core, owner, "dev", Transition.START)
    run(core, token="two")
    assert authentication.agent_for_token(core, "two")
    assert admitted() == {"two", "kept"}
    with pytest.raises(NotAuthenticated):
        authentication.agent_for_token(core, "one")
    builds.create(core, owner, "kept", Transition.DELETE)
    run(core)
    assert admitted() == {"two"}
    assert authentication.agents_admitted(core, []) == frozenset()


def test_agents_speak_for_themselves_alone(
    core: Core, owner: Actor, member: Actor, make_template: Callable[..., Template], clock: ManualClock
) -> None:
    make_template("box")
    workspaces.create(core, owner, "box", "a")
    run(core, token="a")
    workspaces.create(core, owner, "box", "b")
    run(core, token="b")
    first, second = (authentication.agent_for_token(core, token) for token in "ab")
    for actor in (first.actor, member, owner):
        with pytest.raises(Forbidden):
            agents.connected(core, actor, second.agent_id, "1.0")
        with pytest.raises(Forbidden):
            agents.append_logs(core, actor, second.agent_id, [NewLine(clock.now(), "info", "x", "y")])
    with pytest.raises(NotFound):
        agents.logs(core, member, second.agent_id)
    script = agents.get(core, owner, second.agent_id).scripts[0]
    with pytest.raises(NotFound):
        agents.script_done(core, first.actor, first.agent_id, script.id, clock.now(), clock.now(), 0, "start")
    for number in range(agents.RUNS_KEPT + 5):
        agents.script_done(core, second.actor, second.agent_id, script.id, clock.now(), clock.now(), number, "start")
    with core.database.read():
        codes = sorted(row.exit_code for row in ScriptRunRow.select().where(ScriptRunRow.script_id == script.id))
    assert codes == list(range(5, agents.RUNS_KEPT + 5))


def test_agent_logs_and_apps(
    core: Core, owner: Actor, make_template: Callable[..., Template], clock: ManualClock
) -> None:
    make_template("box")
    workspaces.create(core, owner, "box", "dev")
    run(core)
    agent = authentication.agent_for_token(core, TOKEN)
    lines = [NewLine(clock.now(), "info", "Startup Script", "x" * 1000) for _ in range(2000)]
    for start in range(0, 2000, 500):
        agents.append_logs(core, agent.actor, agent.agent_id, lines[start : start + 500])
    kept = agents.logs(core, owner, agent.agent_id, limit=5000)
    assert len(kept) <= core.settings.agent_log_bytes // 1000 + 1
    assert "full" in kept[-1].text
    agents.append_logs(core, agent.actor, agent.agent_id, lines[:10])
    assert len(agents.logs(core, owner, agent.agent_id, limit=5000)) == len(kept)
    news: list[object] = []
    with core.bus.subscribe(f"agent:{agent.agent_id}", lambda topic, payload: news.append(payload)):
        for _ in range(2):
            agents.app_health(core, agent.actor, agent.agent_id, {"code": AppHealth.HEALTHY, "none": AppHealth.HEALTHY})
    assert news == [{"apps": ["code"]}]
    assert agents.get(core, owner, agent.agent_id).apps[0].health is AppHealth.HEALTHY


def test_live_values_are_in_the_record(
    core: Core, owner: Actor, make_template: Callable[..., Template], clock: ManualClock
) -> None:
    make_template("box")
    workspaces.create(core, owner, "box", "dev")
    run(core)
    agent = authentication.agent_for_token(core, TOKEN)
    presence = core.presence
    presence.connected(agent.agent_id, "c1", clock.now())
    presence.set_metadata(agent.agent_id, {"cpu": MetadataValue("3%", "", clock.now())})
    presence.set_ports(agent.agent_id, [ListeningPort(8080, "node", "127.0.0.1")])
    presence.connected(agent.agent_id, "c2", clock.now())
    live = presence.get(agent.agent_id)
    assert live is not None
    assert (live.connection, live.ports[0].port, live.metadata["cpu"].value) == ("c2", 8080, "3%")
    assert [one.agent_id for one in presence.all()] == [agent.agent_id]


def test_a_log_of_empty_lines_is_bounded_too(
    core: Core, owner: Actor, make_template: Callable[..., Template], clock: ManualClock
) -> None:
    core = replace(core, settings=core.settings.model_copy(update={"agent_log_bytes": 32 * 100}))
    make_template("box")
    workspaces.create(core, owner, "box", "dev")
    run(core)
    agent = authentication.agent_for_token(core, TOKEN)
    for _ in range(3):
        agents.append_logs(core, agent.actor, agent.agent_id, [NewLine(clock.now(), "info", "x", "")] * 50)
    kept = agents.logs(core, owner, agent.agent_id)
    assert len(kept) == 100


def test_ssh_certificates(
    core: Core, owner: Actor, member: Actor, make_template: Callable[..., Template], clock: ManualClock
) -> None:
    make_template("box")
    made = workspaces.create(core, owner, "box", "dev")
    key = asyncssh.generate_private_key("ssh-ed25519")
    public = key.export_public_key().decode()
    with pytest.raises(Conflict, match="pending"):
        agents.ssh_certificate(core, owner, "dev", None, public)
    run(core)
    access = agents.ssh_certificate(core, owner, "dev", "main", public, "s1")
    certificate = asyncssh.import_certificate(access.certificate)
    assert certificate.principals == [f"workspace:{made.id}"]
    assert certificate._key_id == "stead:ada:s1"
    assert access.expires_at - clock.now() <= timedelta(seconds=300)
    assert certificate.signing_key.export_public_key().split()[1].decode() in agents.user_authorities(core)[0]
    assert access.hostname == "main.dev.ada.stead"
    with pytest.raises(NotFound):
        agents.ssh_certificate(core, member, made.id, None, public)
    with pytest.raises(NotFound, match="no agent other"):
        agents.ssh_certificate(core, owner, "dev", "other", public)
    with pytest.raises(InvalidInput):
        agents.ssh_certificate(core, owner, "dev", None, "ssh-rsa nonsense")
    agent = authentication.agent_for_token(core, TOKEN)
    host = asyncssh.import_certificate(agents.host_certificate(core, agent.actor, agent.agent_id, public))
    # Not main.dev.stead, which is the workspace "main" of a user called "dev".
    assert host.principals == ["main.dev.ada.stead", "dev.ada.stead", "dev.stead"]
    assert host.signing_key.export_public_key().split()[1].decode() in access.host_ca[0]
    assert ssh_service.authority_key(core, "host") != ssh_service.authority_key(core, "user")


def test_where_no_agent_is_the_remedy_fits_the_reason(
    core: Core, owner: Actor, make_template: Callable[..., Template]
) -> None:
    make_template("box")
    workspaces.create(core, owner, "box", "dev")
    run(core, resources=(), secrets={})
    with pytest.raises(Conflict, match="its template has no agent") as running:
        workspaces.agent(core, owner, "dev")
    assert "coder_agent" in str(running.value.remedy)
    builds.create(core, owner, "dev", Transition.STOP)
    run(core)
    with pytest.raises(Conflict, match="is stopped") as stopped:
        workspaces.agent(core, owner, "dev")
    assert "stead start ada/dev" in str(stopped.value.remedy)


def test_an_admin_sees_workspaces_without_entering_them(
    core: Core, owner: Actor, make_person: Callable[..., Actor], make_template: Callable[..., Template]
) -> None:
    make_template("box")
    workspaces.create(core, owner, "box", "dev")
    run(core)
    admin = make_person("tom", Role.TEMPLATE_ADMIN)
    assert workspaces.get(core, admin, "ada/dev").name == "dev"
    for attack in (
        lambda: workspaces.agent(core, admin, "ada/dev"),
        lambda: builds.create(core, admin, "ada/dev", Transition.STOP),
        lambda: builds.cancel(core, admin, workspaces.get(core, owner, "dev").latest_build.id),
        lambda: workspaces.update(core, admin, "ada/dev", name="mine"),
    ):
        with pytest.raises(Forbidden):
            attack()


def test_a_start_gives_the_owner_a_token_that_a_stop_takes(
    core: Core, owner: Actor, make_template: Callable[..., Template]
) -> None:
    make_template("box")
    workspaces.create(core, owner, "box", "dev")
    first = run(core)
    assert authentication.actor_for_token(core, first.owner.session_token).user_id == owner.user_id
    builds.create(core, owner, "dev", Transition.START)
    second = run(core)
    with pytest.raises(NotAuthenticated):
        authentication.actor_for_token(core, first.owner.session_token)
    assert authentication.actor_for_token(core, second.owner.session_token)
    builds.create(core, owner, "dev", Transition.STOP)
    run(core)
    with pytest.raises(NotAuthenticated):
        authentication.actor_for_token(core, second.owner.session_token)
    assert tokens.list(core, owner) == ()


def test_the_token_of_a_workspace_has_none_of_its_owners_power(
    core: Core, owner: Actor, make_template: Callable[..., Template]
) -> None:
    make_template("box")
    workspaces.create(core, owner, "box", "dev")
    within = authentication.actor_for_token(core, run(core).owner.session_token)
    assert workspaces.get(core, within, "dev").owner_id == owner.user_id
    for attack in (
        lambda: tokens.create(core, within, "longer"),
        lambda: users.create(core, within, "eve", "eve@x.org", "correct horse", roles=[Role.OWNER]),
        lambda: templates.update(core, within, "box", description="mine"),
        lambda: builds.state(core, within, workspaces.get(core, owner, "dev").latest_build.id),
    ):
        with pytest.raises(Forbidden):
            attack()


def test_states_are_sealed_one_for_each_build(core: Core, owner: Actor, make_template: Callable[..., Template]) -> None:
    make_template("box")
    workspaces.create(core, owner, "box", "dev")
    first = run(core, state=b'{"serial": 1, "secret": "hunter2"}')
    builds.create(core, owner, "dev", Transition.STOP)
    second = run(core, state=b'{"serial": 2}')
    assert second.state == b'{"serial": 1, "secret": "hunter2"}'
    assert builds.state(core, owner, first.build_id) == b'{"serial": 1, "secret": "hunter2"}'
    core.keyring.rotate()
    assert builds.state(core, owner, second.build_id) == b'{"serial": 2}'
    assert builds.get(core, owner, second.build_id).job.status is BuildStatus.SUCCEEDED
