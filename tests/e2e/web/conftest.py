"""A Stead of its own for each test module, with a provisioner that does as the test says, and a browser."""

from __future__ import annotations

import asyncio
import socket
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from a2wsgi import WSGIMiddleware
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from stead.api.errors import SteadError
from stead.config import load_settings
from stead.config.groups import IdentitySettings
from stead.domain.records import (
    Agent,
    AgentMetadata,
    App,
    MetadataItem,
    Parameter,
    ParameterOption,
    ParameterValidation,
    Preset,
    ProviderChoice,
    Resource,
    Script,
    Template,
    User,
    Workspace,
)
from stead.domain.states import AgentLifecycle, AgentStatus, AppHealth, JobKind, Role
from stead.domain.states import Path as NetworkPath
from stead.gateway.app import create_app as create_gateway_app
from stead.gateway.state import Gateway
from stead.plugins import PluginRegistry
from stead.services import agents, authentication, deployment, jobs, templates, users, work, workspaces
from stead.services.core import SYSTEM, Core, open_core
from stead.services.presence import MetadataValue
from stead.store.jobs import NewLine
from stead.store.resources import AgentSecrets
from stead.store.templates import Imported
from stead.testing.signin import FakeDirectory, FakePage, registry_of
from stead.web.app import create_app
from stead.web.build_assets import build

expect.set_options(timeout=20_000)  # machines that run other tests are slow at times

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PASSWORD = "correct horse battery"
PROVISIONER = "test-provisioner"

README = """# Docker

Develop in a container on **one machine**, with a home folder that outlives it.

## What you get

- Debian with `git`, `curl` and a shell that you know
- A volume for `/home/dev`, kept when the workspace stops

| part | kept when stopped |
|---|---|
| container | no |
| volume | yes |

```sh
stead ssh my-project
```

<script>document.title = "not ours"</script>
[a link](https://example.org) and [a trap](javascript:alert(1))
"""


def _parameters() -> tuple[Parameter, ...]:
    """One of every form type that the template contract knows."""
    options = (
        ParameterOption("Europe", "eu", "Frankfurt, 12 ms away", "🇪🇺"),
        ParameterOption("America", "us", "Oregon", "🇺🇸"),
        ParameterOption("Asia", "ap", "Singapore", "🇸🇬"),
    )
    tools = (
        ParameterOption("Go", "go", icon="/icon/go.svg"),
        ParameterOption("Python", "python", icon="/icon/python.svg"),
        ParameterOption("Rust", "rust", icon="/icon/rust.svg"),
    )
    images = (ParameterOption("Debian 12", "debian"), ParameterOption("Ubuntu 24.04", "ubuntu"))
    return (
        Parameter(
            "region",
            "Region",
            "Where the **machine** stands.",
            "string",
            "radio",
            "eu",
            False,
            False,
            order=1,
            options=options,
        ),
        Parameter("image", "Image", "", "string", "dropdown", "debian", False, True, order=2, options=images),
        Parameter(
            "repository",
            "Repository",
            "Cloned into the home folder.",
            "string",
            "input",
            "",
            False,
            True,
            order=3,
            validation=ParameterValidation(regex="^(https://.+)?$", error="Give an https address."),
            styling={"placeholder": "https://git.example.org/team/project"},
        ),
        Parameter(
            "cpu",
            "CPU",
            "Cores.",
            "number",
            "input",
            None,
            True,
            True,
            order=4,
            validation=ParameterValidation(min=1, max=8, error="{value} is not between {min} and {max} cores."),
        ),
        Parameter(
            "disk",
            "Disk",
            "Gigabytes. It can only grow.",
            "number",
            "slider",
            "20",
            False,
            True,
            order=5,
            validation=ParameterValidation(min=10, max=200, monotonic="increasing"),
        ),
        Parameter("dotfiles", "Setup script", "Runs at every start.", "string", "textarea", "", False, True, order=6),
        Parameter("docker", "Docker inside", "", "bool", "switch", "true", False, True, order=7),
        Parameter("backup", "Back up the home folder", "", "bool", "checkbox", "false", False, True, order=8),
        Parameter(
            "tools", "Tools", "", "list(string)", "multi-select", '["python"]', False, True, order=9, options=tools
        ),
        Parameter(
            "packages",
            "Packages",
            "Installed with apt.",
            "list(string)",
            "tag-select",
            '["git", "tmux"]',
            False,
            True,
            order=10,
        ),
        Parameter("clean", "Start with a clean cache", "", "bool", "checkbox", "false", False, True, True, order=11),
    )


PRESETS = (
    Preset("Small", True, "Enough for a service.", "", {"cpu": "2", "disk": "20"}),
    Preset("Large", False, "For builds that take long.", "", {"cpu": "8", "disk": "120", "region": "us"}),
)


