"""Who makes a request: a person with a session cookie, or a program with a token.

flask-login holds the answer (``flask_login.current_user``, ``login_required``); sessions and tokens
themselves are rows of ours, so that they can be listed and revoked. An ``Authorization`` header always
wins over the cookie: a request with a bad token is refused, whatever cookie came along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from flask import Request, Response, current_app, g, redirect, request
from flask_login import AnonymousUserMixin, LoginManager, UserMixin, current_user
from werkzeug.wrappers import Response as BaseResponse

from stead.api.errors import NotAuthenticated
from stead.domain.records import Actor
from stead.domain.states import Role
from stead.services import authentication, secrets
from stead.services.signin.proof import Proof
from stead.web.context import client_address, current_core, is_api_request, is_secure

if TYPE_CHECKING:
    from flask import Flask

SESSION_COOKIE = "stead_session"
LOGIN_PATH = "/login"
LONGEST_RETURN = 2000
_NOT_SIGNED_IN = "You are not signed in."


class SignedIn(UserMixin):  # type: ignore[misc]  # flask-login is untyped
    """``flask_login.current_user`` of a request that carries a good session or token."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor

    @property
    def id(self) -> str:
        return self.actor.user_id

    @property
    def username(self) -> str:
        return self.actor.username

    def has_role(self, *roles: Role) -> bool:
        """Whether the person has any of the roles. For showing things; services decide what is allowed."""
        return any(role in self.actor.roles for role in roles)


class Nobody(AnonymousUserMixin):  # type: ignore[misc]
    """``flask_login.current_user`` of a request without a good credential."""

    actor = None
    username = ""

    def has_role(self, *_roles: Role) -> bool:
        return False


class _Login(LoginManager):  # type: ignore[misc]
    """flask-login without its own cookies: Stead's sessions are rows that :data:`SESSION_COOKIE` names."""

    def _load_user_from_remember_cookie(self, _cookie: str) -> object:
        return self._load_user_from_request(request)


def init_auth(app: Flask) -> None:
    """Make ``flask_login.current_user`` the actor behind the session cookie or the token."""
    manager = _Login()
    manager.session_protection = None
    manager.anonymous_user = Nobody
    manager.request_loader(_load)
    manager.unauthorized_handler(unauthorized)
    manager.init_app(app)


def bearer_token(incoming: Request) -> str | None:
    """The API token that the request carries in a header, or None."""
    scheme, _, value = incoming.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    return incoming.headers.get("Coder-Session-Token")


def session_secret() -> str | None:
    """The secret of the request's web session, or None where it carries none."""
    return request.cookies.get(SESSION_COOKIE) or None


def session_id() -> str | None:
    """The id of the request's web session, whether or not it is a good one."""
    parts = secrets.split(session_secret() or "")
    return parts[0] if parts else None


def uses_cookie() -> bool:
    """Whether the browser vouches for this request by itself, which is what CSRF protection is about."""
    return bearer_token(request) is None and session_secret() is not None


def _load(incoming: Request) -> SignedIn | None:
    core = current_core()
    token = bearer_token(incoming)
    secret = session_secret()
    try:
        if token is not None:
            return SignedIn(authentication.actor_for_token(core, token, client_address()))
        if secret is not None:
            return SignedIn(authentication.actor_for_session(core, secret, client_address()))
    except NotAuthenticated as error:
        g.authentication_error = error
    return None


def current_actor() -> Actor:
    """The actor who makes this request.

    :raises NotAuthenticated: nobody is signed in, or the credential is bad or expired.
    """
    if current_user.is_authenticated:
        return cast("Actor", current_user.actor)
    raise g.get("authentication_error") or NotAuthenticated(
        _NOT_SIGNED_IN, remedy="Sign in, or send a token in the Authorization header."
    )


def unauthorized() -> BaseResponse:
    """The answer where somebody has to sign in first: an error, or the way to the login page."""
    if is_api_request():
        raise NotAuthenticated(_NOT_SIGNED_IN, remedy="Send a token in the Authorization header.")
    target = f"{LOGIN_PATH}?next={quote(_return_path(), safe='/')}"
    if request.headers.get("HX-Request") == "true":
        return Response(status=401, headers={"HX-Redirect": target})
    return redirect(target)


def _return_path() -> str:
    return request.full_path.rstrip("?") if request.method == "GET" else "/"


def safe_return_path(path: str | None) -> str:
    """Where to go after signing in: ``path`` if it is a path on this very host, otherwise the front page."""
    if not path or len(path) > LONGEST_RETURN or not path.startswith("/") or not path.isprintable():
        return "/"
    # Browsers read a backslash as a slash, and two of them as the name of a host.
    return "/" if "\\" in path or path.startswith("//") else path


def sign_in(response: BaseResponse, proof: Proof) -> None:
    """Open a web session for whoever proved who they are, and hand its cookie out with ``response``.

    The session is a new one, whatever cookie came along; and what the browser had open before ends.
    """
    core = current_core()
    before = session_secret()
    if before is not None:
        authentication.close_session(core, before)
    secret = authentication.open_session(
        core,
        proof.user.id,
        client_address(),
        request.headers.get("User-Agent", "")[:256],
        provider=proof.provider,
        provider_session=proof.session,
    )
    response.set_cookie(
        SESSION_COOKIE,
        secret,
        max_age=current_app.config["STEAD_SESSION_SECONDS"],
        httponly=True,
        samesite="Lax",
        secure=is_secure(),
        path="/",
    )


def sign_out(response: BaseResponse) -> None:
    """Close the request's web session, if there is one, and take its cookie back."""
    secret = session_secret()
    if secret is not None:
        authentication.close_session(current_core(), secret)
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="Lax", secure=is_secure())
