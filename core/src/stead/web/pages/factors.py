"""The second step of signing in, passkeys as the only one, and the page that sets both up."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import quote

import segno
from flask import Blueprint, Response, jsonify, redirect, request
from flask_login import login_required
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse

from stead.api.errors import NotAuthenticated, SteadError
from stead.services import users
from stead.services.factors import demand, enrolment, manage, passkeys, second
from stead.services.factors.steps import LIFE
from stead.services.signin.proof import Proof
from stead.services.signin.record import Source
from stead.web.auth import LOGIN_PATH, current_actor, safe_return_path, sign_in
from stead.web.context import client_address, current_core, is_secure
from stead.web.failures import status_of
from stead.web.pages.notices import redirect_saying
from stead.web.pages.rendering import page, problem_in

blueprint = Blueprint("factors", __name__)

STEP_COOKIE = "stead_step"
FACTOR_PATH = "/login/factor"
ENROL_PATH = "/login/enrol"
PASSKEY_PATH = "/login/passkey"
SETTINGS_PATH = "/settings/security"


def enter(proof: Proof, next_path: str) -> BaseResponse:
    """Go on after a password: to the page that was wanted, or first to the second step."""
    core = current_core()
    if second.needed(core, proof):
        response = redirect(_and_then(FACTOR_PATH, next_path), 303)
        _set_step(response, second.wait(core, proof))
        return response
    if demand.missing(core, proof.user):
        response = redirect(_and_then(ENROL_PATH, next_path), 303)
        _set_step(response, enrolment.begin(core, proof), enrolment.LIFE)
        return response
    response = redirect(next_path, 303)
    sign_in(response, proof)
    return response


def _and_then(path: str, next_path: str) -> str:
    return f"{path}?next={quote(next_path, safe='/')}" if next_path != "/" else path


@blueprint.get(FACTOR_PATH)
def ask() -> BaseResponse:
    return _factor_page(request.args, {})


@blueprint.post(FACTOR_PATH)
def answer() -> BaseResponse:
    form, core, step = request.form, current_core(), request.cookies.get(STEP_COOKIE)
    try:
        if form.get("answer"):
            proof = second.answer_passkey(core, step, form["answer"], _source())
        else:
            proof = second.answer_code(core, step, form.get("code", ""), _source())
    except SteadError as error:
        return _factor_page(form, problem_in(error), status_of(error))
    return _signed_in(proof)


@blueprint.get(ENROL_PATH)
def enrol() -> BaseResponse:
    """Whoever has to have a second factor sets it up here: nothing else is open to them."""
    return _enrol_page(request.args, {})


@blueprint.post(ENROL_PATH)
def finish_enrolment() -> BaseResponse:
    form, core, step = request.form, current_core(), request.cookies.get(STEP_COOKIE)
    name, where = form.get("name", ""), client_address()
    try:
        if form.get("answer"):
            done = enrolment.confirm_passkey(core, step, form["answer"], name, where)
        else:
            done = enrolment.confirm_totp(core, step, form.get("code", ""), name, where)
    except SteadError as error:
        return _enrol_page(form, problem_in(error), status_of(error))
    response = page("session/enrolled.html", done=done, next=safe_return_path(form.get("next")))
    sign_in(response, done.proof)
    _drop_step(response)
    return response


@blueprint.post(f"{PASSKEY_PATH}/options")
def passkey_options() -> Response:
    """What the browser's authenticator is to be asked, for signing in with a passkey alone."""
    secret, options = second.begin_passkey(current_core())
    response = jsonify({"options": options})
    _set_step(response, secret)
    return response


@blueprint.post(PASSKEY_PATH)
def passkey() -> BaseResponse:
    try:
        proof = second.finish_passkey(
            current_core(), request.cookies.get(STEP_COOKIE), request.form.get("answer", ""), _source()
        )
    except SteadError as error:
        return redirect_saying(LOGIN_PATH, str(error))
    return _signed_in(proof)


@blueprint.get(SETTINGS_PATH)
@login_required
def security() -> Response:
    return _security_page({})


@blueprint.post(f"{SETTINGS_PATH}/totp")
@login_required
def begin_totp() -> Response:
    try:
        new = manage.begin_totp(current_core(), current_actor(), request.form.get("password", ""))
    except SteadError as error:
        return _security_page({"totp": problem_in(error)}, status_of(error))
    return _totp_page(new, {}, {})


@blueprint.post(f"{SETTINGS_PATH}/totp/confirm")
@login_required
def confirm_totp() -> Response:
    form, core, actor = request.form, current_core(), current_actor()
    try:
        added = manage.confirm_totp(core, actor, form.get("step", ""), form.get("code", ""), form.get("name", ""))
    except NotAuthenticated as error:
        return _security_page({"totp": {"": str(error)}}, 400)
    except SteadError as error:
        return _totp_page(
            manage.pending_totp(core, actor, form.get("step", "")), form, problem_in(error), status_of(error)
        )
    return _security_page({}, made=added.recovery_codes, said=f"{added.factor.name} was added.")