@dataclass
class Site:
    """A running Stead, and what makes things happen in it."""

    core: Core
    url: str
    owner: User
    gateway: Gateway
    loop: asyncio.AbstractEventLoop
    folder: Path
    _agents: dict[str, str] = field(default_factory=dict)

    def actor(self, user: User | None = None) -> Any:
        return authentication.actor_for_user(self.core, (user or self.owner).id)

    def session(self, user: User | None = None) -> str:
        return authentication.open_session(self.core, (user or self.owner).id, "127.0.0.1", "test")

    def person(self, name: str, *roles: Role) -> User:
        return users.create(self.core, SYSTEM, name, f"{name}@example.org", PASSWORD, name.title(), roles)

    # Templates ------------------------------------------------------------------------------------
    def upload(self, name: str = "", message: str = "", template: str | None = None) -> Any:
        archive = self.folder / f"template-{uuid.uuid4().hex[:8]}"
        archive.mkdir()
        (archive / "main.tf").write_text('resource "null_resource" "x" {}\n')
        (archive / "README.md").write_text(README)
        return templates.create_version(self.core, self.actor(), archive, name, message, {}, template)

    def claim(self, kind: JobKind) -> jobs.Claim:
        claimed = jobs.claim(self.core, PROVISIONER, [kind])
        assert claimed is not None, f"no {kind} is waiting"
        return claimed

    def import_next(self, parameters: Sequence[Parameter] = (), presets: Sequence[Preset] = ()) -> None:
        claimed = self.claim(JobKind.TEMPLATE_IMPORT)
        self.log(
            claimed, ["Unpacked 2 files", "\x1b[1mInitializing\x1b[0m the backend", "Found 3 resources"], "preparing"
        )
        providers = (
            ProviderChoice("registry.terraform.io/coder/coder", "builtin"),
            ProviderChoice("registry.terraform.io/kreuzwerker/docker", "docker"),
        )
        found = Imported(README, list(parameters), list(presets), [], list(providers))
        jobs.complete_import(self.core, claimed, found)

    def fail_next(self, kind: JobKind, error: SteadError, lines: Sequence[str] = ()) -> None:
        claimed = self.claim(kind)
        self.log(claimed, list(lines), "planning", "error")
        jobs.fail(self.core, claimed, error)

    def template(self, name: str, *, plain: bool = False, icon: str = "", description: str = "") -> Template:
        version = self.upload(message="The first version")
        self.import_next(() if plain else _parameters(), () if plain else PRESETS)
        return templates.create(
            self.core, self.actor(), name, version.id, name.replace("-", " ").title(), description, icon
        )

    # Workspaces -----------------------------------------------------------------------------------
    def workspace(self, template: Template, name: str, owner: User | None = None) -> Workspace:
        declared = templates.version(self.core, self.actor(), str(template.active_version_id)).parameters
        values = {"cpu": "4"} if any(parameter.name == "cpu" for parameter in declared) else {}
        return workspaces.create(self.core, self.actor(owner), template.name, name, values)

    def running(self, template: Template, name: str, owner: User | None = None, **agent: Any) -> Workspace:
        made = self.workspace(template, name, owner)
        self.build_next(**agent)
        return self.again(made, owner)

    def again(self, workspace: Workspace, owner: User | None = None) -> Workspace:
        return workspaces.get(self.core, self.actor(owner), workspace.id)

    def again_by_name(self, name: str) -> Workspace:
        return workspaces.get(self.core, self.actor(), name)

    def promote(self, template: Template, version: Any) -> None:
        templates.promote(self.core, self.actor(), template.id, version.id)

    def build_next(self, lines: Sequence[str] = (), apps: bool = True, **_unused: Any) -> None:
        claimed = self.claim(JobKind.BUILD)
        loaded = work.load(self.core, claimed)
        assert isinstance(loaded, work.BuildWork)
        for stage in ("preparing", "initializing", "planning", "applying", "finishing"):
            jobs.stage(self.core, claimed, stage)
        self.log(claimed, list(lines) or _BUILD_LINES, "applying")
        agent = _agent(apps) if loaded.transition == "start" else None
        found = _resources(agent) if loaded.transition != "delete" else ()
        secrets = {agent.id: AgentSecrets(token_hash=None)} if agent else {}
        result = work.BuildResult(b"{}", found, secrets, loaded.parameters, 24 if agent else 4)
        work.complete(self.core, loaded, result)

    def log(self, claimed: jobs.Claim, lines: Sequence[str], source: str, level: str = "info") -> None:
        now = self.core.clock.now()
        for start in range(0, len(lines), 5000):
            part = [NewLine(now, level, source, text) for text in lines[start : start + 5000]]
            jobs.append_logs(self.core, claimed, part)

    # Agents ---------------------------------------------------------------------------------------
    def agent_of(self, workspace: Workspace) -> Agent:
        found = self.again(workspace).latest_build.resources
        return next(agent for resource in found for agent in resource.agents)

    def connect(self, workspace: Workspace, state: AgentLifecycle = AgentLifecycle.READY) -> Agent:
        agent = self.agent_of(workspace)
        core, now = self.core, self.core.clock.now()
        agents.connected(core, SYSTEM, agent.id, "1.0.0")
        core.presence.connected(agent.id, "connection", now, NetworkPath.DIRECT)
        values = {
            "cpu": MetadataValue("12 %", "", now),
            "memory": MetadataValue("1.4 of 8 GB", "", now),
            "disk": MetadataValue("6.1 of 20 GB", "", now),
            "load": MetadataValue("", "exit code 1", now),
        }
        core.presence.set_metadata(agent.id, values)
        for step in (AgentLifecycle.STARTING, state):
            agents.lifecycle(core, SYSTEM, agent.id, step, now)
        lines = [NewLine(now, "info", "Startup Script", text) for text in _SCRIPT_LINES]
        agents.append_logs(core, SYSTEM, agent.id, lines)
        agents.app_health(core, SYSTEM, agent.id, {app.slug: AppHealth.HEALTHY for app in agent.apps[:1]})
        return agent


