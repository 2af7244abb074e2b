"""The way to an identity provider's own page and back, and what it tells us by itself."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request
from flask_login import current_user
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse

from stead.api.errors import InvalidInput, SteadError
from stead.services.signin import conversion, ending, flow
from stead.services.signin.record import Source
from stead.web.auth import (
    LOGIN_PATH,
    current_actor,
    safe_return_path,
    session_id,
    sign_in,
)
from stead.web.context import client_address, current_core, is_secure
from stead.web.csrf import without_token
from stead.web.failures import status_of
from stead.web.pages.notices import redirect_saying
from stead.web.pages.rendering import page

blueprint = Blueprint("sign_in", __name__)

LONGEST_MESSAGE = 64 * 1024
_COOKIE = "stead_sign_in"


def source() -> Source:
    return Source(client_address(), request.headers.get("User-Agent", "")[:256])


def browser_cookie() -> str:
    """Name of the cookie that ties sign-ins to this browser: no other host can set it where there is TLS."""
    return f"__Host-{_COOKIE}" if is_secure() else _COOKIE


def go(name: str, purpose: flow.Purpose, return_to: str) -> BaseResponse:
    """Send the browser to a provider."""
    known = request.cookies.get(browser_cookie(), "")
    browser = known if 40 <= len(known) <= 64 else flow.new_browser()
    actor = current_user.actor
    beginning = flow.Beginning(
        browser=browser,
        return_to=return_to,
        source=source(),
        purpose=purpose,
        user_id=actor.user_id if actor is not None else "",
    )
    response = leave_to(flow.begin(current_core(), name, beginning))
    response.set_cookie(
        browser_cookie(),
        browser,
        max_age=int(flow.LIFETIME.total_seconds()),
        httponly=True,
        samesite="Lax",
        secure=is_secure(),
        path="/",
    )
    return response


def leave_to(url: str) -> BaseResponse:
    """Send the browser to another host.

    Our content security policy lets no form end elsewhere, redirects included: after a form, a page of ours
    sends it on.
    """
    if request.method == "GET":
        return redirect(url, 303)
    return page("session/leaving.html", url=url)


@blueprint.get("/sign-in/<name>")
def begin(name: str) -> BaseResponse:
    return go(name, flow.Purpose.SIGN_IN, safe_return_path(request.args.get("next")))


@blueprint.get("/sign-in/<name>/callback")
def callback(name: str) -> BaseResponse:
    core = current_core()
    try:
        browser = request.cookies.get(browser_cookie())
        returned = flow.come_back(core, name, _answer(), browser, source())
        if returned.purpose is flow.Purpose.TEST:
            return _test_page(name, flow.tested(core, returned), returned.user_id)
        if returned.purpose is flow.Purpose.LINK:
            return _link(returned)
        proof = flow.enter(core, returned, source())
    except flow.TestFailed as failed:
        return _test_page(name, failed.tested, failed.user_id)
    except SteadError as error:
        return _failed(name, error)
    response = redirect(safe_return_path(returned.return_to), 303)
    sign_in(response, proof)
    return response


@blueprint.post("/sign-in/<name>/callback")
@without_token
def receive(name: str) -> BaseResponse:
    """An answer that the provider's page posts (form_post): kept, and read when the browser comes for it.

    No cookie means anything here: from another site none comes along, and whose sign-in it is shows at the GET.
    """
    request.max_content_length = LONGEST_MESSAGE
    try:
        return redirect(flow.receive(current_core(), name, _once(request.form), source()), 303)
    except SteadError as error:
        return _failed(name, error)


def _answer() -> dict[str, str]:
    """The parameters that the browser brought."""
    return _once(request.args)


def _once(values: MultiDict[str, str]) -> dict[str, str]:
    """
    :raises InvalidInput: one came twice, so that we and the provider might read it differently.
    """
    if any(len(found) > 1 for _, found in values.lists()):
        raise InvalidInput("The answer of the provider has a parameter twice.")
    return values.to_dict()


def _failed(name: str, error: SteadError) -> Response:
    return page("session/failed.html", status_of(error), error=error, again=f"/sign-in/{name}", login=LOGIN_PATH)


def _test_page(name: str, tested: flow.Tested, user_id: str) -> BaseResponse:
    actor = current_actor()
    if actor.user_id != user_id:
        raise InvalidInput("This test was begun by somebody else.")
    configured = current_core().identity.get(name)
    return page("identity/tested.html", configured=configured, tested=tested)


def _link(returned: flow.Returned) -> BaseResponse:
    actor = current_actor()
    if actor.user_id != returned.user_id:
        raise InvalidInput("Somebody else is signed in now than when this was begun.", remedy="Begin again.")
    conversion.link(current_core(), actor, returned.configured, returned.person, keep_session=session_id())
    return redirect_saying("/settings/sign-in", f"You sign in with {returned.configured.title} from now on.")


@blueprint.post("/sign-in/<name>/signed-out")
@without_token
def signed_out(name: str) -> Response:
    """A sign-out that the provider posts: what proves it is in the message, which the plugin checks."""
    request.max_content_length = LONGEST_MESSAGE
    try:
        ending.signed_out(current_core(), name, request.form.to_dict(), source())
    except SteadError as error:
        status = 400 if status_of(error) < 500 else status_of(error)
        return Response(status=status, headers={"Cache-Control": "no-store"})
    return Response(status=200, headers={"Cache-Control": "no-store"})


@blueprint.get("/sign-in/<name>/farewell")
def farewell(name: str) -> BaseResponse:
    """Where the browser comes back to after signing out at the provider too."""
    del name
    return redirect_saying(LOGIN_PATH, "You are signed out.")
