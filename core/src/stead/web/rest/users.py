"""People, and how they sign in."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Annotated

from flask import Response, request
from pydantic import Field, model_validator

from stead.domain.records import Page, User
from stead.domain.states import Role
from stead.services import authentication, deployment, tokens, users
from stead.services.factors import demand, second
from stead.services.signin import passwords
from stead.services.signin.proof import Proof
from stead.services.signin.record import Source
from stead.web.auth import current_actor, sign_out
from stead.web.context import client_address, current_core
from stead.web.rest.common import Name, Password, SearchPaging
from stead.web.rest.parsing import Input
from stead.web.rest.routing import Api, PageOf

api = Api("users")

_LOGIN_SECONDS = 30 * 86400.0

Email = Annotated[str, Field(min_length=3, max_length=254)]


class FirstOwner(Input):
    username: Name
    email: Email
    password: Password
    name: Annotated[str, Field(max_length=128)] = ""


class Login(Input):
    """``login`` is a username or an e-mail address; ``client`` names the token that is made.

    ``provider`` is the identity provider to ask alone; ``local`` asks none. ``code`` is of an account's second factor,
    or a recovery code: without one that needs it, the answer is 401 with the reason ``second_factor_required``. Where
    the deployment asks for a second factor and the account has none, the reason is ``second_factor_missing``: it is
    added in a browser.
    """

    login: Annotated[str, Field(min_length=1, max_length=254)]
    password: Password
    client: Annotated[str, Field(max_length=48)] = "api"
    provider: Annotated[str, Field(max_length=64)] = ""
    code: Annotated[str, Field(max_length=40)] = ""


class CreateUser(Input):
    username: Name
    email: Email
    password: Password
    name: Annotated[str, Field(max_length=128)] = ""
    roles: Annotated[tuple[Role, ...], Field(max_length=len(Role))] = (Role.MEMBER,)


class UpdateUser(Input):
    name: Annotated[str, Field(max_length=128)] | None = None
    email: Email | None = None
    status: Annotated[str, Field(pattern="^(active|suspended)$")] | None = None
    roles: Annotated[tuple[Role, ...], Field(max_length=len(Role))] | None = None

    @model_validator(mode="after")
    def _something(self) -> UpdateUser:
        if not self.model_fields_set:
            raise ValueError("There is nothing to change: send name, email, status or roles")
        return self


class ChangePassword(Input):
    """``old`` is needed to change one's own password, not to reset somebody else's."""

    old: Annotated[str, Field(max_length=1024)] | None = None
    new: Password


@dataclass(frozen=True)
class LoggedIn:
    """``token`` is shown here and never again."""

    token: str
    user: User


@api.post(
    "/users/first",
    "Create the owner of a fresh deployment",
    public=True,
    body=FirstOwner,
    returns=User,
    status=201,
)
def create_first(body: FirstOwner) -> User:
    """Open only while there is no user at all."""
    return deployment.create_first_owner(
        current_core(), username=body.username, email=body.email, password=body.password, name=body.name
    )


@api.post("/login", "Exchange a password for a token", public=True, body=Login, returns=LoggedIn)
def login(body: Login) -> LoggedIn:
    core = current_core()
    where = Source(client_address(), request.headers.get("User-Agent", "")[:256])
    proof = passwords.check(core, body.login, body.password, where, body.provider)
    if second.needed(core, proof):
        if not body.code:
            raise second.SecondFactorRequired(
                "The password is right, and this account has a second factor.",
                field="code",
                remedy="Send a code of the authenticator, or a recovery code.",
            )
        second.check_code(core, proof.user, body.code, where)
    demand.require(core, proof.user)
    return logged_in(proof, body.client)


def logged_in(proof: Proof, client: str) -> LoggedIn:
    """A token for whoever proved who they are."""
    core = current_core()
    actor = authentication.actor_for_user(core, proof.user.id, client_address())
    lifetime = min(_LOGIN_SECONDS, core.settings.token_lifetime_max)
    # Names of tokens are unique, and the same client may sign in from many machines.
    name = f"{client} {secrets.token_hex(4)}"
    _, secret = tokens.create(core, actor, name=name, lifetime=lifetime)
    return LoggedIn(token=secret, user=proof.user)


@api.post("/logout", "End the session, or revoke the token, of this request")
def logout() -> Response:
    actor = current_actor()
    if actor.token_id is not None:
        tokens.delete(current_core(), actor, actor.token_id)
    response = Response(status=204)
    sign_out(response)
    return response


@api.get("/users", "List users", query=SearchPaging, returns=PageOf(User))
def list_users(query: SearchPaging) -> Page:
    return users.list(current_core(), current_actor(), search=query.q, limit=query.limit, offset=query.offset)


@api.post("/users", "Create a user", body=CreateUser, returns=User, status=201)
def create_user(body: CreateUser) -> User:
    return users.create(
        current_core(),
        current_actor(),
        username=body.username,
        email=body.email,
        password=body.password,
        name=body.name,
        roles=body.roles,
    )


@api.get("/users/<ref:ref>", "Show a user", returns=User)
def get_user(ref: str) -> User:
    return users.get(current_core(), current_actor(), _user_ref(ref))


@api.patch("/users/<ref:ref>", "Change a user", body=UpdateUser, returns=User)
def update_user(ref: str, body: UpdateUser) -> User:
    core, actor, target = current_core(), current_actor(), _user_ref(ref)
    if body.name is not None or body.email is not None:
        users.update(core, actor, target, name=body.name, email=body.email)
    if body.roles is not None:
        users.set_roles(core, actor, target, body.roles)
    if body.status is not None:
        users.set_status(core, actor, target, body.status)
    return users.get(core, actor, target)


@api.put("/users/<ref:ref>/password", "Change a password", body=ChangePassword)
def change_password(ref: str, body: ChangePassword) -> None:
    users.set_password(current_core(), current_actor(), _user_ref(ref), body.old, body.new)


def _user_ref(ref: str) -> str:
    """``me`` is whoever asks."""
    return current_actor().user_id if ref == "me" else ref