_BUILD_LINES = [
    "Terraform will perform the following actions:",
    "\x1b[32m+ docker_volume.home\x1b[0m",
    "\x1b[32m+ docker_container.workspace[0]\x1b[0m",
    "docker_volume.home: Creating...",
    "docker_volume.home: Creation complete after 0s",
    "docker_container.workspace[0]: Creating...",
    "docker_container.workspace[0]: Creation complete after 1s",
    "\x1b[1mApply complete!\x1b[0m 2 added, 0 changed, 0 destroyed.",
]
_SCRIPT_LINES = ["+ git clone https://git.example.org/team/project", "Cloning into 'project'...", "Ready."]


def _agent(apps: bool) -> Agent:
    agent_id = str(uuid.uuid4())
    return Agent(
        id=agent_id,
        resource_id="",
        name="main",
        os="linux",
        arch="amd64",
        directory="/home/dev/project",
        status=AgentStatus.CONNECTING,
        lifecycle=AgentLifecycle.CREATED,
        apps=(
            App(
                str(uuid.uuid4()),
                agent_id,
                "code",
                "VS Code in the browser",
                "http://localhost:8080",
                "/icon/code.svg",
                health=AppHealth.INITIALIZING,
                healthcheck={"url": "http://localhost:8080/healthz", "interval": 5, "threshold": 6},
                order=1,
            ),
            App(
                str(uuid.uuid4()), agent_id, "docs", "Handbook", "https://example.org/handbook", external=True, order=2
            ),
        )
        if apps
        else (),
        scripts=(Script(str(uuid.uuid4()), "Startup Script", "", "", "true", "", True, False, False, 0),),
        metadata=tuple(
            AgentMetadata(key, title, "coder stat", 10, 1, order)
            for order, (key, title) in enumerate(
                [("cpu", "CPU"), ("memory", "Memory"), ("disk", "Home"), ("load", "Load")]
            )
        ),
    )


def _resources(agent: Agent | None) -> tuple[Resource, ...]:
    volume = Resource(str(uuid.uuid4()), "docker_volume.home", "docker_volume", "home", daily_cost=4)
    if agent is None:
        return (volume,)
    container_id = str(uuid.uuid4())
    container = Resource(
        container_id,
        "docker_container.workspace[0]",
        "docker_container",
        "workspace",
        daily_cost=20,
        metadata=(MetadataItem("image", "debian:12"), MetadataItem("password", "x", sensitive=True)),
        agents=(replace(agent, resource_id=container_id),),
    )
    return (container, volume)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session", autouse=True)
def built_assets() -> None:
    build()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with an owner, shared by the tests of a module: each makes things of its own names."""
    yield from serve_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def named_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that is reached by a name, as passkeys need it."""
    yield from serve_site(tmp_path_factory.mktemp("named"), host="localhost")


