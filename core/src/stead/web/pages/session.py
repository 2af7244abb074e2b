"""First run, signing in, signing out."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, g, redirect, request
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from stead.api.errors import InvalidInput, NotAuthenticated, NotFound, RateLimited, SteadError, Unavailable
from stead.services import deployment
from stead.services.factors import demand, passkeys
from stead.services.signin import leaving, passwords
from stead.services.signin.proof import Proof
from stead.services.signin.record import Source
from stead.web.auth import LOGIN_PATH, safe_return_path, session_secret, sign_out
from stead.web.context import client_address, current_core
from stead.web.failures import status_of
from stead.web.pages import factors
from stead.web.pages.rendering import page, problem_in

blueprint = Blueprint("session", __name__)
SETUP_PATH = "/setup"


def _first_run() -> bool:
    return deployment.status(current_core()).first_run


@blueprint.get("/")
def start() -> BaseResponse:
    if _first_run():
        return redirect(SETUP_PATH)
    return redirect("/workspaces")


@blueprint.get(SETUP_PATH)
def setup() -> BaseResponse:
    if not _first_run():
        return redirect(LOGIN_PATH)
    return _setup_page({}, {})


@blueprint.post(SETUP_PATH)
def create_owner() -> BaseResponse:
    form = request.form
    password = form.get("password", "")
    try:
        if password != form.get("again", ""):
            raise InvalidInput("The two passwords differ. Type the same one again.", field="again")
        user = deployment.create_first_owner(
            current_core(),
            username=form.get("username", "").strip(),
            email=form.get("email", "").strip(),
            password=password,
            name=form.get("name", "").strip(),
        )
    except SteadError as error:
        return _setup_page(form, problem_in(error), status_of(error))
    return factors.enter(Proof(user), "/templates/new")


def _setup_page(form: Mapping[str, str], problems: Mapping[str, str], status: int = 200) -> Response:
    shortest = current_core().settings.password_min_length
    return page("session/setup.html", status, form=form, problems=problems, shortest_password=shortest)


@blueprint.get(LOGIN_PATH)
def login() -> BaseResponse:
    if _first_run():
        return redirect(SETUP_PATH)
    if current_user.is_authenticated:
        return redirect(safe_return_path(request.args.get("next")))
    # Whoever has a session and no second factor is told why they are here.
    held = g.get("authentication_error")
    return _login_page(request.args, {}, why=str(held) if isinstance(held, demand.SecondFactorMissing) else "")


@blueprint.post(LOGIN_PATH)
def check_password() -> BaseResponse:
    form = request.form
    try:
        proof = passwords.check(
            current_core(),
            form.get("login", ""),
            form.get("password", ""),
            Source(client_address(), request.headers.get("User-Agent", "")[:256]),
            form.get("with", ""),
        )
    except (NotAuthenticated, RateLimited, InvalidInput, NotFound, Unavailable) as error:
        return _login_page(form, {"": str(error)}, status_of(error))
    return factors.enter(proof, safe_return_path(form.get("next")))


def _login_page(form: Mapping[str, str], problems: Mapping[str, str], status: int = 200, why: str = "") -> Response:
    core = current_core()
    takers = passwords.takers(core)
    pages = [one for one in core.identity if one.redirect is not None]
    local = passwords.has_local(core)
    everyone = core.settings.password_sign_in != passwords.OWNERS_ONLY and passwords.has_local(core, but_owners=True)
    return page(
        "session/login.html",
        status,
        form=form,
        problems=problems,
        why=why,
        pages=pages,
        takers=takers,
        local=local,
        shown=bool(takers or everyone or not pages or problems or why or form.get("login")),
        next=safe_return_path(form.get("next")),
        passkeys=local and not passkeys.site(core).why_not,
    )


@blueprint.post("/logout")
def logout() -> BaseResponse:
    core = current_core()
    elsewhere = leaving.url(core, current_user.actor, session_secret())
    response = page("session/leaving.html", url=elsewhere) if elsewhere else redirect(LOGIN_PATH, 303)
    sign_out(response)
    return response
