"""The people of the deployment, for those who may manage them."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, request
from flask_login import login_required
from werkzeug.wrappers import Response as BaseResponse

from stead.api.errors import InvalidInput, SteadError
from stead.domain import rbac
from stead.domain.states import Role
from stead.services import groups, sessions, users
from stead.services.signin import conversion
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.failures import status_of
from stead.web.pages.notices import redirect_saying
from stead.web.pages.rendering import PAGE_SIZE, offset_of_page, page, problem_in, wants_fragment

blueprint = Blueprint("users", __name__)

ROLES = (
    (Role.OWNER, "Owner", "May do everything, and make others owners."),
    (Role.TEMPLATE_ADMIN, "Template admin", "Makes and changes templates, and sees all workspaces."),
    (Role.USER_ADMIN, "User admin", "Invites, suspends and changes people."),
    (Role.AUDITOR, "Auditor", "Reads everything, the audit log too, and changes nothing."),
)


@blueprint.get("/users")
@login_required
def index() -> Response:
    rbac.require(current_actor(), rbac.Resource.USER, rbac.Action.READ)
    number, offset = offset_of_page()
    found = users.list(
        current_core(),
        current_actor(),
        search=request.args.get("q", "").strip(),
        limit=PAGE_SIZE,
        offset=offset,
    )
    return page(
        "users/part_list.html" if wants_fragment() else "users/list.html",
        found=found,
        number=number,
        size=PAGE_SIZE,
        query=request.args,
        titles={role: title for role, title, _ in ROLES},
    )


@blueprint.get("/users/new")
@login_required
def new() -> Response:
    rbac.require(current_actor(), rbac.Resource.USER, rbac.Action.CREATE)
    return _new_page({}, [], {})


@blueprint.post("/users/new")
@login_required
def create() -> BaseResponse:
    form, chosen = request.form, request.form.getlist("roles")
    try:
        made = users.create(
            current_core(),
            current_actor(),
            username=form.get("username", "").strip(),
            email=form.get("email", "").strip(),
            password=form.get("password", ""),
            name=form.get("name", "").strip(),
            roles=_roles(chosen),
        )
    except SteadError as error:
        return _new_page(form, chosen, problem_in(error), status_of(error))
    return redirect_saying("/users", f"{made.username} can sign in now.")


def _new_page(form: Mapping[str, str], chosen: list[str], problems: Mapping[str, str], status: int = 200) -> Response:
    return page(
        "users/new.html",
        status,
        form=form,
        chosen=chosen,
        problems=problems,
        roles=ROLES,
        shortest=current_core().settings.password_min_length,
    )


@blueprint.get("/users/<username>")
@login_required
def show(username: str) -> Response:
    return _user_page(username, {})


@blueprint.post("/users/<username>/roles")
@login_required
def set_roles(username: str) -> BaseResponse:
    try:
        users.set_roles(current_core(), current_actor(), username, _roles(request.form.getlist("roles")))
    except SteadError as error:
        return _user_page(username, problem_in(error), status_of(error))
    return redirect_saying(f"/users/{username}", f"The roles of {username} were changed.")


@blueprint.post("/users/<username>/status")
@login_required
def set_status(username: str) -> BaseResponse:
    wanted = "suspended" if request.form.get("status") == "suspended" else "active"
    try:
        before = users.get(current_core(), current_actor(), username).status
        users.set_status(current_core(), current_actor(), username, wanted)
    except SteadError as error:
        return _user_page(username, problem_in(error), status_of(error))
    now = "can sign in now" if before == "pending" else "can sign in again"
    words = "cannot sign in any more" if wanted == "suspended" else now
    return redirect_saying(f"/users/{username}", f"{username} {words}.")


@blueprint.get("/users/<username>/ask/suspend")
@login_required
def ask(username: str) -> Response:
    return page("users/ask.html", user=users.get(current_core(), current_actor(), username))


@blueprint.post("/users/<username>/sign-out")
@login_required
def sign_out_everywhere(username: str) -> BaseResponse:
    sessions.end_others(current_core(), current_actor(), username)
    return redirect_saying(f"/users/{username}", f"{username} is signed out of every browser.")


@blueprint.post("/users/<username>/sessions/<session_id>/end")
@login_required
def end_session(username: str, session_id: str) -> BaseResponse:
    sessions.end(current_core(), current_actor(), session_id, username)
    return redirect_saying(f"/users/{username}", "That browser is signed out.")


@blueprint.post("/users/<username>/password-account")
@login_required
def to_password(username: str) -> BaseResponse:
    try:
        conversion.to_password(current_core(), current_actor(), username, request.form.get("password", ""))
    except SteadError as error:
        return _user_page(username, problem_in(error), status_of(error))
    return redirect_saying(f"/users/{username}", f"{username} signs in with the password from now on.")


def _user_page(username: str, problems: Mapping[str, str], status: int = 200) -> Response:
    core, actor = current_core(), current_actor()
    user = users.get(core, actor, username)
    may = rbac.allows(actor, rbac.Resource.USER, rbac.Action.UPDATE, user.id)
    found = sessions.list(core, actor, user.id) if may else ()
    provider = core.identity.get(user.provider) if user.provider in core.identity else None
    return page(
        "users/user.html",
        status,
        user=user,
        problems=problems,
        roles=ROLES,
        sessions=found,
        provider=provider,
        groups=groups.of_user(core, actor, user.id),
    )


def _roles(chosen: list[str]) -> tuple[Role, ...]:
    try:
        return tuple(Role(value) for value in chosen) or (Role.MEMBER,)
    except ValueError as error:
        raise InvalidInput("There is no such role.", field="roles") from error
