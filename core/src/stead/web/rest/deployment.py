"""What the deployment is: health, version, plugins, starter templates, and this API itself."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, current_app

from stead import VERSION
from stead.domain.records import Page
from stead.plugins import PluginStatus
from stead.services import deployment, templates
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.rest.routing import Api, Binary, PageOf

api = Api("deployment")

OPENAPI_DOCUMENT = "stead.openapi"


@dataclass(frozen=True)
class Health:
    status: str
    version: str


@dataclass(frozen=True)
class BuildInfo:
    """``first_run``: nobody has an account yet, and ``POST /users/first`` is open."""

    version: str
    first_run: bool
    access_url: str
    deployment_id: str


@dataclass(frozen=True)
class Starter:
    """A template to start from; ``id`` is ``PLATFORM/NAME`` as ``POST /template-versions`` takes it."""

    id: str
    platform: str
    name: str
    title: str
    description: str
    icon: str


@dataclass(frozen=True)
class Starters:
    items: tuple[Starter, ...]
    total: int


@api.get("/healthz", "Whether the server answers", public=True, returns=Health)
def healthz() -> Health:
    deployment.status(current_core())
    return Health(status="ok", version=VERSION)


@api.get("/buildinfo", "Version and state of the deployment", public=True, returns=BuildInfo)
def buildinfo() -> BuildInfo:
    core = current_core()
    return BuildInfo(
        version=VERSION,
        first_run=deployment.status(core).first_run,
        access_url=str(core.settings.access_url),
        deployment_id=core.deployment_id,
    )


@api.get("/openapi.json", "This document", public=True, returns=Binary("application/json"))
def openapi() -> Response:
    document: bytes = current_app.extensions[OPENAPI_DOCUMENT]()
    return Response(document, mimetype="application/json")


@api.get("/starters", "List the starter templates of all platforms", returns=Starters)
def starters() -> Starters:
    items = tuple(
        Starter(
            id=found.name,
            platform=found.platform,
            name=found.template.name,
            title=found.template.title,
            description=found.template.description,
            icon=found.template.icon,
        )
        for found in templates.starters(current_core())
    )
    return Starters(items=items, total=len(items))


@api.get(
    "/starters/<ref:ref>/archive",
    "Download a starter template's files",
    returns=Binary("application/x-tar"),
)
def starter_archive(ref: str) -> Response:
    """``ref`` is the id, ``PLATFORM%2FNAME``."""
    found = templates.starter(current_core(), ref)
    return Response(templates.pack(found.template.path), mimetype="application/x-tar")


@api.get("/plugins", "List the plugins and their state", returns=PageOf(PluginStatus))
def plugins() -> Page:
    found = tuple(deployment.plugins(current_core(), current_actor()))
    return Page(items=found, total=len(found))


@api.get("/policies", "List the enabled policies", returns=PageOf(deployment.PolicyStatus))
def policies() -> Page:
    found = tuple(deployment.policies(current_core(), current_actor()))
    return Page(items=found, total=len(found))
