"""A server whose plugins trust authorities of the test, and agents on machines that these authorities vouch for."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from stead.domain.records import Actor
from stead.network.children import die_with
from stead.services import authentication
from stead.services.core import Core, close_core, open_core
from stead.services.instance_identity import SETTLING
from stead.store import resources
from stead.testing.deployment import Deployment
from stead.testing.handmade import HandmadeAgent, HandmadeWorkspace, import_template, start_again, start_workspace
from stead.testing.machines import Answer, Asked, AwsMachine, AzureMachine, GoogleMachine, Http, Machine, Signer
from stead.testing.waiting import eventually, find_free_port
from stead_agent.proof.clouds import DOCUMENTS

REGION, ACCOUNT = "eu-central-1", "123456789012"
PATIENCE = 60.0  # seconds for anything that a process has to do


class Sts:
    """Knows the roles of machines, and checks with botocore that a request was signed with their credentials."""

    def __init__(self) -> None:
        self.sessions: dict[str, str] = {}  # ARN of the caller by access key
        self.refusals: list[str] = []
        self.down = False

    def admit(self, machine: AwsMachine) -> None:
        account, instance = machine.facts["account"], machine.spoil.get("caller", machine.facts["instance"])
        self.sessions[machine.key] = f"arn:aws:sts::{account}:assumed-role/{machine.facts['role']}/{instance}"

    def __call__(self, asked: Asked) -> Answer:
        if self.down:
            return 503, b"away"
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=(\w+)/\d{8}/([\w-]+)/sts/aws4_request, "
            r"SignedHeaders=([\w;-]+), Signature=(\w{64})",
            asked.headers["authorization"],
        )
        arn = self.sessions.get(found[1]) if found else None
        if found is None or arn is None or self._signature(asked, found[2], found[3].split(";")) != found[4]:
            self.refusals.append(asked.headers["authorization"])
            return 403, b"<ErrorResponse/>"
        result = f"<Arn>{arn}</Arn><Account>{arn.split(':')[4]}</Account>"
        return 200, f"<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>".encode()

    @staticmethod
    def _signature(asked: Asked, region: str, names: list[str]) -> str:
        headers = {name: asked.headers[name] for name in names}
        request = AWSRequest("POST", f"https://{asked.headers['host']}/", headers=headers, data=asked.body)
        request.context["timestamp"] = asked.headers["x-amz-date"]
        signer = SigV4Auth(Credentials(AwsMachine.key, AwsMachine.secret, AwsMachine.token), "sts", region)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        return str(signer.signature(text, request))


@dataclass
class Authorities:
    """Who vouches for machines, and strangers who do the same without being asked."""

    folder: Path
    aws: Signer = field(default_factory=lambda: Signer("ec2"))
    google: Signer = field(default_factory=lambda: Signer("google"))
    root: Signer = field(default_factory=lambda: Signer("azure root"))
    sts: Sts = field(default_factory=Sts)

    def __post_init__(self) -> None:
        self.azure = Signer("metadata.azure.com", self.root, san="westeurope.metadata.azure.com")
        (self.folder / "regions").mkdir()
        (self.folder / "regions" / f"{REGION}.pem").write_bytes(self.aws.pem)
        (self.folder / "roots.pem").write_bytes(self.root.pem)

    def keys(self, asked: Asked) -> Answer:
        del asked
        return 200, json.dumps({"keys": [self.google.jwk("k1")]}).encode()

    def machine(self, cloud: str, **facts: str) -> Machine:
        """A new machine of a cloud."""
        if cloud in ("aws-sts", "aws-document"):
            role = {"role": "workspaces"} if cloud == "aws-sts" else {}
            instance = f"i-{secrets.token_hex(8)}"
            known = {"account": ACCOUNT, "region": REGION, "instance": instance, **role}
            made = AwsMachine(self.aws, **{**known, **facts})
            made.key = f"ASIA{secrets.token_hex(8).upper()}"
            if cloud == "aws-sts":
                self.sts.admit(made)
            return made
        if cloud == "gcp":
            instance = str(secrets.randbelow(10**18))
            known = {"project": "acme-dev", "zone": "europe-west1-b", "instance": instance}
            return GoogleMachine(self.google, **{**known, **facts})
        known = {"subscription": new_uuid(), "location": "westeurope", "instance": new_uuid()}
        return AzureMachine(self.azure, self.root, **{**known, **facts})


def body(challenge_id: str, document: bytes) -> dict[str, str]:
    return {"id": challenge_id, "document": base64.b64encode(document).decode()}


def new_uuid() -> str:
    text = secrets.token_hex(16)
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


@dataclass
class AgentRun:
    """An agent's process on a machine."""

    process: subprocess.Popen[bytes]
    log: Path
    run_dir: Path

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(20)


