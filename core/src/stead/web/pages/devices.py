"""Letting a program in: the page on which its person confirms the code that it shows."""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask_login import login_required

from stead.api.errors import SteadError
from stead.services.signin import devices
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.failures import status_of
from stead.web.pages.rendering import page

blueprint = Blueprint("devices", __name__)

PATH = "/device"


@blueprint.get(PATH)
@login_required
def ask() -> Response:
    code = request.args.get("code", "").strip()[:40]
    return _confirm(code) if code else _code_page("", {})


def _confirm(code: str) -> Response:
    try:
        waiting = devices.waiting(current_core(), current_actor(), code)
    except SteadError as error:
        return _code_page(code, {"code": str(error)}, status_of(error))
    return page("device/confirm.html", waiting=waiting)


@blueprint.post(PATH)
@login_required
def answer() -> Response:
    code, decision = request.form.get("code", "")[:40], request.form.get("decision", "")
    if decision not in ("approve", "deny"):
        return _confirm(code)
    try:
        devices.answer(current_core(), current_actor(), code, approve=decision == "approve")
    except SteadError as error:
        return _code_page(code, {"code": str(error)}, status_of(error))
    return page("device/done.html", approved=decision == "approve")


def _code_page(code: str, problems: dict[str, str], status: int = 200) -> Response:
    return page("device/code.html", status, form={"code": code}, problems=problems)
