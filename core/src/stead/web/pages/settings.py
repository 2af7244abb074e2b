"""What people set for themselves: profile, password, tokens, SSH."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, redirect, request
from flask_login import login_required
from werkzeug.wrappers import Response as BaseResponse

from stead.api.errors import InvalidInput, SteadError
from stead.domain.names import SHORTEST_PASSWORD
from stead.services import tokens, users
from stead.web.auth import current_actor
from stead.web.context import current_core, is_secure
from stead.web.failures import status_of
from stead.web.pages.notices import redirect_saying
from stead.web.pages.rendering import THEME_COOKIE, THEMES, page, problem_in

blueprint = Blueprint("settings", __name__)

_OWN_SCOPE = "all"  # others belong to workspaces, and come and go with them
_DAY = 86_400.0
_YEAR = 31_536_000
LIFETIMES = ((7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "1 year"))


@blueprint.get("/settings")
@login_required
def profile() -> Response:
    me = users.get(current_core(), current_actor(), current_actor().user_id)
    return page("settings/profile.html", me=me, tab="profile")


@blueprint.post("/settings/theme")
@login_required
def choose_theme() -> BaseResponse:
    """Light, dark, or as the system: for browsers without scripts, which set the same cookie themselves."""
    response = redirect("/settings", 303)
    chosen = request.form.get("theme", "")
    if chosen in THEMES:
        response.set_cookie(THEME_COOKIE, chosen, max_age=_YEAR, samesite="Lax", secure=is_secure())
    else:
        response.delete_cookie(THEME_COOKIE, samesite="Lax", secure=is_secure())
    return response


@blueprint.get("/settings/password")
@login_required
def password() -> Response:
    return _password_page({})


@blueprint.post("/settings/password")
@login_required
def change_password() -> BaseResponse:
    form = request.form
    try:
        if form.get("new", "") != form.get("again", ""):
            raise InvalidInput("The two passwords differ. Type the same one again.", field="again")
        users.set_password(
            current_core(), current_actor(), current_actor().user_id, form.get("old", ""), form.get("new", "")
        )
    except SteadError as error:
        problems = problem_in(error)
        if "password" in problems:
            problems["new"] = problems.pop("password")
        return _password_page(problems, status_of(error))
    return redirect_saying("/settings/password", "The password was changed. Other sessions were signed out.")


def _password_page(problems: Mapping[str, str], status: int = 200) -> Response:
    return page("settings/password.html", status, problems=problems, shortest=SHORTEST_PASSWORD, tab="password")


@blueprint.get("/settings/tokens")
@login_required
def list_tokens() -> Response:
    return _tokens_page({}, {})


@blueprint.post("/settings/tokens")
@login_required
def create_token() -> Response:
    form = request.form
    days = form.get("days", type=int)
    try:
        if days not in {known for known, _ in LIFETIMES}:
            raise InvalidInput("Choose one of the lifetimes.", field="days")
        token, secret = tokens.create(
            current_core(), current_actor(), name=form.get("name", "").strip(), lifetime=days * _DAY
        )
    except SteadError as error:
        return _tokens_page(form, problem_in(error), status=status_of(error))
    return _tokens_page({}, {}, made=(token.name, secret))


@blueprint.post("/settings/tokens/<token_id>/delete")
@login_required
def delete_token(token_id: str) -> BaseResponse:
    tokens.delete(current_core(), current_actor(), token_id)
    return redirect_saying("/settings/tokens", "The token was deleted. It opens nothing any more.")


@blueprint.get("/settings/tokens/<token_id>/ask/delete")
@login_required
def ask(token_id: str) -> Response:
    return page("settings/ask.html", token_id=token_id)


def _tokens_page(
    form: Mapping[str, str],
    problems: Mapping[str, str],
    made: tuple[str, str] | None = None,
    status: int = 200,
) -> Response:
    return page(
        "settings/tokens.html",
        status,
        tokens=[one for one in tokens.list(current_core(), current_actor()) if one.scope == _OWN_SCOPE],
        form=form,
        problems=problems,
        made=made,
        lifetimes=LIFETIMES,
        tab="tokens",
    )