@pytest.fixture(scope="module")
def demanding_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that asks everybody for a second factor."""
    yield from serve_site(tmp_path_factory.mktemp("demanding"), host="localhost", second_factor="required")


@pytest.fixture
def fresh_site(tmp_path: Path) -> Iterator[Site]:
    """A server that nobody has set up yet."""
    yield from serve_site(tmp_path, with_owner=False)


def serve_site(
    folder: Path,
    *,
    with_owner: bool = True,
    identity: dict[str, dict[str, Any]] | None = None,
    plugins: PluginRegistry | None = None,
    host: str = "127.0.0.1",
    second_factor: str = "optional",
) -> Iterator[Site]:
    port = free_port()
    url = f"http://{host}:{port}"
    given = {"data_dir": str(folder / "data"), "access_url": url, "second_factor": second_factor}
    settings = load_settings(given, environ={})
    settings = settings.model_copy(update={"identity": IdentitySettings(sections=identity or {})})
    core = open_core(settings, plugins=plugins)
    core.presence.serving = True
    owner: Any = None
    if with_owner:
        owner = deployment.create_first_owner(core, "ada", "ada@example.org", PASSWORD, "Ada Lovelace")
    started = threading.Event()
    holder: dict[str, Any] = {}

    async def main() -> None:
        gateway = Gateway(core)
        web = WSGIMiddleware(create_app(core), workers=8)
        config = uvicorn.Config(
            create_gateway_app(gateway, web),
            port=port,
            log_level="warning",
            lifespan="off",
            timeout_graceful_shutdown=2,
        )
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[method-assign]
        holder.update(gateway=gateway, server=server, loop=asyncio.get_running_loop())
        task = asyncio.create_task(server.serve())
        while not server.started and not task.done():
            await asyncio.sleep(0.02)
        started.set()
        await task

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert started.wait(20), "the server did not start"
    yield Site(core, url, owner, holder["gateway"], holder["loop"], folder)
    holder["loop"].call_soon_threadsafe(holder["gateway"].close)
    holder["server"].should_exit = True
    thread.join(20)


@dataclass
class Providers:
    """A site with an identity provider of each shape."""

    site: Site
    page: FakePage
    directory: FakeDirectory


@pytest.fixture(scope="module")
def providers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Providers]:
    page, directory = FakePage(), FakeDirectory()
    sections: dict[str, dict[str, Any]] = {
        "corp": {"kind": "fake-page", "sign_up": "open", "roles": {"auditors": ["auditor"]}},
        "directory": {"kind": "fake-directory", "sign_up": "groups", "sign_up_groups": ["staff"]},
    }
    with page.serving():
        folder = tmp_path_factory.mktemp("providers")
        registry = registry_of(page.spec(), directory.spec())
        for site in serve_site(folder, identity=sections, plugins=registry):
            yield Providers(site, page, directory)


@pytest.fixture(scope="module")
def posting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Providers]:
    """A site whose provider is another site to the browser, and posts its answers."""
    page = FakePage(posts=True)
    sections: dict[str, dict[str, Any]] = {"corp": {"kind": "fake-page", "sign_up": "open"}}
    with page.serving():
        folder = tmp_path_factory.mktemp("posting")
        for site in serve_site(folder, identity=sections, plugins=registry_of(page.spec()), host="localhost"):
            yield Providers(site, page, FakeDirectory())


@pytest.fixture
def providers_visit(providers: Providers, browser: Browser) -> Iterator[Callable[..., Visit]]:
    """A window on the site with identity providers."""
    yield from visitor(providers.site, browser)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of one module: while playwright runs, no test of asyncio can run in the same process."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@dataclass
class Visit:
    """A browser window of one person. Errors of the page are collected: a test asks for none at its end."""

    site: Site
    context: BrowserContext
    page: Page
    errors: list[str]

    def open(self, path: str) -> Page:
        self.page.goto(self.site.url + path)
        return self.page


@pytest.fixture
def visit(site: Site, browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Open a window: ``visit(user=None, width=1280, theme="light", javascript=True)``."""
    yield from visitor(site, browser)


def visitor(site: Site, browser: Browser) -> Iterator[Callable[..., Visit]]:
    opened: list[Visit] = []

    def start(
        user: User | None = None,
        *,
        signed_in: bool = True,
        width: int = 1280,
        height: int = 900,
        theme: str = "light",
        javascript: bool = True,
    ) -> Visit:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,  # type: ignore[arg-type]
            java_script_enabled=javascript,
            reduced_motion="reduce",
        )
        context.set_default_timeout(20_000)
        if signed_in:
            cookie = {"name": "stead_session", "value": site.session(user), "url": site.url}
            context.add_cookies([cookie])  # type: ignore[list-item]
        page = context.new_page()
        made = Visit(site, context, page, [])
        page.on("pageerror", lambda error: made.errors.append(str(error)))
        page.on("console", lambda message: _note(made, message))
        opened.append(made)
        return made

    yield start
    for one in opened:
        one.context.close()
        assert one.errors == []


@pytest.fixture
def fresh_visit(fresh_site: Site, browser: Browser) -> Iterator[Callable[..., Visit]]:
    """A window on a server that nobody has set up yet."""
    yield from visitor(fresh_site, browser)


def _note(visit: Visit, message: Any) -> None:
    # Refused requests are part of tests; a refused script or style never is.
    if message.type == "error" and "Failed to load resource" not in message.text:
        visit.errors.append(message.text)
