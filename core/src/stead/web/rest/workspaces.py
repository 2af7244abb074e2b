"""Workspaces."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stead.domain.records import Build, Page, Workspace
from stead.domain.states import Transition, WorkspaceStatus
from stead.services import agents, builds, workspaces
from stead.services.agents import SshAccess
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.rest.common import Name, Paging, Parameters, Ref, SearchPaging
from stead.web.rest.parsing import Input
from stead.web.rest.routing import Api, PageOf

api = Api("workspaces")


class WorkspaceQuery(SearchPaging):
    owner: Ref | None = None
    template: Ref | None = None
    status: WorkspaceStatus | None = None


class CreateWorkspace(Input):
    """``version`` is a version of the template other than the active one."""

    template: Ref
    name: Name
    parameters: Parameters = {}
    preset: Annotated[str, Field(max_length=128)] | None = None
    owner: Ref | None = None
    version: Ref | None = None


class UpdateWorkspace(Input):
    name: Name


class CreateBuild(Input):
    """``orphan`` forgets the resources of a workspace that is deleted instead of destroying them."""

    transition: Transition
    parameters: Parameters | None = None
    version: Ref | None = None
    orphan: bool = False


class CertificateRequest(Input):
    """``public_key`` is one line in OpenSSH's form."""

    public_key: Annotated[str, Field(min_length=16, max_length=16384)]
    agent: Name | None = None


@api.get("/workspaces", "List workspaces", query=WorkspaceQuery, returns=PageOf(Workspace))
def list_workspaces(query: WorkspaceQuery) -> Page:
    return workspaces.list(
        current_core(),
        current_actor(),
        search=query.q,
        owner=query.owner,
        template=query.template,
        status=query.status,
        limit=query.limit,
        offset=query.offset,
    )


@api.post("/workspaces", "Create a workspace and start it", body=CreateWorkspace, returns=Workspace, status=201)
def create_workspace(body: CreateWorkspace) -> Workspace:
    return workspaces.create(
        current_core(),
        current_actor(),
        template=body.template,
        name=body.name,
        parameters=body.parameters,
        preset=body.preset,
        owner=body.owner,
        version=body.version,
    )


@api.get("/workspaces/<ref:ref>", "Show a workspace", returns=Workspace)
def get_workspace(ref: str) -> Workspace:
    return workspaces.get(current_core(), current_actor(), ref)


@api.patch("/workspaces/<ref:ref>", "Rename a workspace", body=UpdateWorkspace, returns=Workspace)
def update_workspace(ref: str, body: UpdateWorkspace) -> Workspace:
    return workspaces.update(current_core(), current_actor(), ref, name=body.name)


@api.get("/workspaces/<ref:ref>/builds", "List a workspace's builds", query=Paging, returns=PageOf(Build))
def list_builds(ref: str, query: Paging) -> Page:
    return builds.list(current_core(), current_actor(), ref, limit=query.limit, offset=query.offset)


@api.post(
    "/workspaces/<ref:ref>/builds",
    "Start, stop or delete a workspace",
    body=CreateBuild,
    returns=Build,
    status=201,
)
def create_build(ref: str, body: CreateBuild) -> Build:
    return builds.create(
        current_core(),
        current_actor(),
        ref,
        body.transition,
        parameters=body.parameters,
        version=body.version,
        orphan=body.orphan,
    )


@api.post(
    "/workspaces/<ref:ref>/ssh-certificate",
    "Get a certificate for a workspace's SSH server",
    body=CertificateRequest,
    returns=SshAccess,
)
def ssh_certificate(ref: str, body: CertificateRequest) -> SshAccess:
    """The certificate is good for some minutes, for this key and this workspace alone."""
    return agents.ssh_certificate(current_core(), current_actor(), ref, body.agent, body.public_key)
