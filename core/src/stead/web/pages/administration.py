"""The audit log, and what this deployment is made of."""

from __future__ import annotations

from flask import Blueprint, Response
from flask_login import login_required

from stead import VERSION
from stead.services import audit
from stead.services import deployment as deployments
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.pages.rendering import PAGE_SIZE, offset_of_page, page

blueprint = Blueprint("administration", __name__)


@blueprint.get("/audit")
@login_required
def audit_log() -> Response:
    number, offset = offset_of_page()
    found = audit.list(current_core(), current_actor(), limit=PAGE_SIZE, offset=offset)
    return page("administration/audit.html", found=found, number=number, size=PAGE_SIZE)


@blueprint.get("/deployment")
@login_required
def deployment() -> Response:
    core = current_core()
    return page(
        "administration/deployment.html",
        plugins=deployments.plugins(core, current_actor()),
        policies=deployments.policies(core, current_actor()),
        version=VERSION,
        deployment_id=core.deployment_id,
        access_url=core.settings.access_url,
        database="PostgreSQL" if core.database.is_postgresql else "SQLite",
    )
