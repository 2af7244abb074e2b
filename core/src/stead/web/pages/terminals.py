"""Letting the terminal in that opened this browser: its person allows it here, the browser takes the answer back."""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask_login import login_required
from werkzeug.wrappers import Response as BaseResponse

from stead.api.errors import NotFound, SteadError
from stead.services import tokens
from stead.services.signin import terminals
from stead.services.signin.terminals import PATH, Terminal
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.failures import status_of
from stead.web.pages.rendering import page
from stead.web.pages.sign_in import leave_to

blueprint = Blueprint("terminals", __name__)


@blueprint.get(PATH)
@login_required
def ask() -> Response:
    try:
        return page("terminal/confirm.html", terminal=_terminal())
    except SteadError as error:
        return _failed(error)


@blueprint.post(PATH)
@login_required
def answer() -> BaseResponse:
    core, decision = current_core(), request.form.get("decision", "")
    try:
        terminal = _terminal()
        if decision not in ("approve", "deny"):
            return page("terminal/confirm.html", terminal=terminal)
        decide = terminals.approve if decision == "approve" else terminals.refuse
        return leave_to(decide(core, current_actor(), terminal))
    except SteadError as error:
        return _failed(error)


def _terminal() -> Terminal:
    given = request.values
    port, state, challenge = (given.get(name, "")[:200] for name in ("port", "state", "challenge"))
    return terminals.asking(port, state, challenge, given.get("client", "")[:200])


def _failed(error: SteadError) -> Response:
    return page("terminal/failed.html", status_of(error), error=error)


@blueprint.get(f"{PATH}/done/<token_id>")
@login_required
def done(token_id: str) -> Response:
    """What the terminal has got, once it has it."""
    found = next((one for one in tokens.list(current_core(), current_actor()) if one.id == token_id), None)
    if found is None:
        raise NotFound("No terminal of yours has this token.", remedy="Run stead login again.")
    return page("terminal/done.html", token=found)