@blueprint.post(f"{SETTINGS_PATH}/passkey")
@login_required
def begin_passkey() -> Response:
    try:
        new = manage.begin_passkey(current_core(), current_actor(), request.form.get("password", ""))
    except SteadError as error:
        return _security_page({"passkey": problem_in(error)}, status_of(error))
    return page("settings/passkey.html", new=new, tab="security")


@blueprint.post(f"{SETTINGS_PATH}/passkey/confirm")
@login_required
def confirm_passkey() -> Response:
    form, core, actor = request.form, current_core(), current_actor()
    try:
        added = manage.confirm_passkey(core, actor, form.get("step", ""), form.get("answer", ""), form.get("name", ""))
    except SteadError as error:
        return _security_page({"passkey": {"": str(error)}}, 400)
    return _security_page({}, made=added.recovery_codes, said=f"{added.factor.name} was added.")


@blueprint.get(f"{SETTINGS_PATH}/<factor_id>/remove")
@login_required
def ask_remove(factor_id: str) -> Response:
    return _remove_page(factor_id, {})


@blueprint.post(f"{SETTINGS_PATH}/<factor_id>/remove")
@login_required
def remove(factor_id: str) -> BaseResponse:
    try:
        manage.remove(current_core(), current_actor(), factor_id, request.form.get("password", ""))
    except SteadError as error:
        return _remove_page(factor_id, problem_in(error), status_of(error))
    return redirect_saying(SETTINGS_PATH, "It was removed.")


@blueprint.post(f"{SETTINGS_PATH}/recovery-codes")
@login_required
def new_codes() -> Response:
    try:
        made = manage.new_recovery_codes(current_core(), current_actor(), request.form.get("password", ""))
    except SteadError as error:
        return _security_page({"codes": problem_in(error)}, status_of(error))
    return _security_page({}, made=made)


def _factor_page(form: Mapping[str, str], problems: Mapping[str, str], status: int = 200) -> BaseResponse:
    try:
        waiting = second.waiting(current_core(), request.cookies.get(STEP_COOKIE))
    except NotAuthenticated as error:
        return redirect_saying(LOGIN_PATH, problems.get("", "") or str(error))
    return page(
        "session/factor.html",
        status,
        waiting=waiting,
        problems=problems,
        next=safe_return_path(form.get("next")),
    )


def _enrol_page(form: Mapping[str, str], problems: Mapping[str, str], status: int = 200) -> BaseResponse:
    try:
        waiting = enrolment.waiting(current_core(), request.cookies.get(STEP_COOKIE))
    except NotAuthenticated as error:
        return redirect_saying(LOGIN_PATH, problems.get("", "") or str(error))
    return page(
        "session/enrol.html",
        status,
        waiting=waiting,
        qr=_qr(waiting.uri),
        form=form,
        problems=problems,
        no_passkeys=passkeys.site(current_core()).why_not,
        next=safe_return_path(form.get("next")),
    )


def _signed_in(proof: Proof) -> BaseResponse:
    response = redirect(safe_return_path(request.form.get("next")), 303)
    sign_in(response, proof)
    _drop_step(response)
    return response


def _drop_step(response: BaseResponse) -> None:
    response.delete_cookie(STEP_COOKIE, path=LOGIN_PATH, httponly=True, samesite="Strict", secure=is_secure())


def _set_step(response: BaseResponse, secret: str, life: timedelta = LIFE) -> None:
    response.set_cookie(
        STEP_COOKIE,
        secret,
        max_age=int(life.total_seconds()),
        httponly=True,
        samesite="Strict",
        secure=is_secure(),
        path=LOGIN_PATH,
    )


def _source() -> Source:
    return Source(client_address(), request.headers.get("User-Agent", "")[:256])


def _security_page(
    problems: Mapping[str, Mapping[str, str]], status: int = 200, made: tuple[str, ...] = (), said: str = ""
) -> Response:
    core, actor = current_core(), current_actor()
    return page(
        "settings/security.html",
        status,
        me=users.get(core, actor, actor.user_id),
        factors=manage.overview(core, actor, actor.user_id),
        no_passkeys=passkeys.site(core).why_not,
        problems=problems,
        made=made,
        said=said,
        tab="security",
    )


def _totp_page(
    new: manage.NewTotp, form: Mapping[str, str], problems: Mapping[str, str], status: int = 200
) -> Response:
    return page("settings/totp.html", status, new=new, code=_qr(new.uri), form=form, problems=problems, tab="security")


def _remove_page(factor_id: str, problems: Mapping[str, str], status: int = 200) -> Response:
    items = manage.overview(current_core(), current_actor(), current_actor().user_id).items
    found = next((one for one in items if one.id == factor_id), None)
    return page("settings/factor_remove.html", status, factor=found, id=factor_id, problems=problems, tab="security")


def _qr(text: str) -> Markup:
    """A QR code as an SVG for the page itself: no other host, and no file, ever has the secret."""
    drawn = io.BytesIO()
    code = segno.make(text, error="m", micro=False)
    code.save(drawn, kind="svg", scale=5, border=3, xmldecl=False, svgns=True, dark="#000", light="#fff", nl=False)
    return Markup(drawn.getvalue().decode())  # noqa: S704 - drawn by the library from our own text
