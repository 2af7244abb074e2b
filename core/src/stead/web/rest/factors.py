"""Second factors of accounts with a password."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from stead.services.factors import manage
from stead.web.auth import current_actor
from stead.web.context import current_core
from stead.web.rest.common import Password
from stead.web.rest.parsing import Input
from stead.web.rest.routing import Api

api = Api("factors")


class Proven(Input):
    """``password`` is your own: whoever finds an open session must not change how you sign in."""

    password: Password


class ConfirmTotp(Input):
    """``step`` of the answer before, and the first ``code`` of the device."""

    step: Annotated[str, Field(min_length=1, max_length=200)]
    code: Annotated[str, Field(min_length=1, max_length=20)]
    name: Annotated[str, Field(max_length=64)] = ""


@dataclass(frozen=True)
class RecoveryCodes:
    """Shown here and never again."""

    recovery_codes: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Reset:
    """``removed`` is how many there were."""

    removed: int


@api.get("/users/me/factors", "Show your second factors", returns=manage.Factors)
def list_factors() -> manage.Factors:
    return manage.overview(current_core(), current_actor(), current_actor().user_id)


@api.post("/users/me/factors/totp", "Begin to add an authenticator", body=Proven, returns=manage.NewTotp)
def begin_totp(body: Proven) -> manage.NewTotp:
    """It counts for nothing until its first code was confirmed, within five minutes."""
    return manage.begin_totp(current_core(), current_actor(), body.password)


@api.post(
    "/users/me/factors/totp/confirm",
    "Confirm an authenticator with its first code",
    body=ConfirmTotp,
    returns=manage.Added,
    status=201,
)
def confirm_totp(body: ConfirmTotp) -> manage.Added:
    return manage.confirm_totp(current_core(), current_actor(), body.step, body.code, body.name)


@api.post("/users/me/factors/<ref:ref>/remove", "Remove one of your second factors", body=Proven)
def remove_factor(ref: str, body: Proven) -> None:
    manage.remove(current_core(), current_actor(), ref, body.password)


@api.post(
    "/users/me/factors/recovery-codes",
    "Make new recovery codes",
    body=Proven,
    returns=RecoveryCodes,
)
def make_recovery_codes(body: Proven) -> RecoveryCodes:
    """The old ones are worth nothing any more."""
    return RecoveryCodes(manage.new_recovery_codes(current_core(), current_actor(), body.password))


@api.get("/users/<ref:ref>/factors", "Show somebody's second factors", returns=manage.Factors)
def list_factors_of(ref: str) -> manage.Factors:
    return manage.overview(current_core(), current_actor(), ref)


@api.delete("/users/<ref:ref>/factors", "Take all second factors of somebody who has lost them", returns=Reset)
def reset_factors(ref: str) -> Reset:
    return Reset(manage.reset(current_core(), current_actor(), ref))
