"""Groups: those that are made by hand are changed here, those of identity providers are shown."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, request
from flask_login import login_required
from werkzeug.wrappers import Response as BaseResponse

from stead.api.errors import SteadError
from stead.domain.membership import LONGEST_GROUP
from stead.services import groups
from stead.services.groups import LOCAL
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.failures import status_of
from stead.web.pages.notices import redirect_saying
from stead.web.pages.rendering import PAGE_SIZE, offset_of_page, page, problem_in

blueprint = Blueprint("groups", __name__)


@blueprint.get("/groups")
@login_required
def index() -> Response:
    return _list_page({}, {})


@blueprint.post("/groups")
@login_required
def create() -> BaseResponse:
    try:
        made = groups.create(current_core(), current_actor(), request.form.get("name", ""))
    except SteadError as error:
        return _list_page(request.form, problem_in(error), status_of(error))
    return redirect_saying(f"/groups/{made.id}", f"The group {made.name} was created. Nobody is in it yet.")


@blueprint.get("/groups/<group_id>")
@login_required
def show(group_id: str) -> Response:
    return _group_page(group_id, {}, {})


@blueprint.post("/groups/<group_id>/name")
@login_required
def rename(group_id: str) -> BaseResponse:
    try:
        found = groups.rename(current_core(), current_actor(), group_id, request.form.get("name", ""))
    except SteadError as error:
        return _group_page(group_id, request.form, problem_in(error), status_of(error))
    return redirect_saying(f"/groups/{group_id}", f"The group is called {found.name} now.")


@blueprint.post("/groups/<group_id>/members")
@login_required
def add_member(group_id: str) -> BaseResponse:
    user = request.form.get("user", "").strip()
    try:
        added = groups.add_member(current_core(), current_actor(), group_id, user)
    except SteadError as error:
        return _group_page(group_id, request.form, problem_in(error), status_of(error))
    return redirect_saying(f"/groups/{group_id}", f"{added.username} is in the group.")


@blueprint.post("/groups/<group_id>/members/<username>/remove")
@login_required
def remove_member(group_id: str, username: str) -> BaseResponse:
    try:
        groups.remove_member(current_core(), current_actor(), group_id, username)
    except SteadError as error:
        return _group_page(group_id, {}, {"": str(error)}, status_of(error))
    return redirect_saying(f"/groups/{group_id}", f"{username} is no longer in the group.")


@blueprint.get("/groups/<group_id>/ask/delete")
@login_required
def ask_delete(group_id: str) -> Response:
    return page("groups/ask.html", group=groups.get(current_core(), current_actor(), group_id))


@blueprint.post("/groups/<group_id>/delete")
@login_required
def delete(group_id: str) -> BaseResponse:
    try:
        groups.delete(current_core(), current_actor(), group_id)
    except SteadError as error:
        return _group_page(group_id, {}, {"": str(error)}, status_of(error))
    return redirect_saying("/groups", "The group was deleted.")


def _list_page(form: Mapping[str, str], problems: Mapping[str, str], status: int = 200) -> Response:
    number, offset = offset_of_page()
    text = request.args.get("q", "").strip()[:254]
    found = groups.list(current_core(), current_actor(), text, PAGE_SIZE, offset)
    return page(
        "groups/list.html",
        status,
        found=found,
        number=number,
        size=PAGE_SIZE,
        text=text,
        form=form,
        problems=problems,
        local=LOCAL,
        longest=LONGEST_GROUP,
    )


def _group_page(group_id: str, form: Mapping[str, str], problems: Mapping[str, str], status: int = 200) -> Response:
    number, offset = offset_of_page()
    core, actor = current_core(), current_actor()
    shown = groups.get(core, actor, group_id)
    return page(
        "groups/group.html",
        status,
        group=shown,
        brought_by=groups.brought_by(core, shown),
        found=groups.members(core, actor, group_id, PAGE_SIZE, offset),
        number=number,
        size=PAGE_SIZE,
        form=form,
        problems=problems,
        local=LOCAL,
        longest=LONGEST_GROUP,
    )
