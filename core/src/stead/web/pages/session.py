"""First run, signing in, signing out."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, redirect, request
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from stead.api.errors import InvalidInput, NotAuthenticated, RateLimited, SteadError
from stead.domain.names import SHORTEST_PASSWORD
from stead.services import authentication, deployment
from stead.web.auth import LOGIN_PATH, safe_return_path, sign_in, sign_out
from stead.web.context import client_address, current_core
from stead.web.failures import status_of
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
    response = redirect("/templates/new", 303)
    sign_in(response, user)
    return response


def _setup_page(form: Mapping[str, str], problems: Mapping[str, str], status: int = 200) -> Response:
    return page("session/setup.html", status, form=form, problems=problems, shortest_password=SHORTEST_PASSWORD)


@blueprint.get(LOGIN_PATH)
def login() -> BaseResponse:
    if _first_run():
        return redirect(SETUP_PATH)
    if current_user.is_authenticated:
        return redirect(safe_return_path(request.args.get("next")))
    return page("session/login.html", form=request.args, problems={})


@blueprint.post(LOGIN_PATH)
def check_password() -> BaseResponse:
    form = request.form
    try:
        user = authentication.verify_password(
            current_core(), form.get("login", "").strip(), form.get("password", ""), client_address()
        )
    except (NotAuthenticated, RateLimited, InvalidInput) as error:
        problems = {"": str(error)}
        return page("session/login.html", status_of(error), form=form, problems=problems)
    response = redirect(safe_return_path(form.get("next")), 303)
    sign_in(response, user)
    return response


@blueprint.post("/logout")
def logout() -> BaseResponse:
    response = redirect(LOGIN_PATH, 303)
    sign_out(response)
    return response