@dataclass
class Site:
    """A running server, the core of its database, and who vouches for machines there."""

    deployment: Deployment
    core: Core
    owner: Actor
    template: str
    authorities: Authorities
    folder: Path
    stranger: httpx.Client
    person: httpx.Client

    def get(self, path: str, **query: Any) -> Any:
        """What the owner reads."""
        answer = self.person.get(path, params=query)
        answer.raise_for_status()
        return answer.json()

    def provision(self, machine: Machine, *, agents: int = 1, workspace: str | None = None) -> HandmadeWorkspace:
        """A build that has made this machine, with agents that have no token."""
        made = [
            HandmadeAgent(name=f"main{number or ''}", instance_id=machine.instance_id, settings={"auth": machine.auth})
            for number in range(agents)
        ]
        if workspace is not None:
            return start_again(self.core, self.owner, workspace, made, machine.state())
        name = f"w{secrets.token_hex(4)}"
        return start_workspace(self.core, self.owner, self.template, name, made, machine.state())

    def agent(self, made: HandmadeWorkspace) -> dict[str, Any]:
        workspace = self.get(f"/workspaces/{made.workspace.id}")
        found: dict[str, Any] = workspace["latest_build"]["resources"][0]["agents"][0]
        return found

    def connected(self, made: HandmadeWorkspace, run: AgentRun) -> dict[str, Any]:
        """Wait until the agent is there and ready."""

        def ready() -> dict[str, Any] | None:
            found = self.agent(made)
            return found if found["status"] == "connected" and found["lifecycle"] == "ready" else None

        try:
            return eventually(ready, PATIENCE, what="a connected agent")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{run.output[-3000:]}\n{self.deployment.log[-3000:]}") from error

    def audit(self, made: HandmadeWorkspace, action: str) -> list[dict[str, Any]]:
        found = self.get("/audit", limit=200)["items"]
        return [row for row in found if row["action"] == action and row["target_id"] == made.workspace.id]

    # By hand, with the agent's own way to ask the metadata service

    def document(self, machine: Machine, challenge: str, attempt: int = 0) -> bytes:
        with Http(machine) as metadata:
            return DOCUMENTS[machine.auth](metadata.url, challenge, attempt)

    def proof(self, machine: Machine) -> dict[str, str]:
        """The body that proves this machine, for a challenge of its own."""
        asked = self.challenge(machine.auth)
        return body(asked["id"], self.document(machine, asked["challenge"]))

    def settled(self, made: HandmadeWorkspace) -> None:
        """As if the agent had proven itself a while ago."""
        with self.core.database.write():
            resources.update_agent(made.agent_id, proven_at=self.core.clock.now() - 2 * SETTLING)

    def post(self, step: str, content: Any) -> httpx.Response:
        path = f"/api/v2/agent/identity/{step}"
        if isinstance(content, bytes):
            return self.stranger.post(path, content=content)
        return self.stranger.post(path, json=content)

    def challenge(self, auth: str) -> dict[str, Any]:
        answer = self.post("challenge", {"auth": auth})
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        found: dict[str, Any] = answer.json()
        return found

    @contextmanager
    def run_agent(self, machine: Machine, name: str = "agent", **more: str) -> Iterator[AgentRun]:
        """An agent's process on this machine."""
        folder = self.folder / f"{name}-{secrets.token_hex(3)}"
        (folder / "home").mkdir(parents=True)
        with Http(machine) as metadata:
            run = self.start_agent(folder, machine.auth, metadata.url, **more)
            try:
                yield run
            finally:
                run.kill()

    def start_agent(self, folder: Path, auth: str, metadata: str, **more: str) -> AgentRun:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "CODER_AGENT_URL": self.deployment.url,
            "CODER_AGENT_AUTH": auth,
            "STEAD_AGENT_METADATA_URL": metadata,
            "STEAD_AGENT_RUN_DIR": str(folder / "run"),
            "STEAD_AGENT_TUNNEL": "0",
            "STEAD_AGENT_LOG_LEVEL": "DEBUG",
            **more,
        }
        log = folder / "agent.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                [sys.executable, "-I", "-m", "stead_agent"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
                preexec_fn=die_with(os.getpid()),
            )
        return AgentRun(process, log, folder / "run")


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    return Authorities(tmp_path_factory.mktemp("authorities"))


def settings_file(authorities: Authorities, folder: Path, sts: str, keys: str) -> Path:
    path = folder / "stead.toml"
    path.write_text(
        f"""
[plugins.aws]
identity_certificates = "{authorities.folder}/regions"
endpoints = {{ sts = "{sts}" }}
[plugins.gcp]
identity_keys = "{keys}"
[plugins.azure]
identity_roots = "{authorities.folder}/roots.pem"
"""
    )
    return path


@contextmanager
def fresh_database(server: dict[str, Any]) -> Iterator[str]:
    """A database on the run's PostgreSQL, for longer than one test."""
    name = f"t_{secrets.token_hex(8)}"

    def run(statement: str) -> None:
        connection = psycopg2.connect(
            host="127.0.0.1", port=server["port"], user="stead", password=server["password"], dbname="postgres"
        )
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()

    run(f"CREATE DATABASE {name}")
    yield f"postgresql://stead:{server['password']}@127.0.0.1:{server['port']}/{name}"
    run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def site(
    request: pytest.FixtureRequest, authorities: Authorities, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """One server on each database."""
    folder = tmp_path_factory.mktemp("site")
    with ExitStack() as stack:
        url = None
        if request.param == "postgres":
            url = stack.enter_context(fresh_database(request.getfixturevalue("postgres_server")))
        sts, keys = stack.enter_context(Http(authorities.sts)), stack.enter_context(Http(authorities.keys))
        environment = {
            "STEAD_PROVISIONERS": "0",
            "STEAD_CONFIG": str(settings_file(authorities, folder, sts.url, keys.url)),
            "STEAD_PROOF_ATTEMPTS": "1000",
        }
        deployment = Deployment(
            folder / "data", find_free_port(), find_free_port(), database_url=url, environment=environment
        )
        stack.enter_context(deployment)
        deployment.create_owner()
        core = open_core(deployment.settings())
        stack.callback(close_core, core)
        owner = authentication.actor_for_token(core, deployment.token)
        stranger = stack.enter_context(httpx.Client(base_url=deployment.url, timeout=PATIENCE, verify=False))
        person = stack.enter_context(deployment.client())
        template = import_template(core, owner, "plain")
        yield Site(deployment, core, owner, template, authorities, folder, stranger, person)
