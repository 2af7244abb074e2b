"""Identity providers for those who manage the deployment: how they stand, tests, the record of attempts."""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask_login import login_required
from werkzeug.wrappers import Response as BaseResponse

from stead.api.errors import SteadError
from stead.domain import rbac
from stead.services.signin import administration, flow, record
from stead.services.signin.administration import Check
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.failures import status_of
from stead.web.pages.rendering import PAGE_SIZE, offset_of_page, page
from stead.web.pages.sign_in import go

blueprint = Blueprint("identity", __name__)


@blueprint.get("/identity")
@login_required
def index() -> Response:
    core, actor = current_core(), current_actor()
    return page(
        "identity/list.html",
        providers=administration.providers(core, actor),
        factors=administration.second_factors(core, actor),
    )


@blueprint.get("/identity/attempts")
@login_required
def attempts() -> Response:
    number, offset = offset_of_page()
    chosen = {key: request.args.get(key, "").strip()[:254] for key in ("q", "provider", "outcome")}
    found = record.list(
        current_core(),
        current_actor(),
        provider=chosen["provider"],
        outcome=chosen["outcome"],
        search=chosen["q"],
        limit=PAGE_SIZE,
        offset=offset,
    )
    return page(
        "identity/attempts.html", found=found, number=number, size=PAGE_SIZE, chosen=chosen, outcomes=record.OUTCOMES
    )


@blueprint.get("/identity/attempts/<int:number>")
@login_required
def attempt(number: int) -> Response:
    return page("identity/attempt.html", attempt=record.get(current_core(), current_actor(), number))


@blueprint.get("/identity/<name>")
@login_required
def show(name: str) -> Response:
    return _provider_page(name)


@blueprint.post("/identity/<name>/check")
@login_required
def check(name: str) -> Response:
    return _provider_page(name, check=administration.check(current_core(), current_actor(), name))


@blueprint.post("/identity/<name>/test")
@login_required
def try_out(name: str) -> Response:
    username = request.form.get("username", "").strip()
    try:
        tested = administration.test(current_core(), current_actor(), name, username)
    except SteadError as error:
        problems = {"username": str(error)}
        return _provider_page(name, problems=problems, status=status_of(error), username=username)
    return page("identity/tested.html", configured=current_core().identity.get(name), tested=tested)


@blueprint.get("/identity/<name>/try")
@login_required
def try_in_browser(name: str) -> BaseResponse:
    """Sign in at the provider as oneself, and see what would become of it."""
    rbac.require(current_actor(), rbac.Resource.DEPLOYMENT, rbac.Action.UPDATE)
    return go(name, flow.Purpose.TEST, f"/identity/{name}")


def _provider_page(
    name: str,
    *,
    check: Check | None = None,
    problems: dict[str, str] | None = None,
    status: int = 200,
    username: str = "",
) -> Response:
    found = administration.provider(current_core(), current_actor(), name)
    return page(
        "identity/provider.html",
        status,
        provider=found,
        check=check,
        problems=problems or {},
        form={"username": username},
    )
