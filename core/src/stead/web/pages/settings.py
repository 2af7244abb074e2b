"""What people set for themselves: profile, password, tokens, SSH."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, redirect, request
from flask_login import login_required
from werkzeug.wrappers import Response as BaseResponse

from stead.api.errors import InvalidInput, NotAuthenticated, SteadError
from stead.services import sessions, tokens, users
from stead.services.signin import conversion, flow
from stead.web.auth import current_actor, session_id
from stead.web.context import client_address, current_core, is_secure
from stead.web.failures import status_of
from stead.web.pages.notices import redirect_saying
from stead.web.pages.rendering import THEME_COOKIE, THEMES, page, problem_in, provider_title
from stead.web.pages.sign_in import go

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
            current_core(),
            current_actor(),
            current_actor().user_id,
            form.get("old", ""),
            form.get("new", ""),
            keep_session=session_id(),
        )
    except SteadError as error:
        problems = problem_in(error)
        if "password" in problems:
            problems["new"] = problems.pop("password")
        return _password_page(problems, status_of(error))
    return redirect_saying("/settings/password", "The password was changed. Other sessions were signed out.")


def _password_page(problems: Mapping[str, str], status: int = 200) -> Response:
    core = current_core()
    return page(
        "settings/password.html",
        status,
        me=users.get(core, current_actor(), "me"),
        problems=problems,
        shortest=core.settings.password_min_length,
        tab="password",
    )


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


@blueprint.get("/settings/sessions")
@login_required
def list_sessions() -> Response:
    found = sessions.list(current_core(), current_actor())
    return page("settings/sessions.html", sessions=found, this=session_id(), tab="sessions")


@blueprint.post("/settings/sessions/<ended_id>/end")
@login_required
def end_session(ended_id: str) -> BaseResponse:
    sessions.end(current_core(), current_actor(), ended_id)
    return redirect_saying("/settings/sessions", "That browser is signed out.")


@blueprint.post("/settings/sessions/end-others")
@login_required
def end_other_sessions() -> BaseResponse:
    sessions.end_others(current_core(), current_actor(), but=session_id())
    return redirect_saying("/settings/sessions", "All other browsers are signed out.")


@blueprint.get("/settings/sign-in")
@login_required
def how_to_sign_in() -> Response:
    return _sign_in_page({}, {})


@blueprint.post("/settings/sign-in")
@login_required
def tie_to_provider() -> BaseResponse:
    """Tie the account to a provider: with the password proven again, and somebody at the provider."""
    core, actor, form = current_core(), current_actor(), request.form
    try:
        configured = conversion.prove(core, actor, form.get("provider", ""), form.get("password", ""), client_address())
        if configured.redirect is not None:
            return go(configured.name, flow.Purpose.LINK, "/settings/sign-in")
        person = conversion.verify(
            configured, form.get("provider_username", "").strip(), form.get("provider_password", "")
        )
        conversion.link(core, actor, configured, person, keep_session=session_id())
    except SteadError as error:
        problems = {"password" if isinstance(error, NotAuthenticated) else error.field or "": str(error)}
        return _sign_in_page(form, problems, status_of(error))
    return redirect_saying("/settings/sign-in", f"You sign in with {configured.title} from now on.")


def _sign_in_page(form: Mapping[str, str], problems: Mapping[str, str], status: int = 200) -> Response:
    core = current_core()
    me = users.get(core, current_actor(), "me")
    choices = [one for one in core.identity if one.settings.link_by_owner]
    return page(
        "settings/sign_in.html",
        status,
        me=me,
        choices=choices,
        title=provider_title(me.provider),
        form=form,
        problems=problems,
        tab="sign-in",
    )


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
